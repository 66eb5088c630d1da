"""The brain against the real Optuna: what it suggests, what it cuts, and that a ledger rebuilds it."""

from __future__ import annotations

import copy
import json
import math
import os
import pickle
import random
import subprocess
import sys
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict
from typing import Any

import optuna
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from automl.brain import Brain
from automl.errors import InputError, LedgerError
from automl.events import Event, State
from automl.samplers import first_rung, owed, resolve_pruner, resolve_sampler
from automl.search import PRUNERS, SAMPLERS, Budget, Objective, Policy, Resources, Search, Trainer
from automl.space import Choice, Float, Int, Space
from automl.thought import Thought

ONE = {"trainer": Trainer("function", "m:train")}
KERAS = {"trainer": Trainer("keras", "m:net", "m:data")}
TWO = {
    "torch": Trainer("lightning", "m:Net", "m:Data", {"max_epochs": 6}),
    "keras": Trainer("keras", "m:net", "m:data", {"epochs": 6}),
}
PLAIN = {
    "model.lr": Float(1e-4, 1e-1, log=True),
    "model.width": Int(16, 128, step=16),
    "model.drop": Float(0, 1),
}
CONDITIONAL = {
    "model.momentum": Float(0.0, 0.9, when={"model.optimizer": ["sgd", 1]}),
    "model.optimizer": Choice(("sgd", "adamw", True, 1, 1.0)),
    "model.units": Int(1, 64, log=True, when={"trainer": "keras"}),
    "model.nesterov": Choice((True, False), when={"model.momentum": 0.0}),
    "model.layers": Choice(([64], [64, 32])),
    **PLAIN,
}
# The same without a condition on the trainer, for searches that have one only.
ALONE = {name: param for name, param in CONDITIONAL.items() if name != "model.units"}
STEPPED = {
    "model.a": Float(0.1, 0.5, step=0.1),
    "model.b": Int(1, 4),
    "model.c": Choice((True, 1, 1.0)),
    "model.d": Int(2, 7, step=2),
}


def plan(
    space: Mapping[str, Any] | None = None,
    *,
    trainers: Mapping[str, Trainer] = ONE,
    directions: Sequence[Any] = ("maximize",),
    constants: Mapping[str, Any] | None = None,
    trials: int | None = 100,
    **more: Any,
) -> Search:
    """A search; the only place in this file that constructs one."""
    return Search(
        name="digits",
        objectives=[Objective(f"value{n}", direction) for n, direction in enumerate(directions)],
        trainers=trainers,
        space=Space(PLAIN if space is None else space, constants or {}),
        budget=Budget(trials=trials, time="1h"),
        **more,
    )


class Driver:
    """A driver with its ledger: three trials in flight, moved on in an order that a seed decides.

    It may lose its brain before any move and have it rebuilt from the ledger, which has been
    through JSON.
    """

    STEPS = 6

    def __init__(self, search: Search, seed: int = 0) -> None:
        self.search = search
        self.ledger: list[Event] = []
        self.flight: dict[int, list[Any]] = {}
        self.asked = 0
        self.exhausted = False
        self._dice = random.Random(seed)
        self.brain = Brain(search)

    def rebuild(self) -> None:
        self.brain = Brain(self.search)
        self.brain.replay(self.ledger)

    def move(self) -> None:
        if not self.exhausted and len(self.flight) < 3 and self._dice.random() < 0.6:
            return self._ask()
        if self.flight:
            return self._advance(self._dice.choice(sorted(self.flight)))
        return None

    def run(self, moves: int, rebuilt_every: int = 0) -> list[Event]:
        for move in range(moves):
            if rebuilt_every and move % rebuilt_every == 0:
                self.rebuild()
            self.move()
        return self.ledger

    def append(self, kind: Any, trial: int, data: Mapping[str, Any]) -> None:
        self.ledger.append(Event(kind, trial, data=json.loads(json.dumps(data)), n=len(self.ledger) + 1))

    def _ask(self) -> None:
        asked = self.brain.ask(self.asked)
        if asked is None:
            self.exhausted = True
            return
        self.append("asked", self.asked, asked.facts())
        self.flight[self.asked] = [asked.params, 0]
        self.asked += 1

    def _advance(self, number: int) -> None:
        params, step = self.flight[number]
        if step == self.STEPS:
            values = [self._value(params, n) for n in range(len(self.search.objectives))]
            return self._end(number, State.COMPLETE, values)
        if self._dice.random() < 0.03:
            return self._end(number, State.FAILED, None)
        step += 1
        self.flight[number][1] = step
        metrics = {"value0": self._value(params, 0) * step / self.STEPS + 0.05 * self._dice.random()}
        verdict = self.brain.report(number, step, metrics)
        self.append("reported", number, {"step": step, "metrics": metrics, **asdict(verdict)})
        return self._end(number, State.PRUNED, None) if verdict.prune else None

    def _end(self, number: int, state: State, values: Sequence[float] | None) -> None:
        del self.flight[number]
        self.brain.tell(number, state, values)
        self.append("finished", number, {"state": state, "values": values})

    def _value(self, params: Mapping[str, Any], objective: int) -> float:
        known = random.Random(json.dumps(params, sort_keys=True) + str(objective)).random()
        return -abs(math.log10(params.get("model.lr", 0.1)) + 2 + objective) + 0.1 * known

    def of(self, kind: str) -> list[Mapping[str, Any]]:
        return [event.data for event in self.ledger if event.kind == kind]

    def states(self) -> Counter[str]:
        return Counter(data["state"] for data in self.of("finished"))


