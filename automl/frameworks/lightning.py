"""PyTorch Lightning: trains a LightningModule and reports once per validation. Knows no Ray, no SQL.

A resumed trial equals an uninterrupted one where it goes on from the end of an epoch. With several
validations an epoch it may go on within one: what is left of that epoch comes in another order.
"""

from __future__ import annotations

import functools
import json
import logging
import random
import re
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytorch_lightning as pl
import torch
from lightning_fabric.utilities import registry
from pytorch_lightning.callbacks import Checkpoint
from pytorch_lightning.utilities.model_helpers import is_overridden

from automl import once, project
from automl.engines.base import Answer, Task
from automl.errors import TrialFinished, TrialPruned, TrialStopped
from automl.frameworks import lightning_fit, torch_memory
from automl.frameworks.base import CannotSplit, Framework, Handle, error_line, in_parts, refused, write_meta
from automl.frameworks.lightning_moment import EpochEnd, Past
from automl.frameworks.lightning_ranks import means, of_all_ranks, own_of, write_checkpoint, write_plainly
from automl.gpu_memory import Use
from automl.ranks import threads_each

_CHECKPOINT = "trainer.ckpt"
_EXAMPLE_ROWS = 4
# Arguments of data modules that say how data are handed out, whatever these are.
_OF_LOADERS = (
    "batch_size",
    "num_workers",
    "pin_memory",
    "prefetch_factor",
    "persistent_workers",
    "shuffle",
    "drop_last",
)
# Hooks of modules and data modules that see a batch before any callback does.
_TRANSFERS = ("on_before_batch_transfer", "transfer_batch_to_device", "on_after_batch_transfer")
_COUNTED = ("limit_train_batches", "limit_val_batches", "val_check_interval", "overfit_batches")


class Lightning(Framework):
    name = "lightning"

    def start(self, cpus: float, gpus: float, ranks: int = 1) -> None:
        self._gpus, self._ranks = gpus, ranks
        self._threads = threads_each(cpus, self.name, ranks)
        torch.set_num_threads(self._threads)
        torch_memory.hold(gpus)
        for logger in ("pytorch_lightning", "lightning_fabric"):
            logging.getLogger(logger).setLevel(logging.WARNING)
        # Every Trainer looks through all installed packages for plug-ins, which takes as long as the
        # rest of building it; a warm process has seen them.
        registry.entry_points = cache(registry.entry_points)  # type: ignore[assignment]
        once.keep("torch", once.Generator(torch.get_rng_state, torch.set_rng_state, torch.manual_seed))

    def gpu_bytes(self) -> int:
        if not torch.cuda.is_initialized():
            return 0
        torch.cuda.synchronize()  # raises what a kernel did wrong: no later one of this process will run
        return sum(torch.cuda.memory_reserved(each) for each in range(torch.cuda.device_count()))

    def gpu_use(self) -> Use | None:
        return torch_memory.use()

    def release(self) -> None:
        if torch.cuda.is_initialized():
            torch.cuda.empty_cache()

    def seed(self, seed: int) -> None:
        torch_memory.begin()
        pl.seed_everything(seed, workers=True, verbose=False)

    def fit_signature(self) -> dict[str, Any]:
        return lightning_fit.signature()

    def train(self, handle: Handle, model: Any, data: Any) -> None:
        arguments, micro = handle.task.arguments, handle.task.micro
        module = model(**arguments.get("model", {}))
        given = arguments.get("data", {})
        if micro > 1:
            _refuse_by_hand(module)
            given = in_parts(data, given, micro)
        loaders = _loaders(_preparing_once(data(**given), handle.task))
        reporter = Reporter(handle, module)
        fit = _fit(handle)
        lightning_fit.compile_module(module, compiles := fit.pop("compile", False), self._threads)
        trainer = pl.Trainer(**self._house(handle, reporter), **fit)
        write_plainly(trainer)
        checkpoint = str(handle.checkpoint / _CHECKPOINT) if handle.checkpoint else None
        with refused(lambda: checkpoint is not None and not reporter.began, _unreadable):
            trainer.fit(module, **loaders, ckpt_path=checkpoint, weights_only=True)
        reporter.leave(trainer)
        lightning_fit.note_compiled(module, compiles)
        reporter.keep_last()

    def load(self, model: Any, arguments: Mapping[str, Any], folder: Path) -> Any:
        module = model(**arguments.get("model", {}))
        module.load_state_dict(torch.load(folder / "state_dict.pt", map_location="cpu", weights_only=True))
        return module.eval()

    def mute(self, model: Any) -> str | None:
        return None if is_overridden("forward", model) else f"{type(model).__name__} has no forward"

    def _house(self, handle: Handle, reporter: Reporter) -> dict[str, Any]:
        """The Trainer arguments that belong to the house; a search file that names one is refused."""
        return {
            "accelerator": "gpu" if self._gpus else "cpu",
            "devices": self._ranks,
            **({"strategy": "ddp"} if self._ranks > 1 else {}),
            "callbacks": [reporter],
            "logger": False,
            "enable_checkpointing": True,  # Lightning refuses a Checkpoint callback otherwise
            "enable_progress_bar": False,
            "default_root_dir": str(handle.folder),
        }


