"""A sampler of a very long search sees a selection of its trials, in which the best are never missing."""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from typing import Any

import optuna
import pytest
from optuna.trial import FrozenTrial, TrialState

from automl import thinning
from automl.results import dominates
from automl.samplers import MEMORY_CONSTRAINT
from automl.search import Policy
from tests.test_brain import CONDITIONAL, TWO, Aside, plan, policy, stored

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
    return [each for each in trials if each.state in (TrialState.COMPLETE, TrialState.PRUNED)]


@pytest.mark.parametrize("sign", [1.0, -1.0])
def test_the_best_and_all_that_run_are_shown_and_no_more_than_so_many(sign: float) -> None:
    trials = history(2000)
    shown = thinning.shown("tpe", trials, [sign])
    complete = [each for each in trials if each.state is TrialState.COMPLETE]
    complete.sort(key=lambda each: sign * (each.value or 0.0))
    assert {each.number for each in complete[: thinning.BEST_TRIALS]} <= set(numbers(shown))
    assert len(ended(shown)) == MOST
    assert [t for t in trials if t.state is TrialState.RUNNING] == [
        t for t in shown if t.state is TrialState.RUNNING
    ]
    assert numbers(shown) == sorted(numbers(shown))


def test_the_rest_keeps_its_proportions_and_its_ages() -> None:
    shown = ended(thinning.shown("tpe", history(4000), [1.0]))
    infeasible = [each for each in shown if MEMORY_CONSTRAINT in each.system_attrs]
    pruned = [each for each in shown if each.state is TrialState.PRUNED]
    # Of the fifty that are not the best; of those in the history 2,000 are pruned and 400 infeasible.
    assert len(infeasible) in (6, 7)
    assert 5 * len(infeasible) <= len(pruned) - len(infeasible) <= 6 * len(infeasible)
    old = sum(each.number < 2000 for each in pruned)
    assert abs(old - len(pruned) / 2) <= 2


def test_where_few_are_complete_the_pruned_ones_that_came_furthest_are_kept() -> None:
    trials = [trial(n, TrialState.PRUNED, None, {1 + n % 7: n / 1000}) for n in range(1000)]
    trials[500] = trial(500, TrialState.COMPLETE, 9.0)
    shown = set(numbers(thinning.shown("tpe", trials, [1.0])))
    furthest = [n for n in range(1000) if n % 7 == 6 and n != 500][: thinning.BEST_TRIALS - 1]
    assert {500, *furthest} <= shown


def test_a_short_history_is_shown_whole_and_other_samplers_see_everything() -> None:
    short = history(120)
    assert len(ended(short)) <= MOST
    assert thinning.shown("tpe", short, [1.0]) == short
    long = history(2000)
    assert thinning.shown("nsgaii", long, [1.0]) == long


def test_the_front_of_several_objectives_is_shown() -> None:
    dice = random.Random(1)
    trials = [trial(n, TrialState.COMPLETE, [dice.random(), dice.random()]) for n in range(2000)]
    costs = {each.number: [each.values[0], -each.values[1]] for each in trials}
    front = [n for n, mine in costs.items() if not any(dominates(other, mine) for other in costs.values())]
    shown = thinning.shown("tpe", trials, [1.0, -1.0])
    assert set(front) <= set(numbers(shown))
    assert len(shown) == MOST


def test_a_front_that_is_too_large_is_shown_in_part() -> None:
    trials = [trial(n, TrialState.COMPLETE, [float(n), float(-n)]) for n in range(2000)]
    assert len(thinning.shown("tpe", trials, [1.0, 1.0])) == MOST


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
