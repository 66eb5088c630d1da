"""A stopwatch for the models of peers.py: notes when each epoch began and ended. Knows no tuner.

One small file for each process, a line for each epoch: `TRIAL BEGAN ENDED`, where TRIAL counts the
models that the process has trained, and the times are seconds of the machine's monotonic clock,
which all its processes share. A line costs some ten microseconds. An epoch is its training steps and
its validation; what a tuner does with the result comes after it.
"""

from __future__ import annotations

import itertools
import os
import time
from pathlib import Path

FOLDER = "PEERS_LAPS"  # the environment variable with the folder to write into

_trials = itertools.count()


class Laps:
    """The epochs of one model."""

    def __init__(self) -> None:
        self._trial: int | None = None
        self._begun_s = 0.0

    def begin(self) -> None:
        """An epoch's first training step is about to be made."""
        if self._trial is None:
            self._trial = next(_trials)
        self._begun_s = time.monotonic()

    def end(self) -> None:
        """The epoch's validation is over; nobody has been told of it yet."""
        folder = os.environ.get(FOLDER)
        if folder is None:
            return
        with (Path(folder) / f"{os.getpid()}.txt").open("a") as file:
            file.write(f"{self._trial} {self._begun_s:.6f} {time.monotonic():.6f}\n")
