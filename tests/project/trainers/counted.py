"""Counts: every process that imports this writes its pid down, in imports.txt of the project."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

with (Path(__file__).parents[1] / "imports.txt").open("a") as file:
    file.write(f"{os.getpid()}\n")


def train(trial: Any, x: float, sleep: float = 0.0) -> None:
    """`loss` is the square of x."""
    trial.report({"loss": x**2}, step=1)