class Aside(Driver):
    """A driver that thinks about its asks aside: trials report and end between a thought and its point."""

    def __init__(self, search: Search, seed: int = 0) -> None:
        super().__init__(search, seed)
        self.thought: Thought | None = None
        self.seen = 0

    def forget(self) -> None:
        self.thought = None

    def _ask(self) -> None:
        if self.thought is None:
            self.thought, self.seen = self.brain.thought(self.asked), len(self.ledger)
            return
        asked, self.thought = self.thought(), None
        if asked is None:
            self.exhausted = True
            return
        self.brain.take(self.asked, asked)
        self.append("asked", self.asked, {**asked.facts(), "seen": self.seen})
        self.flight[self.asked] = [asked.params, 0]
        self.asked += 1


ARGUMENTS: Mapping[str, Mapping[str, Any]] = {
    "tpe": {"n_startup_trials": 4},
    "gp": {"n_startup_trials": 4},
    "cmaes": {"n_startup_trials": 2, "popsize": 4},
    "nsgaii": {"population_size": 4},
    "percentile": {"percentile": 60, "n_startup_trials": 3},
    "median": {"n_startup_trials": 3},
    "successive_halving": {"min_resource": 2, "reduction_factor": 2},
}


def policy(name: str, **more: Any) -> Policy:
    return Policy(name, {**ARGUMENTS.get(name, {}), **more})


def same_with_and_without_rebuilds(search: Search, moves: int, every: int = 4) -> Driver:
    whole, broken = Driver(search), Driver(search)
    whole.run(moves)
    broken.run(moves, rebuilt_every=every)
    assert broken.ledger == whole.ledger
    return whole


# --- rebuilt from the ledger -----------------------------------------------------------------


@pytest.mark.parametrize("name", [name for name in SAMPLERS if name not in ("gp", "grid")])
@pytest.mark.parametrize("space", [PLAIN, CONDITIONAL], ids=["plain", "conditional"])
def test_a_rebuilt_brain_goes_on_as_the_old_one_would_have(name: str, space: Mapping[str, Any]) -> None:
    search = plan(
        space,
        trainers=ONE if space is PLAIN else TWO,
        sampler=policy(name),
        pruner=policy("successive_halving"),
        start_with=[{"model.lr": 0.01}, {}],
        seed=3,
    )
    driver = same_with_and_without_rebuilds(search, 220)
    assert {"COMPLETE", "PRUNED", "FAILED"} <= driver.states().keys()


def test_a_rebuilt_gaussian_process_goes_on_as_the_old_one_would_have() -> None:
    search = plan(sampler=policy("gp"), pruner=Policy("none"))
    driver = same_with_and_without_rebuilds(search, 70, every=9)
    assert driver.of("asked")[-1]["source"] == "sampler"


@pytest.mark.parametrize("name", PRUNERS)
@pytest.mark.parametrize("trainers", [ONE, TWO], ids=["length unknown", "length known"])
def test_a_rebuilt_pruner_cuts_what_the_old_one_would_have(
    name: str, trainers: Mapping[str, Trainer]
) -> None:
    search = plan(trainers=trainers, sampler=Policy("random"), pruner=policy(name), seed=5)
    driver = same_with_and_without_rebuilds(search, 300, every=3)
    assert bool(driver.states()["PRUNED"]) == (name != "none")


def test_a_pruner_without_arguments_learns_a_trials_length_from_the_first_complete_one() -> None:
    search = plan(sampler=Policy("random"), pruner=Policy("successive_halving"))
    driver = same_with_and_without_rebuilds(search, 200, every=3)
    ended = [data["state"] for data in driver.of("finished")]
    assert "PRUNED" not in ended[: ended.index("COMPLETE")]
    assert "PRUNED" in ended


def test_hyperband_beside_a_sampler_that_learns_is_rebuilt() -> None:
    search = plan(CONDITIONAL, trainers=TWO, sampler=policy("tpe"), pruner=Policy("hyperband"))
    driver = same_with_and_without_rebuilds(search, 300, every=3)
    assert driver.states()["PRUNED"]


@pytest.mark.parametrize("name", ["tpe", "nsgaii", "random", "qmc"])
def test_several_objectives_are_rebuilt_and_never_pruned(name: str) -> None:
    search = plan(CONDITIONAL, trainers=TWO, directions=("maximize", "minimize"), sampler=policy(name))
    driver = same_with_and_without_rebuilds(search, 250)
    assert not driver.states()["PRUNED"]
    assert driver.states()["COMPLETE"] > 10


def test_cma_es_generations_advance_and_no_pickle_reaches_the_ledger() -> None:
    search = plan(sampler=policy("cmaes"), pruner=Policy("none"))
    driver = same_with_and_without_rebuilds(search, 400)
    attrs = [data["trial_attrs"] for data in driver.of("asked")]
    assert max(attr.get("cma:generation", 0) for attr in attrs) >= 3
    assert not [key for attr in attrs for key in attr if "optimizer" in key]


