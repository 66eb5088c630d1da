"""The desk's rules with a real ledger and the real Optuna, and no engine: the test says what workers say."""

from __future__ import annotations

import math
import tempfile
import threading
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from automl.brain import Brain
from automl.desk import Desk, Ending, Setting, trial_seed
from automl.engines.base import Answer, Task
from automl.events import Event, State
from automl.goals import NEARLY_S
from automl.ledger import Ledger
from automl.reclaim import reclaimed
from automl.results import History
from automl.retries import LOST_MOST
from automl.search import Budget, Float, Objective, Policy, Search, Trainer
from automl.thinker import Thinker
from tests.patience import task_of


def plan(**more: Any) -> Search:
    words: dict[str, Any] = {
        "objective": Objective("loss", "minimize"),
        "trainer": Trainer("function", "trainers.tiny_function:quadratic"),
        "space": {"model.x": Float(-1, 1)},
        "budget": Budget(trials=100),
        "sampler": "random",
        "pruner": "none",
    }
    return Search(name="s", **{**words, **more})


class Office:
    """A desk over an SQLite ledger in `folder`; `reopen` is the next driver's."""

    def __init__(self, folder: Path, slots: int = 100, gpus: bool = False) -> None:
        self.folder, self.slots, self.gpus = folder, slots, gpus
        self.ledger = Ledger(f"sqlite:///{folder}/ledger.db")
        self.seen: list[Event] = []

    def open(self, search: Search) -> Desk:
        self.lease = self.ledger.lease("s")
        events = list(self.ledger.events("s"))
        brain, history = Brain(search), History("s", events)
        brain.replay(events)
        for event in self.lease.append([Event("opened", data={"spec": search.to_plain()})]):
            history.apply(event)
        setting = Setting("/nowhere", str(self.folder / "runs"), gpus=self.gpus)
        self.foreseen: list[bool] = []
        self.desk = Desk(
            search,
            brain,
            history,
            self.lease,
            setting,
            lambda: self.slots,
            self.seen.append,
            self.foreseen.append,
        )
        return self.desk

    def reopen(self, search: Search) -> Desk:
        self.shut()
        return self.open(search)

    def shut(self) -> Ending:
        ending = self.desk.conclude()
        closed = {"state": ending.state, "reason": ending.reason}
        self.lease.append([Event("closed", data=closed)])
        self.lease.release()
        return ending

    def history(self) -> History:
        """What the ledger says, which must be what the desk has."""
        history = History("s", self.ledger.events("s"))
        assert repr(history.trials) == repr(self.desk.history.trials)  # NaN differs from itself
        assert history.counts == self.desk.history.counts
        return history

    def kinds(self, trial: int) -> list[str]:
        return [event.kind for event in self.ledger.events("s") if event.trial == trial]


@pytest.fixture
def office(tmp_path: Path) -> Iterator[Office]:
    here = Office(tmp_path)
    with closing(here.ledger):
        yield here
        here.lease.release()


def take(desk: Desk) -> Task:
    task = task_of(desk)
    assert task is not None
    desk.hear(task, {"kind": "started", "node": "here", "pid": 1, "framework": "function"})
    return task


def report(desk: Desk, task: Task, step: int = 1, loss: float = 0.5, **metrics: float) -> Answer:
    return desk.hear(task, {"kind": "report", "step": step, "metrics": {"loss": loss, **metrics}})


def end(desk: Desk, task: Task, outcome: str = "complete", **more: Any) -> Answer:
    return desk.hear(task, {"kind": "ended", "outcome": outcome, **more})


def one(desk: Desk, loss: float = 0.5, **more: Any) -> Task:
    """A trial from its task to its end."""
    task = take(desk)
    report(desk, task, loss=loss)
    end(desk, task, **more)
    return task


def states(desk: Desk) -> list[str]:
    return [str(trial.state) for trial in desk.history.trials.values()]


# --- budgets -------------------------------------------------------------------------------


