"""What a search must be after any history, as plain dictionaries: the reference of test_model.py.

Knows no SQL, no Optuna and no code of the package: it is CONTRACT's "a trial's life" written down once more.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

LOST_MOST = 10
MACHINE = ("machine", "hang")
INFEASIBLE_TIMES = 4


@dataclass
class Known:
    """What is known of one trial."""

    params: dict[str, Any]
    state: str = "WAITING"
    values: dict[int, tuple[float, ...]] = field(default_factory=dict)
    outcomes: list[str | None] = field(default_factory=list)
    causes: list[str | None] = field(default_factory=list)
    places: list[str | None] = field(default_factory=list)
    checkpoint: int = 0
    worth: list[float] | None = None

    @property
    def step(self) -> int:
        return max(self.values, default=0)


@dataclass(frozen=True)
class Rules:
    """The part of a search that the reference looks at; `objectives` is how many, all minimized."""

    trials: int
    retries: int
    slots: int
    objectives: int = 1
    target: float | None = None
    patience: int | None = None
    failures: int = 10**6
    divisible: bool = False


class Reference:
    """Trials by number, and every fact that the ledger must hold as (kind, trial, attempt)."""

    def __init__(self, rules: Rules) -> None:
        self.rules = rules
        self.trials: dict[int, Known] = {}
        self.facts: list[tuple[str, int | None, int | None]] = []
        self.ended: list[tuple[int, str | None]] = []
        self.out: dict[int, int] = {}
        self.stopping = self.exhausted = False
        self.reached: int | None = None

    # --- drivers ---------------------------------------------------------------------------

    def open(self, rules: Rules) -> None:
        """A driver begins; what ran under the one before goes back to WAITING."""
        self.rules, self.out, self.reached = rules, {}, None
        self.exhausted = False
        self.facts.append(("opened", None, None))
        for number, trial in self.trials.items():
            if trial.state == "RUNNING":
                self._again(number, "lost", "driver")
        worths = [self.trials[number].worth for number, _ in self.ended]
        self.stopping = any(worth and self._on_target(tuple(worth)) for worth in worths)
        self._look_at_patience()

    def close(self) -> None:
        """A clean stop: what still runs is cut off."""
        self.stopping = True
        for number in list(self.out):
            if self.trials[number].state == "RUNNING":
                self._again(number, "stopped", None)
        self.facts.append(("closed", None, None))

    # --- attempts --------------------------------------------------------------------------

    @property
    def waiting(self) -> set[int]:
        return {n for n, trial in self.trials.items() if trial.state == "WAITING" and n not in self.out}

    @property
    def room(self) -> bool:
        busy = len(self.out)
        return not self.stopping and busy < self.rules.slots and len(self.ended) + busy < self.rules.trials

    @property
    def done(self) -> bool:
        full = len(self.ended) >= self.rules.trials
        return not self.out and (self.stopping or full or (not self.waiting and self.exhausted))

    def asked(self, number: int, params: dict[str, Any]) -> None:
        assert number == len(self.trials), "numbers have no gaps"
        self.trials[number] = Known(params)
        self.facts.append(("asked", number, None))

    def given(self, number: int) -> int:
        """An attempt goes out; its number."""
        self.out[number] = len(self.trials[number].outcomes) + 1
        return self.out[number]

    def started(self, number: int) -> None:
        trial = self.trials[number]
        if len(trial.outcomes) < self.out[number]:
            trial.outcomes.append(None)
            trial.causes.append(None)
            trial.places.append(None)
            trial.state = "RUNNING"
            self.facts.append(("started", number, self.out[number]))

    def reported(self, number: int, step: int, values: tuple[float, ...], prune: bool) -> str:
        """What the worker must be told."""
        self.started(number)
        trial = self.trials[number]
        self.facts.append(("reported", number, self.out[number]))
        go_on = "stop" if self.stopping else "go"
        if step in trial.values:
            return go_on
        trial.values[step] = values
        if any(value != value for value in values):
            self._finish(number, "FAILED", "failed", "nan")
            return "end"
        if prune:
            self._finish(number, "PRUNED", "pruned", None)
            return "end"
        if not self.stopping and self._on_target(values):
            self.stopping, self.reached = True, number
            return "finish"
        return go_on

    def checkpointed(self, number: int) -> None:
        self.started(number)
        trial = self.trials[number]
        trial.checkpoint = trial.step
        self.facts.append(("checkpointed", number, self.out[number]))

    def over(self, number: int, outcome: str, cause: str | None = None, place: str | None = None) -> None:
        """An attempt ended by itself."""
        self.started(number)
        trial = self.trials[number]
        again = place is not None and place in trial.places
        trial.places[-1] = place
        if outcome == "complete" or number == self.reached:
            self._complete(number, outcome)
        elif outcome == "pruned":
            self._finish(number, "PRUNED", "pruned", None)
        elif not (cause in MACHINE and again) and self._may_go_on(trial, outcome, cause):
            self._again(number, outcome, cause)
        else:
            infeasible = "infeasible" if cause == "memory" else None
            self._finish(number, "FAILED", outcome, cause, infeasible or ("code" if again else cause))

    def _may_go_on(self, trial: Known, outcome: str, cause: str | None) -> bool:
        if outcome == "lost":
            nodes = [c != "driver" for o, c in zip(trial.outcomes, trial.causes, strict=True) if o == "lost"]
            return sum(nodes) < LOST_MOST
        if cause in MACHINE:
            return sum(each in MACHINE for each in trial.causes) < self.rules.retries
        if cause == "memory":
            return self.rules.divisible and "memory" not in trial.causes
        return outcome == "stopped"

    def _complete(self, number: int, outcome: str) -> None:
        trial = self.trials[number]
        if not trial.values:
            self._finish(number, "FAILED", "failed", "missing")
            return
        trial.worth = list(trial.values[trial.step])
        self._finish(number, "COMPLETE", outcome, None)
        self.stopping = self.stopping or self._on_target(tuple(trial.worth))

    # --- ends ------------------------------------------------------------------------------

    def _again(self, number: int, outcome: str, cause: str | None) -> None:
        self._over(number, outcome, cause)
        self.trials[number].state = "WAITING"

    def _over(self, number: int, outcome: str, cause: str | None) -> None:
        trial = self.trials[number]
        trial.outcomes[-1], trial.causes[-1] = outcome, cause
        self.facts.append(("ended", number, len(trial.outcomes)))
        self.out.pop(number, None)

    def _finish(
        self, number: int, state: str, outcome: str, cause: str | None, reason: str | None = None
    ) -> None:
        self._over(number, outcome, cause)
        self.trials[number].state = state
        self.facts.append(("finished", number, None))
        self.ended.append((number, (reason or cause or outcome) if state == "FAILED" else None))
        self._look_at_patience()
        self._look_at_failures()

    def _look_at_failures(self) -> None:
        reasons = [reason for _, reason in self.ended]
        counted = [reason for reason in reasons if reason != "infeasible"]
        if None in reasons:
            return
        if not counted:
            self.stopping = self.stopping or len(reasons) == self.rules.failures * INFEASIBLE_TIMES
        elif len(counted) == self.rules.failures and reasons[-1] != "infeasible":
            self.stopping = self.stopping or len(set(counted)) == 1

    def _on_target(self, values: tuple[float, ...]) -> bool:
        return self.rules.target is not None and values[0] <= self.rules.target

    def _look_at_patience(self) -> None:
        best, since = float("inf"), 0
        for number, _ in self.ended:
            worth = self.trials[number].worth
            better = worth is not None and worth[0] < best
            best, since = (worth[0], 0) if better and worth else (best, since + 1)
        if self.rules.patience is not None and since >= self.rules.patience:
            self.stopping = True