def test_cma_es_with_margin_is_computed_again_too() -> None:
    with pytest.warns(optuna.exceptions.ExperimentalWarning, match="with_margin"):
        search = plan(sampler=policy("cmaes", with_margin=True), pruner=Policy("none"))
        driver = same_with_and_without_rebuilds(search, 250)
    assert any("x_for_tell" in data["trial_attrs"] for data in driver.of("asked"))


def test_nsga_ii_keeps_its_generations_and_parents() -> None:
    search = plan(sampler=policy("nsgaii"), pruner=Policy("none"))
    driver = same_with_and_without_rebuilds(search, 300)
    assert any("parent" in key for data in driver.of("asked") for key in data["study_attrs"])


@settings(max_examples=25, deadline=None)
@given(
    seed=st.integers(0, 10_000),
    cut=st.integers(0, 120),
    name=st.sampled_from(["tpe", "qmc", "cmaes", "nsgaii"]),
)
def test_a_ledger_cut_off_anywhere_gives_the_next_moves_again(seed: int, cut: int, name: str) -> None:
    search = plan(
        CONDITIONAL, trainers=TWO, sampler=policy(name), pruner=policy("successive_halving"), seed=seed
    )
    whole, cut_off = Driver(search, seed), Driver(search, seed)
    whole.run(130)
    cut_off.run(cut)
    cut_off.rebuild()
    cut_off.run(130 - cut)
    assert cut_off.ledger == whole.ledger


# --- thought out aside -----------------------------------------------------------------------


@settings(max_examples=40, deadline=None)
@given(
    seed=st.integers(0, 10_000),
    cut=st.integers(0, 160),
    name=st.sampled_from(["tpe", "qmc", "cmaes", "nsgaii", "random"]),
)
def test_asks_thought_out_while_trials_go_on_are_rebuilt_wherever_the_ledger_ends(
    seed: int, cut: int, name: str
) -> None:
    search = plan(
        CONDITIONAL, trainers=TWO, sampler=policy(name), pruner=policy("successive_halving"), seed=seed
    )
    kept, rebuilt = Aside(search, seed), Aside(search, seed)
    for driver in (kept, rebuilt):
        driver.run(cut)
        driver.forget()
    rebuilt.rebuild()
    assert kept.run(170 - cut) == rebuilt.run(170 - cut)


def stored(brain: Brain) -> list[Any]:
    trials = brain._study.get_trials(deepcopy=False)
    return [(t.state, t.values, t.params, t.intermediate_values, unpickled(t.system_attrs)) for t in trials]


def unpickled(attrs: Mapping[str, Any]) -> dict[str, Any]:
    """Attributes with what matters of a pickled optimizer, of which some bytes are never initialised."""
    plain = {key: value for key, value in attrs.items() if ":optimizer:" not in key}
    if len(plain) == len(attrs):
        return plain
    chunks = [attrs[f"cma:optimizer:{n}"] for n in range(len(attrs) - len(plain))]
    optimizer = pickle.loads(bytes.fromhex("".join(chunks)))
    return {**plain, "optimizer": [optimizer._g, optimizer._sigma, *optimizer._mean, *optimizer._C.ravel()]}


def attrs(brain: Brain) -> dict[str, Any]:
    return brain._storage.get_study_system_attrs(brain._study_id)


@pytest.mark.parametrize("name", ["tpe", "qmc", "cmaes", "nsgaii"])
def test_a_rebuilt_study_is_the_live_one_trial_by_trial_pickles_included(name: str) -> None:
    driver = Aside(plan(sampler=policy(name), pruner=policy("successive_halving")), seed=4)
    driver.run(400)
    between = [event.n - event.data["seen"] - 1 for event in driver.ledger if event.kind == "asked"]
    assert sum(between) > 20
    live = driver.brain
    driver.rebuild()
    assert stored(driver.brain) == stored(live)
    assert attrs(driver.brain) == attrs(live)
    assert any("optimizer" in key for trial in stored(live) for key in trial[-1]) == (name == "cmaes")


@pytest.mark.parametrize("name", ["tpe", "cmaes", "nsgaii", "qmc"])
def test_a_thought_in_another_thread_sees_nothing_of_what_goes_on(name: str) -> None:
    driver = Driver(plan(CONDITIONAL, trainers=TWO, sampler=policy(name)), seed=1)
    driver.run(150)
    thoughts = [driver.brain.thought(driver.asked) for _ in range(2)]
    expected = thoughts[0]()
    with ThreadPoolExecutor(1) as aside:
        found = aside.submit(thoughts[1])
        for number in sorted(driver.flight):
            for step in range(10, 200):
                driver.brain.report(number, step, {"value0": 9.0})
            driver.brain.tell(number, State.COMPLETE, [9.0])
        assert found.result() == expected


def test_a_thought_leaves_the_study_alone_until_it_is_taken() -> None:
    for name in ("tpe", "cmaes", "nsgaii", "qmc"):
        driver = Driver(plan(sampler=policy(name)))
        driver.run(120)
        before = stored(driver.brain), attrs(driver.brain)
        asked = driver.brain.thought(driver.asked)()
        assert (stored(driver.brain), attrs(driver.brain)) == before
        assert asked
        driver.brain.take(driver.asked, asked)
        assert len(stored(driver.brain)) == len(before[0]) + 1


