"""Which ended trials a sampler is shown when there are very many. Knows no study and no events.

What an ask costs grows with what the sampler looks at: TPE's with each trial, the Gaussian process's
with the cube. So the sampler of a long search is shown a selection, which is a function of the history
alone. Trials that run are always shown. With thought.py one of the doors to Optuna.
"""

from __future__ import annotations

import heapq
from collections.abc import Mapping, Sequence

from optuna.study._multi_objective import _fast_non_domination_rank
from optuna.trial import FrozenTrial, TrialState

from automl.samplers import MEMORY_CONSTRAINT

# The most ended trials that a sampler is shown. The others look at few trials, whatever there are.
MOST_TRIALS: Mapping[str, int] = {"tpe": 600, "gp": 200}
# TPE takes the best 25 for good ones (with several objectives the best tenth), pruned ones where too few
# are COMPLETE, infeasible ones last; twice as many are kept, should some have other parameters.
BEST_TRIALS = 50
ENDED = (TrialState.COMPLETE, TrialState.PRUNED)


def shown(sampler: str, trials: Sequence[FrozenTrial], signs: Sequence[float]) -> list[FrozenTrial]:
    """The trials that a sampler is shown.

    These are the best, the front of several objectives first, and of the rest an even selection over
    the whole history: so those that were pruned or infeasible, and the old and new ones, which TPE
    weighs by age, keep their proportions.

    Args:
        sampler: its name.
        trials: of the study, by number.
        signs: for each objective, -1 where it is maximized, else 1.
    """
    most = MOST_TRIALS.get(sampler, len(trials))
    if len(trials) <= most:
        return list(trials)
    ended = [number for number, trial in enumerate(trials) if trial.state in ENDED]
    if len(ended) <= most:
        return list(trials)
    complete = [number for number in ended if trials[number].state is TrialState.COMPLETE]
    if len(signs) > 1:
        best = _front(trials, complete, signs, most // 2)
    else:
        best = _best(trials, ended, complete, signs[0])
    rest = [number for number in ended if number not in best]
    rest.sort(key=lambda number: _kind(trials[number]))  # an even selection of each kind, by age
    hidden = set(rest) - set(_evenly(rest, most - len(best)))
    return [trial for number, trial in enumerate(trials) if number not in hidden]


def _kind(trial: FrozenTrial) -> int:
    if trial.state is TrialState.COMPLETE:
        return 0
    return 2 if MEMORY_CONSTRAINT in trial.system_attrs else 1


def _best(
    trials: Sequence[FrozenTrial], ended: Sequence[int], complete: Sequence[int], sign: float
) -> set[int]:
    """The best trials, in the order in which TPE takes them for good ones."""
    ranked = [(sign * trials[number].values[0], number) for number in complete]
    best = {number for _, number in heapq.nsmallest(BEST_TRIALS, ranked)}
    if len(best) < BEST_TRIALS:
        behind = [(*_behind(trials[number], sign), number) for number in ended if number not in best]
        best |= {number for *_, number in heapq.nsmallest(BEST_TRIALS - len(best), behind)}
    return best


def _behind(trial: FrozenTrial, sign: float) -> tuple[float, float, float]:
    """Where a trial stands that is not COMPLETE: infeasible ones last, then by how far it came."""
    step = trial.last_step
    if MEMORY_CONSTRAINT in trial.system_attrs:
        return 1, 0, 0
    return (0, 1, 0) if step is None else (0, -step, sign * trial.intermediate_values[step])


def _front(
    trials: Sequence[FrozenTrial], complete: Sequence[int], signs: Sequence[float], most: int
) -> set[int]:
    """The front, and the fronts behind it until there are enough; evenly, where they are too large."""
    import numpy as np  # Optuna's own; not worth its time before there are many trials

    if not complete:
        return set()
    enough = min(2 * BEST_TRIALS, most, len(complete))
    costs = np.array([trials[number].values for number in complete]) * np.array(signs)
    ranks = _fast_non_domination_rank(costs, n_below=enough)
    kept: list[int] = []
    for rank in range(int(ranks.max()) + 1):
        layer = [complete[place] for place in np.flatnonzero(ranks == rank).tolist()]
        kept += _evenly(layer, most - len(kept))
        if len(kept) >= enough:
            break
    return set(kept)


def _evenly(numbers: Sequence[int], count: int) -> list[int]:
    """So many of them, evenly spread, the first and the last ones of each stretch left out alike."""
    if count >= len(numbers):
        return list(numbers)
    return [numbers[(2 * place + 1) * len(numbers) // (2 * count)] for place in range(count)]
