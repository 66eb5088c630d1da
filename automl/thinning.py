"""Which ended trials a sampler is shown when there are very many. Knows no study and no events.

What an ask costs grows with what the sampler looks at: TPE's with each trial, the Gaussian process's
with the cube, and all of them look for the space that the trials have in common. So each sampler has a
selection, kept up to date as trials end, in the order in which they do: picking what to show takes as
long with a hundred thousand trials as with a thousand. TPE and the Gaussian process lose by it what
`benchmarks/thinning.py` measures. The others lose nothing: they are shown all that they would look at.
Trials that run are always shown. With thought.py one of the doors to Optuna.
"""

from __future__ import annotations

from bisect import bisect_left, insort
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import partial
from itertools import accumulate, chain
from typing import Any

from optuna.study._multi_objective import _fast_non_domination_rank
from optuna.trial import FrozenTrial, TrialState

from automl.samplers import MEMORY_CONSTRAINT

# The most ended trials that a sampler is shown, of those that learn from all.
MOST_TRIALS: Mapping[str, int] = {"tpe": 600, "gp": 200}
# TPE takes the best 25 for good ones (with several objectives the best tenth), pruned ones where too few
# are COMPLETE, infeasible ones last; twice as many are kept, should some have other parameters.
BEST_TRIALS = 50
# Of several objectives the best are looked for among so many, and those that ended since there were twice
# as many: the foremost fronts of all. What is behind them comes back only where they are overtaken.
POOL_TRIALS = 600
ENDED = (TrialState.COMPLETE, TrialState.PRUNED)
# How Optuna's CMA-ES and NSGA-II name what they write about trials and the study.
GENERATION, OPTIMIZER, PARENTS = ":generation", ":optimizer:", ":parent:"


Numbers = Iterable[int]


class Selection:
    """What a sampler is shown of the trials that have ended; of this one nothing, it looks at none."""

    def ended(self, trial: FrozenTrial) -> None:
        """Take in a trial that is COMPLETE or PRUNED; each once, in the order in which they ended."""

    def glimpse(self, study_attrs: Mapping[str, Any]) -> Callable[[], Numbers]:
        """What is shown as things are now; worked out by whoever calls it, in any thread.

        Args:
            study_attrs: what the sampler wrote about the study.

        Returns:
            numbers of trials, in no order, some perhaps twice.
        """
        return tuple


def selection(sampler: str, signs: Sequence[float], startup_trials: int) -> Selection:
    """The selection for a sampler.

    Args:
        sampler: its name.
        signs: for each objective, -1 where it is maximized, else 1.
        startup_trials: how many trials must have ended before it begins to learn.
    """
    if sampler in MOST_TRIALS:
        return Ranked(sampler, signs[0]) if len(signs) == 1 else Fronts(sampler, signs)
    if sampler == "cmaes":
        return Optimized(startup_trials)
    return {"nsgaii": Bred, "qmc": First}.get(sampler, Selection)()


class Ranked(Selection):
    """The best, and of the rest an even selection over the whole history.

    So those that were pruned or infeasible, and the old and new ones, which TPE weighs by age, keep
    their proportions.
    """

    def __init__(self, sampler: str, sign: float) -> None:
        self._sampler, self._sign = sampler, sign
        self._kinds: tuple[list[int], ...] = ([], [], [])  # COMPLETE, PRUNED, infeasible; numbers in order
        self._complete: list[tuple[float, ...]] = []
        self._behind: list[tuple[float, ...]] = []

    def ended(self, trial: FrozenTrial) -> None:
        insort(self._kinds[_kind(trial)], trial.number)
        self._rank(trial)

    def glimpse(self, study_attrs: Mapping[str, Any]) -> Callable[[], Numbers]:
        most = MOST_TRIALS[self._sampler]
        kinds = [list(kind) for kind in self._kinds]
        if sum(map(len, kinds)) <= most:
            return partial(chain, *kinds)
        return partial(_shown, kinds, self._best(most), most)

    def _rank(self, trial: FrozenTrial) -> None:
        if trial.state is TrialState.COMPLETE:
            _keep(self._complete, (self._sign * trial.values[0], trial.number))
        else:
            _keep(self._behind, (*_behind(trial, self._sign), trial.number))

    def _best(self, most: int) -> Callable[[], set[int]]:
        """The best trials, in the order in which TPE takes them for good ones."""
        best = [*self._complete, *self._behind[: BEST_TRIALS - len(self._complete)]]
        return lambda: {int(number) for *_, number in best}


