"""A process that loads a model folder and compares its predictions. Has never seen the project.

It has imported MLflow and the framework before there is a folder, and reads JSON lines:
`{"folder": path, "expected": path of an npz}`, one for each folder, answering each with
`{"error": text or null}`. Where a framework bears it, it is a fork of the publisher from before that saw
any of the project; else it is `python -m automl.export.verify`.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import socket
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import IO, Any

import numpy as np

from automl import guard, machine
from automl.errors import WorkerError
from automl.export.rehearsal import rehearse
from automl.trackers import flavors
from automl.trackers.base import spawn

SIZES = (1, 5)  # besides the example's own: a frozen batch size shows at once
RTOL, ATOL = 1e-3, 1e-4
# For a model that computes in half precision, which rounds otherwise in a batch of another size.
ROUGH = 2e-2
MODULES = {"lightning": ("torch", "mlflow.pytorch"), "keras": ("keras",), "function": ("sklearn",)}
# MLflow imports it for a feature that is not used here, which takes as long as the rest; a folder whose
# model needs it imports it then.
NOT_YET = "pytorch_lightning"


# TensorFlow's threads do not survive a fork.
FORKED = ("lightning", "function")


class Verifier:
    """That process, as its builder sees it; a context manager.

    Args:
        framework: of the models. Nothing of the project may be imported yet.
    """

    def __init__(self, framework: str) -> None:
        self._scratch = tempfile.TemporaryDirectory(prefix="automl-verify-")
        self._stack = contextlib.ExitStack()
        self._stack.callback(self._scratch.cleanup)
        if framework in FORKED:
            self._orders, self._answers = self._fork(framework)
        else:
            self._orders, self._answers = self._spawn(framework)

    def __enter__(self) -> Verifier:
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    def _fork(self, framework: str) -> tuple[IO[str], IO[str]]:
        _warm(framework)
        theirs, ours = socket.socketpair()
        pid = os.fork()
        if pid == 0:
            try:
                ours.close()
                os.setsid()
                machine.share(machine.shared(os.getppid()))  # as its builder, whom the driver may hurry on
                guard.die_with_parent()
                os.chdir(self._scratch.name)
                _serve(theirs.makefile("r", encoding="utf-8"), theirs.makefile("w", encoding="utf-8"))
            finally:
                os._exit(1)
        theirs.close()
        self._stack.callback(os.waitpid, pid, 0)
        self._stack.callback(_kill, pid)
        self._stack.enter_context(ours)
        return ours.makefile("w", encoding="utf-8"), ours.makefile("r", encoding="utf-8")

    def _spawn(self, framework: str) -> tuple[IO[str], IO[str]]:
        environment = {**os.environ, "AUTOML_VERIFY": framework}
        process = spawn("automl.export.verify", environment, cwd=self._scratch.name)
        machine.share(machine.shared(), process.pid)
        self._stack.push(process)
        self._stack.callback(_kill, process.pid)
        assert process.stdin is not None and process.stdout is not None
        return process.stdin, process.stdout

    def verify(self, folder: Path, expected: Mapping[str, np.ndarray]) -> None:
        """Compares what the folder predicts with what is expected.

        Args:
            folder: an MLflow model folder.
            expected: see `batches`.

        Raises:
            WorkerError: it does not load, or predicts something else; one line.
        """
        file = Path(self._scratch.name) / "expected.npz"
        with file.open("wb") as stream:
            np.savez(stream, **expected)  # type: ignore[arg-type]
        with contextlib.suppress(BrokenPipeError):
            self._orders.write(json.dumps({"folder": str(folder), "expected": str(file)}) + "\n")
            self._orders.flush()
        line = self._answers.readline()
        answer = json.loads(line) if line else {"error": "the process that verifies the model died"}
        if answer["error"]:
            raise WorkerError(answer["error"])


def batches(example: Any, predict: Callable[[Any], Any], rough: bool = False) -> dict[str, np.ndarray]:
    """The example, one row and five rows, each with the original's predictions, as flat arrays.

    Args:
        example: an array [batch, ...], or a mapping of names to such arrays.
        predict: the original model.
        rough: whether it computes in half precision.

    Returns:
        arrays by `KIND/ROWS/NAME`, where KIND is `in` or `out` and NAME is empty for a single array;
        `rough` beside them.
    """
    flat = {"rough": np.asarray(rough)}
    for size in (_length(example), *SIZES):
        batch = _resized(example, size)
        for kind, value in (("in", batch), ("out", predict(batch))):
            named = value if isinstance(value, Mapping) else {"": value}
            flat |= {f"{kind}/{size}/{name}": readable(array) for name, array in named.items()}
    return flat


def difference(folder: Path, expected: Mapping[str, np.ndarray]) -> str | None:
    """Where the folder's predictions differ from what is expected, or None."""
    rough = bool(expected.get("rough", False))
    for size in sorted({key.split("/")[1] for key in expected if "/" in key}, key=int, reverse=True):
        batch = _named(expected, f"in/{size}/")
        found = flavors.predict(folder, batch.get("", batch))
        found = dict(found) if isinstance(found, Mapping) else {"": found}
        for name, wanted in _named(expected, f"out/{size}/").items():
            got = readable(found.get(name, np.nan))
            if got.shape != wanted.shape or not _close(got, wanted, rough):
                return f"for a batch of {size} the model predicts something else than the original"
    return None


