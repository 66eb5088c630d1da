"""A trial of several ranks is one trial: it reports once, and all its ranks go on, leave and die together."""

from __future__ import annotations

import contextlib
import json
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import psutil
import pytest

from automl import ranks
from automl.engines.base import Answer, Message
from automl.errors import InputError, TrialStopped
from automl.events import Event
from automl.follower import Seated
from automl.host import Host
from automl.run import run as run_search
from automl.search import Budget, Objective, Resources, Search, Trainer
from automl.space import Float
from tests.test_engines import Watcher, states
from tests.test_frameworks import ROOT, STEPS, SUBJECTS, Attempt, checkpoint_of, drive, meta_of, task_of

PATIENCE_S = 180.0
NETS = "trainers.ranks_lightning"
CPUS = 4  # two threads for each of two ranks
Run = Callable[..., Attempt]


@pytest.fixture(scope="module")
def host() -> Iterator[Host]:
    made = Host(str(ROOT), CPUS)
    yield made
    made.close()


@pytest.fixture
def run(host: Host, tmp_path: Path) -> Run:
    """Run an attempt in two ranks, unless told otherwise."""

    def attempt(
        framework: str = "lightning", answers: Any = None, seen: Any = None, **changes: Any
    ) -> Attempt:
        count = changes.pop("ranks", 2)
        task = task_of(SUBJECTS[framework], tmp_path, changes)
        micro = changes.get("micro", 1)
        given = {"cpus": CPUS, "gpus": 0, "ranks": count}
        task = replace(task, resources=given, micro=micro, silence_s=changes.get("silence_s"))
        return drive(host, task, answers or {}, seen)

    return attempt


def by_rank(out: Path) -> list[dict[str, Any]]:
    """What the ranks of a RankNet wrote down last."""
    return [json.loads((out / f"rank-{n}.json").read_text()) for n in range(2)]


def told(out: Path, net: str = "RankNet", **arguments: Any) -> dict[str, Any]:
    out.mkdir(exist_ok=True)
    return {"model": f"{NETS}:{net}", "model_": {"out": str(out), "dropout": 0.2, **arguments}}


# --- Lightning -------------------------------------------------------------------------------


def test_two_ranks_report_once_and_learn_the_same_from_halves_of_the_data(run: Run, tmp_path: Path) -> None:
    both = run(**told(tmp_path / "both"))
    assert both.ended["outcome"] == "complete", both.log
    assert both.steps == list(range(1, STEPS + 1))
    zero, one = by_rank(tmp_path / "both")
    assert zero["pid"] == both.started["pid"] != one["pid"]
    assert zero["threads"] == one["threads"] == CPUS // 2
    assert zero["batches"] == one["batches"] == STEPS * 96 // 16 // 2
    assert zero["weights"] == one["weights"]
    assert meta_of(both)["metrics"] == both.curve[-1][1]


def test_a_pruned_trial_leaves_on_both_ranks_at_once_and_the_same_processes_train_the_next(
    run: Run, tmp_path: Path
) -> None:
    pruned = run(answers={2: Answer.END}, **told(tmp_path / "a"))
    assert (pruned.ended["outcome"], pruned.steps) == ("pruned", [1, 2])
    after = run(trial=1, **told(tmp_path / "b"))
    assert after.ended["outcome"] == "complete"
    before, now = by_rank(tmp_path / "a"), by_rank(tmp_path / "b")
    assert [each["batches"] for each in before] == [6, 6]
    assert [each["pid"] for each in before] == [each["pid"] for each in now]


def test_a_stopped_trial_of_two_ranks_goes_on_as_if_it_had_never_stopped(run: Run) -> None:
    drawing = {"model": "trainers.keeps_lightning:DrawingNet"}
    whole = run(**drawing)
    stopped = run(answers={2: Answer.STOP}, trial=1, **drawing)
    assert stopped.ended["outcome"] == "stopped"
    place = checkpoint_of(stopped)
    resumed = run(trial=1, attempt=2, checkpoint=place, step=2, **drawing)
    assert resumed.started["resumed_step"] == 2
    assert resumed.curve == whole.curve[2:]


def test_a_stop_that_cannot_wait_for_the_epoch_finds_all_ranks_at_the_same_batch(
    run: Run, host: Host, tmp_path: Path
) -> None:
    def stop(message: Message) -> None:
        if message["kind"] == "started":
            host.stop()

    stopped = run(seen=stop, data_={"size": 9600}, **told(tmp_path / "a", "ImpatientNet"))
    assert (stopped.ended["outcome"], stopped.steps) == ("stopped", [])
    zero, one = by_rank(tmp_path / "a")
    assert zero["batches"] == one["batches"] < 300
    after = run(trial=1, **told(tmp_path / "b"))
    assert after.ended["outcome"] == "complete"
    assert after.started["pid"] == zero["pid"]


def test_a_trial_of_two_ranks_that_reached_the_target_ends_complete_with_its_weights(run: Run) -> None:
    attempt = run(answers={2: Answer.FINISH})
    assert (attempt.ended["outcome"], attempt.steps) == ("complete", [1, 2])
    assert meta_of(attempt)["step"] == 2


