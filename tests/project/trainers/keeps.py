"""Trainers that keep a checkpoint after every step, and what befalls checkpoints and weights.

Importing this makes a checkpoint due after every report of this process, and training waits for it.
"""

from __future__ import annotations

import os
import signal
import tempfile
from pathlib import Path
from typing import Any

from sklearn.linear_model import LogisticRegression

from automl.handle import TrialHandle

TrialHandle.due = lambda self: True  # type: ignore[method-assign]
TrialHandle._act = lambda self, kind, behind, act: act()  # type: ignore[method-assign]


def dies_once(mark: str | None) -> None:
    """Kill this process, as the kernel does, unless the file is there already."""
    if mark and not Path(mark).exists():
        Path(mark).touch()
        os.kill(os.getpid(), signal.SIGKILL)


def sums(
    trial: Any, x: float = 0.0, steps: int = 5, kb: int = 0, die_at: int = 0, mark: str | None = None
) -> None:
    """`loss` is the sum of all steps so far, kept in checkpoints of `kb` KB; `first` where it began.

    Args:
        die_at: the step in whose middle the process is killed, once, as `mark` remembers.
    """
    found = trial.load_checkpoint()
    step, total = map(int, (found / "sum.txt").read_text().split()) if found else (0, 0)
    first = step + 1
    while step < steps:
        step += 1
        if step == die_at:
            dies_once(mark)
        total += step
        with tempfile.TemporaryDirectory() as folder:
            (Path(folder) / "sum.txt").write_text(f"{step} {total}")
            (Path(folder) / "ballast").write_bytes(os.urandom(kb * 1000))
            trial.save_checkpoint(folder, step)
        trial.report({"loss": total + x, "first": first}, step=step)


def fits_after(trial: Any, kb: int = 0, talk_kb: int = 0) -> None:
    """Says much, reports once, and keeps a model with an example of `kb` kilobytes."""
    import numpy as np

    print("x" * talk_kb * 1000, flush=True)
    trial.report({"loss": 1.0}, step=1)
    model = LogisticRegression().fit([[0.0], [1.0]], [0, 1])
    trial.save_model(model, example=np.zeros((kb * 125, 1)))


def keeps_all(trial: Any) -> LogisticRegression:
    """Keeps a checkpoint, and a model by returning it."""
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "sum.txt").write_text("1 1")
        trial.save_checkpoint(folder, 1)
    trial.report({"loss": 1.0}, step=1)
    return LogisticRegression().fit([[0.0], [1.0]], [0, 1])


def misreads(trial: Any) -> None:
    """Looks for another file in its checkpoint than the one it put there."""
    found = trial.load_checkpoint()
    if found:
        (found / "state.txt").read_text()
    keeps_all(trial)


class Own(LogisticRegression):
    """An estimator that skops does not know."""


def fits_its_own(trial: Any) -> Own:
    """Returns an estimator of a class of its own."""
    trial.report({"loss": 1.0}, step=1)
    return Own().fit([[0.0], [1.0]], [0, 1])
