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
from typing import Any

from automl import credentials, guard, scratch
from automl.bodies import Body, Child, Foster
from automl.engines.base import Message
from automl.forkserver import Forkserver
from automl.ranks import program, threads_each

# Guards that have not ended everything after so long are killed themselves, and swept after.
KILL_S = 10.0
# Guards tell how a worker died within so long; where it has several ranks, these are ended first.
DEATH_S = 2.0


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
        server: Forkserver | None = None,
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
            server: it is forked off this one, which has imported the framework.
        """
        folder = Path(tempfile.mkdtemp(prefix="w-", dir=place))
        address = str(folder / "s")
        listener = socket.socket(socket.AF_UNIX)
        listener.bind(address)
        listener.listen(1)
        said = {"framework": framework, "cpus": cpus, "gpus": gpus, "ranks": ranks, "root": root}
        said["warm"] = list(warm)
        own = {
            scratch.MARK: address,
            "AUTOML_WORKER": json.dumps({**said, "scratch": str(folder)}),
            "CUDA_VISIBLE_DEVICES": devices,
        }
        body: Body | None = None
        with (folder / "worker.log").open("ab") as log:
            if server:
                with contextlib.suppress(OSError):  # it is gone: without it, then
                    body = Foster.forked(server, own, folder, log.fileno())
            if body is None:
                process = subprocess.Popen(
                    [sys.executable, "-m", program(framework, ranks)],
                    cwd=root,
                    env={**shared_environment(threads_each(cpus, framework, ranks)), **own},
                    stdin=subprocess.PIPE,
                    stdout=log,
                    stderr=log,
                    start_new_session=True,
                )
                body = Child(process)
        return cls(framework, folder, body, listener, ranks=ranks)

    def hand_over(self) -> tuple[dict[str, Any], list[int]]:
        """What `taken` makes it again from in another process: plain data, and file descriptors."""
        assert not self._buffer, "only an idle worker"
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
        return said, [line.fileno(), *self._process.descriptors()]

    def forget(self) -> Body:
        """Close this process's ends of what was handed over; what is left is to bury it one day."""
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
            birth = socket.socket(fileno=descriptors[2]) if descriptors[2:] else None
            body = Foster(said["pid"], descriptors[1], folder, birth)
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


def shared_environment(threads: int) -> dict[str, str]:
    """What all workers of a search see: no credentials, and for now no GPU.

    Args:
        threads: that each process computes with.
    """
    env = credentials.harmless()
    for key in ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS", "NUMEXPR_NUM_THREADS"):
        env[key] = str(threads)
    env |= {
        "CUDA_VISIBLE_DEVICES": "",
        "PYTHONUNBUFFERED": "1",
        "TF_CPP_MIN_LOG_LEVEL": env.get("TF_CPP_MIN_LOG_LEVEL", "2"),
        "TF_FORCE_GPU_ALLOW_GROWTH": "true",
        "XLA_PYTHON_CLIENT_PREALLOCATE": "false",
    }
    return env
