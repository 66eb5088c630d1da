"""One ask, thought through on a snapshot of a study. Knows no events and no driver.

A thought touches nothing that lives: it may run in another thread while trials report and end.
With brain.py, points.py and samplers.py the only door to Optuna.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Container, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

import optuna
from optuna.samplers import BaseSampler
from optuna.storages import InMemoryStorage
from optuna.trial import FrozenTrial, TrialState

from automl.points import Points, plain
from automl.thinning import ENDED, OPTIMIZER, Selection

# What Optuna pickled (CMA-ES keeps its optimizer so) has no place in a database.
PICKLED = OPTIMIZER


@dataclass(frozen=True)
class Asked:
    """A point to try, and where it came from.

    Args:
        params: `trainer` first where there are several, constants, then the active parameters.
        trainer: the name of the trainer that runs it.
        source: `start_with`, `share` (a trainer that would fall under its share), `startup` (the
            sampler's random beginning), `sampler` or `grid`.
        sampler: the sampler in use, `auto` resolved.
        trial_attrs: what Optuna wrote about the trial, plain JSON.
        study_attrs: what Optuna changed about the study, plain JSON.
        pickled: what Optuna wrote about the trial as a pickle: for this process alone.
    """

    params: dict[str, Any]
    trainer: str
    source: str
    sampler: str
    trial_attrs: dict[str, Any]
    study_attrs: dict[str, Any]
    pickled: dict[str, Any] = field(default_factory=dict, repr=False, compare=False)

    def facts(self) -> dict[str, Any]:
        """The data of an `asked` event: all but what is pickled."""
        return {name: value for name, value in vars(self).items() if name != "pickled"}


class Memory(InMemoryStorage):
    """Optuna's storage in memory, of which a snapshot costs no copy of a trial.

    Optuna never changes a trial that it stores, it puts another in its place; so a copy of the
    list is the study as it was.

    Args:
        selection: what the sampler is shown of trials that have ended, where it is narrowed to that.
    """

    _shown: list[FrozenTrial] | None = None  # of the trials before `_since`; None: all of them
    _since = 0
    _glimpse: Callable[[], Iterable[int]] = tuple

    def __init__(self, selection: Selection) -> None:
        super().__init__()
        self._selection = selection
        self._open: set[int] = set()

    def narrow(self) -> None:
        """Of a snapshot, from now on show the sampler's selection, trials that run, and new ones."""
        (info,) = self._studies.values()
        self._since = len(info.trials)
        self._shown = [info.trials[number] for number in sorted({*self._glimpse(), *self._open})]

    def get_all_trials(
        self, study_id: int, deepcopy: bool = True, states: Container[TrialState] | None = None
    ) -> list[FrozenTrial]:
        """Of the trials that are not hidden."""
        if self._shown is None or states == (TrialState.WAITING,):
            return super().get_all_trials(study_id, deepcopy, states)
        found = self._shown + self._studies[study_id].trials[self._since :]
        chosen = found if states is None else [trial for trial in found if trial.state in states]
        return copy.deepcopy(chosen) if deepcopy else chosen

    def put(self, trial: FrozenTrial) -> None:
        """Append a trial as it is. Optuna's own way copies it, with all that trials could share."""
        with self._lock:
            ((key, info),) = self._studies.items()
            trial.number = trial._trial_id = len(info.trials)
            self._max_trial_id = trial._trial_id
            self._trial_id_to_study_id_and_number[trial._trial_id] = (key, trial.number)
            info.trials.append(trial)
            info.param_distribution.update(trial.distributions)
        if trial.state is TrialState.RUNNING:
            self._open.add(trial.number)

    def write(self, number: int, values: Mapping[int, float], attrs: Mapping[str, Any]) -> None:
        """What a running trial reported, by step, and attributes of it, all at once."""
        trial = copy.copy(self.get_trial(number))
        trial.intermediate_values = {**trial.intermediate_values, **values}
        trial.system_attrs = {**trial.system_attrs, **attrs}
        self._set_trial(number, trial)

    def end(self, number: int, state: TrialState, values: list[float] | None) -> int | None:
        """End a trial as a study tells it, a PRUNED one with its last value; returns its last step."""
        trial = self.get_trial(number)
        step = trial.last_step
        if state is TrialState.PRUNED and step is not None:
            values = [trial.intermediate_values[step]]
        self.set_trial_state_values(number, state, values)
        self._open.discard(number)
        if state in ENDED:
            self._selection.ended(self.get_trial(number))
        return step

    def snapshot(self) -> Memory:
        """The studies as they are now; what happens to either is not seen by the other."""
        with self._lock:
            twin = copy.copy(self)
            twin._trial_id_to_study_id_and_number = dict(self._trial_id_to_study_id_and_number)
            twin._studies = {key: _copied(info) for key, info in self._studies.items()}
            # None waits in a study that only gets trials that are running or have ended.
            twin._prev_waiting_trial_number = {key: len(info.trials) for key, info in self._studies.items()}
            twin._open = set(self._open)
            (info,) = self._studies.values()
            twin._glimpse = self._selection.glimpse(info.system_attrs)
        return twin


def _copied(info: Any) -> Any:
    twin = copy.copy(info)
    twin.trials, twin.param_distribution = list(info.trials), dict(info.param_distribution)
    return twin


@dataclass(frozen=True)
class Thought:
    """What will be asked; calling it runs the sampler, for milliseconds or for seconds.

    Args:
        points: of the search.
        memory: a snapshot of the study, this thought's own.
        sampler: a fresh one.
        name: the sampler's.
        number: the new trial's.
        source: where its point comes from, "" where the sampler is free; None: there is none left.
        fixed: parameters that are not the sampler's to choose, as Optuna has them.
        starting: whether attributes that were written mean that the sampler is still in its
            random beginning (of the trial, of the study).
    """

    points: Points
    memory: Memory
    sampler: BaseSampler
    name: str
    number: int
    source: str | None
    fixed: Mapping[str, Any]
    starting: Callable[[Mapping[str, Any], Mapping[str, Any]], bool]

    def __call__(self) -> Asked | None:
        """The point to try; None when there is none left. Call it once."""
        if self.source is None:
            return None
        study = study_of(self.memory, self.sampler)
        known = self.memory.get_study_system_attrs(study._study_id)
        trial = opened(study, self.fixed)
        values = self.points.suggested(trial)
        written = self.memory.get_trial(trial._trial_id).system_attrs
        attrs = plain({key: value for key, value in written.items() if PICKLED not in key})
        study_attrs = plain(changed(known, self.memory.get_study_system_attrs(study._study_id)))
        return Asked(
            params=values,
            trainer=self.points.trainer(values),
            source=self.source or ("startup" if self.starting(attrs, study_attrs) else "sampler"),
            sampler=self.name,
            trial_attrs=attrs,
            study_attrs=study_attrs,
            pickled={key: value for key, value in written.items() if PICKLED in key},
        )


def study_of(memory: Memory, sampler: BaseSampler) -> optuna.Study:
    """The one study of a snapshot, with a sampler of its own, which is shown no more than it can take in."""
    (known,) = memory._study_name_to_id
    study = optuna.load_study(
        study_name=known, storage=memory, sampler=sampler, pruner=optuna.pruners.NopPruner()
    )
    memory.narrow()
    return study


def opened(study: optuna.Study, fixed: Mapping[str, Any]) -> optuna.Trial:
    """A new trial of a study, some of whose parameters are fixed."""
    if fixed:
        study.enqueue_trial(dict(fixed))
    return study.ask()


def pickled_again(memory: Memory, sampler: BaseSampler, fixed: Mapping[str, Any]) -> dict[str, Any]:
    """What Optuna pickled when it was asked for the next trial of a memory, computed again.

    Args:
        memory: a snapshot of the study as it was then; used up.
        sampler: a fresh one, as it was then.
        fixed: the parameters that were not the sampler's.
    """
    trial = opened(study_of(memory, sampler), fixed)
    _ = trial.relative_params
    written = memory.get_trial(trial._trial_id).system_attrs
    return {key: value for key, value in written.items() if PICKLED in key}


def changed(before: Mapping[str, Any], after: Mapping[str, Any]) -> dict[str, Any]:
    """What was added or changed."""
    return {key: value for key, value in after.items() if key not in before or before[key] != value}
