"""The tracker process against a real ledger, a real MLflow database and a real MLflow server."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from mlflow.entities import Run
from mlflow.tracking import MlflowClient

from automl.events import Event
from automl.ledger import Ledger
from automl.trackers.base import Follower, Plan
from automl.trackers.picture import label

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
    facts = {"node": "box", "pid": 99, "device": "cpu", "framework": "lightning", "warm": True, "code": "c0de"}
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
        uri = uri or f"sqlite:///{root / 'mlflow.db'}"
        facts = {"objectives": OBJECTIVES, **changes}
        follower = Follower(Plan(book.ledger.url, book.name, str(root), uri, **facts))
        made.append(follower)
        follower.start()
        return follower

    yield start
    for follower in made:
        follower.close()


@pytest.fixture
def client(root: Path) -> MlflowClient:
    return MlflowClient(f"sqlite:///{root / 'mlflow.db'}")


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


def test_a_search_is_one_parent_run_and_one_child_a_trial(
    book: Book, follow: Callable[..., Follower], client: MlflowClient
) -> None:
    book.write(*first_half())
    assert follow().finish() is None

    parents, children = runs(client)
    assert [run.info.run_name for run in parents] == ["digits"]
    assert sorted(children) == [0, 1, 2, 3]
    assert {run.data.tags["mlflow.parentRunId"] for run in children.values()} == {parents[0].info.run_id}
    status = {number: run.info.status for number, run in children.items()}
    assert status == {0: "FINISHED", 1: "KILLED", 2: "FAILED", 3: "KILLED"}
    states = {number: run.data.tags["automl.state"] for number, run in children.items()}
    assert states == {0: "COMPLETE", 1: "PRUNED", 2: "FAILED", 3: "WAITING"}
    assert parents[0].info.status == "KILLED"


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
    assert [p.value for p in client.get_metric_history(parents[0].info.run_id, "best.val_accuracy")] == [0.8, 0.9]
