"""The seam of the exporters, and the driver's end of the publisher process. Knows no framework.

The publisher is a child process: it imports the project's code and a whole framework, and it has no
credentials of the tracking server or the ledger in its environment.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Protocol, cast

import psutil

from automl import credentials, machine
from automl.errors import WorkerError
from automl.scratch import folder

# The publisher needs none of the house's own words, nor a store for artifacts.
NEEDLESS = ("MLFLOW_S3_", "AUTOML_")
PROGRAM = "automl.export.__main__"
# A server that has imported its framework forks at once.
BORN_S = 5.0
GONE_S = 10.0


@dataclass(frozen=True)
class Order:
    """What to publish.

    Args:
        framework: `lightning`, `keras` or `function`.
        root: the project's root, where the trainers' code lies.
        model: the trainer's address, `package.module:Name`.
        arguments: those of the winner by where they go: `{"model": {...}, ...}`.
        weights: the local folder that the worker saved them in.
        example: the input example, a `.npz`; None looks for `example.npz` among the weights.
        out: the model folder to make; one that is there is replaced, whole or not at all.
        values: the objectives' values of the winner.
        trial: its number.
    """

    framework: str
    root: str
    model: str
    arguments: Mapping[str, Any]
    weights: str
    out: str
    example: str | None = None
    values: Sequence[float] = field(default_factory=tuple)
    trial: int | None = None


@dataclass(frozen=True)
class Package:
    """A model folder that was loaded in a fresh process and predicts what the original does.

    Args:
        path: the MLflow model folder.
        format: `pt2`, `state_dict` (with code), `keras`, `keras_code` (with its own layers) or `skops`.
        seconds: what building and verifying took.
        note: why it is not the format that was tried first, or None.
    """

    path: str
    format: str
    seconds: float
    note: str | None = None


class Server(Protocol):
    """A process that has imported a framework, and forks; see `automl.forkserver`."""

    def fork(
        self, environment: Mapping[str, str], lifeline: int, log: int, program: str | None = None
    ) -> socket.socket:
        """Where the pid of the fork can be read; nothing if there never will be one."""


class Publisher:
    """The publisher process. It may be started before it is known what to publish, and imports meanwhile.

    Args:
        framework: of the model.
        root: the project's root.
        server: it is forked off this one, which has imported the framework; else it imports that anew.
    """

    def __init__(self, framework: str, root: str, server: Server | None = None) -> None:
        self.framework = framework
        self._stack = contextlib.ExitStack()
        scratch = self._stack.enter_context(folder("publish"))
        born = _forked(server, framework, str(scratch)) if server else None
        self._process, line = born or _started(framework, str(scratch), root)
        self._line = self._stack.enter_context(line)
        self._stack.callback(self._kill)
        machine.share(machine.LAST, self._process.pid)  # until there is an order, trials go first
        self._say({"framework": framework})

    @property
    def pid(self) -> int:
        assert self._process
        return self._process.pid

    def publish(self, order: Order, timeout_s: float = 300.0) -> Package:
        """Builds and verifies a model folder. Once only.

        Args:
            order: what to publish.
            timeout_s: after so long the process is killed.

        Raises:
            WorkerError: it could not be built, or does not predict what the original does; one line.
        """
        self._hurry()
        self._say(asdict(order))
        self._line.settimeout(timeout_s)
        try:
            with self._line.makefile("r", encoding="utf-8") as answers:
                said = answers.readline()
        except TimeoutError:
            raise WorkerError(f"publishing took longer than {timeout_s:g} s and was given up") from None
        except ConnectionError:
            said = ""
        finally:
            self._kill()
        answer = json.loads(said) if said.strip() else {}
        if "path" in answer:
            return Package(answer["path"], answer["format"], answer["seconds"], answer.get("note"))
        raise WorkerError(answer.get("error") or "the publisher ended without an answer")

    def close(self) -> None:
        """End the process, whatever it does. May be called twice."""
        self._stack.close()

    def _hurry(self) -> None:
        """Somebody waits for it now: it and its verifier have their full share of the processor."""
        machine.share(0, self.pid)
        with contextlib.suppress(psutil.Error):
            for child in psutil.Process(self.pid).children(recursive=True):
                machine.share(0, child.pid)

    def _say(self, message: Mapping[str, Any]) -> None:
        with contextlib.suppress(ConnectionError):
            self._line.sendall(json.dumps(message).encode() + b"\n")

    def _kill(self) -> None:
        assert self._process
        if not _over(self._process):
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(self.pid, signal.SIGKILL)
        until_s = time.monotonic() + GONE_S
        while not _over(self._process) and time.monotonic() < until_s:
            time.sleep(0.005)


def _over(process: psutil.Process) -> bool:
    """Whether it has ended. One that is no child of this process may be a zombie for ever, and is no more."""
    try:
        if process.status() != psutil.STATUS_ZOMBIE:
            return False
        process.wait(0)  # buries it, if it is a child
    except (psutil.NoSuchProcess, psutil.TimeoutExpired):
        pass
    return True


def _started(framework: str, scratch: str, root: str) -> tuple[psutil.Process, socket.socket]:
    """One that imports everything anew, and the line to it. A project's own `mlflow.py` is not for it."""
    line, theirs = socket.socketpair()
    with theirs:
        process = psutil.Popen(
            [sys.executable, "-P", "-m", PROGRAM],
            stdin=theirs.fileno(),
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            env=publisher_environment(framework, scratch),
            cwd=root,
            start_new_session=True,
        )
    return cast("psutil.Process", process), line


