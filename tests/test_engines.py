"""One contract, two engines: what a search may rely on, wherever its trials run."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest

from automl.engines.local import Local
from automl.errors import InputError
from automl.events import Event, State
from automl.plan import Plan
from automl.results import show
from automl.run import Outcome, Silent, run
from automl.search import Budget, Objective, Policy, Resources, Search, Trainer
from automl.space import Float
from automl.thought import Thought
from tests.faults.kill import host_of

SOURCE = Path(__file__).parent / "project"


class Watcher(Silent):
    """Keeps every event, and calls back with the desk's history at hand."""

    def __init__(self, on_event: Callable[[Event], None] = lambda event: None) -> None:
        self.events: list[Event] = []
        self.slots = 0
        self._on_event = on_event

    def begin(self, plan: Plan, history: Any, slots: int) -> None:
        self.slots = slots

    def event(self, event: Event) -> None:
        self.events.append(event)
        self._on_event(event)


@pytest.fixture(scope="session")
def ray_cluster() -> Iterator[None]:
    """One Ray for the whole session."""
    from automl.engines.ray_tune import RayTune

    engine = RayTune(str(SOURCE), address="local")
    engine.start()
    yield
    engine.close()


@pytest.fixture(params=["local", "ray"])
def engine(request: pytest.FixtureRequest) -> str:
    if request.param == "ray":
        request.getfixturevalue("ray_cluster")
    return str(request.param)


def a_search(model: str = "quadratic", trials: int = 4, **more: Any) -> Search:
    """A search over x with a callable of tiny_function; keywords with a dot are its constants."""
    constants = {key: more.pop(key) for key in list(more) if key.startswith("model.")}
    words: dict[str, Any] = {
        "name": "tiny",
        "objective": Objective("loss", "minimize"),
        "trainer": Trainer("function", f"trainers.tiny_function:{model}"),
        "space": {"model.x": Float(-1.0, 1.0), **constants},
        "budget": Budget(trials=trials),
        "pruner": "none",
        "tracking": False,
    }
    return Search(**{**words, **more})


def states(outcome: Outcome) -> dict[str, int]:
    return {str(state): count for state, count in outcome.history.counts.items() if count}


def test_a_search_ends_with_exactly_its_budget(engine: str, root: Path) -> None:
    outcome = run(a_search(trials=5), engine)
    assert (outcome.state, outcome.reason, outcome.exit_code) == ("ENDED", "budget.trials", 0)
    assert states(outcome) == {"COMPLETE": 5}
    for trial in outcome.history.trials.values():
        assert [report.step for report in trial.reports] == [1, 2, 3]
        assert trial.values == [trial.reports[-1].metrics["loss"]]
    assert outcome.best[0].values == [min(t.values[0] for t in outcome.history.trials.values())]


def test_the_second_trial_of_a_slot_finds_its_worker_warm(engine: str, root: Path) -> None:
    watcher = Watcher()
    outcome = run(a_search(trials=6), engine, view=watcher)
    started = [event.data for event in watcher.events if event.kind == "started"]
    pids = {trial.attempts[0].pid for trial in outcome.history.trials.values()}
    assert len(pids) <= watcher.slots
    assert sum(not data["warm"] for data in started) == len(pids)


