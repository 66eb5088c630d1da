"""Events folded into trials, the best of them, and the documented shape."""

from __future__ import annotations

import json
import math
import random
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from automl.events import Event, State
from automl.results import History, Report, Trial, best_trials, dominates, objective_value, show

T0 = 1795341600.0  # 2026-11-22T10:00:00Z
SPEC = {"objective": {"metric": "acc", "direction": "maximize", "value": "last"}}
ASKED = {
    "params": {"model.lr": 0.01},
    "trainer": "trainer",
    "source": "startup",
    "sampler": "tpe",
    "trial_attrs": {},
    "study_attrs": {},
}


def story(*facts: tuple[Any, ...]) -> History:
    """A history of facts, one second apart."""
    return History("digits", [_event(n, *fact) for n, fact in enumerate(facts, start=1)])


def _event(
    n: int, kind: Any, trial: int | None = None, attempt: int | None = None, data: Any = None
) -> Event:
    if kind == "asked":
        data = {**ASKED, **(data or {})}
    return Event(kind, trial, attempt, data or {}, T0 + n - 1, n)


OPENED = ("opened", None, None, {"spec": SPEC})


def reported(trial: int, attempt: int, step: int, acc: float, **more: Any) -> tuple[Any, ...]:
    return ("reported", trial, attempt, {"step": step, "metrics": {"acc": acc}, "prune": False, **more})


def ended(trial: int, attempt: int, outcome: str, **more: Any) -> tuple[Any, ...]:
    return ("ended", trial, attempt, {"outcome": outcome, **more})


def finished(trial: int, state: str, **more: Any) -> tuple[Any, ...]:
    return ("finished", trial, None, {"state": state, **more})


LIFE = [
    OPENED,
    ("asked", 0),
    ("started", 0, 1, {"node": "host-a", "pid": 4711, "framework": "keras", "code": "abc"}),
    reported(0, 1, 1, 0.5),
    ("checkpointed", 0, 1, {"step": 1, "path": "/c/1"}),
    ended(0, 1, "lost", error="node died", again=True),
    ("started", 0, 2, {"node": "host-b", "pid": 12, "resumed_step": 1}),
    reported(0, 2, 1, 0.1, repeat=True),
    reported(0, 2, 2, 0.9),
    ended(0, 2, "complete", weights="/w/2"),
    finished(0, "COMPLETE", values=[0.9], step=2),
    ("published", 0, None, {"path": "/m"}),
    ("published", 0, None, {"model": "models:/digits@champion"}),
    ("closed", None, None, {"state": "ENDED", "reason": "budget.trials"}),
]


# --- the fold ------------------------------------------------------------------------------


def test_a_trials_life_is_all_there() -> None:
    history = story(*LIFE)
    trial = history.trials[0]
    assert (trial.state, trial.values, trial.step, trial.weights) == (State.COMPLETE, [0.9], 2, "/w/2")
    assert (trial.checkpoint, trial.checkpoint_step, trial.source) == ("/c/1", 1, "startup")
    assert [(a.number, a.outcome, a.node, a.pid, a.resumed_step) for a in trial.attempts] == [
        (1, "lost", "host-a", 4711, 0),
        (2, "complete", "host-b", 12, 1),
    ]
    assert (trial.attempts[0].error, trial.attempts[0].code, trial.attempts[1].error) == (
        "node died",
        "abc",
        None,
    )
    assert history.n == len(LIFE)


def test_a_repeated_report_does_not_count() -> None:
    trial = story(*LIFE).trials[0]
    assert [(r.step, r.metrics["acc"], r.attempt) for r in trial.reports] == [(1, 0.5, 1), (2, 0.9, 2)]
    assert trial.steps == {1, 2}


def test_an_attempt_that_ends_to_be_tried_again_leaves_its_trial_waiting() -> None:
    assert story(*LIFE[:6]).trials[0].state is State.WAITING
    assert story(*LIFE[:7]).trials[0].state is State.RUNNING


def test_the_counts_follow_every_event() -> None:
    history = History("digits")
    for n, fact in enumerate([*LIFE, ("asked", 1), ("asked", 2), finished(2, "FAILED")], start=1):
        history.apply(_event(n, *fact))
        seen = [trial.state for trial in history.trials.values()]
        assert history.counts == {state: seen.count(state) for state in State}


