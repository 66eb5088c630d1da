"""Slots on Ray and the attempts that they get, one after another: between Tune's callbacks and a desk."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import pytest

from automl.engines.base import Answer, Capacity, Message, Task

CONTINUE, WAIT, END, FINISHED = "CONTINUE", "NOOP", "STOP", "FINISHED"
ENDED: Message = {"kind": "ended", "outcome": "complete"}


def task(trial: int, gpus: float = 0.0) -> Task:
    resources = {"cpus": 1.0, "gpus": gpus}
    plain: dict[str, Any] = {"trainer": "t", "framework": "function", "model": "a:b", "data": None}
    where = {"root": ".", "storage": "runs"}
    return Task("s", trial, 1, 1, **plain, arguments={}, objectives=(), resources=resources, **where)


@dataclass
class Script:
    """A desk that hands out what it is told to, and remembers what it heard."""

    tasks: list[Task]
    slots: int = 2
    cpus: float = 1.0
    gpus: float = 0.0
    share: float = 1.0
    wanted: int = 2
    ahead: int = 2
    bell: int = -1
    hungry: bool = False
    thinking: bool = False
    stopping: bool = False
    error: Exception | None = None
    answers: dict[int, Answer] = field(default_factory=dict)
    heard: list[tuple[int, str, str]] = field(default_factory=list)
    nodes: list[str] = field(default_factory=list)
    open: set[int] = field(default_factory=set)

    def next_task(self, fits: Callable[[Task], bool] = lambda task: True) -> Task | None:
        if self.stopping or self.hungry or not self.tasks or not fits(self.tasks[0]):
            return None
        self.open.add(self.tasks[0].trial)
        return self.tasks.pop(0)

    @property
    def more(self) -> bool:
        return bool(self.tasks) and not self.stopping

    @property
    def done(self) -> bool:
        return not self.open and not self.more

    def hear(self, task: Task, message: Message) -> Answer:
        if self.error:
            raise self.error
        self.heard.append((task.trial, message["kind"], message.get("outcome", "")))
        self.nodes.append(message.get("node_id", ""))
        if message["kind"] == "ended":
            self.open.discard(task.trial)
        return self.answers.get(task.trial, Answer.GO)

    def give_back(self, task: Task) -> None:
        self.heard.append((task.trial, "given back", ""))
        self.open.discard(task.trial)

    def tick(self) -> None:
        """Nothing ends by itself."""

    def wait(self, timeout_s: float) -> None:
        """Thoughts are there at once, or never."""

    def say(self, text: str) -> None:
        """Nobody watches."""


class Nodes:
    leaving: frozenset[str] = frozenset()

    def avoidable(self, bad: Any, cpus: float, gpus: float) -> list[str]:
        return []

    def capacity(self, cpus: float, gpus: float) -> Capacity:
        return Capacity(2, 2, 1, 2, 1)

    def want_for(self, desk: Any) -> None:
        """It does not grow."""


def bridge(script: Script) -> Any:
    from automl.engines.ray_actors import Bridge  # not while tests are collected: Ray reads its environment

    return Bridge(script, Nodes())  # type: ignore[arg-type]


def up(made: Any, slot: str) -> dict[str, Any]:
    """A slot that Tune asked for and whose actor has started; what that is told first."""
    assert isinstance(made.next_slot(slot), dict)
    assert made.said(slot) is None
    assert made.serve(slot) == CONTINUE
    return told(made, slot)


def told(made: Any, slot: str) -> dict[str, Any]:
    said = made.said(slot)
    assert said is not None
    return dict(json.loads(said))


def test_a_slot_gets_one_attempt_after_another_and_tune_is_asked_for_no_other() -> None:
    made = bridge(Script([task(n) for n in range(3)], slots=1))
    assert up(made, "a")["task"]["trial"] == 0
    assert made.next_slot("b") is None
    for trial in (1, 2):
        assert made.hear("a", [ENDED]) == CONTINUE
        assert told(made, "a")["task"]["trial"] == trial
    assert made.hear("a", [ENDED]) == END
    assert made.next_slot("b") == FINISHED


def test_a_report_is_answered_with_the_next_call_and_a_call_without_one_goes_on() -> None:
    script = Script([task(0)], answers={0: Answer.END})
    made = bridge(script)
    up(made, "a")
    assert made.hear("a", [{"kind": "report", "step": 1, "metrics": {}}]) == CONTINUE
    assert told(made, "a") == {"answer": "end"}
    assert made.hear("a", []) == CONTINUE
    assert told(made, "a") == {"answer": "go"}


def test_attempts_are_told_to_stop_with_their_next_call_and_tasks_nobody_has_begun_are_given_back() -> None:
    script = Script([task(0), task(1)])
    made = bridge(script)
    up(made, "a")
    assert isinstance(made.next_slot("b"), dict)  # whose actor is not there yet
    script.stopping = True
    assert made.hear("a", []) == CONTINUE
    assert told(made, "a") == {"answer": "stop"}
    assert script.heard == [(1, "given back", "")]
    assert made.needless


def test_a_slot_waits_while_the_next_point_is_thought_of_and_is_served_first() -> None:
    script = Script([task(0), task(1)], slots=1)
    made = bridge(script)
    up(made, "a")
    script.hungry = True
    assert made.hear("a", [ENDED]) == WAIT
    assert made.waiting == ["a"]
    script.hungry, script.slots = False, 2
    assert made.next_slot("b") is None
    assert made.serve("a") == CONTINUE
    assert told(made, "a")["task"]["trial"] == 1


def test_a_slot_that_waits_goes_where_there_are_fewer_slots_now() -> None:
    script = Script([task(0), task(1), task(2)])
    made = bridge(script)
    up(made, "a")
    up(made, "b")
    script.hungry = True
    assert made.hear("a", [ENDED]) == WAIT
    script.slots = 1
    assert made.serve("a") == END
    assert made.waiting == []


def test_a_task_that_takes_something_else_gets_a_slot_of_its_own() -> None:
    made = bridge(Script([task(0, gpus=0.5), task(1, gpus=1.0)], slots=1))
    up(made, "a")
    assert made.hear("a", [ENDED]) == END
    assert made.next_slot("b") == {"gpus": 1.0, "avoid": []}
    assert made.serve("b") == CONTINUE
    assert told(made, "b")["task"]["trial"] == 1


def test_a_slot_that_is_free_takes_the_task_of_one_that_has_no_place_and_that_is_needless() -> None:
    made = bridge(Script([task(0), task(1)]))
    up(made, "a")
    assert isinstance(made.next_slot("b"), dict)
    assert not made.needless
    assert made.hear("a", [ENDED]) == CONTINUE
    assert told(made, "a")["task"]["trial"] == 1
    assert made.needless


def test_an_actor_that_dies_takes_its_attempt_with_it_and_one_that_never_came_the_task_it_was_for() -> None:
    script = Script([task(0), task(1)])
    made = bridge(script)
    up(made, "a")
    made.hear("a", [{"kind": "started", "node_id": "here"}])
    assert isinstance(made.next_slot("b"), dict)
    lost: Message = {"kind": "ended", "outcome": "lost"}
    made.gone("a", lost)
    made.gone("b", lost)
    made.gone("b", lost)
    assert script.heard[1:] == [(0, "ended", "lost"), (1, "ended", "lost")]
    assert script.nodes[1:] == ["here", ""]


def test_a_slot_on_a_node_that_leaves_stops_and_gets_nothing_more(monkeypatch: pytest.MonkeyPatch) -> None:
    made = bridge(Script([task(0), task(1)], slots=1))
    up(made, "a")
    made.hear("a", [{"kind": "started", "node_id": "gone soon"}])
    assert told(made, "a") == {"answer": "go"}
    monkeypatch.setattr(Nodes, "leaving", frozenset({"gone soon"}))
    assert made.hear("a", []) == CONTINUE
    assert told(made, "a") == {"answer": "stop"}
    assert made.hear("a", [{"kind": "ended", "outcome": "stopped"}]) == END


def test_the_first_error_ends_the_run_and_no_callback_raises_into_tune() -> None:
    script = Script([task(0), task(1)], slots=1)
    made = bridge(script)
    up(made, "a")
    script.error = RuntimeError("another driver has taken over")
    assert made.hear("a", [{"kind": "report", "step": 1, "metrics": {}}]) == CONTINUE
    assert told(made, "a") == {"answer": "stop"}
    assert made.next_slot("b") is None
    assert made.hear("a", [ENDED]) == END
    assert made.next_slot("b") == FINISHED
    assert made.error is script.error
