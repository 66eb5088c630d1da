"""A sampler of a very long search sees a selection of its trials, in which the best are never missing.

Those that look at few trials anyway suggest what they would have suggested had they seen all.
"""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Any

import optuna
import pytest
from optuna.trial import FrozenTrial, TrialState

from automl import thinning
from automl.brain import Brain
from automl.results import dominates
from automl.samplers import MEMORY_CONSTRAINT
from automl.search import Policy
from automl.thought import Memory
from tests.test_brain import CONDITIONAL, ONE, PLAIN, TWO, Aside, plan, policy, stored

MOST = 100


@pytest.fixture(autouse=True)
def _small(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(thinning, "MOST_TRIALS", {"tpe": MOST, "gp": MOST})


def trial(
    number: int, state: TrialState, value: Any = None, reports: Mapping[int, float] = {}
) -> FrozenTrial:
    values = value if isinstance(value, list) else None if value is None else [value]
    made = optuna.trial.create_trial(state=state, values=values, intermediate_values=dict(reports))
    made.number = number
    return made


def history(count: int, seed: int = 0) -> list[FrozenTrial]:
    """Of ten trials two are COMPLETE, five PRUNED, one infeasible, one FAILED and one still runs."""
    dice, found = random.Random(seed), []
    for number in range(count):
        kind = number % 10
        if kind < 2:
            found.append(trial(number, TrialState.COMPLETE, dice.random()))
        elif kind < 7:
            step = dice.randrange(1, 9)
            found.append(trial(number, TrialState.PRUNED, None, {step: dice.random()}))
        elif kind == 7:
            found.append(trial(number, TrialState.PRUNED))
            found[-1].system_attrs = {MEMORY_CONSTRAINT: 1.0}
        else:
            found.append(trial(number, TrialState.FAIL if kind == 8 else TrialState.RUNNING))
    return found


def numbers(trials: Sequence[FrozenTrial]) -> list[int]:
    return [each.number for each in trials]


def ended(trials: Sequence[FrozenTrial]) -> list[FrozenTrial]:
    return [each for each in trials if each.state in thinning.ENDED]


def shown(trials: Sequence[FrozenTrial], signs: Sequence[float], sampler: str = "tpe") -> list[FrozenTrial]:
    """What is shown of trials that ended in no order at all."""
    selection = thinning.selection(sampler, signs, 10)
    for each in random.Random(0).sample(ended(trials), len(ended(trials))):
        selection.ended(each)
    return [trials[number] for number in sorted(set(selection.glimpse({})()))]


@pytest.mark.parametrize("sign", [1.0, -1.0])
def test_the_best_are_shown_and_no_more_than_so_many(sign: float) -> None:
    trials = history(2000)
    found = shown(trials, [sign])
    complete = [each for each in trials if each.state is TrialState.COMPLETE]
    complete.sort(key=lambda each: sign * (each.value or 0.0))
    assert {each.number for each in complete[: thinning.BEST_TRIALS]} <= set(numbers(found))
    assert len(found) == MOST


def test_the_rest_keeps_its_proportions_and_its_ages() -> None:
    found = shown(history(4000), [1.0])
    infeasible = [each for each in found if MEMORY_CONSTRAINT in each.system_attrs]
    pruned = [each for each in found if each.state is TrialState.PRUNED]
    # Of the fifty that are not the best; of those in the history 2,000 are pruned and 400 infeasible.
    assert len(infeasible) in (6, 7)
    assert 5 * len(infeasible) <= len(pruned) - len(infeasible) <= 6 * len(infeasible)
    old = sum(each.number < 2000 for each in pruned)
    assert abs(old - len(pruned) / 2) <= 2


@pytest.mark.parametrize("count", [150, 151, 700, 1999])
def test_the_rest_is_spread_evenly_over_all_that_are_not_the_best(count: int) -> None:
    trials = history(count)
    complete = [each for each in trials if each.state is TrialState.COMPLETE]
    best = {n for _, n in sorted((each.values[0], each.number) for each in complete)[: thinning.BEST_TRIALS]}
    if len(best) < thinning.BEST_TRIALS:
        cut = [each for each in ended(trials) if each.number not in best and each.last_step is not None]
        cut.sort(key=lambda each: (-(each.last_step or 0), each.intermediate_values[each.last_step or 0]))
        best |= {each.number for each in cut[: thinning.BEST_TRIALS - len(best)]}
    rest = [each for each in ended(trials) if each.number not in best]
    rest.sort(key=lambda each: (each.state is TrialState.PRUNED, MEMORY_CONSTRAINT in each.system_attrs))
    some = MOST - len(best)
    spread = {rest[(2 * place + 1) * len(rest) // (2 * some)].number for place in range(some)}
    assert set(numbers(shown(trials, [1.0]))) == best | spread


def test_where_few_are_complete_the_pruned_ones_that_came_furthest_are_kept() -> None:
    trials = [trial(n, TrialState.PRUNED, None, {1 + n % 7: n / 1000}) for n in range(1000)]
    trials[500] = trial(500, TrialState.COMPLETE, 9.0)
    furthest = [n for n in range(1000) if n % 7 == 6 and n != 500][: thinning.BEST_TRIALS - 1]
    assert {500, *furthest} <= set(numbers(shown(trials, [1.0])))


def test_a_short_history_is_shown_whole() -> None:
    short = history(120)
    assert len(ended(short)) <= MOST
    assert shown(short, [1.0]) == ended(short)


def test_the_front_of_several_objectives_is_shown() -> None:
    dice = random.Random(1)
    trials = [trial(n, TrialState.COMPLETE, [dice.random(), dice.random()]) for n in range(2000)]
    costs = {each.number: [each.values[0], -each.values[1]] for each in trials}
    front = [n for n, mine in costs.items() if not any(dominates(other, mine) for other in costs.values())]
    found = shown(trials, [1.0, -1.0])
    assert set(front) <= set(numbers(found))
    assert len(found) == MOST


def test_a_front_that_is_too_large_is_shown_in_part() -> None:
    trials = [trial(n, TrialState.COMPLETE, [float(n), float(-n)]) for n in range(2000)]
    found = numbers(shown(trials, [1.0, 1.0]))
    assert len(found) == MOST
    assert max(after - before for before, after in pairwise(found)) < 100


LOOK_AT_FEW = {
    **{name: policy(name) for name in ("cmaes", "nsgaii", "qmc", "random")},
    "cmaes, pruned ones too": policy("cmaes", consider_pruned_trials=True),
}


@pytest.mark.parametrize("sampler", LOOK_AT_FEW)
@pytest.mark.parametrize("space", [PLAIN, CONDITIONAL], ids=["plain", "conditional"])
def test_a_sampler_that_looks_at_few_trials_suggests_what_it_would_have_with_all(
    sampler: str, space: Mapping[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    search = plan(
        space,
        trainers=ONE if space is PLAIN else TWO,
        sampler=LOOK_AT_FEW[sampler],
        pruner=policy("successive_halving"),
        start_with=[{"model.lr": 0.01}, {}],
        seed=5,
    )
    narrowed, whole = Aside(search), Aside(search)
    narrowed.run(900)
    hidden = len(stored(narrowed.brain)) - len(seen(narrowed.brain))
    assert hidden > len(stored(narrowed.brain)) / 2
    monkeypatch.setattr(Memory, "narrow", lambda memory: None)
    whole.run(900)
    assert narrowed.ledger == whole.ledger


def test_what_all_trials_have_in_common_is_seen_in_those_that_are_shown() -> None:
    for sampler in ("cmaes", "nsgaii"):
        trials = [trial(n, TrialState.COMPLETE, float(n)) for n in range(300)]
        for each in trials:
            names = ("x", "rare") if each.number == 150 else ("x", "often")
            each.distributions = dict.fromkeys(names, optuna.distributions.FloatDistribution(0.0, 1.0))
            each.params = dict.fromkeys(names, 0.5)
            each.system_attrs = {"sampler:generation": each.number // 10}
        found = shown(trials, [1.0], sampler)
        assert len(found) < 60
        assert optuna.search_space.intersection_search_space(found).keys() == {"x"}


def seen(brain: Brain) -> list[FrozenTrial]:
    """What the sampler of a brain would be shown."""
    memory = brain.thought(len(stored(brain))).memory
    memory.narrow()
    return memory.get_all_trials(0, deepcopy=False)


@pytest.mark.parametrize("sampler", ["tpe", "cmaes", "nsgaii", "qmc", "random"])
def test_no_more_is_shown_of_a_longer_search(sampler: str) -> None:
    driver, counts = Aside(plan(sampler=policy(sampler), pruner=Policy("none"))), []
    for _ in range(2):
        driver.run(1000)
        counts.append(len(seen(driver.brain)))
    assert counts[1] <= max(counts[0], MOST) + len(driver.flight)


@pytest.mark.parametrize("directions", [("maximize",), ("maximize", "minimize")])
def test_a_brain_whose_sampler_sees_a_selection_is_rebuilt(
    directions: Sequence[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(thinning, "MOST_TRIALS", {"tpe": 20})
    monkeypatch.setattr(thinning, "BEST_TRIALS", 5)
    search = plan(
        CONDITIONAL,
        trainers=TWO,
        directions=directions,
        sampler=policy("tpe"),
        pruner=Policy("none") if len(directions) > 1 else policy("successive_halving"),
    )
    kept, rebuilt = Aside(search, 2), Aside(search, 2)
    for driver in (kept, rebuilt):
        driver.run(400)
        driver.forget()
    rebuilt.rebuild()
    assert len(stored(kept.brain)) > 40
    assert kept.run(60) == rebuilt.run(60)
