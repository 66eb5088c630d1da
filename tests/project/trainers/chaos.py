"""A trainer whose every metric follows from its whole past: a resume from the wrong state shows.

`x` and `label` are the trial's parameters. The state is a running hash, carried through checkpoints;
`expected` says what an uninterrupted trial reports.
"""

from __future__ import annotations

import hashlib
import json
import tempfile
import time
from pathlib import Path
from typing import Any


def walk(trial: Any, x: float, label: str, steps: int = 20, pause: float = 0.03, every: int = 2) -> None:
    """One hash further a step; `began` is the step of the checkpoint that this attempt read, or 0."""
    state, began = _begin(x, label), 0
    if (found := trial.load_checkpoint()) is not None:
        kept = json.loads((Path(found) / "state.json").read_text())
        state, began = kept["state"], kept["step"]
    for step in range(began + 1, steps + 1):
        time.sleep(pause)
        state = _advance(state, step)
        trial.report({"loss": _loss(state), "began": began, "seed": trial.seed}, step=step)
        if step % every == 0:
            with tempfile.TemporaryDirectory() as folder:
                (Path(folder) / "state.json").write_text(json.dumps({"state": state, "step": step}))
                trial.save_checkpoint(folder)


def expected(x: float, label: str, steps: int) -> list[float]:
    """The losses of an uninterrupted trial, in the order of its steps."""
    state, losses = _begin(x, label), []
    for step in range(1, steps + 1):
        state = _advance(state, step)
        losses.append(_loss(state))
    return losses


def _begin(x: float, label: str) -> str:
    return _digest(f"{x!r} {label}")


def _advance(state: str, step: int) -> str:
    return _digest(f"{state} {step}")


def _digest(text: str) -> str:
    return hashlib.blake2b(text.encode(), digest_size=16).hexdigest()


def _loss(state: str) -> float:
    """Between 0 and 1, exact in a double."""
    return int(state[:12], 16) / float(16**12)
