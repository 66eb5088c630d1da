"""The child process: trains one trial after another and stays warm. `python -m automl.worker`.

A host starts it and speaks with it over a Unix socket, a JSON object a line. It opens no database and
knows neither Ray nor MLflow. It dies with its host.

| host -> worker | meaning |
|---|---|
| `{"op": "run", "task": {...}}` | train; answered by started, report..., checkpointed..., ended |
| `{"op": "answer", "answer": "go"}` | the answer to a report |
| `{"op": "stop"}` | leave the running attempt after a checkpoint |
| `{"op": "inspect", "trainers": {...}}` | answered by `inspected`: signatures as plain data |
| `{"op": "quit"}` | end |
"""

from __future__ import annotations

import contextlib
import ctypes
import json
import os
import queue
import signal
import socket
import sys
import threading
import time
import traceback
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from automl import project
from automl.engines.base import Answer, Task
from automl.errors import StorageError, TrialFinished, TrialPruned, TrialStopped
from automl.frameworks.base import Framework, framework
from automl.handle import TrialHandle
from automl.storage import TrialFolder, fetch, folders

# A trainer that leaves by these has failed by its own code, as with any other exception; the worker
# itself is deaf to Ctrl-C, so it is never one of the terminal's.
_LEAVING = (SystemExit, KeyboardInterrupt)
_PR_SET_PDEATHSIG = 1


class Link:
    """The worker's end of the socket. A thread reads, so that a stop is seen while training."""

    def __init__(self, path: str) -> None:
        self._socket = socket.socket(socket.AF_UNIX)
        self._socket.connect(path)
        self._lock = threading.Lock()
        self.operations: queue.Queue[dict[str, Any]] = queue.Queue()
        self.answers: queue.Queue[Answer] = queue.Queue()
        self.stopped_s: float | None = None
        threading.Thread(target=self._read, name="automl-link", daemon=True).start()

    def send(self, kind: str, **data: Any) -> None:
        line = json.dumps({"kind": kind, **data}) + "\n"
        with self._lock:
            self._socket.sendall(line.encode())

    def _read(self) -> None:
        with self._socket.makefile("r", encoding="utf-8") as lines:
            for line in lines:
                self._dispatch(json.loads(line))
        # The host is gone. The whole group goes with it, data loader processes included.
        os.killpg(0, signal.SIGKILL)

    def _dispatch(self, said: dict[str, Any]) -> None:
        if said["op"] == "answer":
            self.answers.put(Answer(said["answer"]))
        elif said["op"] == "stop":
            self.stopped_s = time.monotonic()
        else:
            self.operations.put(said)


