"""A search that is sent to a cluster, where its driver outlives who sent it."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest
from ray._raylet import AuthenticationTokenLoader

import automl
from automl import lookup, submission
from automl.engines.ray_jobs import Jobs
from automl.errors import ChangedSearch, InputError, LeaseHeld
from automl.results import show
from automl.search import Budget, Objective, Resources, Search, Trainer
from automl.space import Float
from tests.head import Head

ROOT = Path(__file__).parents[1]
PATIENCE_S = 120.0
PASSWORD = "hunter2-of-the-database"


@pytest.fixture(scope="module")
def head() -> Iterator[Head]:
    with Head(2, {"PYTHONPATH": str(ROOT), "PGPASSWORD": PASSWORD}) as head:
        yield head


@pytest.fixture(autouse=True)
def client(head: Head) -> Iterator[None]:
    """This process as somebody outside the cluster, who has its token. Ray reads a token once."""
    token = AuthenticationTokenLoader.instance()
    with pytest.MonkeyPatch.context() as patch:
        for name, value in head.client.items():
            patch.setenv(name, value)
        patch.delenv("RAY_ADDRESS", raising=False)
        token.reset_cache()
        yield
    token.reset_cache()


@pytest.fixture
def a_search(root: Path, postgres: str, tmp_path: Path) -> Callable[..., Search]:
    """Of plain callables, in a small project, with what a cluster needs."""

    def make(name: str = "sent", trials: int = 4, **more: Any) -> Search:
        constants = {key: more.pop(key) for key in list(more) if "." in key}
        words: dict[str, Any] = {
            "objective": Objective("loss", "minimize"),
            "trainer": Trainer("function", "trainers.tiny_function:quadratic"),
            "space": {"model.x": Float(-1.0, 1.0), **constants},
            "resources": Resources(parallel=1),
            "storage": str(tmp_path / "shared"),
            "ledger": postgres,
            "tracking": False,
            "pruner": "none",
        }
        return Search(name=name, budget=Budget(trials=trials), **{**words, **more})

    return make


def facts(search: Search) -> dict[str, Any] | None:
    """What `automl show --json` says; None while it is not in the ledger."""
    try:
        found = lookup.find(search.name, search.ledger)
    except automl.AutoMLError:
        return None
    return show(found.history, found.alive) if found.events else None


def until(search: Search, wanted: Callable[[dict[str, Any]], Any], sent: Any = None) -> dict[str, Any]:
    deadline_s = time.monotonic() + PATIENCE_S
    while not ((now := facts(search)) and wanted(now)):
        assert time.monotonic() < deadline_s, (now, sent and sent.log())
        time.sleep(0.2)
    return now


def ended(now: dict[str, Any]) -> bool:
    return now["state"] not in ("RUNNING",)


def driver_of(search: Search) -> psutil.Process:
    found = lookup.find(search.name, search.ledger)
    pid = [event.data["pid"] for event in found.events if event.kind == "opened"][-1]
    return psutil.Process(pid)


def test_a_search_runs_on_the_cluster_and_is_sent_once_however_often(
    head: Head, a_search: Callable[..., Search]
) -> None:
    search = a_search(**{"model.sleep": 0.2})
    sent = automl.submit(search, head.jobs)
    again = automl.submit(search, head.jobs)
    assert (sent.new, again.new, again.id) == (True, False, sent.id)
    now = until(search, ended, sent)
    assert (now["state"], now["counts"]["COMPLETE"]) == ("ENDED", 4), sent.log()
    later = automl.submit(search, head.jobs)  # it has ended: there is nothing to do
    assert (later.new, later.id) == (False, sent.id)
    assert [job.id for job in Jobs(head.jobs).of("sent")] == [sent.id]
    assert sent.show() == now
    assert "ENDED, budget.trials" in sent.log()
    for name in ("more", "sen"):
        assert Jobs(head.jobs).of(name) == []


def test_changed_code_is_told_apart_while_it_runs_and_a_changed_space_after(
    head: Head, a_search: Callable[..., Search], root: Path
) -> None:
    search = a_search("apart", 6, **{"model.sleep": 0.3})
    sent = automl.submit(search, head.jobs)
    until(search, lambda now: now["trials"], sent)
    (root / "trainers" / "more.py").write_text("# other code\n")
    with pytest.raises(LeaseHeld, match=f"job {sent.id} of .* automl stop apart"):
        automl.submit(search, head.jobs)
    assert until(search, ended)["state"] == "ENDED"

    wider = a_search("apart", 8, space={"model.x": Float(-2.0, 2.0), "model.sleep": 0.0})
    with pytest.raises(ChangedSearch, match="--continue"):
        automl.submit(wider, head.jobs)
    carried_on = automl.submit(wider, head.jobs, changed=True)
    assert carried_on.new
    assert until(search, lambda now: len(now["trials"]) == 8 and ended(now), carried_on)["state"] == "ENDED"


def test_what_may_only_do_for_one_machine_is_refused_before_anything_is_sent(
    head: Head, a_search: Callable[..., Search], root: Path
) -> None:
    here = a_search("here", storage="runs", ledger="sqlite:///automl.db", tracking=automl.Tracking())
    (root / ".env").write_text("TOKEN=1")
    with pytest.raises(InputError) as refused:
        automl.submit(here, head.jobs)
    assert {fault.where for fault in refused.value.faults} == {"storage", "ledger", "tracking", ".env"}
    (root / ".env").unlink()
    wrong = a_search("here", trainer=Trainer("function", "trainers.tiny_function:quadratik"))
    with pytest.raises(InputError, match="quadratic"):
        automl.submit(wrong, head.jobs)
    assert Jobs(head.jobs).of("here") == []


def test_who_has_no_token_and_an_address_without_a_job_server_are_told_so(
    head: Head, a_search: Callable[..., Search]
) -> None:
    search = a_search("nobody")
    file = Path("nobody.yaml")
    file.write_text(search.to_yaml())
    for change, address, said in (
        ({"RAY_AUTH_TOKEN": "0" * 32}, head.jobs, "refuses us"),
        ({}, "http://127.0.0.1:9", "no job server answers"),
    ):
        words = [sys.executable, "-m", "automl", "submit", str(file), "--address", address]
        env = {**os.environ, "PYTHONPATH": str(ROOT), **change}
        done = subprocess.run(words, env=env, capture_output=True, text=True, timeout=PATIENCE_S)
        assert (done.returncode, done.stdout) == (2, "")
        assert said in done.stderr
        assert "Traceback" not in done.stderr


def test_a_supervised_driver_that_is_killed_is_started_again_and_loses_nothing(
    head: Head, a_search: Callable[..., Search], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(submission, "AGAIN_S", 1)
    search = a_search("watched", 6, **{"model.sleep": 0.3})
    sent = automl.submit(search, head.jobs, supervise=True)
    until(search, lambda now: now["counts"]["COMPLETE"] >= 1, sent)
    driver_of(search).send_signal(signal.SIGKILL)
    now = until(search, lambda now: now["state"] == "ENDED", sent)
    assert [trial["state"] for trial in now["trials"]] == ["COMPLETE"] * 6
    opened = [e for e in lookup.find("watched", search.ledger).events if e.kind == "opened"]
    assert len(opened) == 2
    assert "the driver ended with 137" in sent.log()


def test_one_whose_driver_was_killed_is_lost_and_goes_on_by_resume(
    head: Head, a_search: Callable[..., Search]
) -> None:
    search = a_search("lost", 5, **{"model.sleep": 0.3})
    sent = automl.submit(search, head.jobs)
    until(search, lambda now: now["counts"]["COMPLETE"] >= 1, sent)
    driver_of(search).send_signal(signal.SIGKILL)
    until(search, lambda now: now["state"] == "LOST", sent)
    while sent.status() in ("RUNNING", "PENDING"):
        time.sleep(0.2)
    again = automl.resume("lost", ledger=search.ledger)
    assert isinstance(again, automl.Submission)
    assert again.new and again.id != sent.id
    now = until(search, lambda now: now["state"] == "ENDED", again)
    assert [trial["state"] for trial in now["trials"]] == ["COMPLETE"] * 5


def test_one_whose_head_died_is_lost_and_goes_on_on_another_cluster(
    head: Head, a_search: Callable[..., Search]
) -> None:
    search = a_search("beheaded", 5, **{"model.sleep": 0.3})
    with Head(2, {"PYTHONPATH": str(ROOT)}, token=head.token) as first:
        sent = automl.submit(search, first.jobs, supervise=True)
        until(search, lambda now: now["counts"]["COMPLETE"] >= 1, sent)
        first.die()
    lost = until(search, lambda now: now["state"] == "LOST")
    again = automl.resume("beheaded", head.jobs, ledger=search.ledger)
    assert isinstance(again, automl.Submission) and again.new
    now = until(search, lambda now: now["state"] == "ENDED", again)
    assert [trial["state"] for trial in now["trials"]] == ["COMPLETE"] * 5
    assert lost["counts"]["COMPLETE"] >= 1


def test_one_without_a_token_is_sent_only_on_demand(a_search: Callable[..., Search]) -> None:
    search = a_search("open", 2)
    Path("search_spaces/open.yaml").write_text(search.to_yaml())
    open_ = {"RAY_AUTH_MODE": "disabled", "RAY_AUTH_TOKEN": ""}
    words = [sys.executable, "-m", "automl", "submit", "search_spaces/open.yaml", "--address"]
    pipes: dict[str, Any] = {"capture_output": True, "text": True, "timeout": PATIENCE_S}
    pipes["env"] = {**os.environ, "PYTHONPATH": str(ROOT), **open_}
    with Head(2, {"PYTHONPATH": str(ROOT), **open_}) as head:
        refused = subprocess.run([*words, head.jobs], **pipes)
        assert refused.returncode == 2 and "say --insecure" in refused.stderr
        sent = subprocess.run([*words, head.jobs, "--insecure"], **pipes)
        assert sent.returncode == 0, sent.stderr
        assert until(search, ended)["state"] == "ENDED"


def test_it_is_stopped_from_here_by_request_and_goes_on_where_it_was(
    head: Head, a_search: Callable[..., Search]
) -> None:
    search = a_search("paused", 4, **{"model.sleep": 0.5})
    sent = automl.submit(search, head.jobs, supervise=True)
    until(search, lambda now: now["counts"]["COMPLETE"] >= 1, sent)
    stopped = automl.stop("paused", ledger=search.ledger)
    assert (stopped.state, stopped.running, stopped.asked) == ("STOPPED", False, True)
    deadline_s = time.monotonic() + PATIENCE_S
    while sent.status() in ("RUNNING", "PENDING"):  # whoever watches the driver lets it go as well
        assert time.monotonic() < deadline_s, sent.log()
        time.sleep(0.2)
    again = automl.resume("paused", ledger=search.ledger)
    assert isinstance(again, automl.Submission)
    assert until(search, lambda now: now["state"] == "ENDED", again)["counts"]["COMPLETE"] == 4


def test_a_driver_that_does_not_listen_is_ended_by_force_through_the_job_server(
    head: Head, a_search: Callable[..., Search]
) -> None:
    search = a_search("deaf", 50, **{"model.sleep": 0.5})
    sent = automl.submit(search, head.jobs, supervise=True)
    until(search, lambda now: now["counts"]["COMPLETE"] >= 1, sent)
    driver = driver_of(search)
    driver.suspend()
    try:
        stopped = automl.stop("deaf", ledger=search.ledger, force=True, timeout=2)
        assert (stopped.forced, sent.status()) == (True, "STOPPED")
        assert not psutil.pid_exists(driver.pid) or driver.status() == psutil.STATUS_ZOMBIE
    finally:  # should it not be so: one that is suspended ends with nobody
        with contextlib.suppress(psutil.NoSuchProcess):
            driver.kill()
    assert until(search, lambda now: now["state"] == "LOST")["counts"]["COMPLETE"] >= 1


def test_the_command_says_the_name_alone_and_takes_the_address_from_the_environment(
    head: Head, a_search: Callable[..., Search]
) -> None:
    search = a_search("said", 2)
    Path("search_spaces/said.yaml").write_text(search.to_yaml())
    env = {**os.environ, "PYTHONPATH": str(ROOT), "RAY_API_SERVER_ADDRESS": head.jobs}
    words = [sys.executable, "-m", "automl", "submit", "search_spaces/said.yaml", "--set", "budget.trials=3"]
    done = subprocess.run(words, env=env, capture_output=True, text=True, timeout=PATIENCE_S)
    assert (done.returncode, done.stdout) == (0, "said\n"), done.stderr
    assert "automl show said -f" in done.stderr
    done = subprocess.run([*words, "--json"], env=env, capture_output=True, text=True, timeout=PATIENCE_S)
    assert json.loads(done.stdout)["new"] is False
    assert until(search, ended)["counts"]["COMPLETE"] == 3


def test_nothing_secret_travels(head: Head, a_search: Callable[..., Search], postgres: str) -> None:
    secret = postgres.replace("postgres@", f"postgres:{PASSWORD}@").replace(
        "postgres:@", f"postgres:{PASSWORD}@"
    )
    assert PASSWORD in secret
    search = a_search("quiet", 1, ledger=None)
    sent = automl.submit(search, head.jobs, ledger=secret)
    at = Search.from_plain({**search.to_plain(), "ledger": postgres})
    until(at, ended, sent)
    # The head has the password in its environment; besides, Ray itself notes nobody's.
    told = [file for file in head.folder.rglob("*") if file.is_file() and _holds(file, PASSWORD, head.token)]
    assert told == []


def _holds(file: Path, *secrets: str) -> bool:
    try:
        content = file.read_bytes()
    except OSError:
        return False
    return any(secret.encode() in content for secret in secrets)
