"""The seam to what trains. One file per vendor; only a worker process ever loads one.

A framework gets a `Handle` for talking to the driver and never sees a socket, a database or Ray.
"""

from __future__ import annotations

import contextlib
import inspect
import json
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping
from importlib import import_module
from pathlib import Path
from typing import Any, Protocol

from automl import causes, project
from automl.engines.base import Answer, Task
from automl.errors import AutoMLError, CheckpointRefused, TrialFinished, TrialPruned, TrialStopped
from automl.gpu_memory import Use

_HOME = {
    "lightning": "automl.frameworks.lightning:Lightning",
    "keras": "automl.frameworks.keras:Keras",
    "function": "automl.frameworks.function:Function",
}


class Handle(Protocol):
    """What a framework may ask of the worker around it."""

    task: Task
    checkpoint: Path | None  # a local folder to go on from
    folder: Path  # the trial's own local folder

    def tell(self, metrics: Mapping[str, float], step: int) -> Answer:
        """Report; blocks until the driver has appended it and answered.

        Raises:
            TrialPruned: an earlier report, which was posted, has ended the trial. So do `hurry` and `post`.
        """

    def hurry(self, metrics: Mapping[str, float], step: int) -> Callable[[], Answer] | None:
        """Report, and go on to prepare the next batch; it is trained once the answer is there, and obeyed.

        Returns:
            What to call for the answer, which blocks as `tell` does. None where nothing was said, and it has
            to be told: a checkpoint is due, a stop is known, or the next report is not soon.
        """

    def post(self, metrics: Mapping[str, float], step: int) -> bool:
        """Report a step at which nobody is expected to end the trial, and train on: the next report waits
        until the driver has appended this one.

        What ends the trial all the same (it was no number) is raised before the next batch, and at the next
        report. After the last report nothing is waited for: the driver hears that one first, then the end; a
        stop that it answers comes too late, and the trial is complete.

        Returns:
            False where nothing was said, as above, because the step is judged, or because its weights take
            the place of others (`value: best`), which an attempt after this one would need if nobody heard.
        """

    def pulse(self) -> None:
        """At each batch, of a validation too: says now and then that the trial is not hung."""

    def leave_if_told(self) -> None:
        """Before each batch of training: raises TrialPruned where a posted report has ended the trial, and
        TrialStopped once a stop has waited its grace for the epoch's end; in several ranks before the same
        batch, by which all have done what was before it."""

    def due(self) -> bool:
        """Whether a checkpoint is due: often enough to lose little, seldom enough to cost little."""

    def save_checkpoint(self, step: int, write: Callable[[Path], object], behind: bool = False) -> None:
        """Keep a checkpoint: `write` fills a folder.

        Args:
            step: what it holds.
            write: called at once.
            behind: return then; the folder comes to the storage while training goes on.
        """

    def improved(self) -> bool:
        """Whether the last report is the best of this trial (`value: best`)."""

    def save_weights(self, step: int, write: Callable[[Path], object], behind: bool = False) -> None:
        """Keep the weights of a step, as above; the attempt does not end before they are kept."""


