"""A search is stopped from anywhere, by a request in its ledger; a lost driver is seen at once."""

from __future__ import annotations

import getpass
import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import closing, suppress
from importlib import import_module
from pathlib import Path
from typing import Any

import psutil
import pytest

import automl
from automl.engines.ray_tune import RayTune
from automl.errors import InputError, NoSuchSearch
from automl.ledger import Lease, Ledger
from automl.results import History
from automl.schema import Request
from tests.test_ledger import abandon, alter
from tests.test_outage import until

HERE = Path(__file__).resolve().parents[1]
NAME = "resumes"
SLOW = ("space.model.sleep=0.05", "space.model.steps=100", "budget.trials=6", "resources.parallel=2")

# A driver that takes itself for one on another machine.
ELSEWHERE = """
import automl.machine
automl.machine.machine_id = lambda: "another machine"
import socket
socket.gethostname = lambda: "gpu-box"
"""
# One that hears no request: its thread that would look for them does not.
DEAF = """
from automl.lease import Lease
Lease._heed = lambda self: None
"""
MAIN = "from automl.__main__ import main\nmain()\n"

Drive = Callable[..., "subprocess.Popen[str]"]


@pytest.fixture
def drive(root: Path, url: str) -> Iterator[Drive]:
    """Starts searches by their own command, and kills with the test whoever is left of them."""
    made: list[subprocess.Popen[str]] = []

    def begin(before: str = "", **env: str) -> subprocess.Popen[str]:
        given = [f"--set={each}" for each in SLOW]
        words = ["search", "search_spaces/resumes.yaml", "--engine=local", f"--ledger={url}", *given]
        pipes: dict[str, Any] = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
        program = [sys.executable, "-c", before + MAIN, *words]
        environment = {**os.environ, "PYTHONPATH": str(HERE), **env}
        made.append(subprocess.Popen(program, cwd=root, env=environment, **pipes))
        until(lambda: reports(url) >= 2)
        return made[-1]

    yield begin
    for child in made:
        with suppress(psutil.Error):
            for each in [*psutil.Process(child.pid).children(recursive=True), psutil.Process(child.pid)]:
                each.kill()
        child.communicate()


def reports(url: str) -> int:
    with suppress(automl.AutoMLError):
        return sum(event.kind == "reported" for event in history(url)[1])
    return 0


def history(url: str) -> tuple[History, list[Any]]:
    with closing(Ledger(url, create=False)) as ledger:
        events = list(ledger.events(NAME))
    return History(NAME, events), events


