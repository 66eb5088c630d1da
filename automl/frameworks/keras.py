"""Keras: trains a compiled model and reports once per validation. Knows no Ray, no SQL.

Touches TensorFlow only where it is Keras' backend. A resumed trial equals an uninterrupted one where
the data are arrays, or a PyDataset that computes each batch from its index; a `tf.data.Dataset` that
shuffles begins a new order when it is resumed.
"""

from __future__ import annotations

import contextlib
import json
import random
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import keras
import numpy as np

from automl import once
from automl.engines.base import Answer, Task
from automl.errors import AutoMLError, TrialFinished, TrialPruned, TrialStopped
from automl.frameworks import keras_fit, keras_memory, keras_pipes
from automl.frameworks.base import CannotSplit, Framework, Handle, in_parts, refused, write_meta
from automl.frameworks.keras_feed import (
    Feed,
    as_arrays,
    example_of,
    in_floatx,
    inputs_of,
    large,
    rows_of,
    split,
)
from automl.gpu_memory import Use

_VARIABLES = "variables.npz"
_STATE = "state.json"
_BATCH_SIZE = 32  # Model.fit's own default
_COUNTED = ("steps_per_epoch", "validation_steps")


class Keras(Framework):
    name = "keras"
    _strategy: Any = None
    _left = False  # whether a trial has left something behind

    def start(self, cpus: float, gpus: float, ranks: int = 1) -> None:
        threads = max(1, int(cpus))
        if keras.backend.backend() == "tensorflow":
            import tensorflow as tf

            from automl.frameworks import keras_gradients

            tf.config.threading.set_intra_op_parallelism_threads(threads)
            tf.config.threading.set_inter_op_parallelism_threads(threads)
            keras_memory.hold(gpus)
            keras_pipes.lay()
            keras_gradients.lay()
            self._strategy = mirrored(ranks, "GPU" if gpus else "CPU") if ranks > 1 else None
        elif ranks > 1:
            raise AutoMLError(
                f"Keras trains on several devices with TensorFlow, and its backend is "
                f"{keras.backend.backend()}. Set KERAS_BACKEND=tensorflow, or give gpus: 1 and no ranks"
            )
        elif keras.backend.backend() == "torch":
            import torch

            torch.set_num_threads(threads)
            keras_memory.hold(gpus)
            once.keep("torch", once.Generator(torch.get_rng_state, torch.set_rng_state, torch.manual_seed))

    def gpu_bytes(self) -> int:
        return keras_memory.held_bytes()

    def gpu_use(self) -> Use | None:
        return keras_memory.use()

    def seed(self, seed: int) -> None:
        keras_memory.begin()
        if self._left:
            self.forget()
        keras.utils.clear_session(free_memory=False)
        keras.utils.set_random_seed(seed % 2**32)

    def forget(self) -> None:
        keras.utils.clear_session(free_memory=True)
        self._left = False

    def fit_signature(self) -> dict[str, Any]:
        return keras_fit.signature()

    def train(self, handle: Handle, model: Any, data: Any) -> None:
        self._left = True
        try:
            with keras_fit.precision(handle.task.arguments.get("fit", {}).get("precision")):
                self._train(handle, model, data)
        finally:
            keras_pipes.forget()

    def _train(self, handle: Handle, model: Any, data: Any) -> None:
        task = handle.task
        with self._strategy.scope() if self._strategy else contextlib.nullcontext():
            made = _compiled(model(**task.arguments.get("model", {})), task.model)
            keras_fit.jit(made, task.arguments.get("fit", {}).get("jit_compile"))
            fed = Fed(_data(data, task), _fit(handle), task.seed, task.micro)
            if task.micro > 1:
                if self._strategy:
                    raise CannotSplit("Keras adds up no gradients over replicas")
                add_up(made, task.micro)
            reporter = Reporter(handle, fed)
            reporter.set_model(made)
            if handle.checkpoint:
                with refused():
                    reporter.resume(handle.checkpoint)
        made.fit(**fed.fit, callbacks=[reporter], initial_epoch=reporter.epoch)
        reporter.hear()
        reporter.keep_last()

    def load(self, model: Any, arguments: Mapping[str, Any], folder: Path) -> Any:
        # The layers that the trainer's module defines, registered with Keras or not.
        known = {name: each for name, each in vars(sys.modules[model.__module__]).items() if callable(each)}
        registered = dict(keras.saving.get_custom_objects())
        objects = {**known, **registered}
        return keras.saving.load_model(folder / "model.keras", custom_objects=objects, safe_mode=True)