def test_the_end_is_foreseen_once_by_the_pace_and_once_when_it_has_come(
    office: Office, monkeypatch: pytest.MonkeyPatch
) -> None:
    desk = office.open(plan(budget=Budget(trials=20)))
    pace_s = 2.0  # of every ended trial
    monkeypatch.setattr(Desk, "alive_s", property(lambda desk: pace_s * max(1, desk._ended)))
    for left in reversed(range(20)):
        one(desk)
        desk.tick()
        assert office.foreseen == ([] if left * pace_s > NEARLY_S else [False] if left else [False, True])
    desk.tick()
    assert office.foreseen == [False, True]


def test_the_end_is_foreseen_when_the_time_is_nearly_up_or_nothing_is_left_to_begin(
    office: Office, monkeypatch: pytest.MonkeyPatch
) -> None:
    slow = 1000.0
    monkeypatch.setattr(Desk, "alive_s", property(lambda desk: slow))
    desk = office.open(plan(budget=Budget(trials=3)))
    one(desk)
    rest = [take(desk)]
    desk.tick()
    assert office.foreseen == []
    rest.append(take(desk))
    desk.tick()
    assert office.foreseen == [False]
    desk = office.reopen(plan(budget=Budget(trials=9, time_s=slow + NEARLY_S + 1)))
    desk.tick()
    assert office.foreseen == []
    slow += 2
    desk.tick()
    assert office.foreseen == [False]


def test_failed_trials_count_towards_the_budget(office: Office) -> None:
    desk = office.open(plan(budget=Budget(trials=3)))
    one(desk)
    end(desk, take(desk), "failed", cause="code", error="ValueError: no")
    assert not desk.done
    one(desk)
    assert task_of(desk) is None
    assert desk.done
    assert office.shut() == Ending("ENDED", "budget.trials")
    assert states(desk) == ["COMPLETE", "FAILED", "COMPLETE"]


def test_no_more_run_than_there_are_slots_and_than_the_budget_has_room_for(office: Office) -> None:
    office.slots = 2
    desk = office.open(plan(budget=Budget(trials=3)))
    first, _ = take(desk), take(desk)
    assert task_of(desk) is None
    end(desk, first, "failed", cause="code")
    take(desk)
    office.slots = 9
    assert task_of(desk) is None
    assert not desk.done


def test_a_smaller_budget_leaves_waiting_trials_waiting(office: Office) -> None:
    desk = office.open(plan())
    one(desk), one(desk), take(desk)
    desk = office.reopen(plan(budget=Budget(trials=2)))
    assert task_of(desk) is None
    assert desk.done
    assert states(desk) == ["COMPLETE", "COMPLETE", "WAITING"]


def test_time_sums_over_drivers(office: Office) -> None:
    desk = office.open(plan(budget=Budget(time="1h")))
    for event in office.lease.append([Event("asked", 0, None, _asked(), time_s=_last(office) + 3599)]):
        desk.history.apply(event)
    desk = office.reopen(plan(budget=Budget(time="2h")))
    assert 3599 <= desk.alive_s < 3700
    desk.tick()
    assert not desk.stopping
    desk = office.reopen(plan(budget=Budget(time=3000)))
    assert desk.done
    assert office.shut() == Ending("ENDED", "budget.time")


def _asked() -> dict[str, Any]:
    return {"params": {"model.x": 0.5}, "trainer": "trainer", "source": "sampler", "sampler": "random"}


def _last(office: Office) -> float:
    return max(event.time_s for event in office.ledger.events("s"))


def test_patience_ends_after_so_many_trials_without_a_better_best(office: Office) -> None:
    desk = office.open(plan(budget=Budget(trials=100, patience=3)))
    for loss in (0.5, 0.6, 0.4, 0.4, 0.7):
        one(desk, loss)
    assert not desk.stopping
    desk = office.reopen(plan(budget=Budget(trials=100, patience=3)))
    assert not desk.stopping
    end(desk, take(desk), "failed", cause="code")
    assert desk.done
    assert office.shut() == Ending("ENDED", "budget.patience")
    assert office.open(plan(budget=Budget(trials=100, patience=3))).done
    assert not office.reopen(plan(budget=Budget(trials=100, patience=4))).done


