"""The clocks of one attempt: how long it was silent, how long it trains, how long ago it was told to stop.

Times are monotonic. Knows no process: it says when an attempt is over and why, a host acts on it.
"""

from __future__ import annotations

import time
from typing import Any

# A worker that was told to stop is killed after so long; its own grace (worker.STOP_GRACE_S) is shorter.
STOP_KILL_S = 30.0
# Starting a worker and importing a framework and a trainer say nothing, and may take so long at least.
PREPARE_S = 120.0


class Watch:
    """Watches one attempt, which begins now.

    Args:
        silence_s: longest time without a message; None for any.
        trial_s: longest time after the worker said `started`, waits for the driver aside; None for any.
    """

    def __init__(self, silence_s: float | None, trial_s: float | None) -> None:
        self._silence_s, self._trial_s = silence_s, trial_s
        self._heard_s = time.monotonic()
        self._started_s: float | None = None
        self._asked_s: float | None = None
        self._told_s: float | None = None
        self._forgiven_s = 0.0
        self._trains = False

    def hear(self, kind: str, waited_s: float | None = None) -> None:
        """The worker said something.

        Args:
            waited_s: with a report after one for whose answer it did not wait: how long it did after all.
        """
        self._heard_s = time.monotonic()
        if kind == "started":
            self._started_s = self._heard_s
        elif kind == "report":
            if self._started_s is not None and waited_s is not None:
                self._started_s -= max(0.0, self._forgiven_s - waited_s)
            self._asked_s = self._heard_s
        self._trains |= kind in ("pulse", "report")

    def answer(self) -> None:
        """The driver answered a report: from the report until now it was not the worker that was silent.

        If it trained on, that time counts all the same, which the next report tells.
        """
        now_s = time.monotonic()
        if self._asked_s is not None and self._started_s is not None:
            self._forgiven_s = now_s - self._asked_s
            self._started_s += self._forgiven_s
        self._asked_s, self._heard_s = None, now_s

    def stop(self) -> bool:
        """The worker was told to leave; whether for the first time."""
        first = self._told_s is None
        if first:
            self._told_s = time.monotonic()
        return first

    def verdict(self) -> dict[str, Any] | None:
        """How an attempt ends that has run out of time: outcome, cause and error; None while it has not."""
        now_s = time.monotonic()
        if self._told_s is not None:
            if now_s - self._told_s <= STOP_KILL_S:
                return None
            return {"outcome": "stopped", "error": f"killed {STOP_KILL_S:g} s after the stop"}
        trained_s = (self._asked_s or now_s) - self._started_s if self._started_s is not None else 0.0
        if self._trial_s is not None and trained_s > self._trial_s:
            return _failed("timeout", f"trained for {self._trial_s:g} s", "timeout.trial")
        limit_s = self._limit_s()
        if limit_s is not None and self._asked_s is None and now_s - self._heard_s > limit_s:
            return _failed("hang", f"no batch and no report for {limit_s:g} s", "timeout.silence")
        return None

    def _limit_s(self) -> float | None:
        if self._silence_s is None or self._trains:
            return self._silence_s
        return max(self._silence_s, PREPARE_S)


def _failed(cause: str, what: str, key: str) -> dict[str, Any]:
    error = f"{what}, the limit that {key} sets. Raise {key} if the trainer needs longer"
    return {"outcome": "failed", "cause": cause, "error": error}
