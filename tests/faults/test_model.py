"""Ledger, brain, history and desk against plain dictionaries, through histories that hypothesis draws.

Every rule does one thing to the real parts (an SQLite file, its lease, Optuna) and to the reference; after
each the two must agree, and a brain rebuilt from the ledger must go on as the living one.
`AUTOML_MODEL_EXAMPLES=500 pytest tests/faults/test_model.py` looks longer, with new seeds,
and names the shortest history that fails.
"""

from __future__ import annotations

import copy
import math
import os
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from automl.brain import Brain
from automl.desk import Desk, Setting
from automl.engines.base import Answer, Message, Task
from automl.errors import LeaseLost
from automl.events import Event, State
from automl.fsck_ledger import Books
from automl.lease import Lease
from automl.ledger import Ledger
from automl.reclaim import reclaimed
from automl.results import History
from automl.schema import renewed
from automl.search import Budget, Choice, Float, Int, Objective, Policy, Search, Trainer
from tests.faults.reference import Reference, Rules
from tests.patience import task_of

LONG = int(os.environ.get("AUTOML_MODEL_EXAMPLES", "0"))
PROFILE = settings(
    max_examples=LONG or 6,
    stateful_step_count=60 if LONG else 50,
    derandomize=not LONG,
    database=None,
    deadline=None,
    print_blob=bool(LONG),
    phases=[Phase.generate, Phase.shrink] if LONG else [Phase.generate],
    suppress_health_check=list(HealthCheck),
)
CAUSES = ("code", "machine", "hang", "memory")
ENDS = ("complete", "lost", "stopped", "pruned", *CAUSES, "machine at net.py:7")
# How far a report is ahead of the last step, and the loss in eighths; the highest stands for NaN.
AHEAD = st.sampled_from([1, 1, 1, 2, 0, -1])
LOSS = st.sampled_from(range(16))
ONE = {"trainer": Trainer("function", "m:train")}
TWO = {"torch": Trainer("lightning", "m:Net", "m:Data"), "keras": Trainer("keras", "m:net", "m:data")}
PLAIN = {"model.x": Float(-1, 1), "model.width": Int(16, 64, step=16)}
STEPPED = {"model.a": Choice((True, 1, 1.0)), "model.b": Int(1, 3)}
CONDITIONAL = {
    "model.optimizer": Choice(("sgd", "adamw")),
    "model.momentum": Float(0.0, 0.9, when={"model.optimizer": "sgd"}),
    "model.units": Int(1, 64, log=True, when={"trainer": "keras"}),
}


@dataclass(frozen=True)
class Case:
    """A search to play with: what is asked, what is pruned, when it ends."""

    sampler: Policy
    pruner: Policy
    rules: Rules
    space: Mapping[str, Any]
    trainers: Mapping[str, Trainer]

    def search(self, rules: Rules) -> Search:
        names = ["loss", "size"][: rules.objectives]
        trainer = (
            {"trainers": self.trainers} if len(self.trainers) > 1 else {"trainer": self.trainers["trainer"]}
        )
        return Search(
            name="s",
            seed=7,
            objective=[Objective(name, "minimize", target=rules.target) for name in names],
            space=self.space,
            budget=Budget(trials=rules.trials, patience=rules.patience, failures=rules.failures),
            sampler=self.sampler,
            pruner=self.pruner,
            retries=rules.retries,
            **trainer,
        )


def case(
    sampler: str,
    pruner: str = "none",
    space: Mapping[str, Any] = PLAIN,
    trainers: Mapping[str, Trainer] = ONE,
    arguments: Mapping[str, Any] | None = None,
    pruning: Mapping[str, Any] | None = None,
    **rules: Any,
) -> Case:
    words: dict[str, Any] = {"trials": 9, "retries": 1, "slots": 3, **rules}
    return Case(
        Policy(sampler, arguments or {}), Policy(pruner, pruning or {}), Rules(**words), space, trainers
    )


