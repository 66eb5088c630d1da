"""stdout and stderr of a worker: into the trial's log while one runs, and back, whatever a trainer did.

Knows no trial but its log.
"""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Iterator
from pathlib import Path

_STREAMS = (("stdout", 1), ("stderr", 2))


@contextlib.contextmanager
def log_into(log: Path) -> Iterator[None]:
    """stdout and stderr, those of C libraries and child processes included, go to the log."""
    mend()
    before = os.dup(1), os.dup(2)
    target = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
    for _, number in _STREAMS:
        os.dup2(target, number)
    os.close(target)
    try:
        yield
    finally:
        mend()
        for kept, (_, number) in zip(before, _STREAMS, strict=True):
            os.dup2(kept, number)
            os.close(kept)


def mend() -> None:
    """Flush both; one that a trainer closed, or put something broken in place of, is opened anew."""
    for name, number in _STREAMS:
        try:
            getattr(sys, name).flush()
        except Exception:  # what a trainer put there may raise anything
            # Its descriptor may be closed as well: then this one fails quietly, until the log's end.
            with contextlib.suppress(OSError):
                setattr(sys, name, os.fdopen(number, "w", buffering=1, encoding="utf-8", closefd=False))
