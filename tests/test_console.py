"""The live view: what a person sees while a search runs, in a terminal, in a pipe, and when it breaks."""

from __future__ import annotations

import re
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

import pexpect
import psutil
import pytest

from automl import console, door
from automl.board import Board
from automl.events import Event, State
from automl.results import History
from automl.run import Plan, plan
from automl.specfile import load

FILE = "search_spaces/quadratic.yaml"
SLOW = ["--set", "space.model.sleep=0.2", "--set", "space.model.steps=6", "--set", "budget.time=1h"]


@pytest.fixture
def planned(project: Path) -> Plan:
    return plan(load(project / FILE))


def asked(number: int, **params: float) -> Event:
    data = {"params": params, "trainer": "trainer", "source": "sampler", "sampler": "random"}
    return Event("asked", number, None, data)


def a_life(number: int, loss: float, state: str = "COMPLETE", code: str = "a") -> Iterator[Event]:
    """All events of a trial, each a second after the other."""
    yield asked(number, **{"model.x": loss})
    yield Event("started", number, 1, {"code": code}, time_s=10.0)
    yield Event("reported", number, 1, {"step": 1, "metrics": {"loss": loss}}, time_s=11.0)
    yield Event("ended", number, 1, {"outcome": state.lower()}, time_s=12.0)
    data = {"state": state, "values": [loss] if state == "COMPLETE" else None}
    yield Event("finished", number, None, {**data, "error": "boom" if state == "FAILED" else None})


def told(board: Board, history: History, events: Iterator[Event] | Sequence[Event]) -> list[str]:
    """The lines that a board has for events, each applied to the history first, as the run does."""
    lines = []
    for event in events:
        history.apply(event)
        lines += [line.text for line in board.take(event)]
    return lines


# --- what is shown -------------------------------------------------------------------------


def test_a_trial_that_ends_is_one_line(planned: Plan) -> None:
    history = History("quadratic")
    board = Board(planned, history, 2)
    assert told(board, history, a_life(0, 0.97)) == ["trial 0 COMPLETE loss=0.97 (best) 2.0 s"]
    assert told(board, history, a_life(1, 1.5)) == ["trial 1 COMPLETE loss=1.5 2.0 s"]
    assert told(board, history, a_life(2, 9.0, "PRUNED")) == ["trial 2 PRUNED at step 1 loss=9 2.0 s"]
    assert told(board, history, a_life(3, 9.0, "FAILED")) == ["trial 3 FAILED boom 2.0 s"]


def test_the_snapshot_has_states_best_running_and_budget(planned: Plan) -> None:
    history = History("quadratic")
    board = Board(planned, history, 2)
    told(board, history, a_life(0, 0.97))
    told(board, history, list(a_life(1, 0.5))[:3])
    now = board.snapshot()
    assert (now.counts[State.COMPLETE], now.counts[State.RUNNING]) == (1, 1)
    assert now.best == ["trial 0  loss=0.97  model.x=0.97"]
    (running,) = now.running
    assert (running.number, running.step, running.metrics) == (1, 1, {"loss": 0.5})
    assert now.budget.startswith("trials 1/10  time ")
    assert "left" in now.budget


def test_an_earlier_drivers_best_and_trials_are_there_from_the_start(planned: Plan) -> None:
    history = History("quadratic", a_life(0, 0.97))
    board = Board(planned, history, 2)
    assert board.opening() == "quadratic: 10 trials, 2 at once; carries on after 1 ended trial"
    assert told(board, history, a_life(1, 1.5)) == ["trial 1 COMPLETE loss=1.5 2.0 s"]
    assert board.snapshot().best == ["trial 0  loss=0.97  model.x=0.97"]


