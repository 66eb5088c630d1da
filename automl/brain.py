"""Optuna, asked and told, and rebuilt from events. Knows no database, no engine and no tracker.

The study lives in memory. Everything in it is a function of the events that were appended to the
ledger: parameters, intermediate values, states, and the system attributes that Optuna's samplers
and pruners wrote, which travel in `asked` and `reported` events. So a brain that replayed a ledger
suggests and prunes exactly as the one that wrote it would have gone on to.

What to try next is thought out on a snapshot (thought.py), in any thread, and then taken, by the
very path that a replay takes. With thought.py, points.py and samplers.py the only door to Optuna.
"""

from __future__ import annotations

import math
from collections import Counter, deque
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import optuna
from optuna.trial import TrialState

from automl.errors import LedgerError
from automl.events import Event, State
from automl.grid import Grid
from automl.points import Points, plain
from automl.results import objectives_in
from automl.samplers import (
    LEARNS_CONSTRAINTS,
    MEMORY_CONSTRAINT,
    SHARE_HORIZON_TRIALS,
    Pruning,
    make_sampler,
    owed,
    resolve_sampler,
)
from automl.search import Search
from automl.startup import Known, indifferent, starting, startup_trials
from automl.thinning import selection
from automl.thought import Asked, Memory, Thought, changed, pickled_again

