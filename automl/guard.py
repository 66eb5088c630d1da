"""Two processes above a worker: with its host, or with it, they end all that it started.

A worker cannot clean up after its own death, and a process that made a session of its own is in no
group that a host could kill. So the worker is forked off here at its very start, and what stays behind
adopts every orphan of it (PR_SET_CHILD_SUBREAPER) and waits: for the worker's end, or for the end of
its stdin, whose other side the host alone holds. There are two, one above the other, because a guard
may be killed itself: an actor of Ray that exits kills its children with SIGKILL, but not theirs.
Knows no trial, no task and no socket.
"""

from __future__ import annotations

import contextlib
import ctypes
import faulthandler
import os
import resource
import select
import signal
import socket
import sys
import time
from pathlib import Path
from typing import NoReturn

import psutil

# Written last, beside the worker's socket: whoever finds it knows that nothing is left to kill. It holds
# the status that the worker ended with, if it ended by itself.
SWEPT = "swept"
# Asks a worker for the stacks of all its threads; a guard passes it on.
DUMP_SIGNAL = signal.SIGUSR1
# A process in the middle of a system call may outlive its SIGKILL; a guard waits no longer for one.
_GIVE_UP_S = 5.0
# A host's death closes the pipe at once, unless something forked off it holds a copy; so look as well.
LOOK_S = 5.0
_PR_SET_PDEATHSIG, _PR_SET_CHILD_SUBREAPER = 1, 36


def die_with_parent() -> None:
    """For a process with no family of its own: SIGKILL once the thread that started it has ended."""
    _prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)


def heed_dumps() -> None:
    """Have this process write the stacks of its threads into its stderr when it is asked to.

    Call it again before each trial: Lightning puts every signal's handler back after a fit, and one that
    is not Python's it takes for none.
    """
    faulthandler.unregister(DUMP_SIGNAL)  # or registering would change nothing
    faulthandler.register(DUMP_SIGNAL, file=2, all_threads=True)


def stand(folder: Path, host: int | None = None) -> None:
    """Fork, twice. The grandchild returns from here, as the worker; the others guard and never return.

    Args:
        folder: where `SWEPT` is written.
        host: the pid of the process with which everything ends; None for the parent of this one.
    """
    # Should the upper guard die, the lower one still has the rest to end, and so is only told.
    for sign in (signal.SIGTERM, signal.SIGKILL):
        host, me = host or os.getppid(), os.getpid()
        _prctl(_PR_SET_CHILD_SUBREAPER, 1)
        ward = os.fork()
        if ward:
            Guard(ward, host, folder).watch()
        host = None
        _prctl(_PR_SET_PDEATHSIG, sign)
        if os.getppid() != me:
            os._exit(1)
        os.setpgid(0, 0)  # what kills the worker's own group leaves its guards
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)
    os.close(nothing)


class Guard:
    """Watches one process.

    Args:
        ward: its pid, a child of this process: the worker, or the guard below.
        host: the pid of the process that started this one, or had another start it.
        folder: where `SWEPT` is written.
    """

    def __init__(self, ward: int, host: int, folder: Path) -> None:
        self._ward, self._folder = ward, folder
        self._host: psutil.Process | None = None
        with contextlib.suppress(psutil.NoSuchProcess):
            self._host = psutil.Process(host)
        self._bell, rung = socket.socketpair()
        for end in (self._bell, rung):
            end.setblocking(False)
        self._rung = rung
        signal.set_wakeup_fd(rung.fileno(), warn_on_full_buffer=False)
        for each in (signal.SIGCHLD, signal.SIGTERM):
            signal.signal(each, lambda *_: None)
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        signal.signal(DUMP_SIGNAL, lambda *_: os.kill(ward, DUMP_SIGNAL))

    def watch(self) -> NoReturn:
        """Wait for the first of the two ends, end the rest, and leave as the ward did."""
        status = self._bury()
        while status is None and not self._let_go():
            status = self._bury()
        self._end_all()
        with contextlib.suppress(OSError):
            (self._folder / SWEPT).write_text("" if status is None else str(status))
        leave_as(status)

    def _let_go(self) -> bool:
        """Sleep until something happens; whether the host is gone or wants an end."""
        watched: list[int | socket.socket] = [0, self._bell]
        ready = select.select(watched, [], [], LOOK_S)[0]
        told = self._bell.recv(4096) if self._bell in ready else b""
        return 0 in ready or signal.SIGTERM in told or not self._host_lives()

    def _host_lives(self) -> bool:
        if self._host is None or not self._host.is_running():
            return False
        with contextlib.suppress(psutil.Error):
            return self._host.status() != psutil.STATUS_ZOMBIE
        return False

    def _bury(self) -> int | None:
        """Reap every dead child, adopted ones included; the ward's status once it is among them."""
        found = None
        with contextlib.suppress(ChildProcessError):
            while True:
                pid, status = os.waitpid(-1, os.WNOHANG)
                if not pid:
                    break
                if pid == self._ward:
                    found = status
        return found

    def _end_all(self) -> None:
        until_s = time.monotonic() + _GIVE_UP_S
        while time.monotonic() < until_s:
            self._bury()
            left = psutil.Process().children(recursive=True)
            if not left:
                return
            for each in left:
                with contextlib.suppress(psutil.Error):
                    each.kill()
            time.sleep(0.005)


def leave_as(status: int | None) -> NoReturn:
    """End as another process ended, so that who started this one sees how.

    Args:
        status: as `waitpid` gives it; None ends with 0.
    """
    if status is None:
        os._exit(0)
    if os.WIFSIGNALED(status):
        number = os.WTERMSIG(status)
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))  # the worker's own core is the one of interest
        with contextlib.suppress(OSError):  # that of SIGKILL cannot be set, nor need it be
            signal.signal(number, signal.SIG_DFL)
        os.kill(os.getpid(), number)
        time.sleep(1.0)
    os._exit(os.waitstatus_to_exitcode(status) & 0xFF)


def _prctl(what: int, value: int) -> None:
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(what, value)