def _forked(server: Server, framework: str, scratch: str) -> tuple[psutil.Process, socket.socket] | None:
    """One that has the framework already, and the line to it; None where there is none in time.

    One that is born after that finds nobody at the other end of its line, and leaves.
    """
    line, theirs = socket.socketpair()
    try:
        with theirs, open(os.devnull, "r+b") as nothing:
            birth = server.fork(own_variables(framework, scratch), theirs.fileno(), nothing.fileno(), PROGRAM)
        with birth:
            birth.settimeout(BORN_S)
            if text := birth.recv(32):
                return psutil.Process(int(text)), line
    except (OSError, psutil.Error):
        pass
    line.close()
    return None


def publish(order: Order, timeout_s: float = 300.0) -> Package:
    """Builds and verifies a model folder, in a child process; see `Publisher`."""
    with contextlib.closing(Publisher(order.framework, order.root)) as publisher:
        return publisher.publish(order, timeout_s)


def publisher_environment(framework: str, scratch: str) -> dict[str, str]:
    """This environment without the house's credentials, on the CPU, with pickles refused."""
    kept = {name: each for name, each in credentials.harmless().items() if not name.startswith(NEEDLESS)}
    return {**kept, **own_variables(framework, scratch)}


def own_variables(framework: str, scratch: str) -> dict[str, str]:
    """What the publisher's environment has beside that of whoever computes: no pickles, on the CPU."""
    mlflow = {
        # Should anything in MLflow ask for a database after all, it makes one where it does no harm.
        "MLFLOW_TRACKING_URI": f"sqlite:///{Path(scratch) / 'mlflow.db'}",
        "MLFLOW_DISABLE_TELEMETRY": "true",
        "MLFLOW_LOGGING_LEVEL": "ERROR",
        "MLFLOW_ALLOW_PICKLE_DESERIALIZATION": "false",
    }
    keras = {"KERAS_BACKEND": os.environ.get("KERAS_BACKEND", "tensorflow"), "TF_CPP_MIN_LOG_LEVEL": "3"}
    house = {"CUDA_VISIBLE_DEVICES": "", "TMPDIR": scratch, "PYTHONDONTWRITEBYTECODE": "1"}
    return {**mlflow, **house, **(keras if framework == "keras" else {})}