class Fronts(Ranked):
    """The same for several objectives: the best are the front, and those behind it until there are enough."""

    def __init__(self, sampler: str, signs: Sequence[float]) -> None:
        super().__init__(sampler, signs[0])
        self._signs = signs
        self._pool: dict[int, list[float]] = {}

    def _rank(self, trial: FrozenTrial) -> None:
        if trial.state is not TrialState.COMPLETE:
            return
        signed = zip(self._signs, trial.values, strict=True)
        self._pool[trial.number] = [sign * value for sign, value in signed]
        if len(self._pool) > 2 * POOL_TRIALS:
            foremost = _foremost(self._pool, POOL_TRIALS, POOL_TRIALS)
            self._pool = {number: self._pool[number] for number in foremost}

    def _best(self, most: int) -> Callable[[], set[int]]:
        return partial(_foremost, dict(self._pool), min(2 * BEST_TRIALS, most // 2), most // 2)


class _Common(Selection):
    """A trial of each state with each set of parameters: they have in common what all trials have."""

    def __init__(self) -> None:
        self._spaces: dict[tuple[TrialState, frozenset[str]], int] = {}
        self._generations: dict[int, list[int]] = {}

    def ended(self, trial: FrozenTrial) -> None:
        self._spaces.setdefault((trial.state, frozenset(trial.params)), trial.number)
        self._generations.setdefault(_generation(trial), []).append(trial.number)

    def _of(self, generations: Iterable[int]) -> Iterator[int]:
        return chain(*(self._generations.get(generation, ()) for generation in generations))


class Optimized(_Common):
    """What CMA-ES looks at: the newest trial that carries an optimizer, and the generation that it awaits."""

    def __init__(self, startup_trials: int) -> None:
        super().__init__()
        self._startup_trials = startup_trials
        self._first: dict[TrialState, list[int]] = {state: [] for state in ENDED}
        # Of each state, whichever the sampler considers: the number, and what its optimizer awaits.
        self._newest: dict[TrialState, tuple[int, int]] = dict.fromkeys(ENDED, (-1, 0))

    def ended(self, trial: FrozenTrial) -> None:
        super().ended(trial)
        if trial.state is TrialState.PRUNED and not trial.intermediate_values:
            return  # it has no value, and is passed over
        if len(first := self._first[trial.state]) < self._startup_trials:
            first.append(trial.number)
        if any(OPTIMIZER in key for key in trial.system_attrs):
            found = (trial.number, _generation(trial))
            self._newest[trial.state] = max(found, self._newest[trial.state])

    def glimpse(self, study_attrs: Mapping[str, Any]) -> Callable[[], Numbers]:
        carriers = [number for number, _ in self._newest.values() if number >= 0]
        awaited = {generation for _, generation in self._newest.values()}
        shown = [*self._spaces.values(), *chain(*self._first.values()), *carriers, *self._of(awaited)]
        return lambda: shown


class Bred(_Common):
    """What NSGA-II looks at: the newest generations, and the parents that it chose for them."""

    def ended(self, trial: FrozenTrial) -> None:
        if trial.state is TrialState.COMPLETE:
            super().ended(trial)

    def glimpse(self, study_attrs: Mapping[str, Any]) -> Callable[[], Numbers]:
        newest = max(self._generations, default=0)
        near = range(newest - 1, newest + 2)
        chosen = [
            study_attrs[key] for key in study_attrs if PARENTS in key and int(key.rpartition(":")[2]) in near
        ]
        shown = [*self._spaces.values(), *self._of(near), *chain(*chosen)]
        return lambda: shown


class First(Selection):
    """What quasi-random numbers look at: the first trial, for its parameters."""

    def __init__(self) -> None:
        self._first: list[int] = []

    def ended(self, trial: FrozenTrial) -> None:
        self._first = [min(*self._first, trial.number)] if self._first else [trial.number]

    def glimpse(self, study_attrs: Mapping[str, Any]) -> Callable[[], Numbers]:
        return partial(tuple, self._first)


def _kind(trial: FrozenTrial) -> int:
    if trial.state is TrialState.COMPLETE:
        return 0
    return 2 if MEMORY_CONSTRAINT in trial.system_attrs else 1


def _generation(trial: FrozenTrial) -> int:
    found = [value for key, value in trial.system_attrs.items() if key.endswith(GENERATION)]
    return int(found[0]) if found else -1


def _behind(trial: FrozenTrial, sign: float) -> tuple[float, float, float]:
    """Where a trial stands that is not COMPLETE: infeasible ones last, then by how far it came."""
    step = trial.last_step
    if MEMORY_CONSTRAINT in trial.system_attrs:
        return 1, 0, 0
    return (0, 1, 0) if step is None else (0, -step, sign * trial.intermediate_values[step])


def _keep(best: list[tuple[float, ...]], ranked: tuple[float, ...]) -> None:
    """Put one in its place among the lowest, of which there are no more than so many."""
    insort(best, ranked)
    del best[BEST_TRIALS:]


def _shown(kinds: Sequence[Sequence[int]], best: Callable[[], set[int]], most: int) -> Numbers:
    """The best, and of each kind an even selection by age."""
    kept = best()
    behind = [*chain(*kinds)]
    starts = [0, *accumulate(map(len, kinds))]
    taken = sorted(
        start + place
        for number in kept
        for start, kind in zip(starts, kinds, strict=False)
        if (place := bisect_left(kind, number)) < len(kind) and kind[place] == number
    )
    left, passed = len(behind) - len(taken), 0
    for place in _evenly(range(left), most - len(kept)):
        while passed < len(taken) and taken[passed] <= place + passed:
            passed += 1
        kept.add(behind[place + passed])
    return kept


def _foremost(costs: Mapping[int, Sequence[float]], enough: int, most: int) -> set[int]:
    """The front, and the fronts behind it until there are enough; evenly, where they are too large."""
    import numpy as np  # Optuna's own; not worth its time before there are many trials

    numbers = sorted(costs)
    enough = min(enough, len(numbers))
    if not enough:
        return set()
    ranks = _fast_non_domination_rank(np.array([costs[number] for number in numbers]), n_below=enough)
    kept: list[int] = []
    for rank in range(int(ranks.max()) + 1):
        layer = [numbers[place] for place in np.flatnonzero(ranks == rank).tolist()]
        kept += _evenly(layer, most - len(kept))
        if len(kept) >= enough:
            break
    return set(kept)


def _evenly(numbers: Sequence[int], count: int) -> list[int]:
    """So many of them, evenly spread, the first and the last ones of each stretch left out alike."""
    if count >= len(numbers):
        return list(numbers)
    return [numbers[(2 * place + 1) * len(numbers) // (2 * count)] for place in range(count)]
