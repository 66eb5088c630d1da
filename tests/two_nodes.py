"""A program of test_retries: searches on a Ray of two nodes, one of which kills, and with little memory.

A process of its own, because Ray reads the bound on memory when it starts, and starts once a process.
Prints a JSON object with the attempts of both searches.
"""

from __future__ import annotations

import json
import os
import secrets
import signal
import sys
from pathlib import Path
from typing import Any

import psutil

# Ray itself, its nodes and a worker take half of the least. The rest is for tests that run beside this one.
LEAST_BYTES, MOST_BYTES = 3 * 2**30, 8 * 2**30


def main() -> None:
    root = Path(sys.argv[1])
    os.chdir(root)
    memory = psutil.virtual_memory()
    spare = min(max(memory.available // 3, LEAST_BYTES), MOST_BYTES)
    bound = (memory.total - memory.available + spare) / memory.total
    os.environ |= {"RAY_memory_usage_threshold": f"{bound:.4f}", "RAY_memory_monitor_refresh_ms": "100"}
    os.environ |= {"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN": secrets.token_hex(32)}
    from ray.cluster_utils import Cluster

    from automl.engines.ray_tune import RayTune

    cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 0, "include_dashboard": False})
    for _ in range(2):
        cluster.add_node(num_cpus=1)
    engine = RayTune(str(root), cluster.address)
    engine.start()
    try:
        said = {"nodes": bad_node(engine), "memory": short_of_memory(engine, spare)}
    finally:
        engine.close()
        cluster.shutdown()
    print(json.dumps(said))


def bad_node(engine: Any) -> list[dict[str, Any]]:
    """The first node that a worker starts on kills it, and all that come after.

    The other is held until that is known: it would else train everything meanwhile.
    """
    from automl.retries import KILLED_IN_A_ROW
    from automl.search import Trainer
    from tests.test_engines import Watcher, a_search

    bad: list[str] = []
    deaths: list[int] = []
    known = Path("known")

    def kill(event: Any) -> None:
        if event.kind == "started":
            bad.append(event.data["node_id"])
            if event.data["node_id"] == bad[0]:
                os.kill(event.data["pid"], signal.SIGKILL)
        if event.kind == "ended" and event.data.get("cause") == "machine":
            deaths.append(event.trial)
            if len(deaths) == KILLED_IN_A_ROW:
                known.touch()

    trainer = Trainer("function", "trainers.grief:waits")
    search = a_search(
        name="bad", trials=6, retries=4, trainer=trainer, **{"model.file": str(known.absolute())}
    )
    return attempts(engine, search, Watcher(kill))


def short_of_memory(engine: Any, spare: int) -> list[dict[str, Any]]:
    """Ray ends the worker of a trial that takes too much, which it does not in parts."""
    from automl.search import Trainer
    from tests.test_engines import Watcher, a_search

    trainer = Trainer("function", "trainers.grief:hogs")
    size = {"model.bytes_": spare + 2**32}  # it is ended on its way there
    return attempts(engine, a_search(name="hog", trials=1, trainer=trainer, **size), Watcher())


def attempts(engine: Any, search: Any, watcher: Any) -> list[dict[str, Any]]:
    from automl.run import run

    run(search, engine, view=watcher)
    kept = ("node_id", "avoided", "warm", "outcome", "cause", "ruling", "micro")
    return [
        {"kind": e.kind, "trial": e.trial, **{key: e.data[key] for key in kept if key in e.data}}
        for e in watcher.events
        if e.kind in ("started", "ended")
    ]


if __name__ == "__main__":
    main()
