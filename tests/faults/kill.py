"""Ends one process by SIGKILL and knows that this is what it died of."""

from __future__ import annotations

import contextlib
import os
import select
import signal
import time
from collections.abc import Callable
from pathlib import Path

import psutil

FREEZE_S = 2.0
DIE_S = 10.0


def kill(pid: int, still: Callable[[], bool] = lambda: True) -> float | None:
    """Freeze a process, look at it, end it by SIGKILL.

    A frozen process cannot leave by itself: one that is seen stopped and then gone died of the signal.

    Args:
        pid: the victim.
        still: asked while it is frozen, whether it is the one that is meant.

    Returns:
        When it was killed, seconds since the epoch; None if it was gone, or was not the one meant.
    """
    try:
        handle = os.pidfd_open(pid)
    except ProcessLookupError:
        return None
    try:
        signal.pidfd_send_signal(handle, signal.SIGSTOP)
        if not _stopped(pid) or not still():
            signal.pidfd_send_signal(handle, signal.SIGCONT)
            return None
        killed_s = time.time()
        signal.pidfd_send_signal(handle, signal.SIGKILL)
        return killed_s if select.select([handle], [], [], DIE_S)[0] else None
    except ProcessLookupError:
        return None
    finally:
        os.close(handle)


def offspring(pid: int, module: str) -> list[int]:
    """The living child processes of a process that run `python -m MODULE`, oldest first."""
    try:
        found = psutil.Process(pid).children(recursive=True)
    except psutil.NoSuchProcess:
        return []
    return sorted(child.pid for child in found if runs(child, module))


def parent_of(pid: int) -> int | None:
    """The process above one; None if it is gone."""
    with contextlib.suppress(psutil.Error):
        return psutil.Process(pid).ppid()
    return None


def host_of(worker: psutil.Process) -> psutil.Process:
    """The process whose worker it is, which need not be the one that started it: the one that holds the
    other side of its guards' pipe."""
    guards = worker.parents()[:2]
    pipe = os.readlink(f"/proc/{guards[1].pid}/fd/0")
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error, OSError):
            open_ones = {os.readlink(each) for each in Path(f"/proc/{process.pid}/fd").iterdir()}
            if pipe in open_ones and process not in guards:
                return process
    raise AssertionError(f"nobody holds {pipe}")


def runs(process: psutil.Process, module: str) -> bool:
    with contextlib.suppress(psutil.Error):
        words = process.cmdline()
        return module in words[1:4] and process.status() != psutil.STATUS_ZOMBIE
    return False


def belonging(root: Path) -> list[psutil.Process]:
    """Every living process that works in a project's folder or was told of it."""
    found = []
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error):
            if process.pid == os.getpid() or process.status() == psutil.STATUS_ZOMBIE:
                continue
            told = any(str(root) in value for value in process.environ().values())
            if told or Path(process.cwd()) == root or any(str(root) in word for word in process.cmdline()):
                found.append(process)
    return found


def _stopped(pid: int) -> bool:
    deadline = time.monotonic() + FREEZE_S
    while time.monotonic() < deadline:
        try:
            state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
        except OSError:
            return False
        if state in "TZX":
            return state == "T"
        time.sleep(0.001)
    return False