def test_a_point_that_is_taken_late_is_refused_when_another_one_came_first() -> None:
    brain = Brain(plan())
    asked = brain.thought(0)()
    brain.ask(0)
    assert asked
    with pytest.raises(ValueError, match="trial 0 asked, but 1 is next"):
        brain.take(0, asked)


def futures(brain: Brain, running: Sequence[int], dice: random.Random) -> Brain:
    """The same brain after its running trials have gone on in some way; some may still run."""
    later = copy.deepcopy(brain)
    for number in dice.sample(running, len(running)):
        later.report(number, 50 + dice.randrange(9), {"value0": dice.random()})
        end = dice.choice(["COMPLETE", "PRUNED", "FAILED", ""])
        if end:
            later.tell(number, State(end), [dice.random()] * len(later._study.directions))
    return later


@settings(max_examples=40, deadline=None)
@given(
    seed=st.integers(0, 10_000),
    moves=st.integers(1, 60),
    name=st.sampled_from(["random", "tpe", "qmc", "cmaes", "nsgaii"]),
    conditional=st.booleans(),
    dice=st.randoms(use_true_random=False),
)
def test_what_is_called_indifferent_is_the_same_in_every_future(
    seed: int, moves: int, name: str, conditional: bool, dice: random.Random
) -> None:
    space, trainers = (CONDITIONAL, TWO) if conditional else (PLAIN, ONE)
    start = [{"model.lr": 0.01}, {"model.lr": 0.01, "model.width": 32, "model.drop": 0.5}]
    search = plan(space, trainers=trainers, sampler=policy(name), start_with=start, seed=seed)
    driver = Driver(search, seed)
    driver.run(moves)
    if not driver.brain.indifferent(driver.asked):
        return
    expected = driver.brain.thought(driver.asked)()
    for _ in range(4):
        later = futures(driver.brain, sorted(driver.flight), dice)
        assert later.thought(driver.asked)() == expected


def test_asks_are_indifferent_where_a_sampler_looks_at_nothing_that_runs() -> None:
    def told(search: Search, ended: int, running: int) -> bool:
        brain = Brain(search)
        for number in range(ended + running):
            brain.ask(number)
        for number in range(ended):
            brain.tell(number, State.COMPLETE, [0.5])
        return brain.indifferent(ended + running)

    for name in ("random", "grid"):
        assert told(plan(STEPPED, sampler=Policy(name)), 3, 3)
    for name in ("tpe", "gp", "nsgaii"):  # whose start-up is four trials here
        assert told(plan(sampler=policy(name)), 1, 2)
        assert not told(plan(sampler=policy(name)), 1, 3)
        assert not told(plan(sampler=policy(name)), 5, 1)
        assert told(plan(sampler=policy(name)), 5, 0)
    assert told(plan(sampler=Policy("qmc")), 1, 3)
    assert not told(plan(sampler=Policy("qmc")), 0, 3)
    whole = {"model.lr": 0.01, "model.width": 32, "model.drop": 0.5}
    assert told(plan(sampler=policy("tpe"), start_with=[whole] * 9), 5, 3)
    assert not told(plan(sampler=policy("tpe"), start_with=[{"model.lr": 0.01}] * 9), 5, 3)