def test_a_task_that_nobody_has_begun_is_given_back_and_comes_again_first(office: Office) -> None:
    desk = office.open(plan(budget=Budget(trials=2)))
    first, second = task_of(desk), task_of(desk)
    assert first and second
    desk.give_back(first)
    assert task_of(desk) == first
    desk.give_back(second)
    desk.give_back(first)
    desk.stop("STOPPED", "the user")
    assert desk.done
    assert [trial.state for trial in desk.history.trials.values()] == [State.WAITING] * 2
    assert not any(trial.attempts for trial in desk.history.trials.values())


def test_patience_with_two_objectives_waits_for_the_front(office: Office) -> None:
    search = plan(objective=_two(), budget=Budget(trials=100, patience=2))
    desk = office.open(search)
    for near, far in ((0.5, 0.5), (0.9, 0.1), (0.9, 0.9), (0.1, 0.9), (0.5, 0.5)):
        task = take(desk)
        desk.hear(task, {"kind": "report", "step": 1, "metrics": {"near": near, "far": far}})
        end(desk, task)
    assert not desk.stopping
    end(desk, take(desk), "failed", cause="code")
    assert desk.stopping


def _two() -> list[Objective]:
    return [Objective("near", "minimize"), Objective("far", "minimize")]


def test_first_trials_that_fail_alike_give_the_search_up(office: Office) -> None:
    desk = office.open(plan(budget=Budget(trials=100, failures=3)))
    for number in range(3):
        end(desk, take(desk), "failed", cause="code", error=f"ValueError: shape {number} is wrong")
    ending = office.shut()
    assert ending.state == "FAILED"
    assert "first 3 trials failed alike: ValueError: shape 2 is wrong" in ending.reason
    assert not office.open(plan(budget=Budget(trials=100, failures=3))).done  # mended, the search goes on


@pytest.mark.parametrize("errors", [["a", "b", "a"], ["a", None, "a", "a"]])
def test_failures_that_differ_or_come_later_do_not(office: Office, errors: list[str | None]) -> None:
    desk = office.open(plan(budget=Budget(trials=100, failures=3)))
    for error in errors:
        if error is None:
            one(desk)
        else:
            end(desk, take(desk), "failed", cause="code", error=error)
    assert not desk.stopping


# --- attempts ------------------------------------------------------------------------------


def test_the_machines_failures_are_retried_and_then_end_the_trial(office: Office) -> None:
    desk = office.open(plan(retries=2))
    for attempt in (1, 2, 3):
        task = take(desk)
        assert (task.trial, task.attempt) == (0, attempt)
        end(desk, task, "failed", cause="machine", error="killed")
    trial = office.history().trials[0]
    assert trial.state is State.FAILED
    assert [a.outcome for a in trial.attempts] == ["failed"] * 3
    assert trial.error == "killed"


def test_a_failure_of_the_code_is_not_retried(office: Office) -> None:
    desk = office.open(plan(retries=2))
    end(desk, take(desk), "failed", cause="code", error="ValueError: no")
    trial = office.history().trials[0]
    assert (trial.state, trial.error, trial.reason) == (State.FAILED, "ValueError: no", "code")


def test_lost_nodes_do_not_count_against_retries(office: Office) -> None:
    desk = office.open(plan(retries=0))
    for _ in range(LOST_MOST):
        end(desk, take(desk), "lost")
    one(desk)
    trial = office.history().trials[0]
    assert trial.state is State.COMPLETE
    assert len(trial.attempts) == LOST_MOST + 1


def test_drivers_that_die_speak_for_no_trial_and_no_node(office: Office) -> None:
    search = plan(retries=0)
    for _ in range(LOST_MOST + 1):
        desk = office.open(search)
        task = task_of(desk)
        assert task is not None
        assert (task.trial, task.avoid) == (0, ())
        desk.hear(task, {"kind": "started", "node_id": "a"})
        office.lease.append(reclaimed(desk.history))  # as the next driver does
        office.lease.release()
    desk = office.open(search)
    end(desk, take(desk), "lost")
    one(desk)
    assert office.history().trials[0].state is State.COMPLETE


def test_a_trial_that_takes_down_every_node_is_given_up(office: Office) -> None:
    desk = office.open(plan(retries=0))
    for _ in range(LOST_MOST + 1):
        end(desk, take(desk), "lost")
    assert office.history().trials[0].state is State.FAILED


