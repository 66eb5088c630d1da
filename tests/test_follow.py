"""Watching a search, and a trial's log, that another process runs."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing, suppress
from pathlib import Path
from typing import Any

import pexpect
import psutil
import pytest

from automl import follow
from automl.events import Event
from automl.ledger import Ledger
from tests.test_ledger import abandon, alter
from tests.test_outage import until

HERE = Path(__file__).resolve().parents[1]
QUICK = ("space.model.sleep=0.1", "space.model.steps=40", "budget.trials=4", "resources.parallel=2")

Drive = Callable[..., "subprocess.Popen[str]"]


@pytest.fixture
def start(root: Path) -> Iterator[Drive]:
    """Starts automl's own commands, and kills with the test whoever is left of them."""
    made: list[subprocess.Popen[str]] = []

    def begin(*words: str) -> subprocess.Popen[str]:
        pipes: dict[str, Any] = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
        program = [sys.executable, "-m", "automl", *words]
        made.append(subprocess.Popen(program, cwd=root, env={**os.environ, "PYTHONPATH": str(HERE)}, **pipes))
        return made[-1]

    yield begin
    for child in made:
        with suppress(psutil.Error):
            for each in [*psutil.Process(child.pid).children(recursive=True), psutil.Process(child.pid)]:
                each.kill()
        child.communicate()


def begun(url: str, many: int = 2) -> bool:
    with suppress(Exception), closing(Ledger(url, create=False)) as ledger:
        return sum(event.kind == "reported" for event in ledger.events("resumes")) >= many
    return False


def search(url: str) -> list[str]:
    given = [f"--set={each}" for each in QUICK]
    return ["search", "search_spaces/resumes.yaml", "--engine=local", f"--ledger={url}", *given]


def test_a_search_is_shown_as_its_own_command_shows_it_until_it_is_closed(url: str, start: Drive) -> None:
    driver = start(*search(url))
    until(lambda: begun(url))
    watcher = start("show", "resumes", "-f", "--ledger", url)
    assert driver.poll() is None
    out, err = watcher.communicate(timeout=120)
    assert watcher.returncode == 0, err
    _, own = driver.communicate(timeout=30)
    ends = [line for line in own.splitlines() if re.match(r"trial \d COMPLETE", line)]
    assert len(ends) == 4
    # The first line is of what had been there, then it says what the driver says.
    first, *rest = err.splitlines()
    assert first.startswith("resumes: 4 trials; carries on after ")
    assert set(rest) <= set(own.splitlines())
    assert ends[-1] in rest
    assert out.startswith("resumes: ENDED (budget.trials)\n")
    assert "COMPLETE 4" in out
    again = start("show", "resumes", "--follow", "--ledger", url)
    assert again.communicate(timeout=60) == (out, "")


def test_ctrl_c_ends_the_watching_and_not_the_search(sqlite: str, start: Drive) -> None:
    driver = start(*search(sqlite), "--set=space.model.steps=100")
    until(lambda: begun(sqlite))
    watcher = start("show", "resumes", "-f", "--ledger", sqlite)
    assert watcher.stderr is not None
    assert "resumes: 4 trials" in watcher.stderr.readline()
    watcher.send_signal(signal.SIGINT)
    _, err = watcher.communicate(timeout=30)
    assert watcher.returncode == 130
    assert err.endswith("interrupted\n")
    assert "Traceback" not in err
    assert driver.poll() is None


def test_in_a_terminal_it_is_the_same_live_table(sqlite: str, root: Path, start: Drive) -> None:
    start(*search(sqlite), "--set=space.model.steps=100")
    until(lambda: begun(sqlite))
    words = ["-m", "automl", "show", "resumes", "-f", "--ledger", sqlite]
    env = {**os.environ, "PYTHONPATH": str(HERE), "TERM": "xterm", "COLUMNS": "100", "LINES": "30"}
    child = pexpect.spawn(sys.executable, words, cwd=str(root), env=env, encoding="utf-8", timeout=60)
    child.expect(r"RUNNING 2")
    child.expect(r"last metrics")
    child.expect(r"loss=")
    child.sendintr()
    child.expect(pexpect.EOF)
    child.close()
    assert child.exitstatus == 130


