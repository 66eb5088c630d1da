"""One worker process as its host sees it: its start, the socket to it, its end.

Knows no trial: what is said on the socket is the host's and the worker's affair.
"""

from __future__ import annotations

import contextlib
import json
import os
import select
import signal
import socket
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

from automl import guard, scratch
from automl.engines.base import Message
from automl.ranks import program, threads_each

# Guards that have not ended everything after so long are killed themselves, and swept after.
KILL_S = 10.0
# Guards tell how a worker died within so long; where it has several ranks, these are ended first.
DEATH_S = 2.0
# A worker gets neither: it opens no database and no tracking run.
_SECRETS = ("AUTOML_LEDGER", "AUTOML_OPTUNA_STORAGE", "PGPASSWORD")


class Body(Protocol):
    """The outermost process of a worker, the upper guard: a child of this process, or of another."""

    pid: int

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

    @property
    def lifeline(self) -> int:
        """This side of the pipe, as a file descriptor."""
        assert self._process.stdin
        return self._process.stdin.fileno()


class Foster:
    """A worker that another process of this machine started, and handed over with its pipe.

    Args:
        pid: of its upper guard.
        lifeline: this side of the guards' pipe; no other process has it any more.
        folder: the worker's own, where the guards write how it ended.
    """

    def __init__(self, pid: int, lifeline: int, folder: Path) -> None:
        self.pid, self._folder = pid, folder
        self._lifeline: int | None = lifeline
        self._handle = os.pidfd_open(pid)

    def alive(self) -> bool:
        return not select.select([self._handle], [], [], 0)[0]

    def wait(self, timeout_s: float | None) -> int | None:
        if not select.select([self._handle], [], [], timeout_s)[0]:
            return None
        # Only the process that started it can ask the system how it ended; the guards write it down.
        try:
            status = (self._folder / guard.SWEPT).read_text()
        except OSError:
            return -signal.SIGKILL  # nothing else ends both guards
        return os.waitstatus_to_exitcode(int(status)) if status else 0

    def signal(self, number: int) -> None:
        with contextlib.suppress(ProcessLookupError):
            signal.pidfd_send_signal(self._handle, number)

    def let_go(self) -> None:
        if self._lifeline is not None:
            os.close(self._lifeline)
            self._lifeline = None

    def bury(self) -> None:
        os.close(self._handle)