def test_slots_keep_their_workers_while_the_next_point_is_thought_of(
    engine: str, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The sampler takes longer than a trial: more slots than one wait for it at the same time."""
    think = Thought.__call__

    def slowly(thought: Thought) -> Any:
        time.sleep(0.5)
        return think(thought)

    monkeypatch.setattr(Thought, "__call__", slowly)
    watcher = Watcher()
    search = a_search(trials=12, sampler=Policy("tpe", {"n_startup_trials": 1}), **{"model.sleep": 0.2})
    outcome = run(search, engine, view=watcher)
    assert watcher.slots == 2
    assert states(outcome) == {"COMPLETE": 12}
    assert len({trial.attempts[0].pid for trial in outcome.history.trials.values()}) <= 2


def test_a_slot_that_waits_for_a_point_is_woken_though_it_was_there_before_it_slept(root: Path) -> None:
    class Busy:
        """A host whose worker says nothing."""

        def fileno(self) -> int:
            return silence

        def poll(self, timeout_s: float) -> None:
            """Nothing."""

    class Ready:
        """A desk that had no task a moment ago and has thought of one since."""

        hungry, thinking = True, False
        bell = os.eventfd(1)

    local, desk = Local(str(root), cpus=2), Ready()
    silence, other = os.pipe()
    try:
        local._hosts[0], local._running[0] = Busy(), None  # type: ignore[assignment]
        local._listen(desk, timeout_s=3600.0)  # type: ignore[arg-type]
    finally:
        for each in (silence, other, desk.bell):
            os.close(each)


def test_a_pruned_trial_gives_its_worker_to_the_next(engine: str, root: Path) -> None:
    """The next trial waits the moment that the pruned one takes to leave; no other worker is started."""
    pruner = Policy("median", {"n_startup_trials": 1, "n_warmup_steps": 0})
    search = a_search(trials=16, sampler="random", pruner=pruner, **{"model.sleep": 0.05})
    watcher = Watcher()
    outcome = run(search, engine, view=watcher)
    assert states(outcome)["PRUNED"] >= 3
    pids = {trial.attempts[0].pid for trial in outcome.history.trials.values()}
    assert len(pids) <= watcher.slots == 2


def test_never_more_run_at_once_than_parallel_allows(engine: str, root: Path) -> None:
    running: set[int] = set()
    most = []

    def count(event: Event) -> None:
        if event.kind == "started":
            running.add(event.trial or 0)
        if event.kind == "finished":
            running.discard(event.trial or 0)
        most.append(len(running))

    run(
        a_search(trials=4, resources=Resources(parallel=1), **{"model.sleep": 0.02}),
        engine,
        view=Watcher(count),
    )
    assert max(most) == 1


def test_one_slot_and_one_file_give_the_same_trials_twice(engine: str, root: Path) -> None:
    def once(name: str) -> list[Any]:
        search = a_search(name=name, trials=6, seed=3, resources=Resources(parallel=1), pruner="auto")
        trials = run(search, engine).history.trials.values()
        return [(t.params, t.state, [(r.step, r.metrics) for r in t.reports]) for t in trials]

    assert once("first") == once("second")


def test_a_killed_worker_costs_one_attempt_and_no_trial(engine: str, root: Path) -> None:
    search = a_search("killed", trials=3, **{"model.once_in": str(root), "model.at": 2})
    outcome = run(search, engine)
    assert states(outcome) == {"COMPLETE": 3}
    for trial in outcome.history.trials.values():
        assert [attempt.outcome for attempt in trial.attempts] == ["failed", "complete"]
        assert trial.attempts[0].cause == "machine"
        assert "SIGKILL" in (trial.attempts[0].error or "")
        assert [report.step for report in trial.reports] == [1, 2, 3]


def test_a_worker_that_always_dies_is_given_up_after_its_retries(engine: str, root: Path) -> None:
    outcome = run(a_search("exits", trials=1, retries=1), engine)
    trial = outcome.history.trials[0]
    assert trial.state is State.FAILED
    assert len(trial.attempts) == 2
    assert "exit code 3" in (trial.error or "")
    assert outcome.exit_code == 1


def test_an_exception_fails_its_trial_alone_and_leaves_a_traceback_in_the_log(
    engine: str, root: Path
) -> None:
    search = a_search("crashes", trials=6, seed=1, **{"model.above": 0.0, "model.at": 2})
    outcome = run(search, engine)
    assert set(states(outcome)) == {"COMPLETE", "FAILED"}
    assert sum(states(outcome).values()) == 6
    failed = outcome.history.of_state(State.FAILED)[0]
    assert failed.error == "RuntimeError: boom at step 2"
    assert len(failed.attempts) == 1
    log = (root / "runs" / "tiny" / "trials" / str(failed.number) / "log.txt").read_text()
    assert "Traceback" in log
    assert "boom at step 2" in log


def test_a_nan_objective_fails_that_trial_and_no_other(engine: str, root: Path) -> None:
    outcome = run(a_search("returns_nan", trials=6, seed=1, **{"model.above": 0.0}), engine)
    assert set(states(outcome)) == {"COMPLETE", "FAILED"}
    assert all("loss is nan" in (t.error or "") for t in outcome.history.of_state(State.FAILED))


@pytest.mark.parametrize("epochs", [2, 6])
def test_reports_that_nobody_waits_for_are_all_counted_once_and_judged(
    engine: str, root: Path, epochs: int
) -> None:
    """No pruner and no target: trials train on, and the one that is no number ends all the same."""
    counts = "trainers.counts_lightning"
    trainer = Trainer("lightning", f"{counts}:BreakingNet", f"{counts}:TinyData", fit={"max_epochs": epochs})
    watcher = Watcher()
    outcome = run(a_search(trials=6, seed=1, trainer=trainer), engine, view=watcher)
    assert set(states(outcome)) == {"COMPLETE", "FAILED"}
    for trial in outcome.history.trials.values():
        broken = trial.params["model.x"] > 0
        assert trial.state is (State.FAILED if broken else State.COMPLETE)
        assert [report.step for report in trial.reports] == list(range(1, 3 if broken else epochs + 1))
        told = [event.kind for event in watcher.events if event.trial == trial.number]
        kinds = [kind for kind in told if kind != "published"]
        middle = ["reported"] * len(trial.reports)
        assert kinds == ["asked", "started", *middle, "ended", "finished"]
    assert all("loss is nan at step 2" in (t.error or "") for t in outcome.history.of_state(State.FAILED))


def test_a_trial_that_never_reports_the_objective_is_told_what_it_did_report(engine: str, root: Path) -> None:
    outcome = run(a_search("never_reports", trials=1), engine)
    assert outcome.history.trials[0].error == "never reported the objective loss; it reported lost"


def test_the_first_trials_failing_alike_end_the_search(engine: str, root: Path) -> None:
    outcome = run(a_search("crashes", trials=50, budget=Budget(trials=50, failures=3)), engine)
    assert outcome.state == "FAILED"
    assert "boom" in outcome.reason
    assert outcome.history.counts[State.FAILED] < 10
    assert outcome.exit_code == 1


def test_a_pruned_trial_is_pruned_and_the_others_go_on(engine: str, root: Path) -> None:
    """One after the other: beside trials that have not ended, the last report may be the first one judged."""
    pruner = {"name": "percentile", "percentile": 40.0, "n_startup_trials": 2}
    one = Resources(parallel=1)
    outcome = run(a_search(trials=10, pruner=pruner, resources=one, **{"model.steps": 6}), engine)
    assert outcome.history.counts[State.PRUNED] > 0
    assert sum(states(outcome).values()) == 10
    for trial in outcome.history.of_state(State.PRUNED):
        assert trial.values is None
        assert len(trial.reports) < 6


def test_the_target_ends_the_search_and_only_its_trial_is_complete(engine: str, root: Path) -> None:
    search = a_search(
        trials=20,
        objective=Objective("loss", "minimize", target=100.0),
        **{"model.steps": 500, "model.sleep": 0.01},
    )
    outcome = run(search, engine)
    assert (outcome.state, outcome.reason) == ("ENDED", "target")
    assert states(outcome).get("COMPLETE") == 1
    assert set(states(outcome)) <= {"COMPLETE", "WAITING"}


def test_a_stopped_search_goes_on_from_its_checkpoints_to_exactly_its_budget(engine: str, root: Path) -> None:
    constants = {"model.steps": 45, "model.sleep": 0.1}
    first = run(a_search("resumes", budget=Budget(trials=3, time=3.5), **constants), engine)
    assert first.reason == "budget.time"
    waiting = [trial for trial in first.history.of_state(State.WAITING) if trial.attempts]
    assert waiting
    assert all(trial.attempts[-1].outcome == "stopped" for trial in waiting)
    second = run(a_search("resumes", trials=3, **constants), engine)
    assert states(second) == {"COMPLETE": 3}
    for number in (trial.number for trial in waiting):
        trial = second.history.trials[number]
        assert trial.attempts[-1].number == 2
        assert trial.reports[-1].metrics["first"] > 1
        assert [report.step for report in trial.reports] == list(range(1, 46))


def test_an_ended_search_run_again_does_nothing_more(engine: str, root: Path) -> None:
    run(a_search(trials=2), engine)
    again = run(a_search(trials=2), engine)
    assert states(again) == {"COMPLETE": 2}
    assert again.exit_code == 0


def test_a_larger_budget_carries_on(engine: str, root: Path) -> None:
    run(a_search(trials=2), engine)
    assert states(run(a_search(trials=4), engine)) == {"COMPLETE": 4}


def test_a_changed_space_is_refused_with_the_difference(engine: str, root: Path) -> None:
    run(a_search(trials=1), engine)
    with pytest.raises(InputError, match=r"model\.x"):
        run(a_search(trials=1, space={"model.x": Float(-2.0, 1.0)}), engine)
    assert (
        states(run(a_search(trials=2, space={"model.x": Float(-2.0, 1.0)}), engine, changed=True))["COMPLETE"]
        == 2
    )


def test_trials_that_do_not_fit_a_changed_search_are_kept_and_not_ranked(root: Path) -> None:
    run(a_search(trials=3), "local")
    narrow = a_search(trials=5, space={"model.x": Float(3.0, 4.0)})
    narrowed = run(narrow, "local", changed=True)
    assert states(narrowed) == {"COMPLETE": 5}
    assert narrowed.best[0].number in (3, 4)
    two = a_search(
        "two_objectives",
        trials=7,
        space={"model.x": Float(3.0, 4.0)},
        objective=[Objective("near", "minimize"), Objective("far", "minimize")],
    )
    both = run(two, "local", changed=True)
    assert {trial.number for trial in both.best} <= {5, 6}
    assert [t["values"] for t in show(both.history, False)["trials"][:5]] == [None] * 5
    again = run(a_search(trials=9), "local", changed=True)
    assert again.best[0].number not in (3, 4, 5, 6)
    assert states(again) == {"COMPLETE": 9}


def test_a_waiting_trial_that_a_changed_space_has_no_place_for_is_given_up(root: Path) -> None:
    slow, one = {"model.sleep": 0.1, "model.steps": 50}, Resources(parallel=1)
    run(a_search("resumes", budget=Budget(trials=3, time=1.0), resources=one, **slow), "local")
    changed = a_search("resumes", trials=2, space={"model.x": Float(3.0, 4.0)}, resources=one)
    outcome = run(changed, "local", changed=True)
    assert states(outcome) == {"COMPLETE": 1, "FAILED": 1}
    assert outcome.history.trials[0].error == "it is no point of the search as it was changed"


def test_what_no_node_can_give_is_refused_before_anything_runs(engine: str, root: Path) -> None:
    with pytest.raises(InputError, match=r"resources\.cpus"):
        run(a_search(resources=Resources(cpus=4096)), engine)
    assert not (root / "automl.db").exists()


def test_no_process_is_left_after_a_search(engine: str, root: Path) -> None:
    outcome = run(a_search(trials=3), engine)
    pids = {attempt.pid for trial in outcome.history.trials.values() for attempt in trial.attempts}
    psutil.wait_procs([psutil.Process(pid) for pid in pids if psutil.pid_exists(pid)], timeout=10)
    assert not [pid for pid in pids if psutil.pid_exists(pid)]
    assert os.getpid() not in pids


def test_a_killed_ray_actor_costs_one_attempt_that_is_not_counted(ray_cluster: None, root: Path) -> None:
    killed: list[int] = []

    def kill_the_actor(event: Event) -> None:
        if event.kind == "reported" and not killed:
            worker = psutil.Process(outcomes[0].trials[event.trial].attempts[-1].pid)
            actor = host_of(worker)
            assert actor.pid != os.getpid()
            killed.append(actor.pid)
            os.kill(actor.pid, signal.SIGKILL)

    outcomes: list[Any] = []

    class Killer(Watcher):
        def begin(self, plan: Plan, history: Any, slots: int) -> None:
            outcomes.append(history)

    search = a_search("resumes", trials=3, retries=0, **{"model.steps": 20, "model.sleep": 0.05})
    outcome = run(search, "ray", view=Killer(kill_the_actor))
    assert states(outcome) == {"COMPLETE": 3}
    lost = [t for t in outcome.history.trials.values() if t.attempts[0].outcome == "lost"]
    assert len(lost) == 1
    assert [report.step for report in lost[0].reports] == list(range(1, 21))


def test_tune_has_a_trial_for_each_slot_and_not_for_each_attempt(
    ray_cluster: None, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from automl.engines.ray_actors import Bridge

    given, next_slot = [], Bridge.next_slot

    def counted(bridge: Bridge, slot: str) -> Any:
        found = next_slot(bridge, slot)
        given.extend([slot] if isinstance(found, dict) else [])
        return found

    monkeypatch.setattr(Bridge, "next_slot", counted)
    assert states(run(a_search(trials=12), "ray")) == {"COMPLETE": 12}
    assert len(given) == 2


class Anything:
    def __init__(self, config: dict[str, Any]) -> None: ...


def test_no_placement_is_taken_back_while_ray_is_about_to_make_it(
    ray_cluster: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One that is taken back between its two phases leaves the node short of a CPU until Ray is restarted."""
    import ray
    from ray.air.execution.resources import placement_group as module
    from ray.air.execution.resources.request import ResourceRequest
    from ray.util import placement_group_table

    from automl.engines.ray_actors import Actors

    while ray.available_resources().get("CPU") != 2.0:  # what the last search had
        time.sleep(0.1)
    states: list[str] = []
    remove = module.remove_placement_group

    def removes(group: Any) -> None:
        states.append(placement_group_table(group)["state"])
        remove(group)

    monkeypatch.setattr("ray.util.remove_placement_group", removes)
    monkeypatch.setattr(module, "remove_placement_group", removes)
    manager = Actors(module.PlacementGroupResourceManager())
    one = ResourceRequest([{"CPU": 1.0}])
    manager.remove_actor(manager.add_actor(Anything, {"config": {}}, one))
    manager.add_actor(Anything, {"config": {}}, one)
    manager.cleanup()
    assert states == ["CREATED", "CREATED"]


def test_a_trial_of_two_ranks_is_one_trial_on_ray(ray_cluster: None, root: Path) -> None:
    tiny = "trainers.tiny_lightning"
    search = Search(
        name="ranks",
        objective=Objective("val_loss", "minimize"),
        trainer=Trainer("lightning", f"{tiny}:TinyNet", f"{tiny}:TinyData", {"max_epochs": 2}),
        space={"model.lr": Float(0.01, 0.1)},
        budget=Budget(trials=2),
        resources=Resources(cpus=2, ranks=2, parallel=1),
        pruner="none",
        tracking=False,
    )
    outcome = run(search, "ray")
    assert states(outcome) == {"COMPLETE": 2}
    trials = outcome.history.trials.values()
    assert [[report.step for report in trial.reports] for trial in trials] == [[1, 2], [1, 2]]
    assert len({trial.attempts[0].pid for trial in trials}) == 1


def test_an_actor_never_imports_tune() -> None:
    script = "import sys, automl.engines.ray_slot; print('ray' in sys.modules, 'ray.tune' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=60)
    assert done.stdout.split() == ["True", "False"], done.stderr


def test_a_local_ray_has_what_this_engine_asks_and_nothing_more() -> None:
    script = (
        "from automl.engines.ray_tune import RayTune\n"
        "engine = RayTune('.', 'local')\n"
        "engine.start()\n"
        "from ray._private import worker, node\n"
        "print(*sorted(worker._global_node.all_processes))\n"
        "print(node.Node.start_monitor.__name__)\n"
        "engine.close()\n"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[-2:] == ["gcs_server raylet", "start_monitor"]


def test_a_search_joins_a_cluster_by_its_address_and_leaves_it_running(ray_cluster: None, root: Path) -> None:
    import ray

    address = ray.get_runtime_context().gcs_address
    file = root / "search_spaces" / "quadratic.yaml"
    command = [sys.executable, "-m", "automl", "search", str(file), "--set", "budget.trials=2"]
    env = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[1])}
    for way, more in ((["--address", address], {}), ([], {"RAY_ADDRESS": address})):
        name = f"joined-{len(way)}"
        said = subprocess.run(
            [*command, "--set", f"name={name}", *way],
            cwd=root,
            env={**env, **more},
            capture_output=True,
            text=True,
            timeout=120,
        )
        assert said.returncode == 0, said.stderr
        assert "best: trial" in said.stdout
    assert ray.cluster_resources()["CPU"] > 0


def test_a_slot_with_a_gpu_sees_that_gpu_alone_and_keeps_one_framework(root: Path) -> None:
    # No GPU is needed to see what a worker would be shown: two halves of GPU 6, and GPU 7.
    engine = Local(str(root), cpus=4, gpus=["6", "7"])
    assert engine.capacity(1, 0.5).slots == 4
    assert engine.capacity(1, 1).slots == 2
    assert engine.capacity(1, 2).slots == 1
    seen: dict[int, str] = {}

    def look(event: Event) -> None:
        if event.kind == "started":
            environment = psutil.Process(event.data["pid"]).environ()
            seen[event.data["pid"]] = environment["CUDA_VISIBLE_DEVICES"]
            assert environment["TF_FORCE_GPU_ALLOW_GROWTH"] == "true"

    search = a_search(trials=8, resources=Resources(gpus=0.5), **{"model.sleep": 0.2})
    outcome = run(search, engine, view=Watcher(look))
    assert states(outcome) == {"COMPLETE": 8}
    assert sorted(seen.values()) == ["6", "6", "7", "7"]