def test_an_attempt_whose_worker_dies_before_it_speaks_is_one_all_the_same(office: Office) -> None:
    desk = office.open(plan())
    task = task_of(desk)
    assert task is not None
    end(desk, task, "failed", cause="machine", error="killed")
    assert [a.outcome for a in office.history().trials[0].attempts] == ["failed"]


def test_a_worker_that_speaks_out_of_turn_breaks_nothing(office: Office) -> None:
    desk = office.open(plan())
    task = task_of(desk)
    assert task is not None
    report(desk, task, step=1)
    desk.hear(task, {"kind": "started", "node": "late"})
    end(desk, task, "pruned")
    assert office.history().trials[0].state is State.PRUNED
    assert office.kinds(0) == ["asked", "started", "reported", "ended", "finished"]


def test_a_late_message_of_an_attempt_that_is_over_is_told_to_leave(office: Office) -> None:
    desk = office.open(plan())
    first = take(desk)
    end(desk, first, "lost")
    second = take(desk)
    written = len(list(office.ledger.events("s")))
    assert report(desk, first) is Answer.END
    assert end(desk, first) is Answer.END
    assert len(list(office.ledger.events("s"))) == written
    assert report(desk, second) is Answer.GO


def test_a_retried_trial_goes_on_from_its_checkpoint(office: Office) -> None:
    desk = office.open(plan())
    task = take(desk)
    report(desk, task, 1, loss=0.4)
    desk.hear(task, {"kind": "checkpointed", "step": 1, "path": "/a/place"})
    report(desk, task, 2, loss=0.9)
    end(desk, task, "failed", cause="machine")
    again = take(desk)
    assert (again.checkpoint, again.step, again.best, again.seed) == ("/a/place", 1, 0.4, task.seed)
    assert again.arguments == task.arguments


def test_a_repeated_report_is_marked_and_does_not_count(office: Office) -> None:
    desk = office.open(plan())
    task = take(desk)
    report(desk, task, 1, loss=0.5)
    end(desk, task, "lost")
    task = take(desk)
    assert report(desk, task, 1, loss=0.9) is Answer.GO
    assert report(desk, task, 2, loss=0.4) is Answer.GO
    trial = office.history().trials[0]
    assert [(r.step, r.metrics["loss"]) for r in trial.reports] == [(1, 0.5), (2, 0.4)]
    reported = [event for event in office.ledger.events("s") if event.kind == "reported"]
    assert [bool(event.data.get("repeat")) for event in reported] == [False, True, False]


# --- values --------------------------------------------------------------------------------


@pytest.mark.parametrize("loss", [math.nan, math.inf, -math.inf])
def test_an_objective_that_is_no_number_fails_that_trial_alone(office: Office, loss: float) -> None:
    desk = office.open(plan())
    bad, good = take(desk), take(desk)
    report(desk, bad, 1)
    assert report(desk, bad, 2, loss=loss) is Answer.END
    assert end(desk, bad) is Answer.END
    assert report(desk, good) is Answer.GO
    end(desk, good)
    trials = office.history().trials
    assert [trials[0].state, trials[1].state] == [State.FAILED, State.COMPLETE]
    assert f"loss is {loss} at step 2" in (trials[0].error or "")
    assert (trials[0].attempts[0].outcome, trials[0].attempts[0].cause) == ("failed", "nan")


def test_another_metric_may_be_no_number(office: Office) -> None:
    desk = office.open(plan())
    task = take(desk)
    assert report(desk, task, auc=math.nan) is Answer.GO
    end(desk, task)
    assert states(desk) == ["COMPLETE"]


def test_a_missing_objective_is_named_with_what_was_reported(office: Office) -> None:
    desk = office.open(plan())
    first, second = take(desk), take(desk)
    desk.hear(first, {"kind": "report", "step": 1, "metrics": {"lost": 1.0, "acc": 0.5}})
    end(desk, first)
    end(desk, second)
    trials = office.history().trials
    assert trials[0].error == "never reported the objective loss; it reported acc, lost"
    assert trials[1].error == "never reported the objective loss; it reported nothing"
    assert {trial.state for trial in trials.values()} == {State.FAILED}