def test_where_the_best_value_counts_rank_0_keeps_the_weights_of_the_best_step(run: Run) -> None:
    attempt = run(metric="train_loss", direction="maximize", value="best")
    assert attempt.ended["outcome"] == "complete", attempt.log
    assert meta_of(attempt)["step"] == 1


def test_batches_in_parts_teach_two_ranks_the_same(run: Run) -> None:
    plain = {"model_": {"dropout": 0.0}}
    whole, parts = run(**plain), run(trial=1, micro=2, **plain)
    assert parts.ended["outcome"] == "complete", parts.log
    for (_, left), (_, right) in zip(whole.curve, parts.curve, strict=True):
        assert left["val_loss"] == pytest.approx(right["val_loss"], rel=1e-4)


def test_a_full_disk_costs_two_ranks_a_checkpoint_and_nothing_else(run: Run, tmp_path: Path) -> None:
    attempt = run(answers={2: Answer.STOP}, **told(tmp_path / "a", "FullNet"))
    assert (attempt.ended["outcome"], attempt.steps) == ("stopped", [1, 2]), attempt.log
    [missed] = attempt.of("checkpointed")
    assert missed["path"] is None
    assert "No space left on device" in missed["error"]
    after = run(trial=1, **told(tmp_path / "b"))
    assert after.started["pid"] == attempt.started["pid"]


def test_a_deep_check_trains_a_batch_on_both_ranks(run: Run) -> None:
    attempt = run(deep=True)
    assert attempt.ended["outcome"] == "complete", attempt.log
    assert set(attempt.ended["reports"][0]) == SUBJECTS["lightning"].metrics


def test_where_one_rank_hangs_the_stacks_of_both_are_in_the_log(run: Run, tmp_path: Path) -> None:
    hung = run(silence_s=6.0, **told(tmp_path / "a", "HangingNet"))
    assert (hung.ended["outcome"], hung.ended["cause"]) == ("failed", "hang")
    assert hung.steps == [1]
    assert "It was at trainers/ranks_lightning.py:" in hung.ended["error"]
    assert hung.log.count("Current thread") == 2


def test_what_one_rank_alone_raises_is_the_trials_error_and_ends_them_all(run: Run, tmp_path: Path) -> None:
    failed = run(**told(tmp_path / "a", "FailingNet", rank=1))
    assert (failed.ended["outcome"], failed.ended["cause"]) == ("failed", "code")
    assert failed.ended["error"] == "rank 1: ValueError: no batch 0 for 1"
    assert "--- rank 1" in failed.log
    family = [psutil.Process(each["pid"]) for each in by_rank(tmp_path / "a") if alive(each["pid"])]
    assert psutil.wait_procs(family, timeout=PATIENCE_S)[1] == []


def alive(pid: int) -> bool:
    with contextlib.suppress(psutil.Error):
        return psutil.Process(pid).is_running()
    return False


def test_a_search_of_two_ranks_loses_a_rank_and_no_trial(root: Path) -> None:
    out, family = root / "out", list[psutil.Process]()
    out.mkdir()

    def look(event: Event) -> None:
        if event.kind == "reported" and not family:
            family.extend(kin_of(out))

    watcher = Watcher(look)
    search = Search(
        name="ranks",
        objective=Objective("val_loss", "minimize"),
        trainer=Trainer("lightning", f"{NETS}:KilledNet", f"{NETS}:TinyData", {"max_epochs": 3}),
        space={"model.lr": Float(0.01, 0.1), "model.out": str(out)},
        budget=Budget(trials=3),
        resources=Resources(cpus=2, ranks=2, parallel=1),
        pruner="none",
        tracking=False,
    )
    outcome = run_search(search, "local", view=watcher)
    assert states(outcome) == {"COMPLETE": 3}
    trials = list(outcome.history.trials.values())
    assert [report.step for trial in trials for report in trial.reports] == [1, 2, 3] * 3
    assert [len(trial.attempts) for trial in trials] == [2, 1, 1]
    first = trials[0].attempts[0]
    assert (first.cause, first.error) == ("machine", "the worker died: killed by SIGKILL")
    assert psutil.wait_procs(family, timeout=PATIENCE_S)[1] == []
    assert len({trial.attempts[-1].pid for trial in trials}) == 1
    fresh = [event for event in watcher.events if event.kind == "reported" and not event.data.get("repeat")]
    assert len(fresh) == 9
    assert not [each for each in by_rank(out) if alive(each["pid"])]


def kin_of(out: Path) -> list[psutil.Process]:
    """Two ranks, torchrun, and two guards."""
    zero, one = (psutil.Process(each["pid"]) for each in by_rank(out))
    above = zero.parents()[:3]
    assert one.parents()[:3] == above
    return [zero, one, *above]


# --- Keras -----------------------------------------------------------------------------------