def test_an_illegal_move_is_refused() -> None:
    with pytest.raises(ValueError, match="from COMPLETE to RUNNING"):
        story(*LIFE, ("started", 0, 3, {}))


def test_seconds_are_those_of_attempts_that_ended() -> None:
    assert story(*LIFE).trials[0].seconds == 3 + 3
    assert story(*LIFE[:7]).trials[0].seconds == 3
    assert story(*LIFE[:4]).trials[0].seconds is None
    assert story(*LIFE[:2]).trials[0].started_s is None


def test_failures_are_counted_by_cause() -> None:
    again = {"again": True, "error": "e"}
    causes = [("failed", "machine"), ("failed", "machine"), ("lost", None), ("failed", "code")]
    facts: list[tuple[Any, ...]] = [OPENED, ("asked", 0)]
    for attempt, (outcome, cause) in enumerate(causes, start=1):
        facts += [("started", 0, attempt, {}), ended(0, attempt, outcome, cause=cause, **again)]
    trial = story(*facts).trials[0]
    assert (trial.failures("machine"), trial.failures("code"), trial.failures("nan")) == (2, 1, 0)


def test_the_time_that_drivers_lived_leaves_out_the_time_between_them() -> None:
    history = History("digits")
    for kind, time_s in [("opened", 0), ("closed", 10), ("opened", 1000), ("asked", 1004)]:
        trial, data = (0, ASKED) if kind == "asked" else (None, {"state": "STOPPED"})
        history.apply(Event(kind, trial, None, data, T0 + time_s))  # type: ignore[arg-type]
    assert history.alive_s == 14


@pytest.mark.parametrize("state", ["ENDED", "STOPPED", "FAILED"])
def test_a_closed_search_is_in_the_state_it_was_closed_with(state: str) -> None:
    history = story(OPENED, ("closed", None, None, {"state": state, "reason": "why"}))
    assert history.state(driver_alive=False) == (state, "why")


def test_an_open_search_runs_or_is_lost() -> None:
    history = story(OPENED, ("closed", None, None, {"state": "STOPPED", "reason": "SIGINT"}), OPENED)
    assert history.state(driver_alive=True) == ("RUNNING", None)
    assert history.state(driver_alive=False) == ("LOST", "its driver died")
    assert story().state(driver_alive=False)[0] == "LOST"


# --- the best ------------------------------------------------------------------------------


def trial_of(number: int, *values: float, state: State = State.COMPLETE) -> Trial:
    return Trial(number, {}, "trainer", "", "", 0.0, state, list(values) or None)


def numbers(trials: Sequence[Trial]) -> list[int]:
    return [trial.number for trial in trials]


def test_the_best_is_the_earliest_among_equals() -> None:
    trials = [trial_of(0, 0.5), trial_of(1, 0.9), trial_of(2, 0.9), trial_of(3, 0.1)]
    assert numbers(best_trials(trials, ["maximize"])) == [1]
    assert numbers(best_trials(reversed(trials), ["maximize"])) == [1]
    assert numbers(best_trials(trials, ["minimize"])) == [3]


def test_only_complete_trials_can_be_best() -> None:
    others = [trial_of(n, 1.0, state=s) for n, s in enumerate(State) if s is not State.COMPLETE]
    assert best_trials(others, ["maximize"]) == []
    assert best_trials([], ["maximize", "minimize"]) == []
    assert numbers(best_trials([*others, trial_of(9, 0.0)], ["maximize"])) == [9]


@pytest.mark.parametrize("objectives", [2, 3])
def test_a_front_is_what_a_comparison_of_all_with_all_finds(objectives: int) -> None:
    dice = random.Random(objectives)
    trials = [trial_of(n, *(float(dice.randrange(12)) for _ in range(objectives))) for n in range(300)]
    values = {trial.number: trial.values or [] for trial in trials}
    slowly = [n for n, mine in values.items() if not any(dominates(v, mine) for v in values.values())]
    assert numbers(best_trials(trials, ["minimize"] * objectives)) == slowly


def test_a_pareto_front_has_all_that_no_other_beats() -> None:
    trials = [trial_of(0, 1, 9), trial_of(1, 5, 5), trial_of(2, 6, 5), trial_of(3, 9, 1), trial_of(4, 5, 5)]
    assert numbers(best_trials(trials, ["minimize", "minimize"])) == [0, 1, 3, 4]
    assert numbers(best_trials(trials, ["maximize", "minimize"])) == [3]


