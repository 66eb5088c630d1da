"""What a framework sees of the world while one attempt runs: where reports and folders go.

Knows no framework and no host: it is given the line on which the host is told.
"""

from __future__ import annotations

import queue
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Protocol

from automl.engines.base import Answer, Task
from automl.errors import TrialStopped
from automl.storage import TrialFolder

# A stop waits so long for the end of the epoch before it gives the epoch up.
STOP_GRACE_S = 10.0
# A checkpoint is due when so much time has passed, and again twenty times what the last one cost.
CHECKPOINT_S = 5.0


class Line(Protocol):
    """The worker's end of the host's socket."""

    answers: queue.Queue[Answer]
    stopped_s: float | None

    def send(self, kind: str, **data: Any) -> None:
        """Tell the host."""


class TrialHandle:
    """See `frameworks.base.Handle`."""

    def __init__(self, link: Line, task: Task, files: TrialFolder, checkpoint: Path | None) -> None:
        self.task, self.checkpoint, self.folder = task, checkpoint, files.local
        self._link, self._files = link, files
        self._kept_s, self._cost_s = time.monotonic(), 0.0
        self._best, self._improved = task.best, False
        self.weights: str | None = None
        self.reports: list[dict[str, float]] = []

    def tell(self, metrics: Mapping[str, float], step: int) -> Answer:
        plain = {str(name): float(value) for name, value in metrics.items()}
        self._note_best(plain, step)
        if self.task.deep:
            self.reports.append(plain)
            return Answer.FINISH if self._all_seen() else Answer.GO
        self._link.send("report", metrics=plain, step=int(step))
        return self._link.answers.get()

    def _all_seen(self) -> bool:
        """A plain callable knows no batches: in a deep check it may leave once it has shown every metric."""
        seen = {name for report in self.reports for name in report}
        return all(objective["metric"] in seen for objective in self.task.objectives)

    def leave_if_told(self) -> None:
        told_s = self._link.stopped_s
        if told_s is not None and time.monotonic() - told_s > STOP_GRACE_S:
            raise TrialStopped

    def due(self) -> bool:
        since_s = time.monotonic() - self._kept_s
        return not self.task.deep and since_s >= max(CHECKPOINT_S, 20 * self._cost_s)

    def save_checkpoint(self, step: int, write: Callable[[Path], object]) -> None:
        if self.task.deep:
            return
        begun_s = time.monotonic()
        path = self._files.put("checkpoint", step, write)
        self._kept_s = time.monotonic()
        self._cost_s = self._kept_s - begun_s
        self._link.send("checkpointed", step=step, path=path)

    def improved(self) -> bool:
        return self._improved

    def save_weights(self, step: int, write: Callable[[Path], object]) -> None:
        if not self.task.deep:
            self.weights = self._files.put("weights", step, write)

    def _note_best(self, metrics: Mapping[str, float], step: int) -> None:
        first = self.task.objectives[0]
        value = metrics.get(first["metric"])
        if value is None:
            return
        self._improved = self._best is None or (
            value > self._best if first["direction"] == "maximize" else value < self._best
        )
        # An attempt that died between a report and its weights left the best step without any.
        self._improved |= value == self._best and step <= self.task.step
        if self._improved:
            self._best = value