@pytest.mark.parametrize(
    ("direction", "value", "expected", "step"),
    [("minimize", "last", 0.6, 3), ("minimize", "best", 0.2, 2), ("maximize", "best", 0.9, 1)],
)
def test_a_trials_value_is_the_last_or_the_best(
    office: Office, direction: Any, value: Any, expected: float, step: int
) -> None:
    desk = office.open(plan(objective=Objective("loss", direction, value=value)))
    task = take(desk)
    for each, loss in enumerate((0.9, 0.2, 0.6), start=1):
        report(desk, task, each, loss=loss)
    end(desk, task)
    trial = office.history().trials[0]
    assert (trial.values, trial.step) == ([expected], step)


def test_two_objectives_have_two_values(office: Office) -> None:
    desk = office.open(plan(objective=_two()))
    task = take(desk)
    desk.hear(task, {"kind": "report", "step": 1, "metrics": {"near": 0.1, "far": 0.9}})
    end(desk, task, weights="/w")
    failed = take(desk)
    desk.hear(failed, {"kind": "report", "step": 1, "metrics": {"near": 0.1}})
    end(desk, failed)
    trials = office.history().trials
    assert trials[0].values == [0.1, 0.9]
    assert trials[1].error == "never reported the objective far; it reported near"


# --- stops ---------------------------------------------------------------------------------


def test_the_trial_that_reaches_the_target_completes_and_the_others_wait(office: Office) -> None:
    search = plan(objective=Objective("loss", "minimize", target=0.1))
    desk = office.open(search)
    winner, other, third = take(desk), take(desk), take(desk)
    assert report(desk, winner, loss=0.1) is Answer.FINISH
    assert desk.stopping
    assert report(desk, other, loss=0.5) is Answer.STOP
    end(desk, other, "stopped")
    assert not desk.done
    end(desk, winner)
    assert office.shut() == Ending("ENDED", "target")
    assert states(desk) == ["COMPLETE", "WAITING", "WAITING"]
    assert report(desk, third) in (Answer.STOP, Answer.END)
    assert office.open(search).done  # it is reached, so there is nothing to do
    raised = plan(objective=Objective("loss", "minimize", target=0.01))
    assert take(office.reopen(raised)).trial == 1


def test_a_target_of_two_objectives_is_reached_by_both_at_once(office: Office) -> None:
    both = [Objective("near", "minimize", target=0.2), Objective("far", "maximize", target=0.8)]
    desk = office.open(plan(objective=both))
    task = take(desk)

    def tell(step: int, near: float, far: float) -> Answer:
        return desk.hear(task, {"kind": "report", "step": step, "metrics": {"near": near, "far": far}})

    assert tell(1, 0.1, 0.7) is Answer.GO
    assert tell(2, 0.3, 0.9) is Answer.GO
    assert tell(3, 0.2, 0.8) is Answer.FINISH


def test_waiting_trials_go_first_after_a_resume_in_their_order(office: Office) -> None:
    desk = office.open(plan())
    tasks = [take(desk) for _ in range(3)]
    end(desk, tasks[1])
    desk.stop("STOPPED", "SIGINT")
    end(desk, tasks[2], "stopped")
    assert office.shut() == Ending("STOPPED", "SIGINT")
    desk = office.open(plan())
    assert [(task.trial, task.attempt) for task in (take(desk), take(desk), take(desk))] == [
        (0, 2),
        (2, 2),
        (3, 1),
    ]


def test_the_first_reason_of_a_stop_counts(office: Office) -> None:
    desk = office.open(plan())
    desk.stop("ENDED", "target")
    desk.stop("STOPPED", "SIGINT")
    assert desk.ending == Ending("ENDED", "target")


def test_a_stop_does_not_keep_a_trial_from_ending_on_its_own(office: Office) -> None:
    desk = office.open(plan())
    complete, broken, dead = take(desk), take(desk), take(desk)
    report(desk, complete)
    desk.stop("STOPPED", "SIGTERM")
    end(desk, complete)
    assert report(desk, broken, loss=math.nan) is Answer.END
    end(desk, dead, "failed", cause="machine")
    assert states(desk) == ["COMPLETE", "FAILED", "WAITING"]
    assert desk.done