@given(st.lists(st.tuples(st.integers(0, 4), st.integers(0, 4)), min_size=1, max_size=12))
def test_who_is_not_in_the_front_is_beaten_by_one_who_is(points: list[tuple[int, int]]) -> None:
    front = best_trials([trial_of(n, *map(float, p)) for n, p in enumerate(points)], ["minimize", "maximize"])

    def beats(left: tuple[int, int], right: tuple[int, int]) -> bool:
        return left != right and left[0] <= right[0] and left[1] >= right[1]

    inside = {trial.number for trial in front}
    for n, point in enumerate(points):
        assert any(beats(points[m], point) for m in inside) == (n not in inside)


def reports(*losses: float | None) -> list[Report]:
    return [
        Report(step, {"other": 0.0} if loss is None else {"loss": loss}, 0.0)
        for step, loss in enumerate(losses, start=1)
    ]


def test_a_trials_value_is_its_last_or_best_report_and_its_step() -> None:
    seen = reports(0.5, 0.2, 0.2, 0.4, None)
    assert objective_value(seen, "loss", "minimize", "last") == (0.4, 4)
    assert objective_value(seen, "loss", "minimize", "best") == (0.2, 2)
    assert objective_value(seen, "loss", "maximize", "best") == (0.5, 1)


def test_the_last_report_is_the_one_of_the_last_step() -> None:
    assert objective_value(list(reversed(reports(0.5, 0.2))), "loss", "minimize", "last") == (0.2, 2)


def test_a_metric_that_was_never_reported_has_no_value() -> None:
    with pytest.raises(LookupError, match="loss"):
        objective_value(reports(None), "loss", "minimize", "best")


# --- the documented shape ------------------------------------------------------------------


def test_show_is_the_documented_shape() -> None:
    shown = show(story(*LIFE), driver_alive=False)
    assert shown == {
        "schema": 1,
        "name": "digits",
        "state": "ENDED",
        "reason": "budget.trials",
        "objectives": [{"metric": "acc", "direction": "maximize"}],
        "counts": {"WAITING": 0, "RUNNING": 0, "COMPLETE": 1, "PRUNED": 0, "FAILED": 0},
        "best": {
            "number": 0,
            "values": [0.9],
            "params": {"model.lr": 0.01},
            "model": "models:/digits@champion",
        },
        "trials": [
            {
                "number": 0,
                "state": "COMPLETE",
                "trainer": "trainer",
                "params": {"model.lr": 0.01},
                "values": [0.9],
                "reports": [
                    {"step": 1, "metrics": {"acc": 0.5}, "time": "2026-11-22T10:00:03.000Z"},
                    {"step": 2, "metrics": {"acc": 0.9}, "time": "2026-11-22T10:00:08.000Z"},
                ],
                "attempts": [
                    {
                        "number": 1,
                        "outcome": "lost",
                        "node": "host-a",
                        "pid": 4711,
                        "started": "2026-11-22T10:00:02.000Z",
                        "ended": "2026-11-22T10:00:05.000Z",
                        "error": "node died",
                    },
                    {
                        "number": 2,
                        "outcome": "complete",
                        "node": "host-b",
                        "pid": 12,
                        "started": "2026-11-22T10:00:06.000Z",
                        "ended": "2026-11-22T10:00:09.000Z",
                        "error": None,
                    },
                ],
                "started": "2026-11-22T10:00:02.000Z",
                "ended": "2026-11-22T10:00:10.000Z",
                "seconds": 6.0,
                "error": None,
            }
        ],
    }


def test_show_has_no_best_while_nothing_is_complete_and_is_json_with_nan() -> None:
    history = story(
        OPENED,
        ("asked", 0),
        ("started", 0, 1, {"node": "n", "pid": 1}),
        reported(0, 1, 1, math.nan),
        reported(0, 1, 2, -math.inf),
        ended(0, 1, "failed", error="acc is nan", cause="nan"),
        finished(0, "FAILED", error="acc is nan"),
        ("asked", 1),
    )
    shown = json.loads(json.dumps(show(history, driver_alive=True), allow_nan=False))
    assert (shown["state"], shown["reason"], shown["best"]) == ("RUNNING", None, None)
    failed, waiting = shown["trials"]
    assert [r["metrics"]["acc"] for r in failed["reports"]] == [None, None]
    assert (failed["values"], failed["error"]) == (None, "acc is nan")
    absent = ("values", "started", "ended", "seconds", "error")
    assert [waiting[key] for key in absent] == [None] * len(absent)
    assert (waiting["reports"], waiting["attempts"]) == ([], [])