def test_changed_code_of_a_trainer_is_told_once(planned: Plan) -> None:
    history = History("quadratic", a_life(0, 0.97, code="a"))
    board = Board(planned, history, 2)
    changed = "the code of trainers.tiny_function:quadratic has changed since earlier trials"
    assert any(changed in line for line in told(board, history, a_life(1, 1.0, code="b")))
    assert not any(changed in line for line in told(board, history, a_life(2, 1.0, code="c")))


def test_epochs_are_counted_against_those_that_the_fit_asks_for(project: Path) -> None:
    planned = plan(load(project / "search_spaces/tiny_keras.yaml"))
    history = History("tiny-keras")
    board = Board(planned, history, 1)
    told(board, history, list(a_life(0, 0.5))[:3])
    assert board.snapshot().running[0].progress == "1/3"


def test_a_view_that_breaks_does_not_break_the_search(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> None:
        raise RuntimeError("the terminal is gone")

    monkeypatch.setattr(Board, "take", fail)
    result = door.run(project / FILE, engine="local", view=console.PlainView())
    assert (result.state, result.exit_code) == ("ENDED", 0)


def test_without_a_terminal_the_view_is_lines(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stderr", sys.__stdin__)
    assert isinstance(console.view(), console.PlainView)


# --- in a terminal -------------------------------------------------------------------------


def start(project: Path, *words: str) -> pexpect.spawn:
    command = ["-m", "automl.cli", "search", FILE, "--engine", "local", *SLOW, *words]
    return pexpect.spawn(
        sys.executable, command, cwd=project, dimensions=(30, 120), encoding="utf-8", timeout=60
    )


def finish(terminal: pexpect.spawn) -> tuple[str, int | None]:
    terminal.expect(pexpect.EOF)
    terminal.close()
    return re.sub(r"\x1b\[[\d;?]*[A-Za-z]", "", terminal.before), terminal.exitstatus


def test_a_terminal_shows_states_best_running_trials_and_budget(project: Path) -> None:
    terminal = start(project, "--set", "budget.trials=3")
    terminal.expect(r"RUNNING 2")
    terminal.expect(r"loss=[\d.]+")
    terminal.expect(r"COMPLETE [1-9]")
    terminal.expect(r"best  trial \d  loss=[\d.]+")
    terminal.expect(r"trials [123]/3  time [\d.]+ s of 1h 00m  about")
    text, code = finish(terminal)
    assert code == 0
    assert re.search(r"best: trial \d, loss=", text)


def test_ctrl_c_once_stops_gracefully_and_says_how_to_carry_on(project: Path) -> None:
    terminal = start(project)
    terminal.expect("COMPLETE [1-9]")
    terminal.sendintr()
    terminal.expect("stopping: running trials write a checkpoint")
    text, code = finish(terminal)
    assert code == 130
    assert "quadratic: STOPPED, SIGINT" in text
    assert f"The same command carries on: automl search {FILE} --engine local" in text


def test_ctrl_c_twice_stops_at_once_and_keeps_everything(project: Path) -> None:
    text = (project / FILE).read_text().replace(":quadratic", ":hangs").replace("model.y", "model.above")
    (project / FILE).write_text(text.replace("{float: [-1.0, 1.0]}", "-9.0"))
    terminal = start(project)
    terminal.expect("RUNNING 2")
    terminal.sendintr()
    terminal.expect("stopping")
    time.sleep(0.3)
    terminal.sendintr()
    text, code = finish(terminal)
    assert code == 130
    assert "WAITING 2" in text
    listed = subprocess.run(
        [sys.executable, "-m", "automl.cli", "ls"], cwd=project, capture_output=True, text=True, check=True
    )
    assert "quadratic\tSTOPPED\tWAITING 2\t" in listed.stdout


def test_the_workers_are_gone_after_ctrl_c(project: Path) -> None:
    terminal = start(project)
    terminal.expect("RUNNING 2")
    workers = psutil.Process(terminal.pid).children(recursive=True)
    assert len(workers) >= 2
    terminal.sendintr()
    finish(terminal)
    assert [worker for worker in workers if worker.is_running()] == []
