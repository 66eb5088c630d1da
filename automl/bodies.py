"""The outermost process of a worker, as seen by who owns it: its own child, or another process's.

Knows no socket to the worker, and nothing of what it does.
"""

from __future__ import annotations

import contextlib
import os
import select
import signal
import socket
import subprocess
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Protocol

from automl import guard
from automl.forkserver import Forkserver


class Body(Protocol):
    """The outermost process of a worker, the upper guard: a child of this process, or of another."""

    @property
    def pid(self) -> int | None:
        """Its own; None while that is not known."""

    def alive(self) -> bool:
        """Whether it has not ended yet."""

    def wait(self, timeout_s: float | None) -> int | None:
        """How it ended, as subprocess tells it; None if it has not within the time."""

    def signal(self, number: int) -> None:
        """Send it a signal, unless it has ended."""

    def let_go(self) -> None:
        """Have the guards end everything: closes the pipe at whose other side they wait."""

    def bury(self) -> None:
        """It has ended: give back what it was known by."""

    def descriptors(self) -> list[int]:
        """The pipe to the guards and what else another process needs to take it over."""


class Child:
    """A worker that this process started."""

    def __init__(self, process: subprocess.Popen[bytes]) -> None:
        self._process, self.pid = process, process.pid

    def alive(self) -> bool:
        return self._process.poll() is None

    def wait(self, timeout_s: float | None) -> int | None:
        try:
            return self._process.wait(timeout_s)
        except subprocess.TimeoutExpired:
            return None

    def signal(self, number: int) -> None:
        self._process.send_signal(number)

    def let_go(self) -> None:
        assert self._process.stdin
        with contextlib.suppress(OSError):
            self._process.stdin.close()

    def bury(self) -> None:
        """Done by `wait`."""

    def descriptors(self) -> list[int]:
        """This side of the pipe."""
        assert self._process.stdin
        return [self._process.stdin.fileno()]


class Foster:
    """A worker that is no child of this process: handed over by another, or forked off a `Forkserver`.

    Args:
        pid: of its upper guard; None while that is not known.
        lifeline: this side of the guards' pipe; no other process has it any more.
        folder: the worker's own, where the guards write how it ended.
        birth: where the pid can be read once it is known.
    """

    def __init__(
        self, pid: int | None, lifeline: int, folder: Path, birth: socket.socket | None = None
    ) -> None:
        self._folder, self._birth = folder, birth
        self._lifeline: int | None = lifeline
        self._handle: int | None = None
        self.pid = pid
        if pid is not None:
            self._handle = os.pidfd_open(pid)

    @classmethod
    def forked(cls, server: Forkserver, environment: Mapping[str, str], folder: Path, log: int) -> Foster:
        """One that is asked of a server, and there once that has imported its framework.

        Raises:
            OSError: the server is gone.
        """
        theirs, lifeline = os.pipe()
        try:
            return cls(None, lifeline, folder, server.fork(environment, theirs, log))
        except OSError:
            os.close(lifeline)
            raise
        finally:
            os.close(theirs)

    def alive(self) -> bool:
        return self.wait(0) is None

    def wait(self, timeout_s: float | None) -> int | None:
        until_s = None if timeout_s is None else time.monotonic() + timeout_s
        if self._birth and not self._born(timeout_s):
            return None
        if self._handle is None:
            return -signal.SIGKILL  # never born, or dead and buried before anybody looked
        left_s = None if until_s is None else max(0.0, until_s - time.monotonic())
        if not select.select([self._handle], [], [], left_s)[0]:
            return None
        # Only the process that started it can ask the system how it ended; the guards write it down.
        try:
            status = (self._folder / guard.SWEPT).read_text()
        except OSError:
            return -signal.SIGKILL  # nothing else ends both guards
        return os.waitstatus_to_exitcode(int(status)) if status else 0

    def signal(self, number: int) -> None:
        if self._handle is not None:
            with contextlib.suppress(ProcessLookupError):
                signal.pidfd_send_signal(self._handle, number)

    def let_go(self) -> None:
        if self._lifeline is not None:
            os.close(self._lifeline)
            self._lifeline = None

    def bury(self) -> None:
        if self._handle is not None:
            os.close(self._handle)
        if self._birth:
            self._birth.close()

    def descriptors(self) -> list[int]:
        """What another process needs to have it as its own."""
        assert self._lifeline is not None
        return [self._lifeline, *([self._birth.fileno()] if self._birth else [])]

    def _born(self, timeout_s: float | None) -> bool:
        """Whether it is known by now which process it is, or that there is none, or never will be any:
        one that is forked after it was let go finds so, and ends."""
        assert self._birth
        given_up = self._lifeline is None
        ready = select.select([self._birth], [], [], 0 if given_up else timeout_s)[0]
        if not ready and not given_up:
            return False
        with self._birth:
            text = self._birth.recv(32) if ready else b""
        self._birth = None
        if text:
            self.pid = int(text)
            with contextlib.suppress(OSError):
                self._handle = os.pidfd_open(self.pid)
        return True