def test_suggestions_do_not_depend_on_the_process() -> None:
    code = (
        "import hashlib, json, tests.test_brain as t;"
        "driver = t.Driver(t.plan(t.CONDITIONAL, trainers=t.TWO, sampler=t.policy('tpe')));"
        "driver.run(200);"
        "print(hashlib.sha256(json.dumps(driver.of('asked')).encode()).hexdigest())"
    )
    digests = {
        subprocess.run(
            [sys.executable, "-c", code],
            env={**os.environ, "PYTHONHASHSEED": seed, "PYTHONPATH": os.getcwd()},
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for seed in ("1", "2", "3")
    }
    assert len(digests) == 1


def test_another_seed_is_another_search() -> None:
    for name in ("tpe", "random", "qmc", "cmaes", "nsgaii"):
        first, second = (Brain(plan(sampler=policy(name), seed=seed)).ask(0) for seed in (1, 2))
        assert first and second and first.params != second.params


def test_a_thousand_trials_of_ten_reports_are_replayed() -> None:
    search = plan(sampler=Policy("tpe"))
    events: list[Event] = []
    for number in range(1000):
        params = {"model.lr": 0.01, "model.width": 32, "model.drop": number / 1000}
        events.append(Event("asked", number, data={"params": params, "trial_attrs": {}, "study_attrs": {}}))
        for step in range(1, 11):
            data = {
                "step": step,
                "metrics": {"value0": 0.1},
                "prune": False,
                "repeat": False,
                "trial_attrs": {},
            }
            events.append(Event("reported", number, 1, data))
        events.append(Event("finished", number, data={"state": "COMPLETE", "values": [0.1]}))
    brain = Brain(search)
    brain.replay(events)
    asked = brain.ask(1000)
    assert asked and asked.source == "sampler"


def test_repeats_and_other_kinds_of_events_change_nothing() -> None:
    search = plan(sampler=policy("tpe"), pruner=policy("successive_halving"))
    driver = Driver(search)
    driver.run(80)
    noisy: list[Event] = [Event("opened", data={"spec": {}})]
    for event in driver.ledger:
        noisy += [event, Event("started", event.trial, 1, {"node": "a"})]
        if event.kind == "reported":
            noisy.append(
                Event("reported", event.trial, 2, {**event.data, "metrics": {"value0": 9e9}, "repeat": True})
            )
    plain, again = Brain(search), Brain(search)
    plain.replay(driver.ledger)
    again.replay(noisy)
    assert again.ask(driver.asked) == plain.ask(driver.asked)


def test_trials_that_no_longer_fit_the_space_keep_their_numbers_and_teach_nothing() -> None:
    driver = Driver(plan(sampler=policy("tpe")))
    driver.run(150)
    changed = plan({**PLAIN, "model.drop": Choice(("none", "half"))}, sampler=policy("tpe"))
    brain = Brain(changed)
    brain.replay(driver.ledger)
    asked = brain.ask(driver.asked)
    assert asked and asked.source == "startup" and asked.params["model.drop"] in ("none", "half")
    assert not brain.report(min(driver.flight), 6, {"value0": 1.0}).prune
    brain.tell(min(driver.flight), State.COMPLETE, [1.0])


@pytest.mark.parametrize(
    "changed",
    [
        plan({**PLAIN, "model.lr": Float(0.5, 0.9)}),
        plan(constants={"model.depth": 3}),
        plan({"model.lr": PLAIN["model.lr"]}),
    ],
    ids=["narrower range", "new constant", "parameters gone"],
)
def test_a_point_of_another_space_does_not_fit(changed: Search) -> None:
    first = Brain(plan()).ask(0)
    assert first
    brain = Brain(changed)
    brain.replay([Event("asked", 0, data=first.facts())])
    brain.tell(0, State.COMPLETE, [0.5])
    assert brain.ask(1)


def test_a_ledger_with_a_hole_is_refused() -> None:
    driver = Driver(plan())
    driver.run(60)
    with pytest.raises(LedgerError, match="where trial 0 should follow"):
        Brain(plan()).replay([event for event in driver.ledger if event.trial != 0])


# --- points ----------------------------------------------------------------------------------


def asks(search: Search, count: int) -> list[Any]:
    brain, points = Brain(search), []
    for number in range(count):
        asked = brain.ask(number)
        if asked is None:
            break
        points.append(asked)
        brain.tell(number, State.COMPLETE, [0.1 * number] * len(search.objectives))
    return points


def test_a_point_holds_constants_and_active_parameters_only() -> None:
    for asked in asks(plan(CONDITIONAL, trainers=TWO, constants={"model.depth": 18}), 40):
        names = asked.params.keys()
        assert next(iter(names)) == "trainer" and asked.trainer == asked.params["trainer"]
        assert asked.params["model.depth"] == 18
        optimizer = asked.params["model.optimizer"]
        sgd = isinstance(optimizer, str | int) and optimizer in ("sgd", 1) and optimizer is not True
        assert ("model.momentum" in names) == sgd
        assert ("model.units" in names) == (asked.trainer == "keras")


def test_one_trainer_is_no_parameter() -> None:
    (asked,) = asks(plan(), 1)
    assert asked.trainer == "trainer" and "trainer" not in asked.params


def test_a_condition_may_name_a_constant() -> None:
    space = {
        "model.x": Float(0, 1, when={"model.mode": "on"}),
        "model.y": Float(0, 1, when={"model.mode": "off"}),
    }
    (asked,) = asks(plan(space, constants={"model.mode": "on"}), 1)
    assert asked.params.keys() == {"model.mode", "model.x"}


def test_choices_that_python_calls_equal_are_three_choices_after_a_rebuild_too() -> None:
    search = plan({"model.c": Choice((True, 1, 1.0))}, sampler=Policy("random"))
    driver = Driver(search)
    driver.run(150)
    assert {type(data["params"]["model.c"]) for data in driver.of("asked")} == {bool, int, float}
    driver.rebuild()
    stored = [trial.params["model.c"] for trial in driver.brain._study.trials]
    assert [(True, 1, 1.0)[index] for index in stored] == [
        data["params"]["model.c"] for data in driver.of("asked")
    ]
    assert set(stored) == {0, 1, 2}


def test_bounds_are_inclusive_and_steps_are_kept() -> None:
    points = asks(
        plan({"model.n": Int(1, 3), "model.w": Int(16, 60, step=16), "model.f": Float(0, 0.5, step=0.25)}), 60
    )
    assert {asked.params["model.n"] for asked in points} == {1, 2, 3}
    assert {asked.params["model.w"] for asked in points} == {16, 32, 48}
    assert {asked.params["model.f"] for asked in points} == {0.0, 0.25, 0.5}


def test_start_points_come_first_in_order_and_what_they_leave_out_is_sampled() -> None:
    start = [{"model.lr": 0.01, "model.width": 64, "model.drop": 0}, {"model.lr": 0.1}, {}]
    first, second, third, fourth = asks(plan(start_with=start), 4)
    assert first.params == {"model.lr": 0.01, "model.width": 64, "model.drop": 0.0}
    assert second.params["model.lr"] == 0.1 and second.params.keys() == PLAIN.keys()
    assert [asked.source for asked in (first, second, third, fourth)] == ["start_with"] * 3 + ["startup"]


def test_a_start_point_of_a_choice_is_told_apart_by_type() -> None:
    start = [{"model.c": 1.0}, {"model.c": True}, {"model.c": [1]}]
    points = asks(plan({"model.c": Choice((True, 1, 1.0, [1]))}, start_with=start), 3)
    assert json.dumps([asked.params["model.c"] for asked in points]) == "[1.0, true, [1]]"


def test_the_start_up_of_a_sampler_is_named_and_so_is_its_end() -> None:
    expected = {"tpe": 4, "cmaes": 2, "nsgaii": 4, "qmc": 1, "random": 0}
    for name, startup in expected.items():
        sources = [asked.source for asked in asks(plan(sampler=policy(name)), 8)]
        assert sources == ["startup"] * startup + ["sampler"] * (8 - startup), name


def test_asking_out_of_turn_is_our_own_mistake() -> None:
    with pytest.raises(ValueError, match="trial 3 asked, but 0 is next"):
        Brain(plan()).ask(3)


# --- the grid --------------------------------------------------------------------------------


def key(params: Mapping[str, Any]) -> str:
    return json.dumps(params, sort_keys=True)


@pytest.mark.parametrize("trainers", [ONE, TWO], ids=["one trainer", "two trainers"])
def test_a_grid_tries_every_point_once_and_then_has_none(trainers: Mapping[str, Trainer]) -> None:
    search = plan(STEPPED, trainers=trainers, sampler=Policy("grid"))
    points = asks(search, 1000)
    size = 5 * 4 * 3 * 3 * len(trainers)
    assert len(points) == len({key(asked.params) for asked in points}) == size
    assert {asked.params["model.a"] for asked in points} == {0.1, 0.2, 0.3, 0.4, 0.5}
    assert {asked.params["model.d"] for asked in points} == {2, 4, 6}
    assert {asked.source for asked in points} == {"grid"}


def test_a_rebuilt_grid_goes_on_and_ends_where_the_old_one_would_have() -> None:
    search = plan(
        {"model.a": STEPPED["model.a"], "model.b": Int(1, 3, log=True)},
        sampler=Policy("grid"),
        pruner=policy("median"),
    )
    driver = same_with_and_without_rebuilds(search, 300, every=3)
    assert driver.exhausted and driver.asked == 15


def test_a_start_point_on_the_grid_is_not_tried_again() -> None:
    start = [{"model.a": 0.3, "model.b": 2, "model.c": 1, "model.d": 6}, {"model.b": 3}]
    points = asks(plan(STEPPED, sampler=Policy("grid"), start_with=start), 1000)
    assert len(points) == len({key(asked.params) for asked in points}) == 180
    assert [asked.source for asked in points[:3]] == ["start_with", "start_with", "grid"]


def test_the_seed_decides_the_order_of_a_grid() -> None:
    one, two = (
        [key(a.params) for a in asks(plan(STEPPED, sampler=Policy("grid"), seed=s), 180)] for s in (1, 2)
    )
    assert one != two and sorted(one) == sorted(two)


def test_a_grid_of_any_size_starts_at_once() -> None:
    assert (
        len(asks(plan({"model.n": Int(1, 10**9), "model.m": Int(1, 10**9)}, sampler=Policy("grid")), 5)) == 5
    )


# --- reports and ends ------------------------------------------------------------------------


def with_complete_trials(search: Search, count: int = 6, steps: int = 6) -> Brain:
    brain = Brain(search)
    for number in range(count):
        brain.ask(number)
        for step in range(1, steps + 1):
            brain.report(number, step, {"value0": 0.5 + step})
        brain.tell(number, State.COMPLETE, [0.5 + steps])
    brain.ask(count)
    return brain


def test_a_bad_trial_is_cut_and_stays_cut() -> None:
    brain = with_complete_trials(plan(pruner=Policy("median")))
    assert brain.report(6, 1, {"value0": 0.1}).prune
    assert brain.report(6, 1, {"value0": 9.0}).prune
    assert brain.report(6, 2, {"value0": 9.0}).prune


def test_a_trial_that_was_to_be_cut_when_the_driver_died_is_cut_after_the_rebuild() -> None:
    search = plan()
    point = Brain(search).ask(0)
    assert point
    cut = {"step": 1, "metrics": {"value0": 0.1}, "prune": True, "repeat": False, "trial_attrs": {}}
    brain = Brain(search)
    brain.replay([Event("asked", 0, data=point.facts()), Event("reported", 0, 1, cut)])
    assert brain.report(0, 2, {"value0": 9.0}).prune


def test_the_first_report_of_a_step_is_the_one_that_counts() -> None:
    brain = with_complete_trials(plan(pruner=Policy("median")))
    assert not brain.report(6, 1, {"value0": 9.0}).prune
    assert not brain.report(6, 1, {"value0": 0.1}).prune
    assert not brain.report(6, 2, {"value0": 9.0}).prune


@pytest.mark.parametrize("metrics", [{}, {"loss": 0.1}, {"value0": math.nan}, {"value0": -math.inf}])
def test_a_report_without_a_finite_objective_prunes_nothing(metrics: Mapping[str, float]) -> None:
    brain = with_complete_trials(plan(pruner=Policy("median")))
    assert not brain.report(6, 1, metrics).prune


def test_a_pruned_trial_is_pruned_in_optuna_and_a_failed_one_failed() -> None:
    brain = with_complete_trials(plan(pruner=Policy("median")), count=1)
    brain.report(1, 1, {"value0": 0.1})
    brain.tell(1, State.PRUNED, [0.1])
    brain.ask(2)
    brain.tell(2, State.FAILED, [0.1])
    assert [trial.state.name for trial in brain._study.trials] == ["COMPLETE", "PRUNED", "FAIL"]


@pytest.mark.parametrize("values", [None, [], [math.nan], [math.inf], [0.1, 0.2]])
def test_complete_without_one_finite_value_an_objective_teaches_nothing(values: Any) -> None:
    brain = Brain(plan())
    brain.ask(0)
    brain.tell(0, State.COMPLETE, values)
    assert brain._study.trials[0].state.name == "FAIL"


def test_auto_pruning_waits_for_three_complete_trials_and_spares_a_trial_at_its_last_step() -> None:
    search = plan(trainers=TWO)
    early = with_complete_trials(search, count=2)
    assert not early.report(2, 2, {"value0": 0.1}).prune
    brain = with_complete_trials(search, count=4)
    assert not brain.report(4, 1, {"value0": 0.1}).prune
    assert brain.report(4, 2, {"value0": 0.1}).prune
    brain.ask(5)
    brain.report(5, 2, {"value0": 9.0})
    assert not brain.report(5, 6, {"value0": 0.1}).prune


# --- what auto means -------------------------------------------------------------------------

GPU = Resources(gpus=1)


@pytest.mark.parametrize(
    ("search", "name"),
    [
        (plan(trials=25), "tpe"),
        (plan(trials=25, resources=GPU), "gp"),
        (plan(trials=50, resources=GPU), "gp"),
        (plan(trials=51, resources=GPU), "tpe"),
        (plan(trials=10, resources=GPU), "tpe"),
        (plan(trials=None, resources=GPU), "tpe"),
        (plan(trials=25, resources=Resources(gpus=0.5)), "tpe"),
        (plan(ALONE, trials=25, resources=GPU), "tpe"),
        (plan({**PLAIN, "model.c": Choice((1, 2))}, trials=25, resources=GPU), "gp"),
        (plan({"model.x": Float(0, 1), "model.c": Choice((1, 2))}, trials=25, resources=GPU), "tpe"),
        (plan({f"model.x{n}": Float(0, 1) for n in range(11)}, trials=25, resources=GPU), "tpe"),
        (plan(trainers=TWO, trials=25, resources=GPU), "tpe"),
        (plan(directions=("maximize", "minimize"), trials=25, resources=GPU), "tpe"),
        (plan(sampler=Policy("qmc"), trials=25, resources=GPU), "qmc"),
    ],
)
def test_auto_takes_the_gaussian_process_for_few_long_trials_and_tpe_otherwise(
    search: Search, name: str
) -> None:
    assert resolve_sampler(search).name == name


def test_tpe_samples_by_groups_where_parameters_are_conditional() -> None:
    assert resolve_sampler(plan(ALONE)).arguments == {"group": True}
    assert resolve_sampler(plan()).arguments == {}
    assert resolve_sampler(plan(ALONE, directions=("maximize", "maximize"))).arguments == {}
    assert resolve_sampler(plan(ALONE, sampler=Policy("tpe", {"group": False}))).arguments == {"group": False}


def epochs(count: int) -> Mapping[str, Trainer]:
    return {"trainer": Trainer("lightning", "m:Net", "m:Data", {"max_epochs": count})}


@pytest.mark.parametrize(
    ("search", "expected"),
    [
        (plan(), Policy("successive_halving", {"reduction_factor": 3})),
        (plan(trainers=TWO), Policy("successive_halving", {"min_resource": 2, "reduction_factor": 3})),
        (
            plan(trainers=epochs(100)),
            Policy("successive_halving", {"min_resource": 4, "reduction_factor": 3}),
        ),
        (
            plan(constants={"fit.epochs": 81}, trainers=KERAS),
            Policy("successive_halving", {"min_resource": 3, "reduction_factor": 3}),
        ),
        (
            plan({"fit.epochs": Int(1, 9)}, trainers=KERAS),
            Policy("successive_halving", {"reduction_factor": 3}),
        ),
        (plan(trainers=epochs(2)), Policy("none")),
        (plan(directions=("maximize", "minimize")), Policy("none")),
        (plan(sampler=Policy("gp")), Policy("none")),
        (plan(sampler=Policy("gp"), pruner=Policy("median")), Policy("median")),
        (plan(pruner=Policy("none")), Policy("none")),
    ],
)
def test_auto_pruning_follows_the_length_of_a_trial(search: Search, expected: Policy) -> None:
    assert resolve_pruner(search) == expected


class Long(Driver):
    """Reports 30 steps; notes where trials were cut, and what was said of that as they were asked for."""

    STEPS = 30

    def __init__(self, search: Search, seed: int = 0) -> None:
        super().__init__(search, seed)
        self.said: dict[int, tuple[int, ...] | None] = {}
        self.cuts: list[tuple[int, int]] = []

    def _ask(self) -> None:
        self.said[self.asked] = self.brain.judged
        super()._ask()

    def _end(self, number: int, state: State, values: Sequence[float] | None) -> None:
        if state is State.PRUNED:
            self.cuts.append((number, self.flight[number][1]))
        super()._end(number, state, values)


@pytest.mark.parametrize(
    ("pruner", "judged"),
    [
        (Policy("none"), ()),
        (Policy("successive_halving", {"min_resource": 2, "reduction_factor": 3}), (2, 6, 18)),
        (
            Policy("successive_halving", {"min_resource": 1, "min_early_stopping_rate": 1}),
            (4, 16),
        ),
        (Policy("hyperband", {"min_resource": 2, "max_resource": 30}), (2, 6, 18)),
        (Policy("median"), None),
        (Policy("percentile", {"n_warmup_steps": 3}), None),
    ],
)
def test_trials_are_cut_at_the_steps_that_are_said_to_be_judged(
    pruner: Policy, judged: tuple[int, ...] | None
) -> None:
    driver = Long(plan(sampler=Policy("random"), pruner=pruner))
    driver.run(1500)
    assert driver.brain.judged is None if judged is None else driver.brain.judged[: len(judged)] == judged
    assert bool(driver.cuts) is (judged != ())
    for number, step in driver.cuts:
        said = driver.said[number]
        assert said is None or step in said


def test_of_a_length_that_is_not_known_yet_any_step_may_be_judged() -> None:
    driver = Long(plan(sampler=Policy("random")))
    assert driver.brain.judged is None
    driver.run(1500)
    assert driver.brain.judged == (2, 6, 18)
    assert driver.cuts
    for number, step in driver.cuts:
        said = driver.said[number]
        assert said is None or step in said


def test_the_end_of_a_trial_is_not_judged() -> None:
    """Nothing is left to cut there."""
    assert Brain(plan(trainers=epochs(18))).judged == (2, 6)


def test_at_most_two_rungs_lie_before_a_third_of_a_trial() -> None:
    for steps in range(3, 1000):
        rungs = [first_rung(steps) * 3**n for n in range(8)]
        assert rungs[0] >= 2
        assert sum(rung < steps / 3 for rung in rungs) <= 2


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ({"sampler": Policy("tpe", {"startup": 3})}, "search.sampler.startup"),
        ({"sampler": Policy("nsgaii", {"population_size": 1})}, "search.sampler.population_size"),
        ({"pruner": Policy("percentile", {"percentile": 200})}, "search.pruner.percentile"),
        ({"pruner": Policy("successive_halving", {"reduction_factor": 1})}, "search.pruner.reduction_factor"),
        ({"pruner": Policy("hyperband", {"min_resource": 9, "max_resource": 3})}, "is below min_resource"),
        ({"sampler": Policy("cmaes"), "directions": ("maximize", "minimize")}, "cmaes cannot sample"),
        ({"space": ALONE, "sampler": Policy("grid")}, "grid knows no conditions"),
        ({"sampler": Policy("grid")}, "space.model.lr: grid needs a step"),
    ],
)
def test_arguments_that_optuna_refuses_are_faults_before_the_first_trial(
    words: dict[str, Any], message: str
) -> None:
    with pytest.raises(InputError, match=message):
        Brain(plan(**words))