CASES = {
    "random, median": case("random", "median", pruning={"n_startup_trials": 1, "n_warmup_steps": 1}),
    "tpe, halving": case(
        "tpe", "successive_halving", arguments={"n_startup_trials": 3}, pruning={"min_resource": 1}
    ),
    "tpe, two trainers, hyperband": case(
        "tpe",
        "hyperband",
        CONDITIONAL,
        TWO,
        {"n_startup_trials": 3},
        {"min_resource": 1, "max_resource": 4, "reduction_factor": 2},
        divisible=True,
    ),
    "qmc, failures": case("qmc", failures=3),
    "grid, patience": case("grid", space=STEPPED, patience=4, trials=20),
    "cmaes, target": case("cmaes", arguments={"n_startup_trials": 1}, target=0.25),
    "nsgaii, two objectives": case("nsgaii", arguments={"population_size": 3}, objectives=2),
}


class Driver:
    """One driver's life with the ledger's file: opens it, takes its lease, rebuilds and reclaims."""

    def __init__(self, folder: Path, search: Search, slots: int) -> None:
        self.ledger = Ledger(f"sqlite:///{folder}/ledger.db")
        self.lease: Lease = self.ledger.lease("s")
        events = list(self.ledger.events("s"))
        self.brain, self.history = Brain(search), History("s", events)
        self.brain.replay(events)
        self.write(Event("opened", data={"spec": search.to_plain(), "strangers": self.brain.strangers}))
        for event in reclaimed(self.history):
            self.write(event)
        setting = Setting("/nowhere", str(folder / "runs"))
        self.desk = Desk(
            search, self.brain, self.history, self.lease, setting, lambda: slots, lambda event: None
        )

    def write(self, event: Event) -> None:
        for written in self.lease.append([event]):
            self.history.apply(written)

    def freeze(self) -> None:
        """It beats no more, and looks dead to the next one; what it holds in its hands stays there."""
        self.lease._left.set()
        self.lease._thread.join()
        renewed.discard(self.lease.token)

    def die(self) -> None:
        """Gone without a word: nothing is concluded, closed or given back."""
        self.freeze()
        self.desk.abandon()
        self.lease._writer.close(lambda: None)
        self.ledger.close()

    def leave(self) -> None:
        ending = self.desk.conclude()
        self.write(Event("closed", data={"state": ending.state, "reason": ending.reason}))
        self.lease.release()
        self.ledger.close()


