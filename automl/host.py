"""Supervises workers: starts them, feeds them, stops and recycles them.

Has never heard of Ray or a database: an engine drives it, `poll` never blocks for longer than asked.
"""

from __future__ import annotations

import contextlib
import json
import os
import select
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from automl.engines.base import Answer, Message, Task

# A worker that was told to stop is killed after so long; its own grace (handle.STOP_GRACE_S) is shorter.
STOP_KILL_S = 30.0
# After so many trials a worker is replaced, which bounds whatever a framework leaks.
SERVES = 500
# A worker gets neither: it opens no database and no tracking run.
_SECRETS = ("AUTOML_LEDGER", "AUTOML_OPTUNA_STORAGE", "PGPASSWORD")


class WorkerProcess:
    """One child process and the socket to it."""

    def __init__(
        self, framework: str, cpus: float, gpus: float, devices: str, root: str, scratch: Path
    ) -> None:
        self.framework, self.served = framework, 0
        self._folder = Path(tempfile.mkdtemp(prefix="w-", dir=scratch))
        self._address = str(self._folder / "s")
        self._listener: socket.socket | None = socket.socket(socket.AF_UNIX)
        self._listener.bind(self._address)
        self._listener.listen(1)
        self._link: socket.socket | None = None
        self._buffer, self._unsent = b"", b""
        said = {
            "framework": framework,
            "cpus": cpus,
            "gpus": gpus,
            "root": root,
            "scratch": str(self._folder),
        }
        self.log = self._folder / "worker.log"
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "automl.worker"],
                cwd=root,
                env=_environment(cpus, devices, self._address, said),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )

    @property
    def pid(self) -> int:
        return self._process.pid

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
            return None if self._process.poll() is not None else []
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

    def kill(self) -> str:
        """End the whole group at once; how the worker itself ended, in words."""
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self.pid, signal.SIGKILL)
        code = self._process.wait()
        for each in (self._link, self._listener):
            if each:
                each.close()
        self._link = self._listener = None
        return _ending(code)

    def tail(self, characters: int = 300) -> str:
        """The end of what it said outside of trials."""
        with contextlib.suppress(OSError):
            return self.log.read_text(errors="replace")[-characters:].strip()
        return ""

    def died(self) -> str:
        """How it ended, for one that ended by itself."""
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(2)
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