@pytest.mark.filterwarnings("error")
def test_nothing_that_is_done_on_purpose_warns(caplog: pytest.LogCaptureFixture) -> None:
    odd = {"model.odd": Int(1, 10, step=4), "model.frac": Float(0, 1, step=0.3)}
    for name in ("tpe", "cmaes", "nsgaii", "random"):
        Driver(plan({**CONDITIONAL, **odd}, trainers=TWO, sampler=policy(name))).run(100)
    Driver(plan({**PLAIN, **odd}, sampler=policy("qmc"))).run(100)
    assert not [record for record in caplog.records if "optuna" in record.name]


# --- shares of several trainers --------------------------------------------------------------


def shares(points: Iterable[Any]) -> list[Counter[str]]:
    running: Counter[str] = Counter()
    return [running.copy() for asked in points if not running.update([asked.trainer])]  # type: ignore[func-returns-value]


@pytest.mark.parametrize("name", ["tpe", "random", "nsgaii"])
def test_neither_of_two_trainers_gets_under_a_quarter_of_a_short_search(name: str) -> None:
    brain = Brain(search := plan(CONDITIONAL, trainers=TWO, sampler=policy(name), start_with=[{}, {}]))
    points = []
    for number in range(40):
        points.append(asked := brain.ask(number))
        assert asked
        brain.tell(number, State.COMPLETE, [float(asked.trainer == "torch")])
    for number, counts in enumerate(shares(points), start=1):
        if number >= len(search.trainers):
            assert min(counts[trainer] for trainer in TWO) >= number / 4
    assert "share" in {asked.source for asked in points if asked}


@settings(max_examples=200)
@given(k=st.integers(2, 6), horizon=st.integers(2, 60), dice=st.randoms(use_true_random=False))
def test_a_share_is_kept_at_every_count_whatever_the_sampler_wants(
    k: int, horizon: int, dice: random.Random
) -> None:
    counts = [0] * k
    greedy = dice.randrange(k)
    for total in range(1, horizon + 1):
        due = owed(counts, horizon)
        free = greedy if dice.random() < 0.8 else dice.randrange(k)
        counts[free if due is None else due] += 1
        if k <= total:
            assert min(counts) >= total / (2 * k)


def test_after_the_short_search_the_sampler_is_free() -> None:
    assert owed([30, 10], 40) is None
    assert owed([100, 1], 40) is None