def _unreadable(error: Exception) -> str:
    """Why a checkpoint is not taken up; torch says at length what stands in its way."""
    foreign = re.search(r"Unsupported global: GLOBAL (\S+)", str(error))
    if foreign is None:
        return error_line(error)
    return f"it holds an object of {foreign[1]}, and only tensors and plain values are read from a file"


def _fit(handle: Handle) -> dict[str, Any]:
    fit = {"enable_model_summary": False, "num_sanity_val_steps": 0, **handle.task.arguments.get("fit", {})}
    if handle.task.deep:
        fit |= {"max_epochs": 2 if handle.checkpoint else 1, "limit_train_batches": 1, "limit_val_batches": 1}
        fit.pop("max_steps", None)
    return _fit_in_parts(fit, handle.task.micro) if handle.task.micro > 1 else fit


def _fit_in_parts(fit: Mapping[str, Any], micro: int) -> dict[str, Any]:
    """Lightning counts batches, of which there are more now; its optimizer steps stay as they were."""
    counted = {key: fit[key] for key in _COUNTED if type(fit.get(key)) is int}
    several = {key: count * micro for key, count in counted.items()}
    return {**fit, **several, "accumulate_grad_batches": fit.get("accumulate_grad_batches", 1) * micro}


def _refuse_by_hand(module: pl.LightningModule) -> None:
    if not module.automatic_optimization:
        raise CannotSplit(f"{type(module).__name__} steps its optimizers by hand, so gradients cannot add up")


def _preparing_once(data: Any, task: Task) -> Any:
    """Have a data module's `prepare_data` called in one trial only of this node and run of the search.

    Lightning says when it is this process' turn at all (`prepare_data_per_node`), and that the method
    sets no attributes: one that does all the same is called in every trial, because `setup` wants them.
    """
    if not isinstance(data, pl.LightningDataModule) or not is_overridden("prepare_data", data):
        return data
    prepare, name = data.prepare_data, f"{task.data} prepare_data"

    def act() -> bool:
        before = dict(vars(data))
        with once.undisturbed(0), once.at_work():
            prepare()
        changed = [key for key, value in vars(data).items() if before.get(key, data) is not value]
        if changed:
            once.say(f"{name} sets {', '.join(changed)}: it is called in every trial. Set them in setup")
        return not changed

    @functools.wraps(prepare)
    def prepare_data() -> None:
        arguments = {k: v for k, v in task.arguments.get("data", {}).items() if k not in _OF_LOADERS}
        given = json.dumps(arguments, sort_keys=True)
        code = project.code_hash([task.data or ""], Path(task.root))
        once.in_run(task.run, f"{task.data} {given} {code}", f"is at {name}", act)

    data.prepare_data = prepare_data  # type: ignore[method-assign]
    return data


def _loaders(data: Any) -> dict[str, Any]:
    if isinstance(data, pl.LightningDataModule):
        return {"datamodule": data}
    train, validation = data
    return {"train_dataloaders": train, "val_dataloaders": validation}


