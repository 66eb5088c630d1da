"""Whole searches through every room: file in; ledger, MLflow and a model out."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import psutil
import pytest
from sqlalchemy.engine import make_url

from automl.errors import LeaseHeld
from automl.events import Event, State
from automl.ledger import Ledger
from automl.plan import probe_tracking
from automl.results import History, show
from automl.run import Outcome, Silent, run
from automl.search import Objective
from automl.specfile import load
from tests.test_engines import SOURCE, a_search, states

LOSS = Objective("loss", "minimize")
BOTH = "search_spaces/tiny_both.yaml"
HERE = Path(__file__).resolve().parents[1]


def facts(outcome: Outcome) -> list[Any]:
    """What a search found, without times and places."""
    return [
        (trial.params, trial.state, [(report.step, report.metrics) for report in trial.reports])
        for trial in outcome.history.trials.values()
    ]


@pytest.fixture(scope="module")
def both(tmp_path_factory: pytest.TempPathFactory) -> Outcome:
    """Lightning and Keras trials in one study, on one slot, with MLflow."""
    place = tmp_path_factory.mktemp("both") / "project"
    shutil.copytree(SOURCE, place, ignore=shutil.ignore_patterns("__pycache__", "runs", "*.db*"))
    overrides = ["resources.parallel=1", "budget.trials=8", "tracking.register=tiny"]
    return run(load(place / BOTH, overrides), "local")


def test_lightning_and_keras_share_a_study_and_the_winner_is_in_mlflow(both: Outcome) -> None:
    used = [trial.trainer for trial in both.history.trials.values()]
    assert len(used) == 8
    assert all(used.count(trainer) >= 2 for trainer in set(both.plan.search.trainers))
    published = both.history.published
    assert published is not None
    assert published["model"] == "models:/tiny@champion"
    shown = show(both.history, driver_alive=False)
    assert shown["best"]["model"] == "models:/tiny@champion"
    assert json.loads(json.dumps(shown, allow_nan=False)) == shown
    _same_in_mlflow(both, both.plan.root)
    _predicts(both.plan.root)


def _same_in_mlflow(outcome: Outcome, root: Path) -> None:
    script = """
import json, sys
from mlflow import MlflowClient
client = MlflowClient(tracking_uri=sys.argv[1])
runs = [r for e in client.search_experiments() for r in client.search_runs([e.experiment_id])]
print(json.dumps([
    [r.info.status, dict(r.data.tags), sorted(r.data.params),
     {k: [(m.step, m.value) for m in client.get_metric_history(r.info.run_id, k)] for k in r.data.metrics}]
    for r in runs]))
"""
    uri = f"sqlite:///{root / 'mlflow.db'}"
    asked = subprocess.run([sys.executable, "-c", script, uri], capture_output=True, text=True, check=True)
    runs = json.loads(asked.stdout.splitlines()[-1])
    children = [r for r in runs if "mlflow.parentRunId" in r[1]]
    assert len(runs) == 9
    assert len(children) == 8
    by_number = {
        int(tags["automl.trial"]): (status, params, metrics) for status, tags, params, metrics in children
    }
    expected = {State.COMPLETE: "FINISHED", State.PRUNED: "KILLED", State.FAILED: "FAILED"}
    for number, trial in outcome.history.trials.items():
        status, params, metrics = by_number[number]
        assert status == expected[trial.state]
        assert params == sorted(trial.params)
        told = [(report.step, report.metrics["val_loss"]) for report in trial.reports]
        assert [tuple(pair) for pair in sorted(metrics["val_loss"])] == told


def _predicts(root: Path) -> None:
    script = """
