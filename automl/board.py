"""What a live view shows, kept up to date from events. Knows no terminal and no clock but the monotonic."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from automl.events import Event, State
from automl.results import History, Trial, best_trials
from automl.tables import number, pairs, span, valued
from automl.words import counted

if TYPE_CHECKING:
    from automl.run import Planned

_EPOCHS = ("max_epochs", "epochs")


@dataclass(frozen=True)
class Running:
    """A trial that runs now.

    Args:
        number, trainer, attempt: which one.
        epochs: how many steps it will take, where that is known.
        step: the last that it reported, 0 before the first.
        metrics: of that step.
        since_s: when it began, on the monotonic clock.
    """

    number: int
    trainer: str
    attempt: int
    epochs: int | None
    step: int
    since_s: float
    metrics: Mapping[str, float] = field(default_factory=dict)

    @property
    def progress(self) -> str:
        return f"{self.step}/{self.epochs}" if self.epochs else str(self.step)


@dataclass(frozen=True)
class Snapshot:
    """A moment of the search, safe to read from any thread."""

    name: str
    counts: Mapping[State, int]
    best: Sequence[str]
    running: Sequence[Running]
    budget: str


@dataclass(frozen=True)
class Line:
    """Something worth telling; `loud` even where there is a table that shows the rest."""

    text: str
    loud: bool = False


class Board:
    """Folds events into what is shown. `take` is called on the driver's thread only.

    Args:
        plan: of the search.
        history: kept up to date by the run; read inside `take` alone.
        slots: how many attempts may run at once; 0 where that is not known.
    """

    def __init__(self, plan: Planned, history: History, slots: int) -> None:
        self._search, self._history, self._slots = plan.search, history, slots
        self._objectives = [{"metric": o.metric, "direction": o.direction} for o in plan.search.objectives]
        self._before_s, self._begun_s = history.alive_s, time.monotonic()
        self._begun_done = self._done = _final(history.counts)
        self._counts = dict(history.counts)
        self._running = {t.number: self._runs(t) for t in history.of_state(State.RUNNING)}
        self._front = best_trials(history.trials.values(), self._directions)
        self._code = {
            trial.trainer: attempt.code
            for trial in history.trials.values()
            for attempt in trial.attempts
            if attempt.code
        }
        self._told: set[str] = set()

    @property
    def _directions(self) -> list[str]:
        return [str(o["direction"]) for o in self._objectives]

    def opening(self) -> str:
        """The first line: what is to be done, and what is there already."""
        budget = self._search.budget
        limits = [counted(budget.trials, "trial")] if budget.trials is not None else []
        limits += [span(budget.time_s)] if budget.time_s is not None else []
        before = f"; carries on after {counted(self._done, 'ended trial')}" if self._history.trials else ""
        at_once = f", {self._slots} at once" if self._slots else ""
        return f"{self._search.name}: {' or '.join(limits)}{at_once}{before}"

    def take(self, event: Event) -> list[Line]:
        """Take in an event that the history has already; what of it is worth telling."""
        handler = getattr(self, f"_{event.kind}", None)
        lines: list[Line] = handler(event) if handler else []
        self._counts = dict(self._history.counts)
        self._done = _final(self._counts)
        return lines

    def snapshot(self) -> Snapshot:
        """What is to be shown now. Any thread may call it, behind the lock that guards `take`."""
        return Snapshot(
            self._search.name, self._counts, self._best(), tuple(self._running.values()), self._budget()
        )

    # --- events ----------------------------------------------------------------------------

    def _started(self, event: Event) -> list[Line]:
        trial = self._trial(event)
        epochs = self._epochs(trial)
        step = trial.reports[-1].step if trial.reports else 0
        self._running[trial.number] = Running(
            trial.number, trial.trainer, event.attempt or 1, epochs, step, time.monotonic()
        )
        return self._code_line(trial, event.data.get("code"))

    def _runs(self, trial: Trial) -> Running:
        """A trial that another process had begun when this board was made."""
        attempt, last = trial.attempts[-1], trial.reports[-1] if trial.reports else None
        now_s, begun_s = self._history.sessions[-1].alive_s, attempt.alive_s
        ran_s = 0.0 if now_s is None or begun_s is None else max(0.0, now_s - begun_s)
        running = Running(
            trial.number,
            trial.trainer,
            attempt.number,
            self._epochs(trial),
            last.step if last else 0,
            time.monotonic() - ran_s,
        )
        return replace(running, metrics=last.metrics) if last else running

    def _reported(self, event: Event) -> list[Line]:
        running = self._running.get(event.trial or 0)
        if running:
            self._running[running.number] = replace(
                running, step=event.data["step"], metrics=dict(event.data["metrics"])
            )
        return []

    def _ended(self, event: Event) -> list[Line]:
        self._running.pop(self._trial(event).number, None)
        data = event.data
        if not data.get("again") or data["outcome"] == "stopped":
            return []
        error = f": {data['error']}" if data.get("error") else ""
        return [
            Line(f"trial {event.trial} attempt {event.attempt} {data['outcome']}{error}; it goes on", True)
        ]

    def _finished(self, event: Event) -> list[Line]:
        trial = self._trial(event)
        self._running.pop(trial.number, None)
        best = trial.state is State.COMPLETE and self._enters_front(trial)
        return [Line(self._ended_line(trial, best), loud=trial.state is State.FAILED)]

    def _code_line(self, trial: Trial, code: str | None) -> list[Line]:
        before = self._code.get(trial.trainer)
        if code:
            self._code[trial.trainer] = code
        if not code or not before or code == before or trial.trainer in self._told:
            return []
        self._told.add(trial.trainer)
        what = f"the code of {self._search.trainers[trial.trainer].model} has changed since earlier trials"
        return [Line(f"{what}: their values may not compare", True)]

    # --- what is shown ---------------------------------------------------------------------

    def _trial(self, event: Event) -> Trial:
        assert event.trial is not None
        return self._history.trials[event.trial]

    def _epochs(self, trial: Trial) -> int | None:
        given = {**self._search.trainers[trial.trainer].fit}
        given |= {name.removeprefix("fit."): value for name, value in trial.params.items()}
        return next((int(given[name]) for name in _EPOCHS if isinstance(given.get(name), int)), None)

    def _enters_front(self, trial: Trial) -> bool:
        self._front = best_trials([*self._front, trial], self._directions)
        return trial in self._front

    def _ended_line(self, trial: Trial, best: bool) -> str:
        if trial.state is State.COMPLETE:
            said = valued(self._objectives, trial.values) + (" (best)" if best else "")
        elif trial.state is State.PRUNED:
            step = f"at step {trial.reports[-1].step}" if trial.reports else ""
            said = f"{step} {self._last(trial)}".strip()
        else:
            said = trial.error or trial.reason or ""
        return f"trial {trial.number} {trial.state} {said} {span(trial.seconds)}"

    def _last(self, trial: Trial) -> str:
        metric = str(self._objectives[0]["metric"])
        seen = [report.metrics[metric] for report in trial.reports if metric in report.metrics]
        return f"{metric}={number(seen[-1])}" if seen else ""

    def _best(self) -> list[str]:
        if len(self._objectives) > 1 and len(self._front) > 3:
            return [f"{counted(len(self._front), 'trial')} on the Pareto front"]
        return [
            f"trial {trial.number}  {valued(self._objectives, trial.values)}  {pairs(trial.params)}"
            for trial in self._front
        ]

    def _budget(self) -> str:
        budget = self._search.budget
        here_s = time.monotonic() - self._begun_s
        used_s = self._before_s + here_s
        parts, left = [], []
        if budget.trials is not None:
            parts.append(f"trials {self._done}/{budget.trials}")
            if (done := self._done - self._begun_done) > 0:
                left.append(here_s / done * max(0, budget.trials - self._done))
        parts.append(f"time {span(used_s)}" + (f" of {span(budget.time_s)}" if budget.time_s else ""))
        if budget.time_s is not None:
            left.append(max(0.0, budget.time_s - used_s))
        return "  ".join(parts) + (f"  about {span(min(left))} left" if left else "")


def _final(counts: Mapping[State, int]) -> int:
    return sum(count for state, count in counts.items() if state.final)
