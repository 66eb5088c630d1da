"""A program of test_gpu: a search with `gpus: auto` on a Ray that counts one GPU, which need not be there.

A process of its own, because Ray counts its GPUs when it starts. Prints a JSON list of what happened.
"""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import Any

import psutil

GIB = 1 << 30
# Of a device of 80 GiB: with the margin four fit.
FACTS = {"gpu_peak_bytes": 17 * GIB, "gpu_total_bytes": 80 * GIB}


class Scales:
    """A desk whose trials were measured: their ends say what they have had of their GPU.

    Args:
        desk: the real one.
        giant: a trial that is short of memory in a quarter of a GPU.
    """

    def __init__(self, desk: Any, giant: int) -> None:
        self._desk, self._giant = desk, giant
        self.seen: list[dict[str, Any]] = []

    def __getattr__(self, name: str) -> Any:
        return getattr(self._desk, name)

    def hear(self, task: Any, message: dict[str, Any]) -> Any:
        gpus = task.resources["gpus"]
        if message["kind"] == "started":
            device = psutil.Process(message["pid"]).environ()["CUDA_VISIBLE_DEVICES"]
            self._note("started", task, device=device, pid=message["pid"])
        if message["kind"] == "ended":
            self._note("ended", task)
            message = {**message, **FACTS}
            if task.trial == self._giant and gpus < 0.5:
                message |= {"outcome": "failed", "cause": "memory", "error": "CUDA out of memory"}
        return self._desk.hear(task, message)

    def _note(self, kind: str, task: Any, **more: Any) -> None:
        self.seen.append({"kind": kind, "trial": task.trial, "gpus": task.resources["gpus"], **more})


def played(engine: Any, trials: int = 9, giant: int = 6) -> list[dict[str, Any]]:
    """A search on an engine: when its attempts started and ended, with which share of which device."""
    from automl.run import run
    from automl.search import Resources, Trainer
    from tests.test_engines import a_search

    noted: list[dict[str, Any]] = []

    def weighed(desk: Any, before: Any = engine.run) -> None:
        scales = Scales(desk, giant)
        before(scales)
        noted.extend(scales.seen)

    engine.run = weighed
    trainer = Trainer("function", "trainers.probe_function:gathers")
    constants = {"model.folder": os.getcwd(), "model.wanted": 4}
    search = a_search(trials=trials, trainer=trainer, resources=Resources(gpus="auto"), **constants)
    outcome = run(search, engine)
    assert outcome.exit_code == 0
    return noted


def main() -> None:
    root = Path(sys.argv[1])
    os.chdir(root)
    import ray

    from automl.engines.ray_tune import RayTune

    ray.init(address="local", num_cpus=8, num_gpus=1, include_dashboard=False, log_to_driver=False)
    try:
        print(json.dumps(played(RayTune(str(root), "local"))))
    finally:
        ray.shutdown()


if __name__ == "__main__":
    main()
