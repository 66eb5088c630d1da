"""A trial's next attempt as a task: the plain data that a worker needs. Decides nothing."""

from __future__ import annotations

import hashlib
import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from automl.engines.base import Task
from automl.results import Trial, objective_value
from automl.search import Objective, Search


@dataclass(frozen=True)
class Setting:
    """What every task of a run shares: where things are, which arguments each trainer takes, a name."""

    root: str
    storage: str
    takes: Mapping[str, Any] | None = None
    gpus: bool = False  # whether the engine has any, which `gpus: auto` asks
    run: str = field(default_factory=lambda: uuid.uuid4().hex[:12])


class Tasks:
    """Makes the tasks of a run.

    Args:
        search: the plan.
        setting: of this run.
    """

    def __init__(self, search: Search, setting: Setting) -> None:
        self._search, self._setting = search, setting

    def of(
        self,
        trial: Trial,
        attempt: int,
        gpus: float,
        floor: float | None,
        avoid: tuple[str, ...],
        judged: tuple[int, ...] | None,
    ) -> Task:
        """An attempt at a trial.

        Args:
            trial: as far as it has come.
            attempt: its number, from 1.
            gpus: its share.
            floor, avoid, judged: see `Task`.
        """
        search, setting = self._search, self._setting
        name, arguments = search.arguments(trial.params, setting.takes)
        trainer = search.trainers[name]
        best, best_step = _best_so_far(trial, search.objectives[0])
        return Task(
            search=search.name,
            trial=trial.number,
            attempt=attempt,
            seed=trial_seed(search.seed, trial.number),
            trainer=name,
            framework=trainer.framework,
            model=trainer.model,
            data=trainer.data,
            arguments=arguments,
            objectives=tuple(_objective(o) for o in search.objectives),
            resources={**search.resources.given(trainer.framework), "gpus": gpus},
            root=setting.root,
            storage=setting.storage,
            checkpoint=trial.checkpoint,
            step=trial.checkpoint_step if trial.checkpoint else 0,
            reported=max(trial.steps, default=0),
            best=best,
            best_step=best_step,
            floor=floor,
            silence_s=search.timeout.silence_s,
            trial_s=search.timeout.trial_s,
            micro=trial.micro,
            run=setting.run,
            avoid=avoid,
            judged=judged,
        )


def trial_seed(seed: int, number: int) -> int:
    """The seed of a trial, from the search's seed and the trial's number; 31 bits."""
    digest = hashlib.blake2b(f"{seed}/{number}".encode(), digest_size=4).digest()
    return int.from_bytes(digest, "big") >> 1


def _objective(objective: Any) -> dict[str, Any]:
    return {"metric": objective.metric, "direction": objective.direction, "value": objective.value}


def _best_so_far(trial: Trial, objective: Objective) -> tuple[float | None, int]:
    try:
        return objective_value(trial.reports, objective.metric, objective.direction, "best")
    except LookupError:
        return None, 0
