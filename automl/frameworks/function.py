"""A plain callable `train(trial, **params)`: scikit-learn, XGBoost, JAX, anything. Imports no vendor."""

from __future__ import annotations

import inspect
import random
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from automl.engines.base import Answer, Task
from automl.errors import TrialFinished, TrialPruned, TrialStopped
from automl.frameworks.base import CannotSplit, Framework, Handle, write_meta

_MODEL = "model.skops"


class Trial:
    """What a callable gets as its first argument.

    Attributes:
        number: the trial's number, from 0.
        seed: an int made from the search's seed and the number.
        resources: `cpus` and `gpus` of this trial.
        finished: whether the last report reached the target: return now, with the model.
    """

    def __init__(self, handle: Handle) -> None:
        self._handle = handle
        self._step = handle.task.step
        self._last: dict[str, float] = {}
        self.number = handle.task.trial
        self.seed = handle.task.seed
        self.resources = dict(handle.task.resources)
        self.finished = False
        self._saved: int | None = None

    def report(self, metrics: Mapping[str, float], step: int | None = None) -> None:
        """Report metrics; blocks until the driver has written them down.

        Args:
            metrics: names to numbers; the objective's among them.
            step: from 1; the one after the last when left out.

        Raises:
            TrialPruned, TrialStopped: the trial ends here; let it pass.
            TrialFinished: the report before had reached the target, and this one came all the same.
            ValueError: the step is below 1, or a metric is no number.
        """
        if self.finished:
            raise TrialFinished
        self._step = self._step + 1 if step is None else _step(step)
        self._last = _numbers(metrics)
        answer = self._handle.tell(self._last, self._step)
        self.finished = answer is Answer.FINISH
        if answer is Answer.END:
            raise TrialPruned
        if answer is Answer.STOP:
            raise TrialStopped

    def pulse(self) -> None:
        """Between two reports that are far apart: says that the trial is not hung. Costs nothing.

        Raises:
            TrialStopped: a stop has waited too long for the next report; let it pass.
        """
        self._handle.leave_if_told()

    def load_checkpoint(self) -> Path | None:
        """The folder that an earlier attempt saved last, or None."""
        return self._handle.checkpoint

    def save_checkpoint(self, folder: str | Path, step: int | None = None) -> None:
        """Keep a copy of a folder for a later attempt, whole or not at all.

        One that cannot be written is told in the log, and training goes on.

        Args:
            folder: what to keep; it may be changed or removed afterwards.
            step: the last step that it holds; the last one that was reported when left out. Give it
                to save before the report, so that a trial which is stopped there has it; if it is killed
                between the two, it goes on after a step that it never reported. Saved after the report,
                no report is missed, and a trial that is stopped there repeats the step.

        Raises:
            ValueError: the step is below 0.
            OSError: there is no such folder.
        """
        if step is not None and step < 0:
            raise ValueError(f"trial.save_checkpoint: step is {step}; give the last step that it holds")
        source = Path(folder)
        if not source.is_dir():
            raise NotADirectoryError(f"trial.save_checkpoint: {source} is no folder")
        held = self._step if step is None else int(step)
        self._handle.save_checkpoint(held, lambda target: shutil.copytree(source, target, dirs_exist_ok=True))

    def save_model(self, estimator: Any, example: Any = None) -> None:
        """Keep a scikit-learn estimator as this trial's model; returning it does the same.

        Args:
            estimator: fitted.
            example: some rows of input, an array [rows, features]; the published model's signature
                is made from it. Without one, rows of zeros in float64 stand in.
        """
        self._saved = self._step
        self._handle.save_weights(self._step, lambda folder: self._write(estimator, example, folder))

    @property
    def saved(self) -> bool:
        """Whether a model of the last step is kept already."""
        return self._saved == self._step

    def _write(self, estimator: Any, example: Any, folder: Path) -> None:
        import numpy as np
        import skops.io

        skops.io.dump(estimator, folder / _MODEL)
        if example is not None:
            np.savez(folder / "example.npz", x=np.asarray(example))
        write_meta(folder, self._handle.task, self._step, self._last)


def _arguments(task: Task, model: Any) -> dict[str, Any]:
    """A trial's own; and in how many parts to train each batch, for a callable that takes that."""
    given = dict(task.arguments.get("model", {}))
    if task.micro > 1:
        if "micro_batches" not in inspect.signature(model).parameters or "micro_batches" in given:
            raise CannotSplit(f"{task.model} takes no micro_batches. Give it that keyword argument")
        given["micro_batches"] = task.micro
    return given


def _step(step: int) -> int:
    if step < 1:
        raise ValueError(f"trial.report: step is {step}, steps count from 1; give step + 1, or leave it out")
    return int(step)


def _numbers(metrics: Mapping[str, float]) -> dict[str, float]:
    if not isinstance(metrics, Mapping):
        raise ValueError(f"trial.report: {metrics!r} is no mapping; give names with numbers: {{'loss': 0.1}}")
    return {name: _number(name, value) for name, value in metrics.items()}


def _number(name: str, value: float) -> float:
    try:
        return float(value)
    except (TypeError, ValueError):
        raise ValueError(f"trial.report: {name} is {value!r}; give one number") from None


class Function(Framework):
    name = "function"

    def start(self, cpus: float, gpus: float, ranks: int = 1) -> None:
        """Threads follow the environment that the host set; there is nothing else to bind."""

    def seed(self, seed: int) -> None:
        import numpy as np

        random.seed(seed)
        np.random.seed(seed % 2**32)

    def fit_signature(self) -> None:
        return None

    def train(self, handle: Handle, model: Any, data: Any) -> None:
        trial = Trial(handle)
        returned = model(trial, **_arguments(handle.task, model))
        fitted = hasattr(returned, "get_params") and hasattr(returned, "predict")
        if fitted and not trial.saved:
            trial.save_model(returned)

    def load(self, model: Any, arguments: Mapping[str, Any], folder: Path) -> Any:
        import skops.io

        untrusted = skops.io.get_untrusted_types(file=folder / _MODEL)
        if foreign := [name for name in untrusted if not name.startswith(("sklearn.", "numpy.", "scipy."))]:
            raise TypeError(f"{folder / _MODEL} names types that are not scikit-learn's: {foreign}")
        return skops.io.load(folder / _MODEL, trusted=untrusted)