def test_show_has_a_front_for_several_objectives_and_the_published_model_with_its_trial() -> None:
    two = [{"metric": "acc", "direction": "maximize"}, {"metric": "size", "direction": "minimize"}]
    facts: list[tuple[Any, ...]] = [("opened", None, None, {"spec": {"objective": two}})]
    for number, values in enumerate(([0.9, 10.0], [0.8, 20.0], [0.7, 5.0])):
        facts += [("asked", number), ("started", number, 1, {}), ended(number, 1, "complete")]
        facts += [finished(number, "COMPLETE", values=values, step=1)]
    shown = show(story(*facts, ("published", 0, None, {"model": "models:/m/1"})), driver_alive=True)
    assert shown["objectives"] == two
    assert [(b["number"], b["values"], b["model"]) for b in shown["best"]] == [
        (0, [0.9, 10.0], "models:/m/1"),
        (2, [0.7, 5.0], None),
    ]


def test_show_of_a_search_without_a_driver_is_empty_but_whole() -> None:
    shown = show(History("digits"), driver_alive=False)
    assert (shown["state"], shown["objectives"], shown["best"], shown["trials"]) == ("LOST", [], None, [])


# --- clocks that are set while a search runs -------------------------------------------------

DAY_S = 86400.0
# Two drivers; the clock is set back by a day in the first one's life, and forward in the second's.
JUMPS = [
    (0.0, OPENED, None),
    (1.0, ("asked", 0), None),
    (2.0, ("started", 0, 1, {}), 2.0),
    (12.0 - DAY_S, reported(0, 1, 1, 0.5), 12.0),
    (22.0 - DAY_S, ended(0, 1, "stopped", again=True), 22.0),
    (23.0 - DAY_S, ("closed", None, None, {"state": "STOPPED", "reason": "SIGINT"}), 23.0),
    (30.0 - DAY_S, OPENED, None),
    (31.0 - DAY_S, ("started", 0, 2, {}), 1.0),
    (40.0 + DAY_S, reported(0, 2, 2, 0.6), 10.0),
    (45.0 + DAY_S, ended(0, 2, "complete"), 15.0),
    (45.0 + DAY_S, finished(0, "COMPLETE", values=[0.6]), None),
]


def jumping(counts: bool) -> History:
    """The story above, as a driver writes it today, or as one without a count of its own did."""
    events = []
    for n, (time_s, fact, alive_s) in enumerate(JUMPS, start=1):
        event = _event(n, *fact)
        told = {"alive_s": alive_s} if counts and alive_s is not None else {}
        events.append(replace(event, time_s=T0 + time_s, data={**event.data, **told}))
    return History("digits", events)


def test_a_clock_that_is_set_costs_a_search_none_of_its_time() -> None:
    history = jumping(counts=True)
    assert [session.seconds for session in history.sessions] == [23.0, 15.0]
    assert history.alive_s == 38.0
    assert history.trials[0].seconds == 20.0 + 14.0


def test_without_a_drivers_own_count_no_span_is_negative() -> None:
    history = jumping(counts=False)
    assert history.sessions[0].seconds == 2.0
    assert history.alive_s >= 0
    assert history.trials[0].attempts[0].spent_s == 0.0


def test_trials_end_in_the_order_of_the_ledger_whatever_the_clock_said() -> None:
    facts = [("asked", n) for n in (0, 1)] + [finished(n, "FAILED") for n in (1, 0)]
    events = [_event(n, *fact) for n, fact in enumerate([OPENED, *facts], start=1)]
    history = History("digits", [*events[:-1], replace(events[-1], time_s=T0 - DAY_S)])
    assert [history.trials[n].ended_nth for n in (0, 1)] == [2, 1]


def test_an_attempt_of_a_driver_that_died_ends_when_it_was_last_heard_of() -> None:
    facts = [OPENED, ("asked", 0), ("started", 0, 1, {}), reported(0, 1, 1, 0.5), OPENED]
    events = [_event(n, *fact) for n, fact in enumerate([*facts, ended(0, 1, "lost", again=True)], start=1)]
    week = [*events[:4], *(replace(event, time_s=event.time_s + 7 * DAY_S) for event in events[4:])]
    assert History("digits", week).trials[0].seconds == 1.0
