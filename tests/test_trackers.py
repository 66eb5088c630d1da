"""The tracker process against a real ledger, a real MLflow database and a real MLflow server."""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import mlflow.pyfunc
import numpy as np
import optuna
import psutil
import pytest
from mlflow.entities import Run
from mlflow.entities.model_registry import ModelVersion
from mlflow.tracking import MlflowClient

from automl.events import Event
from automl.ledger import Ledger
from automl.results import Trial
from automl.trackers.__main__ import rest_s
from automl.trackers.base import Follower, Plan
from automl.trackers.picture import label
from automl.trackers.registry import Published, _champion, beats

OBJECTIVES = [{"metric": "val_accuracy", "direction": "maximize"}]
SPEC = {
    "name": "digits",
    "seed": 7,
    "objective": OBJECTIVES,
    "space": {"model.lr": {"float": [0.001, 0.1], "log": True}, "model.depth": 18},
}
T0 = 1_790_000_000.0


def opened(**data: Any) -> Event:
    facts = {
        "spec": SPEC,
        "text": "name: digits\nledger: postgresql://me:hunter2@db/automl\n",
        "versions": {"torch": "2.13.0"},
        "git": "0123abc",
        "host": "box",
        "pid": 4711,
        "engine": "local",
        "automl": "0.1.0",
    }
    return Event("opened", data={**facts, **data})


def asked(number: int, **params: Any) -> Event:
    data = {
        "params": {"model.lr": 0.01 * (number + 1), "model.depth": 18, **params},
        "trainer": "trainer",
        "source": "startup",
        "sampler": "tpe",
        "trial_attrs": {},
        "study_attrs": {},
    }
    return Event("asked", number, data=data)


def started(number: int, attempt: int = 1, **data: Any) -> Event:
    facts = {
        "node": "box",
        "pid": 99,
        "device": "cpu",
        "framework": "lightning",
        "warm": True,
        "code": "c0de",
    }
    return Event("started", number, attempt, {**facts, "resumed_step": 0, **data})


def reported(number: int, step: int, accuracy: float, attempt: int = 1, **data: Any) -> Event:
    metrics = {"val_accuracy": accuracy, "val_loss": 1 - accuracy}
    return Event("reported", number, attempt, {"step": step, "metrics": metrics, **data})


def ended(number: int, outcome: str, attempt: int = 1, **data: Any) -> Event:
    return Event("ended", number, attempt, {"outcome": outcome, "error": None, **data})


def finished(number: int, state: str, **data: Any) -> Event:
    return Event("finished", number, data={"state": state, **data})


def complete(number: int, accuracy: float, steps: int = 3) -> list[Event]:
    reports = [reported(number, step, accuracy - 0.1 * (steps - step)) for step in range(1, steps + 1)]
    end = [ended(number, "complete"), finished(number, "COMPLETE", values=[accuracy], step=steps)]
    return [asked(number), started(number), *reports, *end]


def first_half() -> list[Event]:
    """A complete, a pruned and a failed trial, and one that is stopped."""
    return [
        opened(),
        *complete(0, 0.8),
        asked(1),
        started(1),
        reported(1, 1, 0.2, prune=True),
        ended(1, "pruned"),
        finished(1, "PRUNED", reason="below the median"),
        asked(2),
        started(2),
        ended(2, "failed", error="RuntimeError: boom", again=True),
        started(2, 2),
        Event("reported", 2, 2, {"step": 1, "metrics": {"val_accuracy": float("nan"), "val_loss": 2.0}}),
        ended(2, "failed", 2, error="val_accuracy is nan", cause="nan"),
        finished(2, "FAILED", error="val_accuracy is nan at step 1"),
        asked(3),
        started(3),
        reported(3, 1, 0.5),
        ended(3, "stopped", again=True),
        Event("closed", data={"state": "STOPPED", "reason": "Ctrl-C", "seconds": 12.5}),
    ]


def second_half() -> list[Event]:
    """The stopped trial goes on, and becomes the best."""
    return [
        opened(pid=4712),
        started(3, 2, resumed_step=1),
        reported(3, 1, 0.5, attempt=2, repeat=True),
        reported(3, 2, 0.7, attempt=2),
        reported(3, 3, 0.9, attempt=2),
        ended(3, "complete", 2),
        finished(3, "COMPLETE", values=[0.9], step=3),
        Event("closed", data={"state": "ENDED", "reason": "budget.trials", "seconds": 20.0}),
    ]


