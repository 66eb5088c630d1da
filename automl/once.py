"""What one process of a node does while the others wait for it, and the signs of life meanwhile.

Knows no data and no framework: a worker says how a sign is given, a framework which random generators
it has.
"""

from __future__ import annotations

import contextlib
import fcntl
import functools
import hashlib
import os
import random
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import psutil

from automl import scratch

# So often a wait looks again, and a sign of life is given.
LOOK_S, SIGN_S = 0.05, 0.5
# Between two signs a process that is no hang has computed, or read or written, at least so much.
_WORKED_S, _MOVED_BYTES = 0.001, 1 << 16

_pulse: Callable[[], object] = lambda: None  # noqa: E731 - what `attend` puts another in the place of


class Generator(NamedTuple):
    """A random generator of the whole process."""

    take: Callable[[], Any]
    put_back: Callable[[Any], object]
    seed: Callable[[int], object]


_generators = {"python": Generator(random.getstate, random.setstate, random.seed)}
_held: dict[str, int] = {}


def attend(pulse: Callable[[], object]) -> None:
    """From here on `pulse` is called now and then while this process waits or prepares. May be any thread."""
    global _pulse
    _pulse = pulse


def keep(name: str, generator: Generator) -> None:
    """A framework's own generator is to be left as it was, too."""
    _generators[name] = generator


@contextlib.contextmanager
def undisturbed(seed: int) -> Iterator[None]:
    """What is done in here draws from this seed, and the trial around it draws as if it had not been done."""
    if "numpy" in sys.modules:
        drawn = sys.modules["numpy"].random
        keep("numpy", Generator(drawn.get_state, drawn.set_state, lambda seed: drawn.seed(seed % 2**32)))
    states = {name: each.take() for name, each in _generators.items()}
    for each in _generators.values():
        each.seed(seed)
    try:
        yield
    finally:
        for name, state in states.items():
            _generators[name].put_back(state)


@contextlib.contextmanager
def locked(path: Path, what: str, done: Callable[[], bool] = lambda: False) -> Iterator[bool]:
    """Have a lock that one process of this node has at a time, and that its death frees.

    A wait gives signs of life, and is told once in the log.

    Args:
        path: the lock's file; it is gone once nobody needs it.
        what: that which another may be doing, for the log.
        done: asked while waiting; once it says yes the lock is not needed any more.

    Yields:
        Whether this process has the lock.

    Raises:
        OSError: there can be no such file.
    """
    file = _wait(path, what, done)
    try:
        yield file is not None
    finally:
        if file is not None:
            path.unlink(missing_ok=True)
            os.close(file)


def _wait(path: Path, what: str, done: Callable[[], bool]) -> int | None:
    told, sign_s = False, 0.0
    while (file := scratch.locked(path, fcntl.LOCK_EX | fcntl.LOCK_NB)) is None:
        if done():
            return None
        if not told:
            say(f"waits for {_holder(path)}, which {what}")
            told = True
        if time.monotonic() - sign_s > SIGN_S:
            sign_s = time.monotonic()
            _pulse()
        time.sleep(LOOK_S)
    os.truncate(file, 0)
    os.write(file, str(os.getpid()).encode())
    return file


def _holder(path: Path) -> str:
    with contextlib.suppress(OSError, ValueError):
        return f"process {int(path.read_text())}"
    return "another process"


@contextlib.contextmanager
def at_work() -> Iterator[None]:
    """Give signs of life while this process, or one that it started, computes, reads or writes.

    One that does nothing at all gives none: it hangs, and whoever watches it may find that out.
    """
    ended = threading.Event()
    watcher = threading.Thread(target=_give_signs, args=(ended,), name="automl-signs", daemon=True)
    watcher.start()
    try:
        yield
    finally:
        ended.set()
        watcher.join()


def _give_signs(ended: threading.Event) -> None:
    worked_s, moved_bytes = _work()
    while not ended.wait(SIGN_S):
        now_s, now_bytes = _work()
        if now_s - worked_s > _WORKED_S or now_bytes - moved_bytes > _MOVED_BYTES:
            _pulse()
        worked_s, moved_bytes = now_s, now_bytes


def _work() -> tuple[float, int]:
    """CPU seconds and bytes read and written so far, children included, this thread's own seconds not."""
    seconds, moved = time.process_time() - time.thread_time(), 0
    me = psutil.Process()
    for each in (me, *_children()):
        with contextlib.suppress(psutil.Error, OSError):
            if each != me:
                seconds += sum(each.cpu_times()[:2])
            counted = each.io_counters()
            moved += getattr(counted, "read_chars", 0) + getattr(counted, "write_chars", 0)
    return seconds, moved


def _children() -> Iterator[psutil.Process]:
    """The direct ones, without a look at every process of the machine (Linux only)."""
    for listed in Path("/proc/self/task").glob("*/children"):
        with contextlib.suppress(OSError, psutil.Error):
            yield from [psutil.Process(int(pid)) for pid in listed.read_text().split()]


def in_run(run: str, what: str, words: str, act: Callable[[], bool]) -> None:
    """Have something done once on this node in a run of a search; who comes later waits for it.

    What fails is not done: the next one tries it again.

    Args:
        run: names the run; without a name it is done each time.
        what: tells it from other things that are done once.
        words: what it is, for the log of those who wait.
        act: does it, and says whether once is enough.
    """
    mark = hashlib.sha256(f"{run}\0{what}".encode()).hexdigest()[:16]
    with contextlib.ExitStack() as stack:
        try:
            done = _marks(run) if run else None
            if done is not None:
                lock = locked(
                    scratch.lock_path(f"once-{mark}"), words, functools.partial(_marked, done, mark)
                )
                stack.enter_context(lock)
        except OSError:  # a disk that takes no file
            done = None
        if done is not None and _marked(done, mark):
            return
        if act() and done is not None:
            with contextlib.suppress(OSError), done.open("a") as file:
                file.write(f"{mark}\n")


def _marked(done: Path, mark: str) -> bool:
    return mark in done.read_text()


def _marks(run: str) -> Path:
    """The file in which this node's processes note what is done in a run.

    Each of them has a share in its lock as long as it lives; `scratch.sweep` removes what nobody has.
    """
    path = scratch.lock_path(f"run-{run}")
    while run not in _held:
        if (file := scratch.locked(path, fcntl.LOCK_SH)) is not None:
            _held[run] = file
    return path


def say(text: str) -> None:
    """A line of the house's own in the trial's log."""
    print(f"--- {text}", file=sys.stderr, flush=True)