class WorkerProcess:
    """A worker, the guards above it, and the socket to the worker.

    The guards end the worker and all that it started once `kill` closes the pipe to them, or this
    process is gone, which closes it as well.

    Args:
        framework: the one that it trains with.
        folder: its own, with its log and its socket.
        body: its outermost process.
        line: the socket to it, or the one at which it will call.
        called: whether it has called.
        ranks: in how many processes, or replicas, it trains.
    """

    def __init__(
        self,
        framework: str,
        folder: Path,
        body: Body,
        line: socket.socket,
        called: bool = False,
        ranks: int = 1,
    ) -> None:
        self.framework, self.ranks, self.served = framework, ranks, 0
        self.first_held: dict[str, int] = {}  # after its first trial
        self.log = folder / "worker.log"
        self._folder, self._process = folder, body
        self._listener: socket.socket | None = None if called else line
        self._link: socket.socket | None = line if called else None
        self._buffer, self._unsent = b"", b""

    @classmethod
    def spawn(
        cls,
        framework: str,
        cpus: float,
        gpus: float,
        devices: str,
        root: str,
        place: Path,
        ranks: int = 1,
        warm: Sequence[str] = (),
    ) -> WorkerProcess:
        """Start one.

        Args:
            framework: what it is to train with.
            cpus, gpus: what it may use.
            devices: the GPUs that it may see, as CUDA_VISIBLE_DEVICES has them.
            root: the project's folder.
            place: where its own folder is made.
            ranks: in how many processes, or replicas, it trains.
            warm: addresses of models and data that it imports at once, with its framework, before it is
                told anything.
        """
        folder = Path(tempfile.mkdtemp(prefix="w-", dir=place))
        address = str(folder / "s")
        listener = socket.socket(socket.AF_UNIX)
        listener.bind(address)
        listener.listen(1)
        said = {"framework": framework, "cpus": cpus, "gpus": gpus, "ranks": ranks, "root": root}
        said["warm"] = list(warm)
        threads = threads_each(cpus, framework, ranks)
        with (folder / "worker.log").open("ab") as log:
            process = subprocess.Popen(
                [sys.executable, "-m", program(framework, ranks)],
                cwd=root,
                env=_environment(threads, devices, address, {**said, "scratch": str(folder)}),
                stdin=subprocess.PIPE,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        return cls(framework, folder, Child(process), listener, ranks=ranks)

    def hand_over(self) -> tuple[dict[str, Any], list[int]]:
        """What `taken` makes it again from in another process: plain data, and file descriptors."""
        assert isinstance(self._process, Child) and not self._buffer, "only an idle worker of one's own"
        line = self._link or self._listener
        assert line
        said = {
            "framework": self.framework,
            "folder": str(self._folder),
            "pid": self._process.pid,
            "called": self._link is not None,
            "ranks": self.ranks,
            "unsent": self._unsent.decode(),
        }
        return said, [line.fileno(), self._process.lifeline]

    def forget(self) -> Child:
        """Close this process's ends of what was handed over; what is left is to bury it one day."""
        assert isinstance(self._process, Child)
        for each in (self._link, self._listener):
            if each:
                each.close()
        self._process.let_go()
        return self._process

    @classmethod
    def taken(cls, said: Mapping[str, Any], descriptors: Sequence[int]) -> WorkerProcess:
        """A worker that another process handed over.

        Raises:
            OSError: it has died in the meantime.
        """
        for each in descriptors:
            os.set_inheritable(each, False)
        line, folder = socket.socket(fileno=descriptors[0]), Path(said["folder"])
        try:
            body = Foster(said["pid"], descriptors[1], folder)
        except OSError:
            line.close()
            os.close(descriptors[1])
            raise
        worker = cls(said["framework"], folder, body, line, said["called"], said["ranks"])
        worker._unsent = said["unsent"].encode()
        return worker

    @property
    def scratch(self) -> Path:
        """The worker's own folder."""
        return self._folder

    def fileno(self) -> int:
        """What to wait on: the listener until the worker has called, then the link; -1 once closed."""
        waiting = self._link or self._listener
        return waiting.fileno() if waiting else -1

    def send(self, said: Mapping[str, Any]) -> None:
        """Say something; kept until the worker has called. A dead worker is noticed by `receive`."""
        self._unsent += json.dumps(said).encode() + b"\n"
        if self._link:
            with contextlib.suppress(OSError):
                self._link.sendall(self._unsent)
            self._unsent = b""

    def receive(self, timeout_s: float) -> list[Message] | None:
        """What it said within the time; None once it is dead and all it said was read."""
        ready = bool(select.select([self], [], [], timeout_s)[0])
        if self._listener:
            if ready:
                self._accept()
                return []
            return [] if self._process.alive() else None
        if not ready:
            return []
        assert self._link
        try:
            chunk = self._link.recv(1 << 20)
        except OSError:
            chunk = b""
        if not chunk:
            return None
        *lines, self._buffer = (self._buffer + chunk).split(b"\n")
        return [json.loads(line) for line in lines]

    def dump(self) -> None:
        """Have it write the stacks of its threads into its stderr."""
        if self._process.alive():
            self._process.signal(guard.DUMP_SIGNAL)

    def leave(self) -> None:
        """Begin to end it and everything that it started; `kill` waits for that."""
        self._process.let_go()

    def kill(self) -> str:
        """End it and everything that it started; how the worker itself ended, in words."""
        self.leave()
        code = self._process.wait(KILL_S)
        if code is None:
            self._process.signal(signal.SIGKILL)
            code = self._process.wait(None)
        assert code is not None
        if not (self._folder / guard.SWEPT).exists():  # both guards were killed
            scratch.end_marked(self._folder)
        for each in (self._link, self._listener):
            if each:
                each.close()
        self._link = self._listener = None
        self._process.bury()
        return _ending(code)

    def tail(self, characters: int = 300) -> str:
        """The end of what it said outside of trials."""
        with contextlib.suppress(OSError):
            return self.log.read_text(errors="replace")[-characters:].strip()
        return ""

    def died(self) -> str:
        """How it ended, for one that ended by itself."""
        self._process.wait(DEATH_S * self.ranks)
        return self.kill()

    def _accept(self) -> None:
        assert self._listener
        self._link = self._listener.accept()[0]
        self._listener.close()
        self._listener = None
        if self._unsent:
            self.send_pending()

    def send_pending(self) -> None:
        pending, self._unsent = self._unsent, b""
        assert self._link
        with contextlib.suppress(OSError):
            self._link.sendall(pending)


def _ending(code: int) -> str:
    if code < 0:
        known = {each.value: each.name for each in signal.Signals}
        return f"killed by {known.get(-code, f'signal {-code}')}"
    return f"exit code {code}"


def _environment(threads: int, devices: str, address: str, said: Mapping[str, Any]) -> dict[str, str]:
    env = {
        key: value
        for key, value in os.environ.items()
        if key not in _SECRETS and not key.startswith("MLFLOW_TRACKING")
    }
    for key in ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS", "NUMEXPR_NUM_THREADS"):
        env[key] = str(threads)
    env |= {
        "CUDA_VISIBLE_DEVICES": devices,
        "PYTHONUNBUFFERED": "1",
        "TF_CPP_MIN_LOG_LEVEL": env.get("TF_CPP_MIN_LOG_LEVEL", "2"),
        "TF_FORCE_GPU_ALLOW_GROWTH": "true",
        "XLA_PYTHON_CLIENT_PREALLOCATE": "false",
        "AUTOML_SOCKET": address,
        "AUTOML_WORKER": json.dumps(said),
    }
    return env