def readable(values: Any) -> np.ndarray:
    """The values as an array of a type that numpy has: bfloat16 is none of them."""
    array = np.asarray(values)
    return array.astype(np.float32) if array.dtype.name == "bfloat16" else array


def _close(got: np.ndarray, wanted: np.ndarray, rough: bool) -> bool:
    if not np.issubdtype(wanted.dtype, np.number):
        return bool((got == wanted).all())
    rtol, atol = (ROUGH, ROUGH) if rough else (RTOL, ATOL)
    return bool(np.allclose(got, wanted, rtol=rtol, atol=atol, equal_nan=True))


def _named(flat: Mapping[str, np.ndarray], prefix: str) -> dict[str, np.ndarray]:
    return {key.removeprefix(prefix): value for key, value in flat.items() if key.startswith(prefix)}


def _length(example: Any) -> int:
    return len(next(iter(example.values())) if isinstance(example, Mapping) else example)


def _resized(example: Any, size: int) -> Any:
    if isinstance(example, Mapping):
        return {name: _resized(rows, size) for name, rows in example.items()}
    return np.concatenate([example] * -(-size // len(example)))[:size]


@contextlib.contextmanager
def hidden(module: str) -> Iterator[None]:
    """Importing the module fails in here, as if it were not installed; unless it is imported already."""
    if module in sys.modules:
        yield
        return
    sys.modules[module] = None  # type: ignore[assignment]
    try:
        yield
    finally:
        del sys.modules[module]


def _kill(pid: int) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.killpg(pid, signal.SIGKILL)


def _warm(framework: str) -> None:
    """What fails here fails again with the first folder, and is told there."""
    with hidden(NOT_YET), contextlib.suppress(Exception):
        flavors.warm(MODULES[framework])
        rehearse(framework)


def _serve(orders: IO[str], answers: IO[str]) -> None:
    for line in orders:
        asked = json.loads(line)
        try:
            with np.load(asked["expected"], allow_pickle=False) as arrays:
                error = difference(Path(asked["folder"]), dict(arrays))
        except Exception as failure:
            first = (str(failure).strip().splitlines() or [""])[0]
            error = f"the model folder does not load and predict: {type(failure).__name__}: {first[:300]}"
        answers.write(json.dumps({"error": error}) + "\n")
        answers.flush()


def main() -> None:
    """The whole life of the process, where it is no fork."""
    guard.die_with_parent()
    out = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)
    _warm(os.environ["AUTOML_VERIFY"])
    _serve(sys.stdin, out)


if __name__ == "__main__":
    main()