class Book:
    """A ledger that a driver of ours writes, one second between two events."""

    def __init__(self, url: str, name: str = "digits") -> None:
        self.ledger, self.name = Ledger(url), name

    def write(self, *events: Event) -> int:
        with self.ledger.lease(self.name) as lease:
            timed = [
                Event(e.kind, e.trial, e.attempt, e.data, T0 + lease.n + i) for i, e in enumerate(events, 1)
            ]
            lease.append(timed)
            return lease.n


@pytest.fixture(scope="session")
def empty_mlflow(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An MLflow database without a run: making one takes seconds, copying it does not."""
    path = tmp_path_factory.mktemp("mlflow") / "mlflow.db"
    MlflowClient(f"sqlite:///{path}").search_experiments()
    return path


@pytest.fixture
def root(tmp_path: Path, empty_mlflow: Path) -> Path:
    shutil.copy(empty_mlflow, tmp_path / "mlflow.db")
    return tmp_path


@pytest.fixture
def book(root: Path) -> Book:
    return Book(f"sqlite:///{root / 'automl.db'}")


@pytest.fixture
def follow(root: Path, book: Book) -> Iterator[Callable[..., Follower]]:
    """Starts followers of the book's search, and ends them with the test."""
    made: list[Follower] = []

    def start(uri: str | None = None, **changes: Any) -> Follower:
        uri = f"sqlite:///{root / 'mlflow.db'}" if uri is None else uri
        facts = {"objectives": OBJECTIVES, **changes}
        follower = Follower(Plan(book.ledger.url, book.name, str(root), uri or None, **facts))
        made.append(follower)
        follower.start()
        return follower

    yield start
    for follower in made:
        follower.close()


@pytest.fixture
def client(root: Path) -> MlflowClient:
    return MlflowClient(f"sqlite:///{root / 'mlflow.db'}")


@dataclass
class Seen:
    """A project whose stopped search was shown once; for tests that only look."""

    root: Path
    client: MlflowClient
    parents: list[Run]
    children: dict[int, Run]


@pytest.fixture(scope="module")
def stopped(tmp_path_factory: pytest.TempPathFactory, empty_mlflow: Path) -> Seen:
    root = tmp_path_factory.mktemp("stopped")
    shutil.copy(empty_mlflow, root / "mlflow.db")
    book = Book(f"sqlite:///{root / 'automl.db'}")
    book.write(*first_half())
    uri = f"sqlite:///{root / 'mlflow.db'}"
    follower = Follower(Plan(book.ledger.url, "digits", str(root), uri, objectives=OBJECTIVES))
    follower.start()
    assert follower.finish() is None
    client = MlflowClient(uri)
    return Seen(root, client, *runs(client))


def runs(client: MlflowClient, experiment: str = "digits") -> tuple[list[Run], dict[int, Run]]:
    """The parents, and the children by number; each child is there once."""
    found = client.get_experiment_by_name(experiment)
    every = client.search_runs([found.experiment_id], max_results=1000) if found else []
    children = [run for run in every if "mlflow.parentRunId" in run.data.tags]
    numbers = [int(run.data.tags["automl.trial"]) for run in children]
    assert len(numbers) == len(set(numbers)), "a trial has two runs"
    return [run for run in every if run not in children], dict(zip(numbers, children, strict=True))


def steps(client: MlflowClient, run: Run, metric: str = "val_accuracy") -> list[int]:
    return [point.step for point in client.get_metric_history(run.info.run_id, metric)]


def test_a_search_is_one_parent_run_and_one_child_a_trial(stopped: Seen) -> None:
    parents, children = stopped.parents, stopped.children
    assert [run.info.run_name for run in parents] == ["digits"]
    assert sorted(children) == [0, 1, 2, 3]
    assert {run.data.tags["mlflow.parentRunId"] for run in children.values()} == {parents[0].info.run_id}


def test_a_runs_status_is_how_its_trial_ended(stopped: Seen) -> None:
    status = {number: run.info.status for number, run in stopped.children.items()}
    assert status == {0: "FINISHED", 1: "KILLED", 2: "FAILED", 3: "KILLED"}
    states = {number: run.data.tags["automl.state"] for number, run in stopped.children.items()}
    assert states == {0: "COMPLETE", 1: "PRUNED", 2: "FAILED", 3: "WAITING"}
    assert stopped.parents[0].info.status == "KILLED"
    assert stopped.parents[0].data.tags["automl.reason"] == "Ctrl-C"


def test_a_stopped_search_goes_on_in_the_same_runs(
    book: Book, follow: Callable[..., Follower], client: MlflowClient
) -> None:
    book.write(*first_half())
    assert follow().finish() is None
    before = {number: run.info.run_id for number, run in runs(client)[1].items()}
    book.write(*second_half())
    assert follow().finish() is None

    parents, children = runs(client)
    assert len(parents) == 1
    assert parents[0].info.status == "FINISHED"
    assert {number: run.info.run_id for number, run in children.items()} == before
    assert children[3].info.status == "FINISHED"
    assert steps(client, children[3]) == [1, 2, 3]
    assert steps(client, children[0]) == [1, 2, 3]
    assert [p.value for p in client.get_metric_history(parents[0].info.run_id, "best.val_accuracy")] == [
        0.8,
        0.9,
    ]


def test_a_childs_parameters_metrics_and_tags_are_those_of_the_ledger(stopped: Seen) -> None:
    client, children, tags = stopped.client, stopped.children, stopped.parents[0].data.tags
    assert children[1].data.params == {"model.lr": "0.02", "model.depth": "18"}
    points = client.get_metric_history(children[0].info.run_id, "val_accuracy")
    assert [(p.step, round(p.value, 6)) for p in points] == [(1, 0.6), (2, 0.7), (3, 0.8)]
    assert points[0].timestamp == int((T0 + 4) * 1000)
    failed = children[2].data.tags
    assert failed["automl.attempts"] == "2"
    assert failed["automl.error"] == "val_accuracy is nan at step 1"
    assert (failed["automl.node"], failed["automl.device"]) == ("box", "cpu")
    assert failed["automl.framework"] == "lightning"
    assert children[0].info.end_time == int((T0 + 8) * 1000)
    assert tags["automl.trials.COMPLETE"] == "1"
    assert (tags["automl.version.torch"], tags["automl.git"], tags["automl.seed"]) == (
        "2.13.0",
        "0123abc",
        "7",
    )


def test_what_is_not_a_number_is_a_tag_and_never_a_metric(stopped: Seen) -> None:
    child = stopped.children[2]
    assert "val_accuracy" not in child.data.metrics
    assert child.data.metrics["val_loss"] == 2.0
    assert child.data.tags["automl.nonfinite"] == "val_accuracy=nan at step 1"


def test_the_file_is_an_artifact_without_its_passwords_inside_the_project(stopped: Seen) -> None:
    run_id = stopped.parents[0].info.run_id
    text = Path(stopped.client.download_artifacts(run_id, "search.yaml")).read_text()
    assert text == "name: digits\nledger: postgresql://me:***@db/automl\n"
    assert {path.name for path in stopped.root.iterdir() if path.is_dir()} == {"mlartifacts"}


def test_a_tracker_that_died_before_it_moved_its_cursor_logs_nothing_twice(
    book: Book, follow: Callable[..., Follower], client: MlflowClient
) -> None:
    book.write(*first_half(), *second_half())
    assert follow().finish() is None
    before = {number: run.info.run_id for number, run in runs(client)[1].items()}
    parent = runs(client)[0][0].info.run_id
    client.set_tag(parent, "automl.cursor", "4")
    assert follow().finish() is None

    parents, children = runs(client)
    assert [run.info.run_id for run in parents] == [parent]
    assert {number: run.info.run_id for number, run in children.items()} == before
    assert [steps(client, children[n]) for n in (0, 1, 3)] == [[1, 2, 3], [1], [1, 2, 3]]
    assert [p.value for p in client.get_metric_history(parent, "best.val_accuracy")] == [0.8, 0.9]
    assert parents[0].data.tags["automl.cursor"] == str(len(first_half() + second_half()))


def test_a_killed_tracker_is_started_again_and_shows_everything_once(
    book: Book, follow: Callable[..., Follower], client: MlflowClient
) -> None:
    count = 60
    trials = [event for number in range(count) for event in complete(number, 0.5 + number / 1000, steps=20)]
    end = book.write(
        opened(), *trials, Event("closed", data={"state": "ENDED", "reason": "", "seconds": 1.0})
    )
    follower = follow()
    wait_until(lambda: 0 < follower.cursor < end)
    assert follower.pid is not None
    os.kill(follower.pid, signal.SIGKILL)
    assert follower.finish() is None

    parents, children = runs(client)
    assert len(parents) == 1
    assert sorted(children) == list(range(count))
    assert all(steps(client, children[n]) == list(range(1, 21)) for n in range(count))


def test_a_deleted_mlflow_database_is_filled_again_from_the_ledger(
    book: Book, follow: Callable[..., Follower], root: Path, empty_mlflow: Path
) -> None:
    book.write(*first_half())
    assert follow().finish() is None
    shutil.copy(empty_mlflow, root / "again.db")
    uri = f"sqlite:///{root / 'again.db'}"
    assert follow(uri).finish() is None

    parents, children = runs(MlflowClient(uri))
    assert (len(parents), sorted(children)) == (1, [0, 1, 2, 3])


def test_a_new_ledger_under_an_old_name_is_another_search(
    book: Book, follow: Callable[..., Follower], client: MlflowClient, root: Path
) -> None:
    book.write(*first_half())
    assert follow().finish() is None
    for file in root.glob("automl.db*"):
        file.unlink()
    again = Book(f"sqlite:///{root / 'automl.db'}")
    again.write(opened(pid=5000), *complete(0, 0.7))
    assert follow().finish() is None
    assert len(client.search_runs([client.get_experiment_by_name("digits").experiment_id])) == 4 + 1 + 1 + 1


class Server:
    """A real `mlflow server` on this machine, which can be away and come back."""

    def __init__(self, root: Path) -> None:
        self.root = root
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = probe.getsockname()[1]
        self.process: subprocess.Popen[bytes] | None = None

    @property
    def uri(self) -> str:
        return f"http://me:hunter2@127.0.0.1:{self.port}"

    def start(self) -> None:
        command = [sys.executable, "-m", "mlflow", "server", "--port", str(self.port), "--workers", "1"]
        stores = [f"--backend-store-uri=sqlite:///{self.root / 'mlflow.db'}"]
        stores += [f"--artifacts-destination={self.root / 'served'}", "--host=127.0.0.1"]
        quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
        environment = {**os.environ, "MLFLOW_DISABLE_TELEMETRY": "true"}
        self.process = subprocess.Popen(
            [*command, *stores], cwd=self.root, env=environment, start_new_session=True, **quiet
        )

    def stop(self) -> None:
        if self.process is not None:
            os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait()
            self.process = None


@pytest.fixture
def server(root: Path) -> Iterator[Server]:
    made = Server(root)
    yield made
    made.stop()


def wait_until(true: Callable[[], bool], timeout_s: float = 60.0) -> None:
    deadline = time.monotonic() + timeout_s
    while not true():
        assert time.monotonic() < deadline, "nothing happened"
        time.sleep(0.02)


def test_one_that_is_started_ahead_imports_mlflow_and_waits_for_what_to_follow(
    book: Book, root: Path, client: MlflowClient
) -> None:
    count = book.write(*first_half())
    follower = Follower()
    follower.start()
    wait_until(lambda: follower.pid is not None and "numpy" in Path(f"/proc/{follower.pid}/maps").read_text())
    assert (follower.cursor, follower.error, runs(client)) == (0, None, ([], {}))
    follower.follow(Plan(book.ledger.url, book.name, str(root), f"sqlite:///{root / 'mlflow.db'}"))
    assert follower.finish() is None
    assert follower.cursor == count
    assert len(runs(client)[0]) == 1


def test_one_that_is_never_told_what_to_follow_ends_with_its_driver() -> None:
    follower = Follower()
    follower.start()
    wait_until(lambda: follower.pid is not None)
    process = psutil.Process(follower.pid)
    follower.close()
    assert not process.is_running()


def test_it_looks_again_after_twenty_times_what_a_look_took_and_never_late() -> None:
    assert [rest_s(took_s) for took_s in (0.001, 0.1, 3.0)] == [0.5, 2.0, 5.0]


def test_a_server_that_comes_and_goes_gets_every_event_once(
    book: Book, follow: Callable[..., Follower], server: Server, client: MlflowClient
) -> None:
    half = book.write(*first_half())
    follower = follow(server.uri)
    wait_until(lambda: follower.error is not None)
    assert "hunter2" not in str(follower.error)
    server.start()
    wait_until(lambda: follower.cursor == half and follower.error is None)
    server.stop()
    book.write(*second_half())
    wait_until(lambda: follower.error is not None)
    server.start()
    assert follower.finish() is None

    parents, children = runs(client)
    assert (len(parents), sorted(children)) == (1, [0, 1, 2, 3])
    assert [steps(client, children[n]) for n in (0, 1, 3)] == [[1, 2, 3], [1], [1, 2, 3]]
    assert client.get_metric_history(children[3].info.run_id, "val_accuracy")[-1].value == 0.9


def test_a_server_that_stays_away_is_told_with_the_number_of_events_and_no_password(
    book: Book, follow: Callable[..., Follower], server: Server
) -> None:
    count = book.write(*first_half())
    follower = follow(server.uri)
    wait_until(lambda: follower.error is not None)
    behind = follower.finish(timeout_s=1.0)
    assert behind is not None
    assert behind.events == count
    assert behind.error is not None and f"127.0.0.1:{server.port}" in behind.error
    assert all("hunter2" not in str(message) for message in [*follower.messages(), behind])


def test_a_tracker_whose_driver_is_gone_shows_the_rest_and_ends(
    book: Book, root: Path, client: MlflowClient
) -> None:
    book.write(*first_half())
    plan = {"ledger": book.ledger.url, "name": "digits", "root": str(root), "objectives": OBJECTIVES}
    line = json.dumps({**plan, "uri": f"sqlite:///{root / 'mlflow.db'}"}) + "\n"
    command = [sys.executable, "-m", "automl.trackers"]
    done = subprocess.run(command, input=line, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0
    assert sorted(runs(client)[1]) == [0, 1, 2, 3]


MODEL = """
class Constant:
    def predict(self, data, params=None):
        return [{value}] * len(data)

def _load_pyfunc(path):
    return Constant()
"""


def model_folder(root: Path, name: str, value: float) -> Path:
    """An MLflow model that answers `value` to everything."""
    code = root / f"constant_{name.replace('-', '_')}.py"
    code.write_text(MODEL.format(value=value))
    folder = root / "models" / name
    mlflow.pyfunc.save_model(
        folder, loader_module=code.stem, code_paths=[str(code)], pip_requirements=["mlflow"]
    )
    return folder


@pytest.fixture
def publish(root: Path, book: Book, follow: Callable[..., Follower]) -> Callable[..., tuple[Follower, str]]:
    """Runs a search of one trial to its end, and returns the URI of its model."""

    def go(name: str, value: float, register: str | None = "net", **changes: Any) -> tuple[Follower, str]:
        book.name = name
        folder = model_folder(root, name, value)
        event = Event("published", 0, data={"path": str(folder), "model": None, "error": None})
        book.write(opened(), *complete(0, value), event)
        follower = follow(register=register, experiment="all", **changes)
        assert follower.finish() is None
        [said] = [message for message in follower.messages() if "model" in message]
        assert said["trial"] == 0
        return follower, said["model"]

    return go


def answer(uri: str) -> float:
    return float(mlflow.pyfunc.load_model(uri).predict(np.zeros((2, 1)))[0])


def test_the_champion_moves_only_to_a_better_model(
    publish: Callable[..., tuple[Follower, str]],
    client: MlflowClient,
    monkeypatch: pytest.MonkeyPatch,
    root: Path,
) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{root / 'mlflow.db'}")
    monkeypatch.setenv("MLFLOW_ALLOW_PICKLE_DESERIALIZATION", "false")
    assert publish("first", 0.9)[1] == "models:/net@champion"
    assert publish("worse", 0.8)[1] == "models:/net/2"
    assert answer("models:/net@champion") == 0.9
    assert publish("better", 0.95)[1] == "models:/net@champion"
    assert answer("models:/net@champion") == 0.95
    assert answer("models:/net/2") == 0.8
    tags = client.get_model_version_by_alias("net", "champion").tags
    assert (tags["automl.value"], tags["automl.metric"]) == ("0.95", "val_accuracy")


class Beaten(MlflowClient):
    """A client whose search is overtaken just before it sets an alias."""

    overtake: Callable[[], object] | None = None

    def set_registered_model_alias(self, *words: Any) -> None:
        overtake, self.overtake = self.overtake, None
        if overtake:
            overtake()
        super().set_registered_model_alias(*words)


@pytest.mark.parametrize(("first", "second"), [(0.9, 0.8), (0.8, 0.9)])
def test_of_two_searches_that_end_together_the_better_has_the_champion(
    root: Path, first: float, second: float
) -> None:
    client = Beaten(f"sqlite:///{root / 'mlflow.db'}")
    client.create_registered_model("net")

    def made(value: float) -> tuple[Published, ModelVersion]:
        trial = Trial(0, {}, "trainer", "sampler", "tpe", T0, values=[value])
        winner = Published("digits", "id", trial, OBJECTIVES, root)
        return winner, client.create_model_version("net", str(root), tags=winner.tags)

    (one, his), (other, hers) = made(first), made(second)
    champion = []
    client.overtake = lambda: champion.append(_champion(client, one, his, "net"))
    champion.append(_champion(client, other, hers, "net"))
    assert client.get_model_version_by_alias("net", "champion").tags["automl.value"] == "0.9"
    assert champion[1] == (second == 0.9)


def test_a_model_is_logged_and_registered_once_however_often_it_is_replayed(
    publish: Callable[..., tuple[Follower, str]], follow: Callable[..., Follower], client: MlflowClient
) -> None:
    publish("first", 0.9)
    experiment = client.get_experiment_by_name("all").experiment_id
    [parent] = client.search_runs([experiment], "tags.`automl.cursor` != ''")
    client.set_tag(parent.info.run_id, "automl.cursor", "1")
    again = follow(register="net", experiment="all")
    assert again.finish() is None

    assert [message["model"] for message in again.messages()] == ["models:/net@champion"]
    assert len(client.search_model_versions("name = 'net'")) == 1
    [model] = client.search_logged_models([experiment])
    assert str(model.status) == "READY"
    [child] = client.search_runs([experiment], f"tags.`mlflow.parentRunId` = '{parent.info.run_id}'")
    assert [output.model_id for output in child.outputs.model_outputs] == [model.model_id]
    assert steps(client, child) == [1, 2, 3]
    assert {metric.key: metric.value for metric in model.metrics}["val_accuracy"] == 0.9


def test_a_model_that_is_not_registered_is_loaded_by_its_own_name(
    publish: Callable[..., tuple[Follower, str]], monkeypatch: pytest.MonkeyPatch, root: Path
) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{root / 'mlflow.db'}")
    uri = publish("alone", 0.7, register=None)[1]
    assert uri.startswith("models:/m-")
    assert answer(uri) == 0.7


@pytest.mark.parametrize(
    ("mine", "theirs", "better"),
    [
        (("acc", "maximize", "0.9"), ("acc", "maximize", "0.8"), True),
        (("acc", "maximize", "0.9"), ("acc", "maximize", "0.9"), False),
        (("loss", "minimize", "0.9"), ("loss", "minimize", "0.8"), False),
        (("acc", "maximize", "0.9"), ("loss", "maximize", "0.8"), False),
        (("acc,size", "maximize,minimize", "0.9,5"), ("acc,size", "maximize,minimize", "0.9,6"), True),
        (("acc,size", "maximize,minimize", "0.9,7"), ("acc,size", "maximize,minimize", "0.8,6"), False),
        (("acc", "maximize", "0.9"), ("acc", "maximize", ""), False),
    ],
)
def test_only_like_is_compared_with_like(
    mine: tuple[str, ...], theirs: tuple[str, ...], better: bool
) -> None:
    keys = ("automl.metric", "automl.direction", "automl.value")
    assert beats(dict(zip(keys, mine, strict=True)), dict(zip(keys, theirs, strict=True))) is better


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        ("model.lr", "model.lr"),
        ("val/acc", "val/acc"),
        ("top@5", "top_5"),
        ("../x", "__x"),
        ("a//b", "_a__b"),
    ],
)
def test_names_that_mlflow_refuses_are_changed_as_little_as_possible(name: str, shown: str) -> None:
    assert label(name) == shown


def test_finished_trials_are_mirrored_into_an_optuna_database_once(
    book: Book, root: Path, monkeypatch: pytest.MonkeyPatch, follow: Callable[..., Follower]
) -> None:
    storage = f"sqlite:///{root / 'optuna.db'}"
    monkeypatch.setenv("AUTOML_OPTUNA_STORAGE", storage)
    for half in (first_half(), second_half()):
        book.write(*half)
        assert follow(uri="").finish() is None

    study = optuna.load_study(study_name="digits", storage=storage)
    states = {trial.user_attrs["automl.trial"]: trial.state.name for trial in study.trials}
    assert states == {0: "COMPLETE", 1: "PRUNED", 2: "FAIL", 3: "COMPLETE"}
    assert len(study.trials) == 4
    assert study.best_value == 0.9
    assert study.best_trial.params == {"model.lr": 0.04}
    assert study.best_trial.intermediate_values == {1: 0.5, 2: 0.7, 3: 0.9}
