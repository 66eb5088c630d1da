"""Trials that carry a stopwatch: when they took their first step, when their last one ended."""

from __future__ import annotations

import time
from typing import Any

SLOW = 1.0  # random points are below it, so only a start point makes a slow trial
EPOCHS = 4


class Stopwatch:
    """Seconds since `origin`, small enough for a float32.

    Args:
        origin: seconds since the epoch.
    """

    def __init__(self, origin: float) -> None:
        self._origin = origin
        self._first: float | None = None
        self._begun = 0.0
        self._busy = 0.0

    def begin(self) -> None:
        """An epoch's first training step."""
        self._begun = time.time()
        self._first = self._first or self._begun

    def end(self) -> dict[str, float]:
        """The epoch's training is over; metrics `first_s`, `end_s` and `busy_s` (so far)."""
        now = time.time()
        self._busy += now - self._begun
        assert self._first is not None
        return {"first_s": self._first - self._origin, "end_s": now - self._origin, "busy_s": self._busy}


def train(trial: Any, x: float, origin: float, slow_s: float = 2.0) -> None:
    """Sleeps in the place of training: `slow_s` altogether if x is SLOW, else not at all."""
    watch = Stopwatch(origin)
    for step in range(1, EPOCHS + 1):
        watch.begin()
        if x == SLOW:
            time.sleep(slow_s / EPOCHS)
        trial.report({"loss": x**2 + 1 / step, **watch.end()}, step=step)