import sys, numpy as np, mlflow
mlflow.set_tracking_uri(sys.argv[1])
print(mlflow.pyfunc.load_model("models:/tiny@champion").predict(np.zeros((3, 8), "float32")).shape)
"""
    uri = f"sqlite:///{root / 'mlflow.db'}"
    env = {**os.environ, "MLFLOW_ALLOW_PICKLE_DESERIALIZATION": "false"}
    asked = subprocess.run(
        [sys.executable, "-c", script, uri], capture_output=True, text=True, env=env, check=True
    )
    assert asked.stdout.splitlines()[-1] == "(3, 3)"


def test_one_slot_on_cpu_gives_the_same_trials_and_metrics_twice(both: Outcome) -> None:
    overrides = ["resources.parallel=1", "budget.trials=8", "tracking=false", "name=again"]
    assert facts(run(load(both.plan.root / BOTH, overrides), "local")) == facts(both)


DRIVER = """
import sys
from automl.run import run
from automl.specfile import load
run(load(sys.argv[1], sys.argv[2:]), "local")
"""


def driver(root: Path, *overrides: str) -> subprocess.Popen[bytes]:
    """A search in a process of its own."""
    path = str(root / "search_spaces" / "resumes.yaml")
    env = {**os.environ, "PYTHONPATH": str(HERE)}
    return subprocess.Popen([sys.executable, "-c", DRIVER, path, *overrides], cwd=root, env=env)


def history(root: Path, name: str) -> History:
    with_ledger = Ledger(f"sqlite:///{root / 'automl.db'}", create=False)
    try:
        return History(name, with_ledger.events(name))
    finally:
        with_ledger.close()


def wait_for_reports(root: Path, name: str, many: int) -> None:
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        if (root / "automl.db").exists():
            try:
                if sum(len(t.reports) for t in history(root, name).trials.values()) >= many:
                    return
            except Exception:
                time.sleep(0.05)  # the ledger is being made
        time.sleep(0.05)
    raise AssertionError("no reports within a minute")


SLOW = ("space.model.sleep=0.05", "space.model.steps=30", "budget.trials=6", "tracking=false")


def test_a_driver_killed_with_kill_9_costs_nothing(root: Path) -> None:
    name = load("search_spaces/resumes.yaml").name
    slow = (*SLOW, "space.model.report_first=1")
    first = driver(root, *slow)
    wait_for_reports(root, name, 20)
    workers = psutil.Process(first.pid).children(recursive=True)
    first.send_signal(signal.SIGKILL)
    first.wait()
    psutil.wait_procs(workers, timeout=10)
    assert not [worker for worker in workers if worker.is_running()]
    assert history(root, name).state(driver_alive=False) == ("LOST", "its driver died")

    outcome = run(load("search_spaces/resumes.yaml", slow), "local")
    assert states(outcome) == {"COMPLETE": 6}
    for trial in outcome.history.trials.values():
        assert [report.step for report in trial.reports] == list(range(1, 31))
    resumed = [t for t in outcome.history.trials.values() if t.attempts[0].outcome == "lost"]
    assert resumed
    assert any(trial.attempts[-1].resumed_step > 0 for trial in resumed)


def test_a_second_driver_is_refused_with_the_firsts_host_and_pid(root: Path) -> None:
    name = load("search_spaces/resumes.yaml").name
    first = driver(root, *SLOW)
    try:
        wait_for_reports(root, name, 1)
        with pytest.raises(LeaseHeld, match=rf"{os.uname().nodename}, pid {first.pid}"):
            run(load("search_spaces/resumes.yaml", SLOW), "local")
    finally:
        first.kill()
        first.wait()


def test_sigterm_stops_gracefully_and_the_same_search_carries_on(root: Path) -> None:
    name = load("search_spaces/resumes.yaml").name
    first = driver(root, *SLOW)
    wait_for_reports(root, name, 5)
    first.terminate()
    first.wait(30)
    stopped = history(root, name)
    assert stopped.state(driver_alive=False) == ("STOPPED", "SIGTERM")
    assert stopped.counts[State.RUNNING] == 0
    assert stopped.counts[State.WAITING] > 0
    assert states(run(load("search_spaces/resumes.yaml", SLOW), "local")) == {"COMPLETE": 6}


def test_a_password_reaches_neither_ledger_nor_mlflow_nor_logs(root: Path) -> None:
    # The tracking server does not exist: what is behind must be said without the password.
    search = a_search(trials=1, tracking={"uri": "http://me:s3cr3t-pw@127.0.0.1:9", "experiment": "x"})
    with pytest.raises(Exception, match=r"cannot be reached") as refused:
        run(search, "local")
    assert "s3cr3t-pw" not in str(refused.value)
    kept = b"".join(path.read_bytes() for path in root.rglob("*") if path.is_file())
    assert b"s3cr3t-pw" not in kept


def test_a_search_on_postgresql_keeps_its_password_to_itself(root: Path, postgres: str) -> None:
    # The server trusts its socket, so any password will do; it must not be written down anywhere.
    url = make_url(postgres).set(password="s3cr3t-pw").render_as_string(hide_password=False)
    search = a_search("talks", trials=2, ledger=url, tracking={"experiment": "x"}, objective=LOSS)
    outcome = run(search, "local")
    assert states(outcome) == {"COMPLETE": 2}
    assert states(run(a_search("talks", trials=3, ledger=url, objective=LOSS), "local")) == {"COMPLETE": 3}
    kept = b"".join(path.read_bytes() for path in root.rglob("*") if path.is_file())
    assert b"s3cr3t-pw" not in kept
    told = b"".join(str(event.data).encode() for event in Ledger(url).events("tiny"))
    assert b"s3cr3t-pw" not in told
    assert not (root / "automl.db").exists()


def test_a_tracking_server_that_goes_away_neither_stops_nor_slows_trials(
    root: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    # The attribute of that name is the door's function. A minute at the end is longer than this test.
    monkeypatch.setattr(sys.modules["automl.run"], "CATCH_UP_S", 2.0)
    server = FleetingServer()
    search = a_search(trials=12, tracking={"uri": server.url}, **{"model.sleep": 0.05})
    said: list[str] = []

    class Watching(Silent):
        def event(self, event: Event) -> None:
            if event.kind == "opened":
                server.close()

        def say(self, text: str) -> None:
            said.append(text)

    outcome = run(search, "local", view=Watching())
    assert states(outcome) == {"COMPLETE": 12}
    assert any("brings it up to date" in text for text in said)


def test_a_tracking_uri_that_carries_a_login_is_found_to_answer() -> None:
    server = FleetingServer()
    try:
        assert probe_tracking(server.url.replace("http://", "http://me:s3cr3t-pw@")) is None
    finally:
        server.close()


class FleetingServer:
    """Answers the check before the search as a tracking server does, and is gone afterwards."""

    def __init__(self) -> None:
        class Health(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                self.send_response(200)
                self.end_headers()

            def log_message(self, *_: Any) -> None:
                return None

        self._server = HTTPServer(("127.0.0.1", 0), Health)
        self.url = f"http://127.0.0.1:{self._server.server_port}"
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()


def test_ctrl_c_while_the_winner_is_packed_leaves_an_ended_search(root: Path) -> None:
    said: list[str] = []

    class Interrupting(Silent):
        def say(self, text: str) -> None:
            said.append(text)
            if text.startswith("packing"):
                os.kill(os.getpid(), signal.SIGINT)

    search = load("search_spaces/tiny_lightning.yaml")
    outcome = run(search, "local", view=Interrupting())
    assert outcome.exit_code == 130
    assert history(root, search.name).state(driver_alive=False) == ("ENDED", "budget.trials")
    assert outcome.history.published is None
    # The same command does what is left: nothing is trained, the winner is packed.
    again = run(search, "local")
    assert again.exit_code == 0
    assert states(again) == states(outcome)
    assert Path(again.history.published["path"]).is_dir()  # type: ignore[index]
    assert show(again.history, driver_alive=False)["best"]["model"] == again.history.published["path"]  # type: ignore[index]


def test_the_process_that_hears_trials_has_neither_mlflow_nor_a_framework_in_it(root: Path) -> None:
    program = f"""
import sys, automl
search = automl.load("{root}/search_spaces/quadratic.yaml", ["tracking={{}}", "budget.trials=3"])
print(automl.run(search, engine="local").exit_code, file=sys.stderr)
heavy = ("mlflow", "torch", "tensorflow", "keras", "pytorch_lightning")
print([name for name in heavy if name in sys.modules])
"""
    env = {**os.environ, "PYTHONPATH": str(HERE)}
    done = subprocess.run([sys.executable, "-c", program], cwd=root, env=env, capture_output=True, text=True)
    assert done.stdout.splitlines()[-1] == "[]", done.stderr
    assert (root / "mlflow.db").exists()