def command(root: Path, *words: str, **env: str) -> subprocess.CompletedProcess[str]:
    done = subprocess.run(
        [sys.executable, "-m", "automl", *words],
        cwd=root,
        env={**os.environ, "PYTHONPATH": str(HERE), **env},
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert "Traceback" not in done.stderr, done.stderr
    return done


# --- automl stop ---------------------------------------------------------------------------


def test_a_driver_elsewhere_stops_gracefully_and_the_ledger_says_who_asked(
    url: str, root: Path, drive: Drive
) -> None:
    driver = drive(ELSEWHERE)
    done = command(root, "stop", NAME, "--ledger", url, AUTOML_OWNER="ann@desk")
    assert done.returncode == 0, done.stderr
    assert done.stdout == "resumes: STOPPED (stop, asked by ann@desk)\n"
    assert f"its driver on gpu-box, pid {driver.pid}, is asked to stop; waiting up to 60 s" in done.stderr
    _, said = driver.communicate(timeout=30)
    assert driver.returncode == 143  # as SIGTERM would have had it
    assert "ann@desk asks to stop: running trials write a checkpoint" in said
    stopped, _ = history(url)
    assert stopped.counts["RUNNING"] == 0
    waiting = [trial for trial in stopped.trials.values() if trial.state == "WAITING"]
    assert waiting
    assert all(trial.attempts[-1].outcome == "stopped" and trial.checkpoint for trial in waiting)
    again = command(root, "stop", NAME, "--ledger", url, "--json")
    assert again.returncode == 0
    assert json.loads(again.stdout) == {
        "schema": 1,
        "name": NAME,
        "state": "STOPPED",
        "reason": "stop, asked by ann@desk",
        "running": False,
        "asked": False,
        "forced": False,
        "driver": {},
    }


def test_a_driver_that_does_not_hear_is_ended_by_force_and_no_sooner(
    url: str, root: Path, drive: Drive
) -> None:
    driver = drive(DEAF)
    done = command(root, "stop", NAME, "--ledger", url, "--timeout", "1s")
    assert done.returncode == 1
    assert done.stdout == "resumes: RUNNING\n"
    assert "its driver goes on. automl stop resumes --force ends it" in done.stderr
    assert driver.poll() is None
    done = command(root, "stop", NAME, "--ledger", url, "--timeout", "1s", "--force", "--json")
    assert done.returncode == 0, done.stderr
    shown = json.loads(done.stdout)
    assert (shown["state"], shown["reason"], shown["forced"]) == ("STOPPED", "SIGTERM", True)
    assert driver.wait(30) == 143


@pytest.fixture
def stubborn(sqlite: str, root: Path) -> Iterator[subprocess.Popen[str]]:
    """A driver that heeds neither requests nor SIGTERM."""
    held = subprocess.Popen([sys.executable, "-c", STUBBORN, sqlite], stdout=subprocess.PIPE, text=True)
    assert held.stdout is not None
    assert held.stdout.readline() == "held\n"
    yield held
    held.kill()
    held.communicate()


def test_a_driver_that_does_not_even_leave_is_killed(
    sqlite: str, stubborn: subprocess.Popen[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(import_module("automl.stop"), "TERM_S", 0.5)
    said: list[str] = []
    done = automl.stop("s", sqlite, force=True, timeout=0.5, say=said.append)
    assert stubborn.wait(10) == -signal.SIGKILL
    assert (done.state, done.forced, done.running, done.exit_code) == ("LOST", True, False, 0)
    assert said[-1] == "s: its driver was killed. The same search command carries on"


STUBBORN = """
import signal, sys, time
from automl.events import Event
from automl.ledger import Ledger
signal.signal(signal.SIGTERM, signal.SIG_IGN)
lease = Ledger(sys.argv[1]).lease("s")
lease.append([Event("opened")])
print("held", flush=True)
time.sleep(600)
"""


def test_a_driver_elsewhere_that_does_not_hear_is_named_and_left_alone(
    url: str, root: Path, drive: Drive
) -> None:
    place = {"AUTOML_ADDRESS": "https://ann:s3cret@ray.example.org", "AUTOML_JOB": "automl-resumes-1"}
    driver = drive(ELSEWHERE + DEAF, **place)
    done = command(root, "stop", NAME, "--ledger", url, "--timeout", "1s", "--force", "--json")
    assert done.returncode == 1
    where = "address https://ann:***@ray.example.org, job automl-resumes-1"
    assert f"it runs on gpu-box, pid {driver.pid} ({where}), which cannot be ended from here" in done.stderr
    shown = json.loads(done.stdout)
    assert (shown["running"], shown["forced"]) == (True, False)
    assert shown["driver"]["job"] == "automl-resumes-1"
    assert "s3cret" not in done.stdout + done.stderr
    assert driver.poll() is None


def test_what_does_not_run_is_said_so(url: str, root: Path, drive: Drive) -> None:
    driver = drive()
    driver.kill()
    driver.wait()
    done = command(root, "stop", NAME, "--ledger", url)
    assert (done.returncode, done.stdout) == (1, "resumes: LOST (its driver died)\n")
    unknown = command(root, "stop", "resume", "--ledger", url)
    assert unknown.returncode == 2
    assert "resume: no search of that name" in unknown.stderr
    assert "Did you mean resumes?" in unknown.stderr


def test_a_timeout_that_is_none_is_refused_before_anything_is_asked(sqlite: str) -> None:
    with pytest.raises(InputError, match=r"timeout: 'soon' is no time\. Write 90s, 30m or 2h"):
        automl.stop("s", sqlite, timeout="soon")


def test_a_driver_says_whose_it_is_and_where_it_is_reached(
    root: Path, sqlite: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("AUTOML_OWNER", "AUTOML_ADDRESS", "AUTOML_JOB", "RAY_ADDRESS"):
        monkeypatch.delenv(name, raising=False)
    search = automl.load("search_spaces/quadratic.yaml", ["budget.trials=1"])
    automl.run(search, "local", ledger=sqlite)
    for name, value in (("OWNER", "ann"), ("ADDRESS", "https://ann:s3cret@ray:8265"), ("JOB", "j-1")):
        monkeypatch.setenv(f"AUTOML_{name}", value)
    automl.run(search, "local", ledger=sqlite)
    with closing(Ledger(sqlite, create=False)) as ledger:
        opened = [event.data for event in ledger.events("quadratic") if event.kind == "opened"]
    known = [{key: data[key] for key in ("owner", "address", "job") if key in data} for data in opened]
    mine = f"{getpass.getuser()}@{socket.gethostname()}"
    assert known == [
        {"owner": mine},
        {"owner": "ann", "address": "https://ann:***@ray:8265", "job": "j-1"},
    ]
    assert RayTune(str(root), "10.0.0.1:6379").address == "10.0.0.1:6379"
    assert RayTune(str(root)).address is RayTune(str(root), "local").address is None


# --- requests ------------------------------------------------------------------------------


def heard(lease: Lease) -> list[Request]:
    """What a lease passes on within a while."""
    found: list[Request] = []
    lease.on_request = found.append
    deadline = time.monotonic() + 3.0
    while time.monotonic() < deadline and not found:
        lease.check()
        time.sleep(0.05)
    return found


def test_a_request_is_heard_once_by_the_driver_that_it_was_made_to(url: str) -> None:
    with closing(Ledger(url)) as ledger:
        with ledger.lease("s"):
            assert ledger.ask("s", "stop", "too late") == 1
        assert ledger.ask("s", "stop", "nobody is there") is None
        with ledger.lease("s", period_s=0.4) as lease, ledger.lease("t", period_s=0.4) as other:
            assert ledger.ask("s", "stop", "ann@desk") == 2
            assert heard(lease) == [Request(2, "stop", "ann@desk")]
            assert heard(lease) == []
            assert heard(other) == []
        with pytest.raises(NoSuchSearch):
            ledger.ask("u", "stop", "ann@desk")


def test_what_is_asked_before_a_driver_listens_waits_for_it(url: str) -> None:
    with closing(Ledger(url)) as ledger, ledger.lease("s", period_s=0.4) as lease:
        ledger.ask("s", "stop", "ann@desk")
        time.sleep(0.5)
        lease.check()
        assert heard(lease) == [Request(1, "stop", "ann@desk")]


# --- a lost driver -------------------------------------------------------------------------


def test_a_driver_elsewhere_is_lost_once_it_is_silent_for_longer_than_its_period(url: str) -> None:
    with closing(Ledger(url)) as ledger:
        lease = ledger.lease("s", period_s=2.0)
        alter(url, machine="another one", host="gpu-box")
        held = ledger.holder("s")
        assert held is not None and held.silent_s is not None and 0 <= held.silent_s < 2.0
        time.sleep(2.5)
        assert ledger.driver_alive("s")  # it beats
        abandon(lease)
        begun = time.monotonic()
        until(lambda: not ledger.driver_alive("s"))
        assert time.monotonic() - begun < 10
        alter(url, beaten_s=None)  # an earlier version's driver does not say
        assert ledger.driver_alive("s")


def test_no_clock_of_a_reader_or_a_driver_is_looked_at(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(time, "time", lambda: 86400.0)
    with closing(Ledger(url)) as ledger, ledger.lease("s"):
        alter(url, machine="another one")
        assert ledger.driver_alive("s")


def test_ls_and_show_say_lost_of_a_driver_elsewhere_and_whose_it_was(
    url: str, root: Path, drive: Drive
) -> None:
    driver = drive(
        ELSEWHERE + "import automl.ledger\nautoml.ledger.Ledger.lease.__defaults__ = "
        "(1.0, *automl.ledger.Ledger.lease.__defaults__[1:])\n",
        AUTOML_OWNER="ann@desk",
        AUTOML_ADDRESS="ray://head:10001",
    )
    assert "resumes: RUNNING" in command(root, "show", NAME, "--ledger", url).stdout
    driver.kill()
    driver.wait()
    time.sleep(1.2)
    assert "resumes: LOST (its driver died)" in command(root, "show", NAME, "--ledger", url).stdout
    (listed,) = json.loads(command(root, "ls", "--ledger", url, "--json").stdout)["searches"]
    assert (listed["state"], listed["owner"], listed["address"]) == ("LOST", "ann@desk", "ray://head:10001")
    line = command(root, "ls", "--ledger", url).stdout.splitlines()[1].split("\t")
    assert (line[1], line[5:]) == ("LOST", ["ann@desk", "ray://head:10001"])