def test_a_second_interrupt_never_leaves_half_a_fact(office: Office) -> None:
    desk = office.open(plan())
    task, other = take(desk), take(desk)
    report(desk, task)

    def interrupt(event: Event) -> None:
        if event.kind == "finished":
            desk.cut()

    desk._watch = interrupt
    with pytest.raises(KeyboardInterrupt):
        end(desk, task)
    desk.stop("STOPPED", "SIGINT")
    office.shut()
    history = office.history()
    assert [trial.state for trial in history.trials.values()] == [State.COMPLETE, State.WAITING]
    assert history.trials[other.trial].attempts[0].error == "cut off"


def test_a_trials_seed_is_the_searchs_and_its_own() -> None:
    seeds = {trial_seed(seed, number) for seed in range(5) for number in range(200)}
    assert len(seeds) == 1000
    assert all(0 <= seed < 2**31 for seed in seeds)
    assert trial_seed(7, 3) == trial_seed(7, 3)


# --- whatever comes ------------------------------------------------------------------------

MESSAGES = st.one_of(
    st.just({"kind": "started", "node": "n", "pid": 1}),
    st.builds(
        lambda step, loss: {"kind": "report", "step": step, "metrics": {"loss": loss}},
        st.integers(1, 4),
        st.sampled_from([0.1, 0.5, 0.9, math.nan]),
    ),
    st.just({"kind": "report", "step": 1, "metrics": {}}),
    st.just({"kind": "checkpointed", "step": 1, "path": "/nowhere/checkpoint-1"}),
    st.builds(
        lambda outcome, cause: {"kind": "ended", "outcome": outcome, "cause": cause, "error": "e"},
        st.sampled_from(["complete", "pruned", "failed", "stopped", "lost"]),
        st.sampled_from(["code", "machine", None]),
    ),
)
MOVES = st.lists(
    st.one_of(
        st.just("take"),
        st.just("reopen"),
        st.just("stop"),
        st.tuples(st.integers(0, 20), MESSAGES),
        st.tuples(st.integers(0, 20), MESSAGES),
        st.tuples(st.integers(0, 20), MESSAGES),
    ),
    max_size=40,
)


@settings(max_examples=60, deadline=None)
@given(MOVES, st.sampled_from(["none", "median"]))
def test_whatever_workers_say_every_trial_ends_once_and_the_counts_add_up(moves: Any, pruner: str) -> None:
    search = plan(budget=Budget(trials=6, failures=50), pruner=pruner, retries=1)
    with tempfile.TemporaryDirectory() as folder:
        office = Office(Path(folder), slots=3)
        with closing(office.ledger):
            desk, tasks = office.open(search), []
            for move in moves:
                if move == "take":
                    tasks += [task] if (task := task_of(desk)) else []
                elif move == "reopen":
                    desk = office.reopen(search)
                    tasks.clear()
                elif move == "stop":
                    desk.stop("STOPPED", "SIGINT")
                elif tasks:
                    desk.hear(tasks[move[0] % len(tasks)], move[1])
            office.shut()
            _consistent(office, search)


def _consistent(office: Office, search: Search) -> None:
    events = list(office.ledger.events("s"))
    finished = [event.trial for event in events if event.kind == "finished"]
    assert len(finished) == len(set(finished))
    assert [event.n for event in events] == list(range(1, len(events) + 1))
    history = office.history()  # replays: no event of the ledger is an illegal move
    assert sum(history.counts.values()) == len(history.trials) <= 6
    assert history.counts[State.RUNNING] == 0
    for trial in history.trials.values():
        assert trial.state.final == (trial.number in finished)
        assert all(attempt.outcome for attempt in trial.attempts)
        assert len({report.step for report in trial.reports}) == len(trial.reports)
        assert (trial.values is not None) == (trial.state is State.COMPLETE)
    Brain(search).replay(events)


# --- what is thought of off the loop --------------------------------------------------------


