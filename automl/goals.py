"""Whether a search has what it wanted, will soon, or never: target, patience, pace, failures alike.

Arithmetic on trials that have ended; knows no ledger and no engine.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from automl import retries
from automl.events import State
from automl.results import Trial
from automl.search import Search

# So long before its end a search is nearly over: what packs the winner imports about that long, with the
# little of the processor that trials leave.
NEARLY_S = 30.0


class Goals:
    """Keeps count of a search's ended trials.

    Args:
        search: its objectives and budget are used.
    """

    def __init__(self, search: Search) -> None:
        self._objectives, self._budget = search.objectives, search.budget
        self._since_best = 0
        self._front: list[list[float]] = []

    def note(self, trial: Trial) -> None:
        """A trial has ended; one that none before it equals or beats starts the count anew."""
        self._since_best += 1
        if trial.state is not State.COMPLETE or trial.values is None:
            return
        costs = self._costs(trial.values)
        if any(_no_worse(other, costs) for other in self._front):
            return
        self._front = [costs, *(other for other in self._front if not _no_worse(costs, other))]
        self._since_best = 0

    @property
    def out_of_patience(self) -> bool:
        """Whether `budget.patience` trials have ended without a better best."""
        return self._budget.patience is not None and self._since_best >= self._budget.patience

    @property
    def any_target(self) -> bool:
        """Whether a trial may reach one."""
        return any(objective.target is not None for objective in self._objectives)

    def reached(self, metrics: Mapping[str, float]) -> bool:
        """Whether metrics reach every target that there is."""
        return self.any_target and all(
            o.metric in metrics and not o.better(o.target, metrics[o.metric])
            for o in self._objectives
            if o.target is not None
        )

    def reached_by(self, trial: Trial) -> bool:
        """Whether an ended trial's values do."""
        if trial.values is None:
            return False
        return self.reached({o.metric: v for o, v in zip(self._objectives, trial.values, strict=True)})

    def nearly_over(self, ended: int, alive_s: float) -> bool:
        """Whether the budget lasts for NEARLY_S only, at the pace so far.

        Args:
            ended: trials that have ended.
            alive_s: seconds that drivers were alive for them.
        """
        most, limit_s = self._budget.trials, self._budget.time_s
        by_time = limit_s is not None and limit_s - alive_s <= NEARLY_S
        return by_time or (most is not None and alive_s * (most - ended) <= NEARLY_S * ended)

    def hopeless(self, ended: Sequence[Trial]) -> str | None:
        """Why there is a reason, and not bad luck, when the first trials all failed; see `retries`."""
        in_order = sorted(ended, key=lambda trial: trial.ended_nth)
        return retries.give_up(in_order, self._budget.failures)

    def _costs(self, values: Sequence[float]) -> list[float]:
        pairs = zip(self._objectives, values, strict=True)
        return [-value if objective.direction == "maximize" else value for objective, value in pairs]


def _no_worse(left: Sequence[float], right: Sequence[float]) -> bool:
    return all(a <= b for a, b in zip(left, right, strict=True))
