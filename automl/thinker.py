"""Thinks of the next point on a thread of its own, so that the loop which hears trials never waits for it.

Knows no trial and no ledger: it is given a number, and whoever gave it comes for the point.
"""

from __future__ import annotations

import contextlib
import os
import queue
import select
import threading
from collections.abc import Callable

from automl.thought import Asked, Thought


class Thinker:
    """One thought at a time.

    Args:
        begin: the thought of a number, on a snapshot of what is known; called by `think`.
    """

    def __init__(self, begin: Callable[[int], Thought]) -> None:
        self._begin = begin
        self._orders: queue.SimpleQueue[Thought | None] = queue.SimpleQueue()
        self._number: int | None = None
        self._done = threading.Event()
        self._point: Asked | None = None
        self._error: Exception | None = None
        self._bell = os.eventfd(0, os.EFD_NONBLOCK | os.EFD_CLOEXEC)
        threading.Thread(target=self._live, name="automl-thinker", daemon=True).start()

    @property
    def bell(self) -> int:
        """A file descriptor that is readable once a thought is finished."""
        return self._bell

    @property
    def number(self) -> int | None:
        """Of the point that is thought of, or waits to be fetched."""
        return self._number

    @property
    def busy(self) -> bool:
        """Whether a thought is not finished."""
        return self._number is not None and not self._done.is_set()

    def think(self, number: int) -> None:
        """Begin to think of a number, on what is known now; the point before was fetched."""
        assert self._number is None, "one thought at a time"
        thought = self._begin(number)
        self._number = number
        self._done.clear()
        self._orders.put(thought)

    def wait(self, timeout_s: float) -> None:
        """Until the thought is finished, or so long."""
        if self.busy:
            select.select([self._bell], [], [], timeout_s)

    def fetch(self) -> Asked | None:
        """The point; None where there is none left. Raises what the sampler raised."""
        assert self._done.is_set() and self._number is not None
        with contextlib.suppress(BlockingIOError):
            os.eventfd_read(self._bell)
        self._number = None
        if self._error is not None:
            raise self._error
        return self._point

    def close(self) -> None:
        """End the thread, once it has finished what it thinks of; nobody waits for that."""
        self._orders.put(None)

    def _live(self) -> None:
        while (thought := self._orders.get()) is not None:
            self._point = self._error = None
            try:
                self._point = thought()
            except Exception as error:  # the sampler's own; told to whoever comes for the point
                self._error = error
            self._done.set()
            os.eventfd_write(self._bell, 1)
        os.close(self._bell)
