"""The seam of the exporters, and the driver's end of the publisher process. Knows no framework.

The publisher is a child process: it imports the project's code and a whole framework, and it has no
credentials of the tracking server or the ledger in its environment.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import psutil

from automl import credentials, machine
from automl.errors import WorkerError
from automl.scratch import folder
from automl.trackers.base import spawn

# The publisher needs none of the house's own words, nor a store for artifacts.
_NEEDLESS = ("MLFLOW_S3_", "AUTOML_")


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


class Publisher:
    """The publisher process. It may be started before it is known what to publish, and imports meanwhile.

    Args:
        framework: of the model.
        root: the project's root.
    """

    def __init__(self, framework: str, root: str) -> None:
        self.framework = framework
        self._stack = contextlib.ExitStack()
        scratch = self._stack.enter_context(folder("publish"))
        environment = publisher_environment(framework, str(scratch))
        self._process = self._stack.enter_context(spawn("automl.export", environment, cwd=root))
        self._stack.callback(self._kill)
        machine.share(machine.LAST, self._process.pid)  # until there is an order, trials go first
        self._say({"framework": framework})

    @property
    def pid(self) -> int:
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
        try:
            said, _ = self._process.communicate(json.dumps(asdict(order)) + "\n", timeout_s)
        except subprocess.TimeoutExpired:
            raise WorkerError(f"publishing took longer than {timeout_s:g} s and was given up") from None
        finally:
            self._kill()
        answer = json.loads(said.splitlines()[-1]) if said.strip() else {}
        if "path" in answer:
            return Package(answer["path"], answer["format"], answer["seconds"], answer.get("note"))
        raise WorkerError(
            answer.get("error") or f"the publisher ended with status {self._process.returncode}"
        )

    def close(self) -> None:
        """End the process, whatever it does. May be called twice."""
        self._stack.close()

    def _hurry(self) -> None:
        """Somebody waits for it now: it and its verifier have their full share of the processor."""
        machine.share(0, self._process.pid)
        with contextlib.suppress(psutil.Error):
            for child in psutil.Process(self._process.pid).children(recursive=True):
                machine.share(0, child.pid)

    def _say(self, message: Mapping[str, Any]) -> None:
        assert self._process.stdin is not None
        with contextlib.suppress(BrokenPipeError):
            self._process.stdin.write(json.dumps(message) + "\n")
            self._process.stdin.flush()

    def _kill(self) -> None:
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self._process.pid, signal.SIGKILL)


def publish(order: Order, timeout_s: float = 300.0) -> Package:
    """Builds and verifies a model folder, in a child process; see `Publisher`."""
    with contextlib.closing(Publisher(order.framework, order.root)) as publisher:
        return publisher.publish(order, timeout_s)


def publisher_environment(framework: str, scratch: str) -> dict[str, str]:
    """This environment without the house's credentials, on the CPU, with pickles refused."""
    kept = {name: each for name, each in credentials.harmless().items() if not name.startswith(_NEEDLESS)}
    mlflow = {
        # Should anything in MLflow ask for a database after all, it makes one where it does no harm.
        "MLFLOW_TRACKING_URI": f"sqlite:///{Path(scratch) / 'mlflow.db'}",
        "MLFLOW_DISABLE_TELEMETRY": "true",
        "MLFLOW_LOGGING_LEVEL": "ERROR",
        "MLFLOW_ALLOW_PICKLE_DESERIALIZATION": "false",
    }
    keras = {"KERAS_BACKEND": kept.get("KERAS_BACKEND", "tensorflow"), "TF_CPP_MIN_LOG_LEVEL": "3"}
    house = {"CUDA_VISIBLE_DEVICES": "", "TMPDIR": scratch, "PYTHONDONTWRITEBYTECODE": "1"}
    return {**kept, **mlflow, **house, **(keras if framework == "keras" else {})}
