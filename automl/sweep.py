"""Which files of ended trials stay, and the thread that removes the others. Knows no ledger."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import NamedTuple

from automl import storage
from automl.results import History, Trial, dominates
from automl.search import Search

Remove = Callable[[], object]


class _Kept(NamedTuple):
    costs: list[float]
    number: int
    weights: str


class Sweep:
    """Forgets checkpoints of ended trials, and weights that are no longer among the best.

    Of the weights those of the best `keep` trials stay; with several objectives those of the Pareto
    front, however many.

    Args:
        search: its name, objectives and `keep` are used.
        place: the storage, a local folder or fsspec URL.
        away: whether the ledger cannot be reached just now. Until it has the end of a trial, that trial
            may have to go on: nothing is removed.
    """

    def __init__(self, search: Search, place: str, away: Callable[[], bool] = lambda: False) -> None:
        self._search, self._place, self._away = search, place, away
        self._thread = ThreadPoolExecutor(1, "automl-sweep")
        self._later: list[Remove] = []
        self._kept: list[_Kept] = []

    def recall(self, ended: Iterable[Trial], swept: bool) -> None:
        """Trials that earlier drivers ended.

        Args:
            ended: all of them.
            swept: whether the last driver swept after itself; if not, it is done now, on the thread.
        """
        # What the changed search has no place for may be wanted again: it stays as it is.
        mine = [trial for trial in ended if trial.told is None or trial.values is not None]
        for trial in mine:
            self._rank(trial)
        if swept:
            return
        stay = {kept.number: storage.last_part(kept.weights) for kept in self._kept}
        self._do(partial(self._sweep, {trial.number for trial in mine}, stay))

    def after(self, trial: Trial) -> None:
        """A trial has just ended."""
        url = storage.trial_url(self._place, self._search.name, trial.number)
        # An attempt that died may have written what it could not tell of any more.
        untold = len(trial.attempts) > 1 or any(a.outcome != "complete" for a in trial.attempts)
        if trial.checkpoint or untold:
            self._do(partial(storage.forget, url, "checkpoint"))
        if trial.values is None and (trial.weights or untold):
            self._do(partial(storage.forget, url, "weights"))
        for weights in self._rank(trial):
            self._do(partial(storage.remove, weights))

    def left(self, number: int) -> None:
        """What a trial that was told its end has brought to the storage since: nothing of it stays."""
        url = storage.trial_url(self._place, self._search.name, number)
        for kind in ("checkpoint", "weights"):
            self._do(partial(storage.forget, url, kind))

    @property
    def floor(self) -> float | None:
        """What a value has to beat or equal for its weights to stay; None where any may yet stay."""
        objective = self._search.objectives[0]
        if len(self._search.objectives) > 1 or len(self._kept) < self._search.keep:
            return None
        cost = self._kept[-1].costs[0]
        return -cost if objective.direction == "maximize" else cost

    def go_on(self) -> None:
        """Remove what had to stay while the ledger was away, if it is back."""
        while self._later and not self._away():
            self._thread.submit(self._later.pop(0))

    def finish(self) -> None:
        """Wait until all that may go is removed."""
        self.go_on()
        self._thread.shutdown(wait=True)

    def finish_late(self) -> None:
        """After `finish`, once the ledger is back: remove what had to stay."""
        while self._later and not self._away():
            with contextlib.suppress(Exception):  # as on the thread: what should go may stay
                self._later.pop(0)()

    def abandon(self) -> None:
        """Remove nothing any more: the search is another driver's."""
        self._later.clear()
        self._thread.shutdown(wait=False, cancel_futures=True)

    def _do(self, remove: Remove) -> None:
        self._later.append(remove)
        self.go_on()

    def _sweep(self, ended: set[int], stay: dict[int, str]) -> None:
        """One look at the whole storage, whatever it holds of ended trials."""
        for number, place in storage.held(self._place, self._search.name):
            if number in ended and storage.last_part(place) != stay.get(number):
                storage.remove(place)

    def _rank(self, trial: Trial) -> list[str]:
        """The weights that a COMPLETE trial pushes out, its own perhaps."""
        if not trial.weights or trial.values is None:
            return []
        pairs = zip(self._search.objectives, trial.values, strict=True)
        costs = [-value if objective.direction == "maximize" else value for objective, value in pairs]
        new = _Kept(costs, trial.number, trial.weights)
        among = sorted([*self._kept, new])
        if len(costs) == 1:
            self._kept = among[: self._search.keep]
        elif not any(dominates(other.costs, costs) for other in self._kept):
            # What is kept is a front already: only the new one may push others out.
            self._kept = [each for each in among if not dominates(costs, each.costs)]
        stay = {kept.number for kept in self._kept}
        return [each.weights for each in among if each.number not in stay]


def swept(history: History) -> bool:
    """Whether the driver before this one came to its end, with the same search: then it swept."""
    drivers = history.sessions[-2:]
    if len(drivers) < 2:
        return True
    before, now = drivers
    orderly = before.closed is not None and before.closed.get("state") != "LOST"
    orderly = orderly and (before.closed or {}).get("swept", True)
    return orderly and before.data.get("spec") == now.data.get("spec")
