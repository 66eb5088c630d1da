"""Where rounds are played: an engine, a ledger, a tracking server, and what of it is killed how often."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path

import psutil

from tests.faults.files import NETS
from tests.faults.scenario import Stage
from tests.faults.services import Cluster, MLflow, Postgres


def on_sqlite(folder: Path) -> str:
    """A ledger beside the round's project."""
    return f"sqlite:///{folder}/ledger.db"


@contextlib.contextmanager
def local(folder: Path) -> Iterator[Stage]:
    """This machine and a file."""
    yield Stage("local", on_sqlite, {"driver": 1.0, "worker": 1.5, "guard": 0.3})


@contextlib.contextmanager
def served(folder: Path) -> Iterator[Stage]:
    """This machine, a PostgreSQL server and an MLflow server."""
    with contextlib.ExitStack() as stack:
        database = Postgres()
        stack.callback(database.close)
        tracking = MLflow(folder / "mlflow")
        stack.callback(tracking.close)
        kinds = {"driver": 2.0, "worker": 2.0, "tracker": 1.0, "mlflow": 0.6, "postgres": 1.5}
        services = {"postgres": database, "mlflow": tracking}
        yield Stage(
            "served",
            database.fresh,
            kinds,
            tracking=tracking.uri,
            services=services,
            shown=tracking.shown,
            each=(40, 100),
        )


@contextlib.contextmanager
def cluster(folder: Path) -> Iterator[Stage]:
    """Ray on two nodes, and a file."""
    nodes = Cluster()
    try:
        yield Stage(
            "cluster",
            on_sqlite,
            {"driver": 1.0, "worker": 2.0, "guard": 0.3, "actor": 1.5, "node": 1.0},
            engine="ray",
            address=nodes.address,
            services={"node": nodes},
            host_pids=lambda: _attempts(nodes.pid),
            hosts_below=nodes.pid,
        )
    finally:
        nodes.close()


@contextlib.contextmanager
def frameworks(folder: Path) -> Iterator[Stage]:
    """This machine and a file; Lightning and Keras trials that are compared with those of a twin."""
    yield Stage(
        "frameworks",
        on_sqlite,
        {"driver": 1.0, "worker": 2.0},
        each=(6, 6),
        wait_s=(0.5, 9.0),
        file=NETS,
        trainers=("tiny_lightning", "tiny_keras", "chaos_lightning", "chaos_keras"),
        twin=True,
    )


STAGES = {"local": local, "served": served, "cluster": cluster, "frameworks": frameworks}


def _attempts(pid: int) -> list[int]:
    """The actors of our engine below a cluster's process."""
    found = []
    for child in psutil.Process(pid).children(recursive=True):
        with contextlib.suppress(psutil.Error):
            if "ray::SlotActor" in " ".join(child.cmdline()):
                found.append(child.pid)
    return found
