"""An attempt that hangs, takes too long, leaks or closes its streams, seen from its host."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest

import automl
from automl import usage, watch
from automl.engines.base import Answer, Message, Task
from automl.host import Host
from automl.run import run

ROOT = Path(__file__).parent / "project"
PATIENCE_S = 120.0


@pytest.fixture
def host() -> Iterator[Host]:
    host = Host(str(ROOT), 1)
    yield host
    host.close()


def a_task(storage: Path, name: str, trial: int = 0, **more: Any) -> Task:
    """A task of a callable in unruly.py; keywords with `model_` before are its arguments."""
    given = {key.removeprefix("model_"): more.pop(key) for key in list(more) if key.startswith("model_")}
    facts: dict[str, Any] = {
        "framework": "function",
        "model": f"trainers.unruly:{name}",
        "data": None,
        "arguments": {"model": {"x": 0.5, **given}},
        "objectives": ({"metric": "loss", "direction": "minimize", "value": "last"},),
    }
    place = {"search": "tiny", "seed": 1, "trainer": "trainer", "root": str(ROOT), "storage": str(storage)}
    return Task(trial=trial, attempt=1, resources={"cpus": 1, "gpus": 0}, **{**facts, **place, **more})


def drive(
    host: Host, task: Task, at_report: Callable[[Message], None] = lambda message: None
) -> list[Message]:
    """All messages of an attempt; every report is answered."""
    messages: list[Message] = []
    host.start(task)
    deadline_s = time.monotonic() + PATIENCE_S
    while not messages or messages[-1]["kind"] != "ended":
        assert time.monotonic() < deadline_s, f"no end after {messages}"
        if (message := host.poll(0.2)) is not None:
            messages.append(message)
            if message["kind"] == "report":
                at_report(message)
                host.answer(Answer.GO)
    return messages


def test_a_hang_is_killed_with_its_family_and_says_where_it_was(host: Host, tmp_path: Path) -> None:
    messages = drive(host, a_task(tmp_path, "stuck", silence_s=1.0))
    started, report, ended = messages
    assert (ended["outcome"], ended["cause"]) == ("failed", "hang")
    assert "no batch and no report for 1 s" in ended["error"]
    assert "Raise timeout.silence" in ended["error"]
    assert "trainers/unruly.py:" in ended["error"]
    assert ended["error"].endswith(" in stuck")
    assert "in stuck" in ended["trace"]
    assert "in stuck" in (tmp_path / "tiny" / "trials" / "0" / "log.txt").read_text()
    assert not psutil.pid_exists(started["pid"])
    assert not psutil.pid_exists(int(report["metrics"]["child"]))


def test_an_attempt_past_its_time_is_killed_though_it_reports(host: Host, tmp_path: Path) -> None:
    messages = drive(host, a_task(tmp_path, "never_ready", trial_s=1.0))
    ended = messages[-1]
    assert (ended["outcome"], ended["cause"]) == ("failed", "timeout")
    assert "Raise timeout.trial" in ended["error"]
    assert len(messages) > 3


def test_a_callable_says_between_reports_that_it_lives(host: Host, tmp_path: Path) -> None:
    ended = drive(host, a_task(tmp_path, "slow_step", silence_s=1.5))[-1]
    assert (ended["outcome"], ended.get("error")) == ("complete", None)


def test_waiting_for_the_driver_is_no_silence(host: Host, tmp_path: Path) -> None:
    def away(report: Message) -> None:
        until_s = time.monotonic() + 2.0
        while time.monotonic() < until_s:
            assert host.poll(0.1) is None

    quadratic: dict[str, Any] = {"model": "trainers.tiny_function:quadratic", "model_steps": 1}
    task = a_task(tmp_path, "", silence_s=1.0, trial_s=1.5, **quadratic)
    assert drive(host, task, away)[-1]["outcome"] == "complete"


def test_a_pause_of_everything_is_no_silence(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = [100.0]
    monkeypatch.setattr("time.monotonic", lambda: clock[0])
    clocks = watch.Watch(silence_s=5.0, trial_s=None)
    clock[0] += 100.0
    assert clocks.verdict() is None, "importing a framework says nothing for long"
    clocks.hear("pulse")
    clock[0] += 6.0
    assert (clocks.verdict() or {})["cause"] == "hang"
    clocks.hear("checkpointed")
    assert clocks.verdict() is None
    assert clocks.stop()
    assert not clocks.stop()
    clock[0] += 6.0
    assert clocks.verdict() is None, "one that was told to leave has its own limit"
    clock[0] += watch.STOP_KILL_S
    assert (clocks.verdict() or {})["outcome"] == "stopped"


@pytest.mark.parametrize(("waited_s", "answered_s", "trained_s"), [(None, 15, 5), (0, 15, 20), (4, 15, 16)])
def test_what_is_trained_while_a_report_is_answered_counts(
    monkeypatch: pytest.MonkeyPatch, waited_s: float | None, answered_s: float, trained_s: float
) -> None:
    """A report every 20 s, its answer after 15; until the next one, all of that may be a wait."""
    clock = [100.0]
    monkeypatch.setattr("time.monotonic", lambda: clock[0])
    clocks = watch.Watch(silence_s=None, trial_s=3 * trained_s + 1)
    clocks.hear("started")
    clocks.hear("report")
    for _ in range(3):
        clock[0] += answered_s
        clocks.answer()
        assert clocks.verdict() is None
        clock[0] += 20 - answered_s
        clocks.hear("report", waited_s)
        assert clocks.verdict() is None
    clock[0] += 3600
    assert clocks.verdict() is None, "the driver is slow"
    clocks.answer()
    clocks.hear("report", None if waited_s is None else 3600)
    clocks.answer()
    clock[0] += 2
    assert (clocks.verdict() or {})["cause"] == "timeout"


@pytest.mark.parametrize("framework", ["lightning", "keras"])
def test_batches_are_a_sign_of_life_that_no_desk_hears_of(
    host: Host, tmp_path: Path, framework: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    heard: list[str] = []
    monkeypatch.setattr(watch.Watch, "hear", lambda self, kind, waited_s: heard.append(kind))
    slow, home = {"sleep_s": 0.6}, f"trainers.{'tiny' if framework == 'lightning' else 'slow'}_{framework}"
    words: dict[str, Any] = {
        "lightning": {
            "model": f"{home}:TinyNet",
            "data": f"{home}:TinyData",
            "arguments": {"model": slow, "fit": {"max_epochs": 1}},
        },
        "keras": {
            "model": f"{home}:net",
            "data": f"{home}:data",
            "arguments": {"data": slow, "fit": {"epochs": 1}},
        },
    }[framework]
    objective = {"metric": "val_loss", "direction": "minimize", "value": "last"}
    task = a_task(tmp_path, "", framework=framework, objectives=(objective,), silence_s=8.0, **words)
    messages = drive(host, task)
    assert messages[-1]["outcome"] == "complete"
    assert "pulse" not in {message["kind"] for message in messages}
    # The first is said before the first batch, the others at most every two seconds, of which four hold
    # a limit of eight.
    assert 2 <= heard[: heard.index("report")].count("pulse") <= 10


def test_a_leak_of_50_mb_a_trial_stays_in_bounds_over_100_trials(host: Host, tmp_path: Path) -> None:
    least, _, _ = usage.BOUNDS["memory_bytes"]
    residents, pids, warm = [], [], []
    for number in range(100):
        started, report, ended = drive(host, a_task(tmp_path, "leaks", number))
        assert ended["outcome"] == "complete"
        residents.append(report["metrics"]["resident"])
        pids.append(started["pid"])
        warm.append(started["warm"])
    assert 5 < len(set(pids)) < 20
    assert warm.count(False) == len(set(pids))
    assert max(residents) < residents[0] + least + (150 << 20)


def test_threads_that_trials_leave_are_bounded_too(host: Host, tmp_path: Path) -> None:
    pids = [drive(host, a_task(tmp_path, "starts_threads", n))[0]["pid"] for n in range(4)]
    assert [pids.count(pid) for pid in dict.fromkeys(pids)] == [3, 1]


@pytest.mark.parametrize("how", ["objects", "descriptors", "nothing"])
def test_a_trainer_that_closes_its_streams_harms_itself_alone(host: Host, tmp_path: Path, how: str) -> None:
    first = drive(host, a_task(tmp_path, "closes_streams", model_how=how))
    assert (first[-1]["cause"], first[-1]["error"]) == ("code", "RuntimeError: boom")
    after = drive(host, a_task(tmp_path, "", trial=1, model="trainers.tiny_function:talks"))
    assert after[-1]["outcome"] == "complete"
    assert after[0]["pid"] == first[0]["pid"]
    logs = [(tmp_path / "tiny" / "trials" / str(n) / "log.txt").read_text() for n in (0, 1)]
    assert logs[0].startswith("before\n")
    assert "RuntimeError: boom" in logs[0]
    assert logs[1].split() == ["hello", "hello", "on", "stderr"]


def test_what_counts_as_grown() -> None:
    held = {"memory_bytes": 4 << 30, "threads": 10, "files": 8}
    assert usage.outgrown(held, {**held, "memory_bytes": 5 << 30}) is None
    assert usage.outgrown(held, {**held, "memory_bytes": 7 << 30}) == "memory grew from 4096 MiB to 7168 MiB"
    assert usage.outgrown(held, {**held, "threads": 75}) == "threads grew from 10 to 75"
    assert usage.outgrown({usage.BROKEN: 1}, {usage.BROKEN: 1}) == "its GPU is in error"
    measured = usage.measure()
    assert measured["memory_bytes"] > 1 << 20
    assert measured["files"] >= len(os.listdir("/proc/self/fd")) - 1


def test_a_search_retries_a_hang(tmp_path: Path, project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(project)
    monkeypatch.delenv("AUTOML_LEDGER", raising=False)
    search = automl.Search(
        name="hung",
        objective=automl.Objective("loss", "minimize"),
        trainer=automl.Trainer("function", "trainers.tiny_function:hangs"),
        space={"model.x": automl.Float(-1.0, 1.0), "model.once_in": str(tmp_path), "model.at": 2},
        budget=automl.Budget(trials=2),
        timeout={"silence": "1s"},
        tracking=False,
    )
    trials = run(search, "local").history.trials.values()
    for trial in trials:
        assert str(trial.state) == "COMPLETE"
        assert [attempt.cause for attempt in trial.attempts] == ["hang", None]
        assert "tiny_function.py" in (trial.attempts[0].error or "")
        assert [report.step for report in trial.reports] == [1, 2, 3]
