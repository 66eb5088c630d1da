"""The judge sees each kind of broken promise: a judge that cannot convict proves nothing."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from tests.faults.facts import Fact
from tests.faults.judge import DOUBLED, LOST, OTHER, RUNNING, judge
from tests.faults.kill import kill
from tests.faults.scenario import Kill, Plan
from tests.faults.table import Verdict, recovered_s, table
from tests.project.trainers.chaos import expected

PLAN = Plan("judged", seed=1, kills=1, trials=2, steps=3)
LOSSES = expected(0.5, "red", 3)


def reported(trial: int, attempt: int, step: int, began: int = 0, **more: Any) -> list[Any]:
    metrics = {"loss": LOSSES[step - 1], "began": began, "seed": 5}
    return ["reported", trial, attempt, {"step": step, "metrics": metrics, **more}]


def sound() -> list[list[Any]]:
    """Two trials of three steps; the second was cut off after step 2 and went on from step 1."""
    asked = {"params": {"model.x": 0.5, "model.label": "red"}}
    done = {"state": "COMPLETE", "values": [LOSSES[-1]]}
    return [
        ["opened", None, None, {}],
        ["asked", 0, None, asked],
        ["started", 0, 1, {"resumed_step": 0}],
        *[reported(0, 1, step) for step in (1, 2, 3)],
        ["ended", 0, 1, {"outcome": "complete"}],
        ["finished", 0, None, done],
        ["asked", 1, None, asked],
        ["started", 1, 1, {"resumed_step": 0}],
        reported(1, 1, 1),
        ["checkpointed", 1, 1, {"step": 1}],
        reported(1, 1, 2),
        ["ended", 1, 1, {"outcome": "lost"}],
        ["started", 1, 2, {"resumed_step": 1}],
        reported(1, 2, 2, began=1, repeat=True),
        reported(1, 2, 3, began=1),
        ["ended", 1, 2, {"outcome": "complete"}],
        ["finished", 1, None, done],
        ["closed", None, None, {"state": "ENDED"}],
    ]


def facts(rows: list[list[Any]]) -> list[Fact]:
    return [
        Fact(n, kind, trial, attempt, 100.0 + n, data, 100.0 + n)
        for n, (kind, trial, attempt, data) in enumerate(rows, 1)
    ]


def test_a_sound_search_is_acquitted() -> None:
    assert judge(facts(sound()), PLAN) == []


def drop(*positions: int) -> Callable[[list[Any]], list[Any]]:
    return lambda rows: [row for n, row in enumerate(rows) if n not in positions]


def again(position: int) -> Callable[[list[Any]], list[Any]]:
    return lambda rows: [*rows[: position + 1], rows[position], *rows[position + 1 :]]


def changed(position: int, **data: Any) -> Callable[[list[Any]], list[Any]]:
    def change(rows: list[Any]) -> list[Any]:
        rows[position][3] = {**rows[position][3], **data}
        return rows

    return change


@pytest.mark.parametrize(
    ("break_it", "kind"),
    [
        (drop(18), RUNNING),  # the second trial's end
        (drop(17, 18), RUNNING),
        (drop(*range(8, 19)), LOST),  # the second trial as a whole
        (again(7), DOUBLED),  # an end
        (again(5), DOUBLED),  # a step
        (again(8), DOUBLED),  # a trial that is asked for
        (drop(4), LOST),  # a step
        (changed(7, state="FAILED"), LOST),
        (changed(7, values=[0.0]), OTHER),
        (changed(16, metrics={"loss": LOSSES[0], "began": 1, "seed": 5}), OTHER),  # a wrong resume
        (changed(16, metrics={"loss": LOSSES[2], "began": 0, "seed": 5}), OTHER),
        (changed(16, metrics={"loss": LOSSES[2], "began": 1, "seed": 6}), OTHER),
        (changed(14, resumed_step=2), OTHER),  # no such checkpoint
        (drop(13), DOUBLED),  # two attempts at once
        (changed(19, state="STOPPED"), OTHER),
    ],
)
def test_a_broken_promise_is_seen(break_it: Callable[[list[Any]], list[Any]], kind: str) -> None:
    assert kind in {each.kind for each in judge(facts(break_it(sound())), PLAN)}


def test_a_gap_in_the_positions_is_seen() -> None:
    rows = facts(sound())
    assert judge([*rows[:-1], replace(rows[-1], n=99)], PLAN)


def test_recovery_is_counted_to_the_next_attempt_of_the_trial_that_was_hit() -> None:
    hit = Kill("worker", 1, 112.5, 12, 0)
    assert recovered_s(hit, facts(sound()), []) == 115.0 - 112.5
    assert recovered_s(replace(hit, kind="driver"), facts(sound()), []) is None
    assert recovered_s(replace(hit, kind="mlflow", shown=3), [], [(113.0, 3), (114.5, 4)]) == 2.0


def test_the_table_counts_kills_and_what_they_broke() -> None:
    kills = [Kill("driver", 1, 1.0, 1, 0), Kill("worker", 2, 2.0, 2, 0, together=True)]
    broken = judge(facts(drop(18)(sound())), PLAN)
    assert {each.kind for each in broken} >= {RUNNING, LOST}
    rows = table([Verdict("local", kills, broken, {"driver": [1.0, 3.0]})]).splitlines()
    assert rows[2].startswith("| driver | 1 | 0 | 1 | 0 | 1 |") and rows[2].endswith("| 2.0 | 3.0 |")
    assert rows[-1].startswith("| all | 2 | 1 | 1 | 0 | 1 |")


def test_only_a_process_that_died_of_it_counts_as_killed() -> None:
    sleeper = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])
    assert kill(sleeper.pid, still=lambda: False) is None
    assert sleeper.poll() is None
    assert abs((kill(sleeper.pid) or 0.0) - time.time()) < 60
    assert kill(sleeper.pid) is None  # dead, not yet buried
    assert sleeper.wait() == -9
    assert kill(sleeper.pid) is None
