"""What follows from an attempt's end, and that samplers hear of what cannot be trained."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from automl import causes, retries
from automl.brain import Brain
from automl.events import Event, State
from automl.results import Attempt, Trial, best_trials
from automl.run import run
from automl.search import Budget, Objective, Policy, Search, Trainer
from automl.space import Float, Int
from automl.why import explain, lines
from tests.patience import task_of
from tests.test_desk import Office, end, one, plan, take
from tests.test_engines import SOURCE, Watcher, a_search, states

# --- rules ---------------------------------------------------------------------------------


@pytest.fixture
def office(tmp_path: Path) -> Iterator[Office]:
    here = Office(tmp_path)
    with closing(here.ledger):
        yield here
        here.lease.release()


def fail(desk: Any, cause: str, **more: Any) -> None:
    end(desk, take(desk), "failed", cause=cause, **{"error": cause, **more})


def test_hangs_and_timeouts_share_the_retries_of_the_machine(office: Office) -> None:
    desk = office.open(plan(retries=2))
    for cause in ("hang", "machine", "timeout"):
        fail(desk, cause)
    trial = office.history().trials[0]
    assert (trial.state, trial.reason) == (State.FAILED, "timeout")
    assert [a.cause for a in trial.attempts] == ["hang", "machine", "timeout"]
    # A failure of the machine alone is no reason to stop: the next trial comes.
    assert take(desk).trial == 1


def test_the_same_exception_from_the_same_lines_twice_is_code(office: Office) -> None:
    desk = office.open(plan(retries=5))
    fail(desk, "machine", place="a1")
    fail(desk, "machine", place="b2")
    assert office.history().trials[0].state is State.WAITING
    fail(desk, "machine", place="a1")
    trial = office.history().trials[0]
    assert (trial.state, trial.reason, len(trial.attempts)) == (State.FAILED, "code", 3)


def keras_plan(**more: Any) -> Search:
    return plan(trainer=Trainer("keras", "trainers.tiny_keras:net", "trainers.tiny_keras:data"), **more)


def test_memory_is_retried_once_in_parts_and_then_infeasible(office: Office) -> None:
    desk = office.open(keras_plan(retries=0))
    fail(desk, "memory", error="out of memory")
    end(desk, take(desk), "stopped")
    desk = office.reopen(keras_plan(retries=0))
    again = take(desk)
    assert (again.trial, again.attempt, again.micro) == (0, 3, 2)
    end(desk, again, "failed", cause="memory", error="still out of memory")
    trial = office.history().trials[0]
    assert (trial.state, trial.reason) == (State.FAILED, "infeasible")
    assert trial.error == "out of memory; in smaller parts: still out of memory"
    assert take(desk).micro == 1


@pytest.mark.parametrize(
    ("framework", "arguments", "takes", "can"),
    [
        ("keras", {}, None, True),
        ("lightning", {"data": {"batch_size": 16}}, None, True),
        ("lightning", {"data": {"batch_size": 15}}, None, False),
        ("lightning", {"data": {}}, {"data": ["batch_size"]}, True),
        ("lightning", {"data": {}}, {"data": None}, True),
        ("lightning", {"data": {}}, {"data": ["size"]}, False),
        ("function", {}, {"model": ["x", "micro_batches"]}, True),
        ("function", {}, {"model": None}, False),
    ],
)
def test_who_can_train_in_parts(framework: str, arguments: Any, takes: Any, can: bool) -> None:
    assert retries.divisible(framework, arguments, takes) is can


def test_a_trainer_that_cannot_split_is_infeasible_at_once(office: Office) -> None:
    desk = office.open(plan())
    fail(desk, "memory")
    trial = office.history().trials[0]
    assert (trial.state, trial.reason, len(trial.attempts)) == (State.FAILED, "infeasible", 1)
    one(desk)
    assert [t.number for t in best_trials(desk.history.trials.values(), ["minimize"])] == [1]


def test_infeasible_trials_are_not_first_trials_that_fail_alike(office: Office) -> None:
    desk = office.open(plan(budget=Budget(trials=100, failures=2)))
    for _ in range(3):
        fail(desk, "memory", error="no room")
    fail(desk, "code", error="ValueError: 1")
    assert not desk.stopping
    fail(desk, "memory", error="no room")
    fail(desk, "code", error="ValueError: 2")
    assert "the first 2 trials failed alike: ValueError: 2" in office.shut().reason


def test_a_space_in_which_nothing_is_feasible_is_given_up(office: Office) -> None:
    desk = office.open(plan(budget=Budget(trials=100, failures=2)))
    for _ in range(2 * retries.INFEASIBLE_TIMES):
        assert not desk.stopping
        fail(desk, "memory", error="no room")
    assert office.shut().reason == "budget.failures: the first 8 trials were infeasible: no room"


def test_a_machine_that_kills_everything_ends_the_search(office: Office) -> None:
    desk = office.open(plan(retries=1, budget=Budget(trials=100, failures=2)))
    for pid in range(4):
        fail(desk, "machine", error=f"worker {pid} died")
    assert "failed alike: worker 3 died" in office.shut().reason


# --- nodes ---------------------------------------------------------------------------------


def ended(node: str, outcome: str, cause: str | None = None, at: float = 0.0) -> Attempt:
    return Attempt(1, node_id=node, outcome=outcome, cause=cause, ended_s=at)


def test_a_node_that_kills_in_a_row_is_avoided_for_a_while() -> None:
    nodes = retries.Nodes(ended("a", "failed", "machine", at) for at in (1.0, 2.0))
    nodes.hear(ended("b", "failed", "code", 2.5))
    assert nodes.avoid(3.0) == ()
    nodes.hear(ended("a", "lost", at=3.0))
    assert nodes.avoid(4.0) == ("a",)
    assert nodes.avoid(3.0 + retries.AVOID_S) == ()
    nodes.hear(ended("a", "failed", "hang", at=700.0))
    assert nodes.avoid(701.0) == ("a",)
    nodes.hear(ended("a", "complete", at=702.0))
    assert nodes.avoid(703.0) == ()


def test_a_desk_remembers_bad_nodes_and_tells_them_with_every_task(office: Office) -> None:
    desk = office.open(plan(retries=9))
    for _ in range(retries.KILLED_IN_A_ROW):
        task = task_of(desk)
        assert task is not None
        assert task.avoid == ()
        end(desk, task, "failed", cause="machine", error="killed", node_id="n1")
    assert take(desk).avoid == ("n1",)
    assert take(office.reopen(plan(retries=9))).avoid == ("n1",)


def test_the_only_node_is_never_avoided() -> None:
    from automl.engines.ray_nodes import Nodes

    nodes = Nodes(alone=True)
    nodes._looked_s = float("inf")
    nodes._known = {"a": {"CPU": 2.0}, "head": {"CPU": 0.0}}
    assert nodes.avoidable(["a"], 1, 0) == []
    nodes._known = {"a": {"CPU": 2.0}, "b": {"CPU": 2.0}}
    assert nodes.avoidable(["a", "gone"], 1, 0) == ["a"]
    assert nodes.avoidable(["a", "b"], 1, 0) == []


def test_ray_stays_away_from_a_bad_node_and_survives_a_kill_for_memory(tmp_path: Path) -> None:
    root = shutil.copytree(SOURCE, tmp_path / "project", ignore=shutil.ignore_patterns("__pycache__"))
    environment = {key: value for key, value in os.environ.items() if not key.startswith(("RAY_", "AUTOML_"))}
    environment["PYTHONPATH"] = str(Path(__file__).parents[1])
    # Ray's sockets want a short path.
    with tempfile.TemporaryDirectory(prefix="two-", dir="/tmp") as home:
        said = subprocess.run(
            [sys.executable, "-m", "tests.two_nodes", str(root)],
            capture_output=True,
            text=True,
            timeout=180,
            env={**environment, "RAY_TMPDIR": home},
        )
    assert said.returncode == 0, said.stderr[-3000:]
    found = json.loads(said.stdout.splitlines()[-1])
    started = [each for each in found["nodes"] if each["kind"] == "started"]
    bad = started[0]["node_id"]
    deaths = [each for each in found["nodes"] if each.get("cause") == "machine"]
    assert retries.KILLED_IN_A_ROW <= len(deaths) <= retries.KILLED_IN_A_ROW + 1
    assert sum(each.get("outcome") == "complete" for each in found["nodes"]) == 6
    elsewhere = [each for each in started if each.get("avoided")]
    assert elsewhere
    assert all(each["avoided"] == [bad] != [each["node_id"]] for each in elsewhere)
    assert any(each["warm"] for each in elsewhere)
    hog = found["memory"]
    assert [each.get("outcome") for each in hog if each["kind"] == "ended"] == ["failed", "complete"]
    assert [each["micro"] for each in hog if each["kind"] == "started"] == [1, 2]
    assert hog[1]["cause"] == "memory"


# --- samplers ------------------------------------------------------------------------------

WIDTH = 100.0
GP = Policy("gp", {"n_startup_trials": 4})


def guided(sampler: Any, told: bool, seed: int, trials: int, rebuilt: bool = False) -> list[float]:
    """Widths that a sampler asks for, where the better half of the space cannot be trained."""
    search = Search(
        name="s",
        seed=seed,
        objective=Objective("loss", "minimize"),
        trainer=Trainer("function", "m:train"),
        space={"model.width": Float(0.0, WIDTH), "model.depth": Int(1, 4)},
        budget=Budget(trials=trials),
        sampler=sampler,
        pruner="none",
    )
    brain, ledger = Brain(search), []
    widths = []
    for number in range(trials):
        if rebuilt:
            brain = Brain(search)
            brain.replay(ledger)
        asked = brain.ask(number)
        assert asked is not None
        ledger.append(Event("asked", number, None, json.loads(json.dumps(asked.__dict__))))
        width = asked.params["model.width"]
        widths.append(width)
        if width > WIDTH / 2:
            brain.tell(number, State.FAILED, None, infeasible=told)
            data = {"state": "FAILED", "reason": "infeasible" if told else "code"}
        else:
            values = [-width]
            brain.tell(number, State.COMPLETE, values)
            data = {"state": "COMPLETE", "values": values}
        ledger.append(Event("finished", number, None, data))
    return widths


def test_tpe_keeps_away_from_what_it_was_told_is_infeasible() -> None:
    def wasted(told: bool) -> int:
        late = [width for seed in (1, 2) for width in guided("tpe", told, seed, 40)[20:]]
        return sum(width > WIDTH / 2 for width in late)

    assert wasted(told=True) < wasted(told=False) * 0.75


def test_the_gaussian_process_finds_the_edge_of_what_is_feasible() -> None:
    def best(told: bool) -> float:
        widths = guided(GP, told, 3, 14)
        return max(width for width in widths if width <= WIDTH / 2)

    assert best(told=False) < 0.9 * WIDTH / 2 < 0.98 * WIDTH / 2 < best(told=True)


@pytest.mark.parametrize("sampler", ["tpe", GP, "nsgaii", "cmaes", "random"], ids=str)
def test_a_rebuilt_brain_knows_what_is_infeasible(sampler: Any) -> None:
    trials = 9 if sampler is GP else 14
    assert guided(sampler, True, 2, trials) == guided(sampler, True, 2, trials, rebuilt=True)


def test_an_infeasible_trial_is_no_value_and_no_parent() -> None:
    two = [Objective("a", "minimize"), Objective("b", "minimize")]
    for sampler in ("tpe", "nsgaii", GP):
        search = plan(objective=two, sampler=sampler)
        brain, trials = Brain(search), 8 if sampler is GP else 14
        for number in range(trials):
            brain.ask(number)
            if number % 3:
                brain.tell(number, State.COMPLETE, [number, -number])
            else:
                brain.tell(number, State.FAILED, None, infeasible=True)
        assert all(trial.values for trial in brain._study.best_trials)
        brain.ask(trials)


# --- whole searches ------------------------------------------------------------------------


def grief(model: str, trials: int = 1, **more: Any) -> Search:
    return a_search(trials=trials, trainer=Trainer("function", f"trainers.grief:{model}"), **more)


def told(watcher: Watcher, search: Search, number: int = 0) -> str:
    return "\n".join(lines(explain(search.name, watcher.events, number, search.to_plain())))


def test_a_cuda_error_is_retried_in_a_fresh_process(root: Path) -> None:
    watcher = Watcher()
    search = grief("fails", **{"model.how": "cuda", "model.once_in": str(root)})
    outcome = run(search, "local", view=watcher)
    assert states(outcome) == {"COMPLETE": 1}
    trial: Trial = outcome.history.trials[0]
    assert [a.cause for a in trial.attempts] == ["machine", None]
    assert trial.attempts[0].pid != trial.attempts[1].pid
    assert "the machine was to blame" in told(watcher, search)
    assert "tried again, retry 1 of 2" in told(watcher, search)


def test_a_connection_that_fails_at_the_same_line_twice_is_not_tried_a_third_time(root: Path) -> None:
    watcher = Watcher()
    search = grief("fails", retries=5, **{"model.how": "connection"})
    outcome = run(search, "local", view=watcher)
    trial = outcome.history.trials[0]
    assert (trial.state, trial.reason, len(trial.attempts)) == (State.FAILED, "code", 2)
    assert "the same exception from the same lines twice is the trainer's own" in told(watcher, search)


def test_a_callable_without_room_trains_in_parts_and_one_that_cannot_is_infeasible(root: Path) -> None:
    watcher = Watcher()
    search = grief("splits")
    outcome = run(search, "local", view=watcher)
    assert states(outcome) == {"COMPLETE": 1}
    assert outcome.history.trials[0].reports[0].metrics["micro"] == 2
    text = told(watcher, search)
    assert "out of memory, on the host or the GPU" in text
    assert "each batch in 2 parts; began" in text
    watcher = Watcher()
    search = grief("wants", trials=8, name="wants", seed=1)
    outcome = run(search, "local", view=watcher)
    assert set(states(outcome)) == {"COMPLETE", "FAILED"}
    failed = outcome.history.of_state(State.FAILED)
    assert {(t.reason, len(t.attempts)) for t in failed} == {("infeasible", 1)}
    assert outcome.best[0].params["model.x"] <= 0
    assert "infeasible: out of memory" in told(watcher, search, failed[0].number)
    assert "the sampler is told to keep away" in told(watcher, search, failed[0].number)


def test_a_worker_that_the_kernel_killed_for_memory_died_of_memory(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    counts = iter(range(100))  # the kernel's counter, which rises with every look
    monkeypatch.setattr(causes, "oom_kills", lambda: next(counts))
    search = a_search("killed", trials=1, **{"model.once_in": str(root)})
    trial = run(search, "local").history.trials[0]
    assert (trial.reason, trial.attempts[0].cause) == ("infeasible", "memory")
    assert trial.error == "the worker died: killed by SIGKILL because memory ran out"