class Fed:
    """What goes into `Model.fit`, but for callbacks and the first epoch.

    Attributes:
        fit: keyword arguments of `Model.fit`.
        train, validation: arrays, or whatever dataset the user gave; `validation` may be None.
    """

    def __init__(self, data: Any, fit: dict[str, Any], seed: int, micro: int = 1) -> None:
        self._micro = micro
        try:
            self.train, self.validation = data
        except (TypeError, ValueError):
            raise AutoMLError("the data are no pair. Return (train, validation)") from None
        self.epochs, self._frequency = fit.get("epochs", 1), fit.get("validation_freq", 1)
        self.feed: Feed | None = None
        self._held_out = self.validation is None
        if isinstance(self.train, tuple | list):
            fit = self._feed(fit, seed)
        elif micro > 1:
            fit = {key: value * micro if key in _COUNTED and value else value for key, value in fit.items()}
        self.fit = {"x": self.train, **fit} if self.feed is None else {**fit, "x": self.feed}
        self.fit |= self._judged(self.fit, seed)

    def validates(self, epoch: int) -> bool:
        """Whether `Model.fit` validates after this epoch, from 0; true where there is nothing to."""
        if self.validation is None:
            return True
        if isinstance(self._frequency, int):
            return (epoch + 1) % self._frequency == 0
        return epoch + 1 in self._frequency

    def last_to_validate(self, epoch: int) -> bool:
        """Whether no later epoch validates."""
        return not any(self.validates(later) for later in range(epoch + 1, self.epochs))

    def _feed(self, fit: dict[str, Any], seed: int) -> dict[str, Any]:
        self.train = as_arrays(self.train)
        share = fit.pop("validation_split", 0.0)
        if share and self.validation is None:
            self.train, self.validation = split(self.train, share)
        batch_size = fit.pop("batch_size", None) or _BATCH_SIZE
        shuffle, steps = bool(fit.pop("shuffle", True)), fit.pop("steps_per_epoch", None)
        self.feed = Feed(self.train, batch_size, seed, shuffle, steps, self._micro)
        judged = fit.get("validation_batch_size") or batch_size
        fit["validation_batch_size"] = max(1, judged // self._micro)
        return {**fit, "shuffle": False}  # or Keras would shuffle the feed's batches once more

    def _judged(self, fit: Mapping[str, Any], seed: int) -> dict[str, Any]:
        """What to validate on; large arrays in the same batches as Keras would cut from them."""
        if not large(self.validation):
            return {"validation_data": self.validation}
        arrays = as_arrays(self.validation)
        size = fit.get("validation_batch_size") or fit.get("batch_size")
        if not size:
            steps = fit.get("validation_steps")
            size = -(-rows_of(arrays) // steps) if steps else _BATCH_SIZE
        return {"validation_data": Feed(arrays, size, seed, False, None), "validation_batch_size": None}

    def example(self) -> dict[str, np.ndarray] | None:
        """A few rows of inputs, as the model is shown them: from what it is judged on, if there is that."""
        found = example_of(inputs_of(self.train if self.validation is None else self.validation))
        if found is None or self.feed is None or not self._held_out:
            return found
        return {name: in_floatx(rows) for name, rows in found.items()}


class Reporter(keras.callbacks.Callback):
    """Reports every validation once, and keeps checkpoints and weights."""

    def __init__(self, handle: Handle, fed: Fed) -> None:
        super().__init__()
        self._handle, self._fed = handle, fed
        self.epoch = 0  # how many are behind
        self._step, self._kept = 0, -1
        # Of a report that the model went on from: how to hear the answer, and the generators then.
        self._heard: Callable[[], Answer] | None = None
        self._past: dict[str, Any] | None = None
        self._metrics: dict[str, float] = {}
        self._generators: dict[str, Any] | None = None

    def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
        if self._fed.feed:
            self._fed.feed.begin(epoch)
        if self._generators:  # only now, because building and looking at data may have drawn numbers
            _restore_generators(self._generators)
            self._generators = None

    def on_train_batch_begin(self, batch: int, logs: Any = None) -> None:
        self.hear()
        # At a batch's end, Keras would fetch the metrics of every batch from the device.
        self._handle.leave_if_told()

    def on_test_batch_begin(self, batch: int, logs: Any = None) -> None:
        self._handle.pulse()

    def on_epoch_end(self, epoch: int, logs: Mapping[str, Any] | None = None) -> None:
        self.epoch = epoch + 1
        if self._fed.validates(epoch):
            self._report(logs or {})
        elif self._handle.due():
            self._save_checkpoint(behind=True)

    def keep_last(self) -> None:
        """Keep the weights at the end, where the last value is the trial's."""
        if self._step and self._kept != self._step and self._last_counts():
            self._keep()

    def resume(self, folder: Path) -> None:
        """Take up the model, the optimizer and the generators of a checkpoint.

        Raises:
            AutoMLError: the checkpoint is of another model.
        """
        state = json.loads((folder / _STATE).read_text())
        self.epoch, self._step, self._metrics = state["epoch"], state["step"], state["metrics"]
        self._generators = state["generators"]
        _build(self.model, self._fed.train)
        with np.load(folder / _VARIABLES, allow_pickle=False) as arrays:
            kept = [arrays[name] for name in arrays.files]
        take_up(self.model, kept, state.get("micro", 1), self._handle.task.micro)

    def _report(self, logs: Mapping[str, Any]) -> None:
        self._step += 1
        self._metrics = {name: float(value) for name, value in logs.items()}
        if self._handle.post(self._metrics, self._step):
            self._note_weights()
            return
        more = self.epoch < self._fed.epochs
        self._heard = self._handle.hurry(self._metrics, self._step) if more else None
        if self._heard:
            self._past = _generator_states()
        else:
            self._obey(self._handle.tell(self._metrics, self._step))

    def hear(self) -> None:
        """Obey the answer to the last report, if the model went on from it; no batch was trained since."""
        heard, self._heard = self._heard, None
        if heard:
            try:
                self._obey(heard())
            finally:
                self._past = None

    def _obey(self, answer: Answer) -> None:
        if answer is Answer.END:
            raise TrialPruned
        self._note_weights()
        if answer is Answer.FINISH:
            self.keep_last()
            raise TrialFinished
        if answer is Answer.STOP or self._handle.due():
            self._save_checkpoint(behind=answer is not Answer.STOP)
        if answer is Answer.STOP:
            raise TrialStopped

    def _note_weights(self) -> None:
        if self._worth_keeping():
            self._keep(behind=True)

    def _last_counts(self) -> bool:
        return bool(self._handle.task.objectives[0]["value"] == "last")

    def _worth_keeping(self) -> bool:
        if self._last_counts():
            return self._fed.last_to_validate(self.epoch - 1)
        return self._handle.improved()

    def _keep(self, behind: bool = False) -> None:
        self._kept = self._step
        self._handle.save_weights(self._step, self._write_weights, behind)

    def _write_weights(self, folder: Path) -> None:
        self.model.save(folder / "model.keras")
        write_meta(folder, self._handle.task, self._step, self._metrics)
        example = self._fed.example()
        if example is not None:
            np.savez(folder / "example.npz", **example)  # type: ignore[arg-type]

    def _save_checkpoint(self, behind: bool) -> None:
        self._handle.save_checkpoint(self._step, self._write_checkpoint, behind)

    def _write_checkpoint(self, folder: Path) -> None:
        arrays = {f"v{i}": keras.ops.convert_to_numpy(v) for i, v in enumerate(_variables(self.model))}
        np.savez(folder / _VARIABLES, **arrays)
        state = {
            "epoch": self.epoch,
            "step": self._step,
            "metrics": self._metrics,
            "generators": self._past or _generator_states(),
            "micro": self._handle.task.micro,
        }
        (folder / _STATE).write_text(json.dumps(state))


def mirrored(replicas: int, kind: str) -> Any:
    """A strategy that trains replicas of a model on so many devices: GPUs, or parts of the CPU.

    Must be called before TensorFlow's first operation, which fixes the devices that there are.
    """
    import tensorflow as tf

    if kind == "CPU":
        parts = [tf.config.LogicalDeviceConfiguration()] * replicas
        tf.config.set_logical_device_configuration(tf.config.list_physical_devices(kind)[0], parts)
    return tf.distribute.MirroredStrategy([f"{kind}:{n}" for n in range(replicas)])


def _data(maker: Any, task: Task) -> Any:
    """The data; where they are no arrays, which are fed in parts later, made in smaller batches."""
    given = task.arguments.get("data", {})
    if task.micro == 1:
        return maker(**given)
    try:
        return maker(**in_parts(maker, given, task.micro))
    except CannotSplit:
        made = maker(**given)
        if isinstance(made, tuple | list) and made and isinstance(made[0], tuple | list):
            return made
        raise


def _fit(handle: Handle) -> dict[str, Any]:
    fit = {"verbose": 0, **handle.task.arguments.get("fit", {})}
    fit = {name: value for name, value in fit.items() if name not in keras_fit.HOUSE}
    if fit.get("class_weight"):  # a task is JSON, whose keys are text
        fit["class_weight"] = {int(label): weight for label, weight in fit["class_weight"].items()}
    if handle.task.deep:
        epochs = 2 if handle.checkpoint else 1
        fit |= {"epochs": epochs, "steps_per_epoch": 1, "validation_steps": 1, "validation_freq": 1}
    return fit


def _compiled(model: Any, address: str) -> keras.Model:
    if not isinstance(model, keras.Model):
        raise AutoMLError(f"{address} made a {type(model).__name__}. Return a compiled keras.Model")
    if not model.compiled:
        raise AutoMLError(
            f"{address} made a model that is not compiled. "
            "Call model.compile(optimizer=..., loss=..., metrics=[...]) before you return it"
        )
    return model


def _build(model: keras.Model, train: Any) -> None:
    """Have all variables there, as they are after the first batch."""
    if not model.built or not all(layer.built for layer in model._flatten_layers()):
        inputs = inputs_of(train)
        model(keras.tree.map_structure(lambda values: in_floatx(values[:1]), inputs), training=False)
    if not model.optimizer.built:
        model.optimizer.build(model.trainable_variables)


def _variables(model: keras.Model) -> list[Any]:
    """Weights, states of seed generators, and the optimizer's; metrics begin anew with each epoch."""
    return [*model.variables, *model.optimizer.variables]


def _assign(variables: list[Any], arrays: list[np.ndarray]) -> None:
    kept, wanted = [each.shape for each in arrays], [tuple(each.shape) for each in variables]
    if kept != wanted:
        raise AutoMLError(
            f"the checkpoint is of another model: it has {len(kept)} variables, the model {len(wanted)}, "
            f"and their shapes differ. Restore the trainer's code, or delete the checkpoint"
        )
    for variable, array in zip(variables, arrays, strict=True):
        # numpy has no bfloat16: such an array comes back as bytes without a type.
        variable.assign(array.view(np.dtype(str(variable.dtype))) if array.dtype.kind == "V" else array)


def add_up(model: keras.Model, micro: int) -> None:
    """Have the gradients of so many batches add up to one step of the optimizer.

    Raises:
        CannotSplit: the trainer has built its optimizer, which has no room for them then.
    """
    optimizer = getattr(model.optimizer, "inner_optimizer", model.optimizer)
    if optimizer.built:
        raise CannotSplit("the model comes with an optimizer that is built, so gradients cannot add up")
    optimizer.gradient_accumulation_steps = (optimizer.gradient_accumulation_steps or 1) * micro
    schedule = optimizer._learning_rate
    if isinstance(schedule, keras.optimizers.schedules.LearningRateSchedule):
        # Keras counts an optimizer's `iterations` in steps, but asks a schedule by parts. Mended on this
        # one object: a schedule of a type of ours would be saved with the model.
        optimizer._get_current_learning_rate = lambda: schedule(optimizer._iterations // micro)


def take_up(model: keras.Model, arrays: list[np.ndarray], before: int, micro: int) -> None:
    """Take up a checkpoint's variables, also those of batches in fewer parts.

    Checkpoints are of an epoch's end, where no gradient waits; the optimizer counts parts as steps.
    """
    variables = _variables(model)
    if before != micro:
        variables = [each for each in variables if "gradient_accumulator" not in each.path]
    _assign(variables, arrays)
    if before != micro:
        optimizer = getattr(model.optimizer, "inner_optimizer", model.optimizer)
        optimizer._iterations.assign(optimizer._iterations * micro // before)


def _generator_states() -> dict[str, Any]:
    version, inner, gauss = random.getstate()
    state: dict[str, Any] = dict(np.random.get_state(legacy=False))
    state["state"] = {"key": state["state"]["key"].tolist(), "pos": state["state"]["pos"]}
    states = {"python": [version, list(inner), gauss], "numpy": state}
    if keras.backend.backend() == "torch":  # whose dropout draws from torch's own generator
        import torch

        states["torch"] = torch.get_rng_state().tolist()
    return states


def _restore_generators(states: Mapping[str, Any]) -> None:
    version, inner, gauss = states["python"]
    random.setstate((version, tuple(inner), gauss))
    kept = states["numpy"]
    key = np.array(kept["state"]["key"], np.uint32)
    np.random.set_state({**kept, "state": {**kept["state"], "key": key}})
    if "torch" in states:
        import torch

        torch.set_rng_state(torch.tensor(states["torch"], dtype=torch.uint8))