class Host:
    """The workers of one slot: one of each framework on CPU, a single one where there is a GPU.

    Args:
        root: the project's folder.
        cpus, gpus: what this slot was given.
        devices: the GPUs that it may see, as CUDA_VISIBLE_DEVICES takes them.
    """

    def __init__(self, root: str, cpus: float, gpus: float = 0, devices: Sequence[str] = ()) -> None:
        self._root, self._cpus, self._gpus = root, cpus, gpus
        self._devices = ",".join(devices)
        self._scratch = _scratch()
        self._workers: dict[str, WorkerProcess] = {}
        self._busy: WorkerProcess | None = None
        self._heard: deque[Message] = deque()
        self._kill_at_s: float | None = None

    @property
    def busy(self) -> bool:
        return self._busy is not None

    def fileno(self) -> int:
        """For `select`: readable when the running attempt has something to say."""
        return self._busy.fileno() if self._busy else -1

    def start(self, task: Task) -> None:
        """Begin an attempt; its messages come from `poll`."""
        assert not self.busy, "a host runs one attempt at a time"
        self._heard.clear()
        self._kill_at_s = None
        self._busy = self._worker(task.framework)
        self._busy.served += 1
        self._busy.send({"op": "run", "task": task.to_plain()})

    def poll(self, timeout_s: float) -> Message | None:
        """The next message of the running attempt, or None within the time. `ended` is the last."""
        if not self._heard and self._busy:
            self._listen(timeout_s)
        if not self._heard:
            return None
        message = self._heard.popleft()
        if message["kind"] == "ended":
            self._ended()
        return message

    def answer(self, answer: Answer) -> None:
        """Answer the report that the attempt is waiting on."""
        if self._busy:
            self._busy.send({"op": "answer", "answer": str(answer)})

    def stop(self) -> None:
        """Have the attempt leave after a checkpoint; a worker that does not is killed."""
        if self._busy and self._kill_at_s is None:
            self._kill_at_s = time.monotonic() + STOP_KILL_S
            self._busy.send({"op": "stop"})

    def inspect(
        self,
        trainers: Mapping[str, Mapping[str, Any]],
        timeout_s: float,
        meanwhile: Callable[[], None] = lambda: None,
    ) -> dict[str, Any]:
        """Signatures of trainers as plain data; the workers stay, warm.

        Args:
            trainers: framework, model and data by the trainer's name.
            timeout_s: for all together; importing user code may hang.
            meanwhile: called while the workers import their frameworks.

        Returns:
            For each name `error` (None, or `part` and `text`), `model`, `data` and `fit`.
        """
        by_framework: dict[str, dict[str, Any]] = {}
        for name, trainer in trainers.items():
            by_framework.setdefault(trainer["framework"], {})[name] = dict(trainer)
        asked = {framework: self._worker(framework) for framework in by_framework}
        for framework, worker in asked.items():
            worker.send({"op": "inspect", "trainers": by_framework[framework]})
        meanwhile()
        deadline = time.monotonic() + timeout_s
        found: dict[str, Any] = {}
        for framework, worker in asked.items():
            found |= self._inspected(worker, by_framework[framework], deadline, timeout_s)
        return {name: found[name] for name in trainers}

    def _inspected(
        self, worker: WorkerProcess, trainers: Mapping[str, Any], deadline: float, timeout_s: float
    ) -> dict[str, Any]:
        text = f"importing took longer than {timeout_s:g} s"
        while (left_s := deadline - time.monotonic()) > 0:
            messages = worker.receive(min(left_s, 1.0))
            if messages is None:
                text = f"the worker died while importing it: {worker.died()}. {worker.tail()}".strip()
                break
            for message in messages:
                if message["kind"] == "inspected":
                    return dict(message["trainers"])
        worker.kill()
        self._forget(worker)
        failed = {"error": {"part": "model", "text": text}, "model": None, "data": None, "fit": None}
        return dict.fromkeys(trainers, failed)

    def close(self) -> None:
        """End every worker and everything that they started."""
        for worker in self._workers.values():
            worker.kill()
        self._workers.clear()
        self._busy = None
        shutil.rmtree(self._scratch, ignore_errors=True)

    def _worker(self, framework: str) -> WorkerProcess:
        worker = self._workers.get(framework)
        if worker is not None and worker.served >= SERVES:
            worker.kill()
            self._forget(worker)
            worker = None
        if worker is None:
            if self._gpus:  # two frameworks would fight for one GPU's memory
                self._drop_all()
            worker = WorkerProcess(
                framework, self._cpus, self._gpus, self._devices, self._root, self._scratch
            )
            self._workers[framework] = worker
        return worker

    def _listen(self, timeout_s: float) -> None:
        assert self._busy
        messages = self._busy.receive(timeout_s)
        if messages is None:
            self._heard.append(_dead(self._busy.died()))
            self._forget(self._busy)
        elif messages:
            self._heard.extend(m for m in messages if m["kind"] != "hello")
        elif self._kill_at_s and time.monotonic() > self._kill_at_s:
            self._busy.kill()
            self._forget(self._busy)
            self._heard.append(
                {"kind": "ended", "outcome": "stopped", "error": f"killed {STOP_KILL_S:g} s after the stop"}
            )

    def _ended(self) -> None:
        self._busy = None
        self._kill_at_s = None

    def _forget(self, worker: WorkerProcess) -> None:
        self._workers.pop(worker.framework, None)

    def _drop_all(self) -> None:
        for worker in list(self._workers.values()):
            worker.kill()
            self._forget(worker)


def _dead(how: str) -> Message:
    return {"kind": "ended", "outcome": "failed", "cause": "machine", "error": f"the worker died: {how}"}


def _ending(code: int) -> str:
    if code < 0:
        return f"killed by {signal.Signals(-code).name}"
    return f"exit code {code}"


def _scratch() -> Path:
    """A private folder (0700). A Unix socket's address has room for about 100 characters."""
    parent = tempfile.gettempdir()
    return Path(tempfile.mkdtemp(prefix="automl-", dir=parent if len(parent) < 60 else "/tmp"))


def _environment(cpus: float, devices: str, address: str, said: Mapping[str, Any]) -> dict[str, str]:
    env = {
        key: value
        for key, value in os.environ.items()
        if key not in _SECRETS and not key.startswith("MLFLOW_TRACKING")
    }
    threads = str(max(1, int(cpus)))
    for key in ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS", "NUMEXPR_NUM_THREADS"):
        env[key] = threads
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