class Watch:
    """A view that keeps what it is told."""

    def __init__(self) -> None:
        self.events: list[Event] = []
        self.said: list[str] = []
        self.ended = False

    def begin(self, plan: Any, history: Any, slots: int) -> None:
        self.said.append(f"begin {plan.search.name} {history.n} {slots}")

    def event(self, event: Event) -> None:
        self.events.append(event)

    def say(self, text: str) -> None:
        self.said.append(text)

    def end(self) -> None:
        self.ended = True


def test_a_lost_driver_ends_the_watching(
    url: str, monkeypatch: pytest.MonkeyPatch, start: Drive, root: Path
) -> None:
    driver = start(*search(url))
    until(lambda: begun(url))
    watch, found = Watch(), []
    watcher = threading.Thread(target=lambda: found.append(follow.show("resumes", url, watch)))
    watcher.start()
    until(lambda: len(watch.events) >= 2)
    driver.kill()
    watcher.join(30)
    assert watch.ended
    assert found[0].history.state(found[0].alive) == ("LOST", "its driver died")
    code = start("show", "resumes", "-f", "--ledger", url)
    assert "resumes: LOST" in code.communicate(timeout=60)[0]
    assert code.returncode == 1


def test_a_driver_elsewhere_that_is_silent_for_a_moment_is_still_watched(
    sqlite: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(follow, "LOST_S", 1.0)
    monkeypatch.setattr(follow, "POLL_S", 0.05)
    with closing(Ledger(sqlite)) as ledger:
        lease = ledger.lease("s", period_s=0.1)
        alter(sqlite, machine="another one", host="gpu-box")
        abandon(lease)
        until(lambda: not ledger.driver_alive("s"))
        seen = follow.Follower(ledger, "s", lambda text: None)
        begun_s = time.monotonic()
        for _ in seen.events():
            pass
        assert seen.over
        assert time.monotonic() - begun_s >= 1.0


TALKS = '''
import time

def talks(trial, x: float) -> None:
    """Says a word a step."""
    for step in range(1, 9):
        print(f"step {step} größer", flush=True)
        trial.report({"loss": x}, step=step)
        time.sleep(0.5)
'''


def test_a_log_is_passed_on_as_it_is_written_until_its_trial_has_ended(
    sqlite: str, root: Path, start: Drive
) -> None:
    (root / "trainers/talks.py").write_text(TALKS)
    given = ("trainer.model=trainers.talks:talks", "space={model.x: 1.0}", "budget.trials=2")
    words = ["search", "search_spaces/resumes.yaml", "--engine=local", f"--ledger={sqlite}"]
    start(*words, *(f"--set={each}" for each in given), "--set=resources.parallel=1")
    until(lambda: begun(sqlite, 1))
    reader = start("logs", "resumes", "--trial", "0", "-f", "--ledger", sqlite)
    assert reader.stdout is not None
    lines, came = [], []
    for line in reader.stdout:
        lines.append(line)
        came.append(time.monotonic())
    assert lines == [f"step {step} größer\n" for step in range(1, 9)]
    assert came[-1] - came[0] > 0.3  # not all at its end
    assert (reader.wait(30), reader.communicate()[1]) == (0, "")
    whole = start("logs", "resumes", "--trial", "0", "--follow", "--ledger", sqlite)
    assert whole.communicate(timeout=60)[0] == "".join(lines)
    unknown = start("logs", "resumes", "--trial", "9", "-f", "--ledger", sqlite)
    assert "resumes: has no trial 9" in unknown.communicate(timeout=60)[1]
    assert unknown.returncode == 2