TOLD = {State.COMPLETE: TrialState.COMPLETE, State.PRUNED: TrialState.PRUNED, State.FAILED: TrialState.FAIL}


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
        self._points = Points(search)
        self._policy = resolve_sampler(search)
        self._pruning = Pruning(search)
        self._grid = Grid(search.full_space.params, search.seed) if self._policy.name == "grid" else None
        signs = [-1.0 if objective.direction == "maximize" else 1.0 for objective in search.objectives]
        self._storage = Memory(selection(self._policy.name, signs, startup_trials(self._policy)))
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
        self._open: set[int] = set()
        self._first_learnt: int | None = None
        self._condemned: set[int] = set()
        self._strangers: set[int] = set()
        self._foreign = False
        self._late: dict[int, tuple[dict[int, float], dict[str, Any]]] = {}

    # --- live ------------------------------------------------------------------------------

    def ask(self, number: int) -> Asked | None:
        """The next point to try, for those who do not mind to wait for it.

        Args:
            number: the new trial's number, which is how many were asked before.

        Returns:
            the point; None when nothing is left to try (a grid is exhausted).
        """
        asked = self.thought(number)()
        if asked is not None:
            self.take(number, asked)
        return asked

    def thought(self, number: int) -> Thought:
        """What to try next, to be thought out on the study as it is now.

        Call the thought where it blocks nobody: it touches nothing of this brain. One at a time:
        the next one has to know what this one asked for.

        Args:
            number: the new trial's number, which is how many were asked before.
        """
        self._ensure_next(number)
        source, fixed = self._origin(number)
        return Thought(
            points=self._points,
            memory=self._storage.snapshot(),
            sampler=make_sampler(self._policy, self._search.seed, number),
            name=self._policy.name,
            number=number,
            source=source,
            fixed=fixed,
            starting=partial(starting, self._policy, self._known()),
        )

    def take(self, number: int, asked: Asked) -> None:
        """Put a point that was thought out into the study, as a replay of its event does.

        Args:
            number: the one that was thought about; nothing was taken in between.
            asked: what the thought returned.
        """
        self._ensure_next(number)
        self._put(number, plain(asked.facts()), asked.pickled)

    def indifferent(self, number: int) -> bool:
        """Whether what is asked for next is the same however the trials that are open go on.

        Args:
            number: the new trial's number, which is how many were asked before.
        """
        self._ensure_next(number)
        source, fixed = self._origin(number)
        settled = source is None or (bool(fixed) and self._points.settled(fixed))
        return settled or indifferent(self._policy, self._known(), self._points.conditional)

    def _ensure_next(self, number: int) -> None:
        if number != self._asked:
            raise ValueError(f"trial {number} asked, but {self._asked} is next")

    def _known(self) -> Known:
        first = self._first_learnt
        settled = first is not None and all(first < number for number in self._open)
        complete, pruned = self._ended[TrialState.COMPLETE], self._ended[TrialState.PRUNED]
        return Known(complete, pruned, len(self._open), settled)

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
        return Verdict(number in self._condemned, changed(before, self._attrs(number)))

    @property
    def judged(self) -> tuple[int, ...] | None:
        """The steps at which a trial may be pruned, as far as is known now; None: at any."""
        return self._pruning.judged

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
        steps = self._storage.end(number, told, final)
        self._ended[told] += 1
        self._open.discard(number)
        if told is not TrialState.FAIL:
            self._first_learnt = min(number, self._first_learnt if self._first_learnt is not None else number)
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
        events = list(events)
        snapshots = self._seen_by_asks(events)
        for event, seen in zip(events, snapshots, strict=True):
            number = event.trial
            if event.kind == "opened":
                self._foreign = self._other_objectives(event.data.get("spec") or {})
            if number is None:
                continue
            if event.kind == "asked":
                self._replay_asked(number, event.data, seen)
            elif event.kind == "reported" and not event.data.get("repeat"):
                self._replay_reported(number, event.data)
            elif event.kind == "finished":
                self._replay_finished(number, event.data)
        self._catch_up()

    def _seen_by_asks(self, events: Sequence[Event]) -> Iterator[Memory | None]:
        """Event by event, while they are replayed: the study that it was thought out on, if an older one.

        Only CMA-ES, which is computed again, has to know.
        """
        asks = [event for event in events if event.kind == "asked" and "seen" in event.data]
        ahead = deque(sorted(event.data["seen"] for event in asks if self._policy.name == "cmaes"))
        kept: dict[int, Memory] = {}
        for event in events:
            while ahead and ahead[0] < event.n:
                self._catch_up()
                kept[ahead.popleft()] = self._storage.snapshot()
            yield kept.pop(event.data.get("seen", 0), None) if event.kind == "asked" else None

    def _other_objectives(self, spec: Mapping[str, Any]) -> bool:
        recorded = objectives_in(spec)
        metrics = [objective.metric for objective in self._search.objectives]
        return bool(recorded) and [objective["metric"] for objective in recorded] != metrics

    def _replay_finished(self, number: int, data: Mapping[str, Any]) -> None:
        if number in self._late:
            self._storage.write(number, *self._late.pop(number))
        if not self._foreign:
            infeasible = data.get("reason") == "infeasible"
            self.tell(number, State(data["state"]), data.get("values"), infeasible)
            return
        self.tell(number, State.FAILED, None)
        self._strangers.add(number)

    def _replay_asked(self, number: int, data: Mapping[str, Any], seen: Memory | None) -> None:
        if number != self._asked:
            raise LedgerError(f"the ledger has trial {number} where trial {self._asked} should follow")
        attrs = data.get("trial_attrs") or {}
        pickled: Mapping[str, Any] = {}
        if self._policy.name == "cmaes" and any(key.endswith(":generation") for key in attrs):
            # CMA-ES keeps a pickled optimizer: computed again, never read from a database.
            sampler = make_sampler(self._policy, self._search.seed, number)
            self._catch_up()
            memory = seen or self._storage.snapshot()
            pickled = pickled_again(memory, sampler, attrs.get("fixed_params", {}))
        self._put(number, data, pickled)

    def _put(self, number: int, data: Mapping[str, Any], pickled: Mapping[str, Any]) -> None:
        """A point that was asked for, into the study: the one way in, live and replayed."""
        for key, value in (data.get("study_attrs") or {}).items():
            self._storage.set_study_system_attr(self._study_id, key, value)
        self._asked += 1
        raw = self._points.raw(data["params"])
        if raw is None:
            self._strangers.add(number)
            self._storage.put(optuna.trial.create_trial(state=TrialState.FAIL))
            return
        trial = optuna.trial.create_trial(
            state=TrialState.RUNNING,
            params=raw,
            distributions={name: self._points.axes[name] for name in raw},
            system_attrs={**(data.get("trial_attrs") or {}), **pickled},
        )
        self._storage.put(trial)
        self._open.add(number)
        self._by_trainer[data["params"].get("trainer", "")] += 1
        if self._grid is not None:
            self._grid.tried(raw)

    def _replay_reported(self, number: int, data: Mapping[str, Any]) -> None:
        if data.get("prune"):
            self._condemned.add(number)
        if number not in self._open:
            return
        values, attrs = self._late.setdefault(number, ({}, {}))
        attrs.update(data.get("trial_attrs") or {})
        value = self._looked_at(data["metrics"])
        if value is not None:
            values.setdefault(data["step"], value)

    def _catch_up(self) -> None:
        """Into the study with what replayed trials reported, which nothing looks at before they end."""
        for number, (values, attrs) in self._late.items():
            self._storage.write(number, values, attrs)
        self._late.clear()

    # --- where a point comes from ----------------------------------------------------------

    def _origin(self, number: int) -> tuple[str | None, dict[str, Any]]:
        """The source, "" where the sampler is free, None where no point is left; and what it fixes."""
        if number < len(self._search.start_with):
            return "start_with", self._start(self._search.start_with[number])
        if self._grid is not None:
            point = self._grid.point(number)
            return (None, {}) if point is None else ("grid", point)
        due = self._due()
        return ("", {}) if due is None else ("share", {"trainer": due})

    def _start(self, point: Mapping[str, Any]) -> dict[str, Any]:
        fixed = self._points.fixed(point)
        due = None if self._grid is not None else self._due()
        if due is not None and self._points.wants_trainer(fixed):
            fixed["trainer"] = due
        return fixed

    def _due(self) -> int | None:
        """The trainer, by its position, that must have the next trial to keep its share."""
        names = list(self._search.trainers)
        if len(names) == 1:
            return None
        horizon = min(SHARE_HORIZON_TRIALS, self._search.budget.trials or SHARE_HORIZON_TRIALS)
        return owed([self._by_trainer[name] for name in names], horizon)

    # --- to Optuna -------------------------------------------------------------------------

    def _record(self, number: int, step: int, metrics: Mapping[str, float]) -> bool:
        """Stores the value that pruning looks at; False when there is none, or not the first one."""
        value = self._looked_at(metrics)
        if value is None or number not in self._open:
            return False
        if step in self._storage.get_trial(self._id(number)).intermediate_values:
            return False
        self._storage.write(number, {step: value}, {})
        return True

    def _looked_at(self, metrics: Mapping[str, float]) -> float | None:
        value = metrics.get(self._search.objectives[0].metric)
        if len(self._search.objectives) > 1 or value is None or not math.isfinite(value):
            return None
        return float(value)

    def _final(self, values: Sequence[float] | None) -> list[float] | None:
        final = [float(value) for value in values or ()]
        finite = len(final) == len(self._search.objectives) and all(map(math.isfinite, final))
        return final if finite else None

    def _id(self, number: int) -> int:
        return self._storage.get_trial_id_from_study_id_trial_number(self._study_id, number)

    def _attrs(self, number: int) -> dict[str, Any]:
        return self._storage.get_trial(self._id(number)).system_attrs