def test_reports_are_answered_while_a_sampler_thinks(office: Office, monkeypatch: pytest.MonkeyPatch) -> None:
    office.slots = 2
    desk = office.open(plan(sampler="tpe"))
    running = take(desk)
    begun, go_on, thought = threading.Event(), threading.Event(), desk._brain.thought

    def slow(number: int) -> Any:
        inner = thought(number)

        def think() -> Any:
            begun.set()
            assert go_on.wait(60)
            return inner()

        return think

    desk._thinker.close()
    desk._thinker = Thinker(slow)  # type: ignore[arg-type]
    assert desk.next_task() is None
    assert begun.wait(60)
    assert desk.thinking
    assert report(desk, running) is Answer.GO
    end(desk, running)
    assert desk.next_task() is None
    go_on.set()
    task = task_of(desk)
    assert task is not None
    assert task.trial == 1
    asked = next(event for event in office.ledger.events("s") if event.kind == "asked" and event.trial == 1)
    reported = next(event for event in office.ledger.events("s") if event.kind == "reported")
    assert asked.data["seen"] < reported.n < asked.n
    office.history()


@pytest.mark.parametrize(("sampler", "ahead"), [("random", True), ("tpe", True), ("cmaes", False)])
def test_the_next_point_is_thought_of_while_all_slots_are_busy_if_no_result_can_change_it(
    office: Office, sampler: str, ahead: bool
) -> None:
    desk = office.open(plan(sampler=sampler, space={"model.x": Float(-1, 1), "model.y": Float(-1, 1)}))
    one(desk, loss=0.2), take(desk)
    assert (desk._thinker.number == 2) is ahead
    assert not desk.thinking
    asked = [event for event in office.ledger.events("s") if event.kind == "asked"]
    assert len(asked) == 2  # what is thought of and not tried is no fact


@pytest.mark.parametrize("sampler", ["tpe", "cmaes"])
def test_the_next_point_is_thought_of_while_a_pruned_worker_leaves(office: Office, sampler: str) -> None:
    """The sampler knows of that trial already."""
    space = {"model.x": Float(-1, 1), "model.y": Float(-1, 1)}
    pruner = Policy("median", {"n_startup_trials": 1})
    desk = office.open(plan(sampler=Policy(sampler, {"n_startup_trials": 1}), pruner=pruner, space=space))
    one(desk, loss=0.2), one(desk, loss=0.3)
    bad = take(desk)
    assert desk._thinker.number is None
    assert report(desk, bad, loss=9.0) is Answer.END
    assert desk._thinker.number == 3
    end(desk, bad, "pruned")
    assert take(desk).trial == 3
    asked = next(event for event in office.ledger.events("s") if event.kind == "asked" and event.trial == 3)
    over = next(event for event in office.ledger.events("s") if event.kind == "finished" and event.trial == 2)
    assert asked.data["seen"] == over.n
    office.history()


def test_a_task_says_which_of_its_reports_may_end_it(office: Office) -> None:
    def judged(**more: Any) -> tuple[int, ...] | None:
        desk = office.open(plan(**more))
        task = take(desk)
        end(desk, task, "failed", error="x")
        office.shut()
        return task.judged

    assert judged(pruner="none") == ()
    halving = Policy("successive_halving", {"min_resource": 3, "reduction_factor": 2})
    assert judged(pruner=halving)[:4] == (3, 6, 12, 24)  # type: ignore[index]
    assert judged(pruner="median") is None
    objective = Objective("loss", "minimize", target=0.1)
    assert judged(pruner="none", objective=objective) is None


def test_nothing_is_thought_of_that_the_budget_has_no_room_for(office: Office) -> None:
    desk = office.open(plan(sampler="random", budget=Budget(trials=1)))
    take(desk)
    assert desk._thinker.number is None


def test_a_sampler_that_breaks_is_heard_of(office: Office) -> None:
    desk = office.open(plan())

    def broken() -> Any:
        raise RuntimeError("singular matrix")

    desk._thinker.close()
    desk._thinker = Thinker(lambda number: broken)  # type: ignore[arg-type,return-value]
    with pytest.raises(RuntimeError, match="singular"):
        task_of(desk)


def test_a_task_says_which_value_its_weights_would_have_to_reach(office: Office) -> None:
    desk = office.open(plan(keep=2))
    for loss in (0.5, 0.2, 0.9):
        task = take(desk)
        assert task.floor is None or loss == 0.9
        report(desk, task, loss=loss)
        end(desk, task, weights=f"{office.folder}/weights-{loss}")
    assert take(desk).floor == 0.5
