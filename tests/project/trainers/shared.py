"""Data that are prepared once on a node, and a trainer that says what it got.

Every preparation leaves a mark in the folder that MARKS names.
"""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import Any

import numpy as np

import automl


def mark(what: str) -> None:
    """A line of this process in a file."""
    with Path(os.environ["MARKS"], what).open("a") as file:
        file.write(f"{os.getpid()}\n")


@automl.prepared
def numbers(rows: int = 1000, sleep_s: float = 0.0, kill: bool = False) -> dict[str, Any]:
    """`x` float64 [rows, 4] drawn from numpy's own generator, `y` int64 [rows]."""
    mark("prepared")
    busy(sleep_s)
    if kill and not Path(os.environ["MARKS"], "killed").exists():
        mark("killed")
        os.kill(os.getpid(), 9)
    return {"x": np.random.random((rows, 4)), "y": np.arange(rows) % 3, "names": ("a", "b", "c")}


def busy(seconds: float) -> None:
    """Compute for so long: a preparation that does nothing at all is taken for hung."""
    until_s = time.monotonic() + seconds
    while time.monotonic() < until_s:
        sum(range(1000))


def train(trial: Any, x: float = 0.0, rows: int = 1000, sleep_s: float = 0.0) -> None:
    """Reports what it found, having spoilt it for whoever would share it."""
    drawn = np.random.random()
    found = numbers(rows, sleep_s)
    after = np.random.random()
    total, first = float(found["x"].sum()), float(found["x"][0, 0])
    found["x"][:] = -1.0
    metrics = {"loss": x, "total": total, "first": first, "drawn": drawn, "after": after}
    trial.report({**metrics, "pid": float(os.getpid())})
