"""Python's garbage collector, kept still while very much is read that stays. Knows nothing else."""

from __future__ import annotations

import atexit
import contextlib
import gc
from collections.abc import Iterator


@contextlib.contextmanager
def still() -> Iterator[None]:
    """No collection inside: it would look again and again at what was just read, and find nothing."""
    before = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if before:
            gc.enable()


def leave() -> None:
    """No collection at the end of this process either: its memory goes back to the system as a whole.

    For commands that only read. Whoever keeps what has to be put away, in a cycle, must not be passed over.
    """
    atexit.register(gc.freeze)
