"""The end of an epoch, for a checkpoint that is written once the Trainer has gone on to the next first batch.

Until that batch is trained, parameters and the optimizers' moments are what they were; what has moved on is
kept here: the loops' counters, the schedulers, what these set in the optimizers. Knows no trial.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytorch_lightning as pl

from automl.engines.base import Answer


class EpochEnd:
    """Now, after the last hook of an epoch. One process alone; of several ranks the others would miss it."""

    def __init__(self, trainer: pl.Trainer) -> None:
        schedulers = [config.scheduler.state_dict() for config in trainer.lr_scheduler_configs]
        self._facts: dict[str, Any] = {
            "epoch": trainer.current_epoch,
            "global_step": trainer.global_step,
            "loops": trainer._checkpoint_connector._get_loops_state_dict(),
            "lr_schedulers": copy.deepcopy(schedulers),
        }
        # A learning rate may be a tensor, which a scheduler changes in place.
        self._groups = [
            [copy.deepcopy(_settings(group)) for group in each.param_groups] for each in trainer.optimizers
        ]

    def write(self, trainer: pl.Trainer, path: Path) -> None:
        """The checkpoint that the Trainer would have written then."""
        checkpoint = trainer._checkpoint_connector.dump_checkpoint(weights_only=False)
        checkpoint |= self._facts
        for state, groups in zip(checkpoint["optimizer_states"], self._groups, strict=True):
            for group, then in zip(state["param_groups"], groups, strict=True):
                group |= then
        trainer.strategy.save_checkpoint(checkpoint, path)


@dataclass(frozen=True)
class Past:
    """A report that the Trainer has gone on from, and how it was then.

    Args:
        heard: the answer; blocks.
        end: what a checkpoint of then has.
        generators: the random ones, by rank.
    """

    heard: Callable[[], Answer]
    end: EpochEnd
    generators: list[dict[str, Any]]


def _settings(group: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in group.items() if name != "params"}
