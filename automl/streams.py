"""stdout and stderr of a worker: into the trial's log while one runs, and back, whatever a trainer did.

Knows no trial but its log.
"""

from __future__ import annotations

import contextlib
import io
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

_STREAMS = (("stdout", 1), ("stderr", 2))


@contextlib.contextmanager
def log_into(log: Path) -> Iterator[None]:
    """stdout and stderr, those of C libraries and child processes included, go to the log."""
    mend()
    before = os.dup(1), os.dup(2)
    for _, number in _STREAMS:
        _open(log, number)
    try:
        yield
    finally:
        mend(log)
        for kept, (_, number) in zip(before, _STREAMS, strict=True):
            os.dup2(kept, number)
            os.close(kept)


def mend(log: Path | None = None) -> None:
    """Flush both; what a trainer closed, or put something broken in place of, is opened anew.

    Args:
        log: where a descriptor that was closed goes to from now on.
    """
    for name, number in _STREAMS:
        try:
            os.fstat(number)
        except OSError:
            _open(log or Path(os.devnull), number)
        try:
            getattr(sys, name).flush()
        except Exception:  # what a trainer put there may raise anything
            setattr(sys, name, _stream(number))


def forgive() -> None:
    """From here on, what cannot be written to either stream is lost, and nothing else."""
    mend()
    for name, number in _STREAMS:
        setattr(sys, name, _stream(number))


class _Forgiving(io.FileIO):
    """A full disk takes the log, but no trial: `print` never raises for it."""

    def write(self, data: Any, /) -> int:
        try:
            return super().write(data)
        except OSError:
            return memoryview(data).nbytes


def _stream(number: int) -> io.TextIOWrapper:
    raw = _Forgiving(number, "w", closefd=False)
    writer = io.BufferedWriter(raw)
    return io.TextIOWrapper(writer, encoding="utf-8", errors="backslashreplace", line_buffering=True)


def _open(log: Path, number: int) -> None:
    flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND
    try:
        target = os.open(log, flags, 0o644)
    except OSError:  # a disk that takes no file any more
        target = os.open(os.devnull, flags)
    if target != number:  # else it was closed, and the lowest that was free
        os.dup2(target, number)
        os.close(target)
    os.set_inheritable(number, True)