class House(RuleBasedStateMachine):
    """The real parts and the reference, side by side."""

    def __init__(self, case: Case) -> None:
        super().__init__()
        self.case, self.rules = case, case.rules
        self.folder = tempfile.TemporaryDirectory(prefix="automl-model-")
        self.model = Reference(self.rules)
        self.tasks: dict[int, Task] = {}
        self.over: list[Task] = []
        self.quiet = 0
        self._open()

    def teardown(self) -> None:
        self.driver.die()
        self.folder.cleanup()

    def _open(self, more: int = 0) -> None:
        self.rules = replace(self.rules, trials=self.rules.trials + more)
        self.search = self.case.search(self.rules)
        self.over += self.tasks.values()
        self.tasks, self.quiet = {}, 0
        self.driver = Driver(Path(self.folder.name), self.search, self.rules.slots)
        self.model.open(self.rules)

    def _rebuilt(self) -> Brain:
        brain = Brain(self.search)
        brain.replay(self.driver.ledger.events("s"))
        return brain

    def _task(self, pick: int) -> Task:
        return list(self.tasks.values())[pick % len(self.tasks)]

    def _say(self, task: Task, message: Message) -> Answer:
        answer = self.driver.desk.hear(task, message)
        if self.model.out.get(task.trial) != task.attempt:
            self.over.append(self.tasks.pop(task.trial))
        return answer

    # --- what happens to a search ----------------------------------------------------------

    @rule()
    def an_engine_asks(self) -> None:
        waiting, number = self.model.waiting, len(self.model.trials)
        expected = self._rebuilt().ask(number) if self.model.room and not waiting else None
        task = task_of(self.driver.desk)
        if not self.model.room or (not waiting and expected is None):
            assert task is None
            self.model.exhausted = self.model.exhausted or self.model.room
            return
        assert task is not None
        if not waiting:
            assert expected is not None and task.trial == number
            self.model.asked(number, expected.params)
        assert task.trial in waiting or not waiting
        trial = self.model.trials[task.trial]
        assert task.attempt == self.model.given(task.trial)
        assert (task.checkpoint, task.step) == (_path(trial.checkpoint), trial.checkpoint)
        assert (task.reported, task.micro) == (trial.step, 2 if "memory" in trial.causes else 1)
        self.tasks[task.trial] = task

    @precondition(lambda self: self.tasks)
    @rule(pick=st.integers(0, 9))
    def a_worker_starts(self, pick: int) -> None:
        task = self._task(pick)
        self.model.started(task.trial)
        assert self._say(task, {"kind": "started", "node": "here", "pid": 1}) is Answer.GO

    @precondition(lambda self: self.tasks)
    @rule(pick=st.integers(0, 9), ahead=AHEAD, loss=LOSS)
    def a_worker_reports(self, pick: int, ahead: int, loss: int) -> None:
        task = self._task(pick)
        if task.trial != self.model.reached:  # told to finish, it packs and reports no more
            self._report(task, ahead, loss)

    def _report(self, task: Task, ahead: int, loss: int) -> None:
        if task.framework != "function":
            ahead = max(ahead, 0)  # their adapters never go back to a step that was left out
        step = max(1, self.model.trials[task.trial].step + ahead)
        first = math.nan if loss == 15 else loss / 8
        values = (first, -loss / 2)[: self.rules.objectives]
        metrics = dict(zip(["loss", "size"], values, strict=False))
        new = step not in self.model.trials[task.trial].values and not math.isnan(first)
        prune = new and self._rebuilt().report(task.trial, step, metrics).prune
        expected = self.model.reported(task.trial, step, values, prune)
        assert self._say(task, {"kind": "report", "step": step, "metrics": metrics}) == expected

    @precondition(lambda self: self.tasks)
    @rule(pick=st.integers(0, 9))
    def a_worker_writes_a_checkpoint(self, pick: int) -> None:
        task = self._task(pick)
        step = self.model.trials[task.trial].step
        if step == 0:
            return
        self.model.checkpointed(task.trial)
        self._say(task, {"kind": "checkpointed", "step": step, "path": _path(step)})

    @precondition(lambda self: self.tasks)
    @rule(
        pick=st.integers(0, 9),
        end=st.sampled_from(ENDS),
    )
    def an_attempt_ends(self, pick: int, end: str) -> None:
        self._end(self._task(pick), end)

    def _end(self, task: Task, end: str) -> None:
        cause, _, place = end.partition(" at ")
        message: Message = {"outcome": end}
        if cause in CAUSES:
            message = {"outcome": "failed", "cause": cause, "error": end, "place": place or None}
        self.model.over(task.trial, message["outcome"], message.get("cause"), message.get("place"))
        assert self._say(task, {"kind": "ended", **message}) is Answer.GO

    @precondition(lambda self: self.over)
    @rule(pick=st.integers(0, 999), kind=st.sampled_from(["started", "report", "checkpointed", "ended"]))
    def an_attempt_that_is_over_speaks(self, pick: int, kind: str) -> None:
        more = {"step": 99, "metrics": {"loss": -9.0}, "path": "late", "outcome": "complete"}
        late = self.over[pick % len(self.over)]
        if self.model.out.get(late.trial) == late.attempt:
            return  # never heard of, it was given out once more under the same number
        assert self.driver.desk.hear(late, {"kind": kind, **more}) is Answer.END

    @rule(said=st.lists(st.tuples(AHEAD, LOSS), max_size=4), end=st.sampled_from(ENDS))
    def an_attempt_runs_to_its_end(self, said: list[tuple[int, int]], end: str) -> None:
        before = set(self.tasks)
        self.an_engine_asks()
        for number in set(self.tasks) - before:
            for ahead, loss in said:
                if number in self.tasks and number != self.model.reached:
                    self._report(self.tasks[number], ahead, loss)
            if number in self.tasks:
                self._end(self.tasks[number], end)

    @precondition(lambda self: self.tasks)
    @rule(loss=LOSS, end=st.sampled_from([None, "complete", "complete", "machine"]))
    def the_driver_is_killed_at_a_report_and_the_trial_goes_on(self, loss: int, end: str | None) -> None:
        number = next(iter(self.tasks))
        if number != self.model.reached:
            self._report(self.tasks[number], 1, loss)
        self.the_driver_is_killed()
        while self.model.waiting and self.model.room:
            self.an_engine_asks()
        if number in self.tasks and end:
            self._end(self.tasks[number], end)

    @precondition(lambda self: self.quiet > 6)
    @rule()
    def the_driver_is_killed(self) -> None:
        self.driver.die()
        self._open()

    @rule(
        more=st.sampled_from([0, 0, 2]), ends=st.lists(st.sampled_from(["stopped", "complete"]), max_size=3)
    )
    def the_driver_stops_and_another_starts(self, more: int, ends: list[str]) -> None:
        self.driver.desk.stop("STOPPED", "SIGTERM")
        self.model.stopping = True
        for task, end in zip(list(self.tasks.values()), ends, strict=False):
            self.model.over(task.trial, end)
            self._say(task, {"kind": "ended", "outcome": end})
        assert task_of(self.driver.desk) is None
        self.model.close()
        self.driver.leave()
        self._open(more)

    @precondition(lambda self: self.quiet > 6)
    @rule(pick=st.integers(0, 9))
    def a_paused_driver_wakes_after_another_took_over(self, pick: int) -> None:
        old, tasks = self.driver, list(self.tasks.values())
        old.freeze()
        self._open()
        with pytest.raises(LeaseLost):
            if tasks:
                old.desk.hear(tasks[pick % len(tasks)], {"kind": "ended", "outcome": "complete"})
            old.lease.append([Event("closed", data={"state": "ENDED", "reason": "late"})])
        old.desk.abandon()
        old.lease.release()
        old.ledger.close()
        holder = self.driver.ledger.holder("s")
        assert holder is not None and holder.token == self.driver.lease.token

    # --- what always holds -----------------------------------------------------------------

    @invariant()
    def another_step_was_taken(self) -> None:
        self.quiet += 1

    @invariant()
    def the_ledger_holds_each_fact_once_and_in_order(self) -> None:
        events = list(self.driver.ledger.events("s"))
        assert [(event.kind, event.trial, event.attempt) for event in events] == self.model.facts
        assert [event.n for event in events] == list(range(1, len(events) + 1))
        history = History("s", events)
        assert repr(history.trials) == repr(self.driver.history.trials)  # NaN differs from itself
        assert history.counts == self.driver.history.counts
        assert Books("s", events).conclude(alive=True) == []

    @invariant()
    def every_trial_is_as_the_reference_has_it(self) -> None:
        for number, known in self.model.trials.items():
            trial = self.driver.history.trials[number]
            assert (str(trial.state), trial.params, trial.values) == (known.state, known.params, known.worth)
            assert [attempt.outcome for attempt in trial.attempts] == known.outcomes
            assert [attempt.number for attempt in trial.attempts] == list(range(1, len(known.outcomes) + 1))
            assert {report.step: report.metrics["loss"] for report in trial.reports} == pytest.approx(
                {step: values[0] for step, values in known.values.items()}, abs=0, nan_ok=True
            )
        states = [known.state for known in self.model.trials.values()]
        assert self.driver.history.counts == {state: states.count(str(state)) for state in State}

    @invariant()
    def the_desk_knows_when_to_end(self) -> None:
        desk, model = self.driver.desk, self.model
        assert desk.done == model.done
        assert (desk.stopping or desk.done) == (model.stopping or model.done)  # one that is over may say so

    @invariant()
    def a_rebuilt_brain_goes_on_as_the_living_one(self) -> None:
        number = len(self.model.trials)
        assert copy.deepcopy(self.driver.brain).ask(number) == self._rebuilt().ask(number)


def _path(step: int) -> str | None:
    return f"step-{step}" if step else None


@pytest.mark.timeout(LONG * 60 or 300)  # to find the shortest history that fails takes a while
@pytest.mark.parametrize("name", CASES)
def test_no_history_parts_the_search_from_its_reference(name: str) -> None:
    run_state_machine_as_test(lambda: House(CASES[name]), settings=PROFILE)


def test_a_target_that_was_reached_just_before_a_kill_ends_the_search() -> None:
    house = House(CASES["cmaes, target"])
    house.an_engine_asks()
    house.the_driver_is_killed_at_a_report_and_the_trial_goes_on(loss=0, end="complete")
    house.the_desk_knows_when_to_end()
    assert house.driver.desk.stopping
    house.teardown()