class Reporter(Checkpoint):
    """Reports every validation once, and keeps checkpoints and weights.

    A Checkpoint because Lightning calls those last at the end of an epoch, after the module's own
    hooks: by then all metrics of the epoch are there.
    """

    def __init__(self, handle: Handle, module: pl.LightningModule) -> None:
        self._handle, self._module = handle, module
        self.began = False  # whether all of a checkpoint has been taken up, if there is one
        self._step = 0
        self._pending = False
        self._past: Past | None = None  # where the last report was, until its answer is heard
        self._epoch_ended = False
        self._resumed: dict[str, Any] | None = None
        self._example: dict[str, np.ndarray] | None = None
        self._metrics: dict[str, float] = {}
        self._reported: dict[str, torch.Tensor] | None = None
        self._parts = 0

    def state_dict(self) -> dict[str, Any]:
        return {
            "step": self._step,
            "metrics": self._metrics,
            "epoch_ended": self._epoch_ended or self._past is not None,
            "micro": self._handle.task.micro,
            "generators": self._past.generators if self._past else of_all_ranks(generator_states()),
        }

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        if not state_dict["epoch_ended"] and state_dict.get("micro", 1) != self._handle.task.micro:
            raise ValueError("it is of the middle of an epoch, and batches have another size now")
        self._step, self._metrics = state_dict["step"], state_dict["metrics"]
        self._resumed = state_dict

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        self.began = True
        # Lightning steps these schedulers after the hook in which a checkpoint is written.
        if self._resumed and self._resumed["epoch_ended"]:
            step_plateau_schedulers(trainer, self._metrics)

    def on_train_epoch_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        self._epoch_ended = False
        if is_overridden("on_train_epoch_start", pl_module):  # it may change what was judged
            self.hear(trainer)
        if self._resumed is None:
            return
        restore_generators(own_of(self._resumed["generators"]))
        if self._resumed["epoch_ended"]:
            # A resuming Trainer made the epoch's iterator earlier, out of other random numbers.
            iter(trainer.fit_loop._data_fetcher)  # type: ignore[arg-type]
        self._resumed = None

    def on_after_backward(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        self._parts += 1

    def on_before_optimizer_step(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, optimizer: torch.optim.Optimizer
    ) -> None:
        """A last batch of fewer parts: Lightning has divided by all of them all the same."""
        parts, self._parts = self._parts, 0
        micro = self._handle.task.micro
        if parts < micro == trainer.accumulate_grad_batches:
            for parameter in (p for group in optimizer.param_groups for p in group["params"]):
                if parameter.grad is not None:
                    parameter.grad.mul_(micro / parts)

    def on_train_batch_start(self, trainer: pl.Trainer, *_: Any, **__: Any) -> None:
        self.hear(trainer)
        # Several ranks can leave here alone: what came after the batch before, all of them have done.
        self._handle.leave_if_told()

    def on_validation_batch_start(
        self, trainer: pl.Trainer, pl_module: Any, batch: Any, batch_idx: int, dataloader_idx: int = 0
    ) -> None:
        self._handle.pulse()
        if self._example is None:
            self._example = example_of(batch)

    def on_validation_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        if trainer.sanity_checking:
            return
        self._pending = True
        if not trainer.fit_loop.epoch_loop.batch_progress.is_last_batch:
            self._report(trainer)

    def on_train_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        self._epoch_ended = True
        if self._pending or not trainer.enable_validation:
            self._report(trainer, hurry=self._may_hurry(trainer))

    def _may_hurry(self, trainer: pl.Trainer) -> bool:
        """Whether another epoch follows whose first batch is prepared without touching what was judged."""
        last = trainer.max_epochs is not None and 0 <= trainer.max_epochs <= trainer.current_epoch + 1
        if last or not self._judges_all(trainer) or trainer.callbacks != [self]:  # type: ignore[attr-defined]
            return False
        makers = [each for each in (self._module, trainer.datamodule) if each]  # type: ignore[attr-defined]
        return not any(is_overridden(hook, each) for hook in _TRANSFERS for each in makers)

    def keep_last(self) -> None:
        """Keep the weights at the end, where the last value is the trial's."""
        if self._step and self._handle.task.objectives[0]["value"] == "last":
            self._keep()

    @staticmethod
    def _judges_all(trainer: pl.Trainer) -> bool:
        """Whether every epoch is judged, at its end."""
        return trainer.check_val_every_n_epoch == 1 and trainer.val_check_interval == 1.0

    def _report(self, trainer: pl.Trainer, hurry: bool = False) -> None:
        self._pending = False
        self._step += 1
        # Metrics of an epoch before stay in sight until the next: also those before a checkpoint.
        self._metrics |= means({name: float(value) for name, value in trainer.callback_metrics.items()})
        if self._handle.post(self._metrics, self._step):
            self._note_weights(trainer)
            return
        heard = self._handle.hurry(self._metrics, self._step) if hurry else None
        if heard:
            self._past = Past(heard, EpochEnd(trainer), [generator_states()])
        else:
            self._obey(self._handle.tell(self._metrics, self._step), trainer)

    def hear(self, trainer: pl.Trainer) -> None:
        """Obey the answer to the last report, if the Trainer went on from it; no batch was trained since."""
        if self._past:
            try:
                self._obey(self._past.heard(), trainer)
            finally:
                self._past = None

    def leave(self, trainer: pl.Trainer) -> None:
        """The training has ended by itself: of what the last report may be answered, only an end matters."""
        past, self._past = self._past, None
        if past:
            if past.heard() is Answer.END:
                raise TrialPruned
            self._note_weights(trainer)

    def _obey(self, answer: Answer, trainer: pl.Trainer) -> None:
        if answer is Answer.END:
            raise TrialPruned
        self._note_weights(trainer)
        if answer is Answer.FINISH:
            self.keep_last()
            raise TrialFinished
        stops = answer is Answer.STOP
        if stops or self._handle.due():
            write = self._past.end.write if self._past else write_checkpoint
            self._handle.save_checkpoint(
                self._step, lambda folder: write(trainer, folder / _CHECKPOINT), behind=not stops
            )
        if stops:
            raise TrialStopped

    def _note_weights(self, trainer: pl.Trainer) -> None:
        if self._handle.task.objectives[0]["value"] == "best":
            if self._handle.improved():
                self._keep(behind=True)
        elif not self._judges_all(trainer):
            # Batches after the last validation are no part of what it judged.
            state = self._module.state_dict()
            self._reported = {name: tensor.detach().cpu().clone() for name, tensor in state.items()}

    def _keep(self, behind: bool = False) -> None:
        self._handle.save_weights(self._step, self._write_weights, behind)

    def _write_weights(self, folder: Path) -> None:
        torch.save(self._reported or self._module.state_dict(), folder / "state_dict.pt")
        write_meta(folder, self._handle.task, self._step, self._metrics)
        if self._example is not None:
            np.savez(folder / "example.npz", **self._example)  # type: ignore[arg-type]


def step_plateau_schedulers(trainer: pl.Trainer, metrics: Mapping[str, float]) -> None:
    """What the Trainer does at the end of an epoch for each ReduceLROnPlateau."""
    for config in trainer.lr_scheduler_configs:
        due = config.interval == "epoch" and trainer.current_epoch % config.frequency == 0
        if config.reduce_on_plateau and due and (value := metrics.get(config.monitor or "")) is not None:
            trainer.lightning_module.lr_scheduler_step(config.scheduler, value)


def generator_states() -> dict[str, Any]:
    """The random generators of Python, numpy and torch, in types that load without unpickling code."""
    version, inner, gauss = random.getstate()
    numpy: dict[str, Any] = dict(np.random.get_state(legacy=False))
    key = torch.from_numpy(numpy["state"]["key"].astype(np.int64))
    return {
        "python": [version, list(inner), gauss],
        "numpy": {**numpy, "state": {**numpy["state"], "key": key}},
        "torch": torch.get_rng_state(),
        "cuda": torch.cuda.get_rng_state_all() if torch.cuda.is_available() else [],
    }


def restore_generators(states: Mapping[str, Any]) -> None:
    """Put back what `generator_states` took."""
    version, inner, gauss = states["python"]
    random.setstate((version, tuple(inner), gauss))
    numpy = states["numpy"]
    key = numpy["state"]["key"].numpy().astype(np.uint32)
    np.random.set_state({**numpy, "state": {**numpy["state"], "key": key}})
    torch.set_rng_state(states["torch"])
    if states["cuda"]:
        torch.cuda.set_rng_state_all(states["cuda"])


def example_of(batch: Any) -> dict[str, np.ndarray] | None:
    """A few rows of a batch's inputs: `x`, or `x_NAME` for a mapping; None for other shapes."""
    inputs = batch[0] if isinstance(batch, list | tuple) else batch
    if isinstance(inputs, torch.Tensor):
        return {"x": _rows(inputs)}
    if isinstance(inputs, Mapping) and all(isinstance(v, torch.Tensor) for v in inputs.values()):
        return {f"x_{name}": _rows(value) for name, value in inputs.items()}
    return None


def _rows(values: torch.Tensor) -> np.ndarray:
    rows = values[:_EXAMPLE_ROWS].detach().cpu()
    return (rows.float() if rows.dtype in (torch.bfloat16, torch.float16) else rows).numpy()
