"""Optuna, asked and told, and rebuilt from events. Knows no database, no engine and no tracker.

The study lives in memory. Everything in it is a function of the events that were appended to the
ledger: parameters, intermediate values, states, and the system attributes that Optuna's samplers
and pruners wrote, which travel in `asked` and `reported` events. So a brain that replayed a ledger
suggests and prunes exactly as the one that wrote it would have gone on to.

With samplers.py the only door to Optuna.
"""

from __future__ import annotations

import json
import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import optuna
from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution, IntDistribution
from optuna.storages import InMemoryStorage
from optuna.trial import TrialState

from automl.errors import LedgerError
from automl.events import Event, State
from automl.grid import Grid
from automl.results import objectives_in
from automl.samplers import (
    LEARNS_CONSTRAINTS,
    MEMORY_CONSTRAINT,
    SHARE_HORIZON_TRIALS,
    STARTUP_TRIALS,
    Pruning,
    distribution,
    make_sampler,
    owed,
    resolve_sampler,
)
from automl.search import Search
from automl.space import Choice, Float, same

TOLD = {State.COMPLETE: TrialState.COMPLETE, State.PRUNED: TrialState.PRUNED, State.FAILED: TrialState.FAIL}


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
    """

    params: dict[str, Any]
    trainer: str
    source: str
    sampler: str
    trial_attrs: dict[str, Any]
    study_attrs: dict[str, Any]


@dataclass(frozen=True)
class Verdict:
    """The answer to a report: whether to prune, and what Optuna wrote about the trial."""

    prune: bool
    trial_attrs: dict[str, Any]


class Brain:
    """The study of one search.

    Args:
        search: the plan; its space, objectives, seed, sampler, pruner and start points are used.

    Raises:
        InputError: Optuna refuses an argument of the sampler or pruner.
    """

    def __init__(self, search: Search) -> None:
        optuna.logging.set_verbosity(optuna.logging.WARNING)
        self._search = search
        self._space = search.full_space
        self._axes = {name: distribution(parameter) for name, parameter in self._space.ordered()}
        self._policy = resolve_sampler(search)
        self._pruning = Pruning(search)
        self._grid = Grid(self._space.params, search.seed) if self._policy.name == "grid" else None
        self._storage = InMemoryStorage()
        self._study = optuna.create_study(
            storage=self._storage,
            study_name=search.name,
            directions=[objective.direction for objective in search.objectives],
            sampler=make_sampler(self._policy, search.seed, 0),
            pruner=optuna.pruners.NopPruner(),  # asked in `report`, not by the study
        )
        self._study_id = self._storage.get_study_id_from_name(search.name)
        self._asked = 0
        self._by_trainer: Counter[str] = Counter()
        self._ended: Counter[TrialState] = Counter()
        self._condemned: set[int] = set()
        self._strangers: set[int] = set()
        self._foreign = False

    # --- live ------------------------------------------------------------------------------

    def ask(self, number: int) -> Asked | None:
        """The next point to try.

        Args:
            number: the new trial's number, which is how many were asked before.

        Returns:
            the point; None when nothing is left to try (a grid is exhausted).
        """
        if number != self._asked:
            raise ValueError(f"trial {number} asked, but {self._asked} is next")
        origin = self._origin(number)
        if origin is None:
            return None
        source, fixed = origin
        known = self._storage.get_study_system_attrs(self._study_id)
        trial = self._open(number, fixed)
        values, raw = self._suggest(trial)
        trial_attrs = _changed({}, self._attrs(number))
        study_attrs = _changed(known, self._storage.get_study_system_attrs(self._study_id))
        source = source or ("startup" if self._starting(trial_attrs, study_attrs) else "sampler")
        self._count(values, raw)
        trainer = values.get("trainer", next(iter(self._search.trainers)))
        return Asked(values, trainer, source, self._policy.name, trial_attrs, study_attrs)

    def report(self, number: int, step: int, metrics: Mapping[str, float]) -> Verdict:
        """Takes one report of a running trial and decides whether it goes on.

        A step that was reported before does not count again; a trial that was told to prune is
        told so again. Several objectives, and reports without the objective's metric, never prune.

        Args:
            step: from 1.
            metrics: by name; the first objective's is what pruning looks at.
        """
        before = self._attrs(number)
        if not self._record(number, step, metrics):
            return Verdict(number in self._condemned, {})
        trial = self._storage.get_trial(self._id(number))
        if self._pruning.prune(self._study, trial):
            self._condemned.add(number)
        return Verdict(number in self._condemned, _changed(before, self._attrs(number)))

    def tell(
        self, number: int, state: State, values: Sequence[float] | None, infeasible: bool = False
    ) -> None:
        """Ends a trial.

        Args:
            state: COMPLETE, PRUNED or FAILED.
            values: of the objectives, in their order, for COMPLETE; ignored otherwise, because
                a value of fewer steps is not a result. COMPLETE without one finite value for
                each objective is told as a failure.
            infeasible: FAILED because its parameters cannot be trained here. Samplers that know
                constraints are told of one that was broken, without any value: Optuna keeps such
                a trial as PRUNED, because it looks at no constraint of a failed one.
        """
        if number in self._strangers:
            return
        told, final = TOLD[state], None
        if told is TrialState.COMPLETE:
            final = self._final(values)
            told = TrialState.FAIL if final is None else told
        elif infeasible and self._policy.name in LEARNS_CONSTRAINTS:
            told = TrialState.PRUNED
            self._storage.set_trial_system_attr(self._id(number), MEMORY_CONSTRAINT, 1.0)
        steps = self._storage.get_trial(self._id(number)).last_step
        self._study.tell(number, final, state=told)
        self._ended[told] += 1
        self._condemned.discard(number)
        if told is TrialState.COMPLETE:
            self._pruning.completed(steps)

    # --- rebuilding ------------------------------------------------------------------------

    @property
    def strangers(self) -> list[int]:
        """Recorded trials that have no place in this search: another space's, or other objectives'."""
        return sorted(self._strangers)

    def replay(self, events: Iterable[Event]) -> None:
        """Rebuilds the study from a ledger; before the first ask.

        Trials that do not fit (the space or the objectives were changed) keep their numbers and
        teach nothing.

        Args:
            events: in the ledger's order; opened, asked, reported and finished are used.

        Raises:
            LedgerError: trial numbers are missing.
        """
        for event in events:
            number = event.trial
            if event.kind == "opened":
                self._foreign = self._other_objectives(event.data.get("spec") or {})
            if number is None:
                continue
            if event.kind == "asked":
                self._replay_asked(number, event.data)
            elif event.kind == "reported" and not event.data.get("repeat"):
                self._replay_reported(number, event.data)
            elif event.kind == "finished":
                self._replay_finished(number, event.data)

    def _other_objectives(self, spec: Mapping[str, Any]) -> bool:
        recorded = objectives_in(spec)
        metrics = [objective.metric for objective in self._search.objectives]
        return bool(recorded) and [objective["metric"] for objective in recorded] != metrics

    def _replay_finished(self, number: int, data: Mapping[str, Any]) -> None:
        if not self._foreign:
            infeasible = data.get("reason") == "infeasible"
            self.tell(number, State(data["state"]), data.get("values"), infeasible)
            return
        self.tell(number, State.FAILED, None)
        self._strangers.add(number)

    def _replay_asked(self, number: int, data: Mapping[str, Any]) -> None:
        if number != self._asked:
            raise LedgerError(f"the ledger has trial {number} where trial {self._asked} should follow")
        for key, value in (data.get("study_attrs") or {}).items():
            self._storage.set_study_system_attr(self._study_id, key, value)
        raw = self._raw(data["params"])
        if raw is None:
            self._strangers.add(number)
            self._study.add_trial(optuna.trial.create_trial(state=TrialState.FAIL))
            self._asked += 1
            return
        self._restore(number, raw, data.get("trial_attrs") or {})
        self._count(data["params"], raw)

    def _restore(self, number: int, raw: dict[str, Any], attrs: Mapping[str, Any]) -> None:
        axes = {name: self._axes[name] for name in raw}
        if not any(key.endswith(":generation") for key in attrs) or self._policy.name != "cmaes":
            running = TrialState.RUNNING
            trial = optuna.trial.create_trial(
                state=running, params=raw, distributions=axes, system_attrs=dict(attrs)
            )
            self._study.add_trial(trial)
            return
        # CMA-ES keeps a pickled optimizer in memory: computed again, never read from a database.
        _ = self._open(number, attrs.get("fixed_params", {})).relative_params
        for name, axis in axes.items():
            self._storage.set_trial_param(self._id(number), name, axis.to_internal_repr(raw[name]), axis)
        self._set_attrs(number, attrs)

    def _replay_reported(self, number: int, data: Mapping[str, Any]) -> None:
        self._record(number, data["step"], data["metrics"])
        if number not in self._strangers:
            self._set_attrs(number, data.get("trial_attrs") or {})
        if data.get("prune"):
            self._condemned.add(number)

    # --- where a point comes from ----------------------------------------------------------

    def _origin(self, number: int) -> tuple[str, dict[str, Any]] | None:
        """The source, "" where the sampler is free, and the parameters that are fixed by it."""
        if number < len(self._search.start_with):
            return "start_with", self._start(self._search.start_with[number])
        if self._grid is not None:
            point = self._grid.point(number)
            return None if point is None else ("grid", point)
        due = self._due()
        return ("", {}) if due is None else ("share", {"trainer": due})

    def _start(self, point: Mapping[str, Any]) -> dict[str, Any]:
        fixed = {name: self._inward(name, value) for name, value in point.items() if name in self._axes}
        conditions = [self._space.params[name].when or {} for name in fixed]
        due = None if self._grid is not None else self._due()
        if due is not None and "trainer" not in fixed and not any("trainer" in when for when in conditions):
            fixed["trainer"] = due
        return fixed

    def _due(self) -> int | None:
        """The trainer, by its position, that must have the next trial to keep its share."""
        names = list(self._search.trainers)
        if len(names) == 1:
            return None
        horizon = min(SHARE_HORIZON_TRIALS, self._search.budget.trials or SHARE_HORIZON_TRIALS)
        return owed([self._by_trainer[name] for name in names], horizon)

    def _starting(self, trial_attrs: Mapping[str, Any], study_attrs: Mapping[str, Any]) -> bool:
        """Whether the sampler was still in its random beginning."""
        name = self._policy.name
        if name == "nsgaii":
            return any(key.endswith(":generation") and value == 0 for key, value in trial_attrs.items())
        if name == "qmc":
            return not study_attrs
        if name not in STARTUP_TRIALS:
            return False
        learnt = self._ended[TrialState.COMPLETE] + (self._ended[TrialState.PRUNED] if name == "tpe" else 0)
        return bool(learnt < self._policy.arguments.get("n_startup_trials", STARTUP_TRIALS[name]))

    # --- to and from Optuna ----------------------------------------------------------------

    def _open(self, number: int, fixed: Mapping[str, Any]) -> optuna.Trial:
        """A new trial of the study, some of whose parameters are fixed (choices by index)."""
        self._study.sampler = make_sampler(self._policy, self._search.seed, number)
        if fixed:
            self._study.enqueue_trial(dict(fixed))
        return self._study.ask()

    def _suggest(self, trial: optuna.Trial) -> tuple[dict[str, Any], dict[str, Any]]:
        """Values by name as the trainer gets them, and as Optuna has them."""
        values: dict[str, Any] = {"trainer": None} if "trainer" in self._axes else {}
        values |= self._space.constants
        raw: dict[str, Any] = {}
        for name, axis in self._axes.items():
            if self._space.active(name, values):
                raw[name] = _drawn(trial, name, axis)
                values[name] = self._outward(name, raw[name])
        return values, raw

    def _outward(self, name: str, raw: Any) -> Any:
        parameter = self._space.params[name]
        if isinstance(parameter, Choice):
            return parameter.options[raw]
        return float(raw) if isinstance(parameter, Float) else int(raw)

    def _inward(self, name: str, value: Any) -> Any:
        parameter = self._space.params[name]
        if isinstance(parameter, Choice):
            return parameter.index(value)
        return float(value) if isinstance(parameter, Float) else int(value)

    def _raw(self, params: Mapping[str, Any]) -> dict[str, Any] | None:
        """Recorded parameters as Optuna has them; None when they are no point of this space."""
        constants = self._space.constants
        raw: dict[str, Any] = {}
        for name, axis in self._axes.items():
            if not self._space.active(name, {**constants, **params}):
                continue
            try:
                raw[name] = self._inward(name, params[name])
                if not axis._contains(axis.to_internal_repr(raw[name])):
                    return None
            except (KeyError, ValueError, TypeError):
                return None
        kept = all(name in params and same(_plain(value), params[name]) for name, value in constants.items())
        return raw if kept and params.keys() == raw.keys() | constants.keys() else None

    def _record(self, number: int, step: int, metrics: Mapping[str, float]) -> bool:
        """Stores the value that pruning looks at; False when there is none, or not the first one."""
        value = metrics.get(self._search.objectives[0].metric)
        if len(self._search.objectives) > 1 or number in self._strangers:
            return False
        if value is None or not math.isfinite(value):
            return False
        trial = self._storage.get_trial(self._id(number))
        if trial.state.is_finished() or step in trial.intermediate_values:
            return False
        self._storage.set_trial_intermediate_value(self._id(number), step, float(value))
        return True

    def _final(self, values: Sequence[float] | None) -> list[float] | None:
        final = [float(value) for value in values or ()]
        finite = len(final) == len(self._search.objectives) and all(map(math.isfinite, final))
        return final if finite else None

    def _count(self, values: Mapping[str, Any], raw: Mapping[str, Any]) -> None:
        self._asked += 1
        self._by_trainer[values.get("trainer", "")] += 1
        if self._grid is not None:
            self._grid.tried(raw)

    def _id(self, number: int) -> int:
        return self._storage.get_trial_id_from_study_id_trial_number(self._study_id, number)

    def _attrs(self, number: int) -> dict[str, Any]:
        return self._storage.get_trial(self._id(number)).system_attrs

    def _set_attrs(self, number: int, attrs: Mapping[str, Any]) -> None:
        for key, value in attrs.items():
            self._storage.set_trial_system_attr(self._id(number), key, value)


def _drawn(trial: optuna.Trial, name: str, axis: BaseDistribution) -> Any:
    if isinstance(axis, CategoricalDistribution):
        return trial.suggest_categorical(name, axis.choices)
    if isinstance(axis, FloatDistribution):
        return trial.suggest_float(name, axis.low, axis.high, step=axis.step, log=axis.log)
    assert isinstance(axis, IntDistribution)
    return trial.suggest_int(name, axis.low, axis.high, step=axis.step, log=axis.log)


def _changed(before: Mapping[str, Any], after: Mapping[str, Any]) -> dict[str, Any]:
    """What was added or changed, but for pickles (CMA-ES), which have no place in a database."""
    return {
        key: value
        for key, value in after.items()
        if ":optimizer:" not in key and (key not in before or before[key] != value)
    }


def _plain(value: Any) -> Any:
    return json.loads(json.dumps(value))
