"""What a plain callable sees of its worker, and what it leaves behind."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
from sklearn.linear_model import LogisticRegression


def environment(trial: Any) -> None:
    """Prints its environment's variables; reports `threads`."""
    print("\n".join(f"{name}={value}" for name, value in sorted(os.environ.items())))
    trial.report({"loss": 0.0, "threads": float(os.environ["OMP_NUM_THREADS"])})


def leaves_a_child(trial: Any) -> None:
    """Starts a process, reports its `child`, and lingers."""
    child = subprocess.Popen(["sleep", "1000"])
    trial.report({"loss": 0.0, "child": child.pid})
    time.sleep(1000)


def fits(trial: Any, c: float = 1.0) -> LogisticRegression:
    """A classifier; reports its `accuracy` on the rows it was fitted on."""
    x = np.random.default_rng(0).normal(size=(64, 4))
    y = (x.sum(1) > 0).astype(int)
    model = LogisticRegression(C=c).fit(x, y)
    trial.report({"loss": 0.0, "accuracy": model.score(x, y)})
    return model


def leaves(trial: Any) -> None:
    """Calls sys.exit, as a script does."""
    sys.exit("no data today")


def misreports(trial: Any, metrics: Any, step: int | None = None) -> None:
    """Reports what it was given."""
    trial.report(metrics, step=step)


def gathers(trial: Any, x: float, folder: str, wanted: int, at_most_s: float = 60.0) -> None:
    """With a share of a GPU, waits until so many trials have come together, and for a while then."""
    if 0 < trial.resources["gpus"] < 0.5:
        (Path(folder) / f"here-{trial.number}").touch()
        until_s = time.monotonic() + at_most_s
        while len(list(Path(folder).glob("here-*"))) < wanted and time.monotonic() < until_s:
            time.sleep(0.05)
    trial.report({"loss": x**2}, step=1)