class Worker:
    """One process, one framework."""

    def __init__(self, link: Link, name: str, cpus: float, gpus: float, scratch: Path) -> None:
        self._link, self._scratch = link, scratch
        self._framework_name, self._cpus, self._gpus = name, cpus, gpus
        self._framework: Framework | None = None
        self._served = 0

    @property
    def framework(self) -> Framework:
        """Imported at first need, so that a failing import is told as any other fault."""
        if self._framework is None:
            self._framework = framework(self._framework_name)
            self._framework.start(self._cpus, self._gpus)
        return self._framework

    def serve(self) -> None:
        """Do what the host says until it says quit."""
        while True:
            said = self._link.operations.get()
            if said["op"] == "quit":
                return
            if said["op"] == "inspect":
                self._link.send("inspected", trainers=self._inspect(said["trainers"]))
            elif said["op"] == "run":
                self._run(Task(**said["task"]))

    def _run(self, task: Task) -> None:
        self._link.stopped_s = None
        files = TrialFolder(task.storage, task.search, task.trial, self._scratch)
        with _log_into(files.log, task):
            ended = self._attempt(task, files)
        with contextlib.suppress(Exception):  # the log is a help, its loss no reason to fail the trial
            files.send_log()
        self._served += 1
        self._link.send("ended", **ended)

    def _attempt(self, task: Task, files: TrialFolder) -> dict[str, Any]:
        handle = None
        try:
            addresses = [address for address in (task.model, task.data) if address]
            self._link.send(
                "started",
                pid=os.getpid(),
                node=socket.gethostname(),
                device=self._device(),
                framework=task.framework,
                warm=self._served > 0,
                code=None if task.deep else project.code_hash(addresses, Path(task.root)),
                resumed_step=task.step if task.checkpoint else 0,
            )
            checkpoint = fetch(task.checkpoint, self._scratch) if task.checkpoint else None
            handle = TrialHandle(self._link, task, files, checkpoint)
            outcome = self._train(handle)
            return {"outcome": outcome, "weights": _kept(handle, files), "reports": handle.reports}
        except (Exception, *_LEAVING) as error:
            traceback.print_exc()
            return _failed(error)

    def _train(self, handle: TrialHandle) -> str:
        task, vendor = handle.task, self.framework
        model = project.resolve_address(task.model)
        data = project.resolve_address(task.data) if task.data else None
        vendor.seed(task.seed)
        try:
            vendor.train(handle, model, data)
        except TrialPruned:
            return "pruned"
        except TrialStopped:
            return "stopped"
        except TrialFinished:
            return "complete"
        return "complete"

    def _device(self) -> str:
        return f"cuda:{os.environ.get('CUDA_VISIBLE_DEVICES', '')}" if self._gpus else "cpu"

    def _inspect(self, trainers: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
        return {name: self._signatures(trainer) for name, trainer in trainers.items()}

    def _signatures(self, trainer: Mapping[str, Any]) -> dict[str, Any]:
        found: dict[str, Any] = {"error": None, "model": None, "data": None, "fit": None}
        for part in ("model", "data"):
            try:
                vendor = self.framework
                if trainer.get(part):
                    found[part] = project.signature(
                        project.resolve_address(trainer[part]), trainer["framework"]
                    )
                found["fit"] = vendor.fit_signature()
            except (Exception, *_LEAVING) as error:
                found["error"] = found["error"] or {"part": part, "text": _line(error)}
        return found


def _kept(handle: TrialHandle, files: TrialFolder) -> str | None:
    """Where the weights are: this attempt's, or the better ones that an attempt before it left."""
    if handle.weights or handle.task.deep:
        return handle.weights
    return next(reversed(folders(files.url, "weights")), None)


def _failed(error: BaseException) -> dict[str, Any]:
    trace = "".join(traceback.format_exception(error))
    # A storage that cannot be reached is this machine's fault, not the trainer's.
    cause = "machine" if isinstance(error, StorageError) else "code"
    return {"outcome": "failed", "cause": cause, "error": _line(error), "trace": trace[-4000:]}


def _line(error: BaseException) -> str:
    text = str(error).strip().splitlines()
    return f"{type(error).__name__}: {text[0]}"[:500] if text else type(error).__name__


@contextlib.contextmanager
def _log_into(log: Path, task: Task) -> Iterator[None]:
    """stdout and stderr, those of C libraries and child processes included, go to the trial's log."""
    _flush()
    before = os.dup(1), os.dup(2)
    target = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
    os.dup2(target, 1)
    os.dup2(target, 2)
    os.close(target)
    if task.attempt > 1:
        print(f"--- attempt {task.attempt} on {socket.gethostname()}, pid {os.getpid()}", flush=True)
    try:
        yield
    finally:
        _flush()
        for kept, stream in zip(before, (1, 2), strict=True):
            os.dup2(kept, stream)
            os.close(kept)


def _flush() -> None:
    sys.stdout.flush()
    sys.stderr.flush()


def _die_with_parent() -> None:
    with contextlib.suppress(OSError, AttributeError):
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)


def main() -> None:
    """Serve the host at `AUTOML_SOCKET`."""
    _die_with_parent()
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    said = json.loads(os.environ["AUTOML_WORKER"])
    sys.path.insert(0, said["root"])
    link = Link(os.environ["AUTOML_SOCKET"])
    worker = Worker(link, said["framework"], said["cpus"], said["gpus"], Path(said["scratch"]))
    link.send("hello", pid=os.getpid())
    worker.serve()
    _flush()
    os._exit(0)  # a trainer's left-over threads must not keep the process


if __name__ == "__main__":
    main()