def test_keras_trains_replicas_over_parts_of_the_cpu_and_goes_on_from_a_checkpoint(run: Run) -> None:
    whole = run("keras", model="trainers.ranks_keras:net")
    assert whole.ended["outcome"] == "complete", whole.log
    assert whole.steps == [1, 2, 3, 4]
    assert whole.curve[0][1]["replicas"] == 2
    stopped = run("keras", {2: Answer.STOP}, trial=1, model="trainers.ranks_keras:net")
    again = {"checkpoint": checkpoint_of(stopped), "step": 2, "attempt": 2}
    resumed = run("keras", trial=1, model="trainers.ranks_keras:net", **again)
    assert resumed.ended["outcome"] == "complete", resumed.log
    assert resumed.started["pid"] == whole.started["pid"]
    assert resumed.curve == whole.curve[2:]


def test_keras_refuses_batches_in_parts_over_replicas(run: Run) -> None:
    ended = run("keras", micro=2).ended
    assert (ended["outcome"], ended["cause"]) == ("failed", "memory")
    assert ended["error"].startswith("CannotSplit: Keras adds up no gradients over replicas")


# --- what may be asked for -------------------------------------------------------------------


@pytest.mark.parametrize(
    ("resources", "lightning", "function"),
    [
        (Resources(), 1, 1),
        (Resources(gpus=0.5), 1, 1),
        (Resources(gpus=4), 4, 1),
        (Resources(cpus=4, ranks=2), 2, 1),
        (Resources(gpus=2, ranks=2), 2, 1),
    ],
)
def test_there_is_one_rank_a_gpu_unless_the_file_says_more(
    resources: Resources, lightning: int, function: int
) -> None:
    assert resources.given("lightning")["ranks"] == resources.given("keras")["ranks"] == lightning
    assert resources.given("function")["ranks"] == function
    assert resources.on_cpu("lightning")["ranks"] == (1 if resources.gpus else lightning)


@pytest.mark.parametrize(
    ("words", "what"),
    [
        ({"ranks": 0}, "ranks: 0 is too small. Give 1 or more"),
        ({"ranks": "two"}, "ranks: 'two' is not a whole number or auto"),
        ({"ranks": 2}, "ranks: 2 ranks on 1 cpus, and each needs its own. Give cpus: 2 or more"),
        ({"ranks": 2, "gpus": 1}, "ranks: 2 ranks on 1 gpus, and each needs its own. Leave ranks out"),
        ({"ranks": 1, "gpus": 2}, "ranks: 1 ranks on 2 gpus"),
    ],
)
def test_ranks_that_cannot_be_are_faults(words: dict[str, Any], what: str) -> None:
    with pytest.raises(InputError) as caught:
        Resources(**words)
    assert what in str(caught.value)


def test_a_function_has_no_ranks() -> None:
    with pytest.raises(InputError, match=r"resources\.ranks: trainer is a function, which trains in one"):
        Search(
            name="f",
            objective=Objective("loss", "minimize"),
            trainer=Trainer("function", "trainers.tiny_function:quadratic"),
            space={"model.x": Float(0.0, 1.0)},
            budget=Budget(trials=1),
            resources=Resources(cpus=2, ranks=2),
        )


# --- how ranks leave together ----------------------------------------------------------------


class Stopping:
    """What a rank asks of its handle while it trains; `stop` is a stop that has waited long enough."""

    def __init__(self) -> None:
        self.stop = threading.Event()
        self.task, self.checkpoint, self.folder = None, None, Path()

    def pulse(self) -> None:
        pass

    def overdue(self) -> bool:
        return self.stop.is_set()

    def save_checkpoint(self, step: int, write: Any, behind: bool = False) -> None:
        """The storage gives no folder to write into."""


@pytest.mark.parametrize("ahead", [0, 1, 5])
def test_ranks_leave_before_the_same_batch_however_far_some_are_ahead(tmp_path: Path, ahead: int) -> None:
    group = ranks.Group(tmp_path, 3, lambda facts: None)
    seats = [Seated(tmp_path, rank) for rank in (1, 2)]
    stopping = Stopping()
    leader = ranks.Leader(stopping, group)  # type: ignore[arg-type]
    begun = [0, 0, 0]

    def train(rank: int, begin: Callable[[], None]) -> None:
        with contextlib.suppress(TrialStopped):
            while begun[rank] < 500:
                begin()
                begun[rank] += 1
                if begun[0] == 10:
                    stopping.stop.set()
                while begun[rank] > begun[0] + ahead:  # as gradients wait for those of rank 0
                    time.sleep(0.001)
                time.sleep(0.001 * (rank == 0))

    places = [leader.leave_if_told, *(seat.begin_batch for seat in seats)]
    threads = [threading.Thread(target=train, args=(n, place), daemon=True) for n, place in enumerate(places)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(PATIENCE_S)
    assert len(set(begun)) == 1
    assert 10 <= begun[0] <= 10 + ahead + 1


def test_a_checkpoint_that_the_storage_takes_no_folder_for_waits_for_no_rank(tmp_path: Path) -> None:
    group = ranks.Group(tmp_path, 2, lambda facts: None)
    seat = Seated(tmp_path, 1)
    leader = ranks.Leader(Stopping(), group)  # type: ignore[arg-type]
    leader.save_checkpoint(1, lambda folder: None)
    assert seat.told("write")["go"] is False