class Framework(ABC):
    """One vendor. `start` is called once per worker, before the vendor's first operation."""

    name: str

    @abstractmethod
    def start(self, cpus: float, gpus: float, ranks: int = 1) -> None:
        """Import the vendor and bind it to the CPUs and GPUs that were allocated.

        Args:
            cpus, gpus: of the trial, whichever way it is trained.
            ranks: in how many processes or replicas it is.
        """

    def gpu_bytes(self) -> int:
        """What this process holds of GPU memory, caches included. Raises where its GPUs are in error."""
        return 0

    def gpu_use(self) -> Use | None:
        """What the trial that has just ended has had of its GPU; None where nobody knows."""
        return None

    def release(self) -> None:  # noqa: B027 - most have nothing to give back
        """Between two trials: give back memory that is only kept for later."""

    @abstractmethod
    def seed(self, seed: int) -> None:
        """Seed every random generator of this process; forget what the trial before left."""

    def forget(self) -> None:  # noqa: B027 - most leave nothing
        """Once a trial's end is told: forget what it left, while it is decided what comes next."""

    @abstractmethod
    def fit_signature(self) -> dict[str, Any] | None:
        """The signature of what takes `fit.*`, as plain data; None where nothing does."""

    @abstractmethod
    def train(self, handle: Handle, model: Any, data: Any) -> None:
        """Train `model` on `data` (objects at the task's addresses) with the task's arguments.

        Raises:
            TrialPruned, TrialStopped: as the driver answered.
        """

    @abstractmethod
    def load(self, model: Any, arguments: Mapping[str, Any], folder: Path) -> Any:
        """The trained model from a folder that `save_weights` filled."""

    def mute(self, model: Any) -> str | None:
        """Why a trained model, as `load` gives it, could predict nothing; None where nothing is known."""
        return None


def error_line(error: Exception) -> str:
    """An exception's type and text."""
    return f"{type(error).__name__}: {error}"


@contextlib.contextmanager
def refused(
    applies: Callable[[], bool] = lambda: True, why: Callable[[Exception], str] = error_line
) -> Iterator[None]:
    """What goes wrong in here is the checkpoint's fault; it becomes CheckpointRefused.

    Args:
        applies: asked when it has happened; where it says no, the exception stays what it is.
        why: says it in words.
    """
    try:
        yield
    except Exception as error:
        # Memory or a device that is missing was not lost to the checkpoint, and is looked at elsewhere.
        if not applies() or causes.of(error) == "memory":
            raise
        raise CheckpointRefused(why(error)) from error


class CannotSplit(AutoMLError):
    """The batches of this trial cannot be trained in parts."""


def in_parts(maker: Callable[..., Any], arguments: Mapping[str, Any], micro: int) -> dict[str, Any]:
    """The arguments of what makes the data, for batches of a part of their size.

    Args:
        maker: takes `batch_size`.
        arguments: of the trial; a size that they leave out is the maker's default.
        micro: in how many parts.

    Raises:
        CannotSplit: there is no such size, or it is no multiple of the parts.
    """
    size = arguments.get("batch_size")
    if size is None:
        known = inspect.signature(maker).parameters.get("batch_size")
        size = known.default if known is not None else None
    if not isinstance(size, int) or size % micro:
        raise CannotSplit(f"the data's batch_size is {size!r}. Take one that {micro} divides, as an argument")
    return {**arguments, "batch_size": size // micro}


def write_meta(folder: Path, task: Task, step: int, metrics: Mapping[str, float]) -> None:
    """`meta.json` beside the weights: whose they are, of which step, and what they were judged at."""
    meta = {"step": step, "metrics": metrics, "model": task.model, "arguments": task.arguments}
    (folder / "meta.json").write_text(json.dumps(meta))


def train(vendor: Framework, handle: Handle, ready: Callable[[], None] = lambda: None) -> str:
    """Train a task to its end.

    Args:
        ready: called once all that the task names is imported.

    Returns:
        Its outcome: `complete`, `pruned` or `stopped`.
    """
    task = handle.task
    model = project.resolve_address(task.model, task.root)
    data = project.resolve_address(task.data, task.root) if task.data else None
    vendor.seed(task.seed)
    ready()
    try:
        vendor.train(handle, model, data)
    except TrialPruned:
        return "pruned"
    except TrialStopped:
        return "stopped"
    except TrialFinished:
        return "complete"
    return "complete"


def framework(name: str) -> Framework:
    """The framework of that name. Raises AutoMLError with the names that there are."""
    if name not in _HOME:
        raise AutoMLError(f"no framework {name!r}. There are {', '.join(_HOME)}")
    module, _, attribute = _HOME[name].partition(":")
    made = getattr(import_module(module), attribute)()
    assert isinstance(made, Framework)
    return made
