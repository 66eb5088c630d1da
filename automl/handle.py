"""What a framework sees of the world while one attempt runs: where reports and folders go.

Knows no framework and no host: it is given the line on which the host is told.
"""

from __future__ import annotations

import queue
import sys
import time
from collections.abc import Callable, Mapping
from concurrent.futures import Future, ThreadPoolExecutor, wait
from functools import partial
from pathlib import Path
from typing import Any, Protocol

from automl.engines.base import Answer, Task
from automl.errors import StorageError, TrialPruned, TrialStopped
from automl.storage import TrialFolder

# A stop waits so long for the end of the epoch before it gives the epoch up.
STOP_GRACE_S = 10.0
# A checkpoint is due when so much time has passed, and so many times what the training waited for the last:
# it costs half a per cent of the training at most. Until a trial has one, that of the trial before counts.
CHECKPOINT_S = 10.0
CHECKPOINT_COSTS = 200
# Where two reports are further apart, an answer is waited for at once: a stop would come too late.
HURRY_S = 2.0
# So often at most a host hears that batches go on; oftener where a short silence is a hang already.
PULSE_S = 5.0


# Seconds that the training of a trainer waited for its last checkpoint in this process.
_costs: dict[str, float] = {}

# Bring what was written to the storage while training goes on: a checkpoint, and weights beside it.
_behind = ThreadPoolExecutor(2, "automl-storage")


class Line(Protocol):
    """The worker's end of the host's socket."""

    answers: queue.Queue[Answer]
    stopped_s: float | None

    def send(self, kind: str, **data: Any) -> None:
        """Tell the host."""

    def pulse(self) -> None:
        """Tell the host that the trial trains, and nothing more."""


class TrialHandle:
    """See `frameworks.base.Handle`."""

    def __init__(self, link: Line, task: Task, files: TrialFolder, checkpoint: Path | None) -> None:
        self.task, self.checkpoint, self.folder, self.log = task, checkpoint, files.local, files.log
        self._link, self._files = link, files
        self._kept_s = time.monotonic()
        self._pulse_s = min(PULSE_S, task.silence_s / 4) if task.silence_s else PULSE_S
        self._pulsed_s = time.monotonic()
        self._best, self._improved = task.best, False
        self._outranked: int | None = None  # the last step, if its weights could not stay
        self._last = (task.step, task.checkpoint)
        self._missed = False
        self._said_s, self._posted = time.monotonic(), False
        self._waited_s: float | None = None
        self._under_way: dict[str, Future[None]] = {}
        self.weights: str | None = None
        self.reports: list[dict[str, float]] = []

    def tell(self, metrics: Mapping[str, float], step: int) -> Answer:
        self._say(metrics, step)
        return self._link.answers.get()

    def hurry(self, metrics: Mapping[str, float], step: int) -> Callable[[], Answer] | None:
        if not self._may_hurry():
            return None
        self._say(metrics, step)
        return self._link.answers.get

    def post(self, metrics: Mapping[str, float], step: int) -> bool:
        judged = self.task.judged
        if judged is None or step in judged or not self._may_hurry() or self._replaces(metrics, step):
            return False
        self._say(metrics, step)
        self._posted = True
        return True

    def _may_hurry(self) -> bool:
        soon = time.monotonic() - self._said_s < HURRY_S
        return soon and self._link.stopped_s is None and not self.due()

    def _replaces(self, metrics: Mapping[str, float], step: int) -> bool:
        """Whether the weights of this step take the place of others."""
        first = self.task.objectives[0]
        value = metrics.get(first["metric"])
        return first["value"] == "best" and value is not None and self._improves(float(value), step)

    def _say(self, metrics: Mapping[str, float], step: int) -> None:
        self._hear_of_posted()
        waited_s, self._waited_s = self._waited_s, None
        plain = {str(name): float(value) for name, value in metrics.items()}
        self._note_best(plain, step)
        self._said_s = time.monotonic()
        waited = {} if waited_s is None else {"waited_s": waited_s}
        self._link.send("report", metrics=plain, step=int(step), **waited)

    def _hear_of_posted(self) -> None:
        """The answer to a report that was not waited for; a stop is said again to the next, if any."""
        if not self._posted:
            return
        begun_s = time.monotonic()
        answer = self._link.answers.get()
        self._posted, self._waited_s = False, time.monotonic() - begun_s
        if answer is Answer.END:
            raise TrialPruned

    def pulse(self) -> None:
        now_s = time.monotonic()
        if now_s - self._pulsed_s >= self._pulse_s:
            self._pulsed_s = now_s
            self._link.pulse()

    def leave_if_told(self) -> None:
        self.pulse()
        if self._posted and not self._link.answers.empty():
            self._hear_of_posted()
        if self.overdue():
            raise TrialStopped

    def overdue(self) -> bool:
        """Whether a stop has waited its grace for the epoch's end."""
        told_s = self._link.stopped_s
        return told_s is not None and time.monotonic() - told_s > STOP_GRACE_S

    def due(self) -> bool:
        since_s = time.monotonic() - self._kept_s
        before = self._under_way.get("checkpoint")
        return (before is None or before.done()) and since_s >= max(
            CHECKPOINT_S, CHECKPOINT_COSTS * _costs.get(self.task.trainer, 0.0)
        )

    def save_checkpoint(self, step: int, write: Callable[[Path], object], behind: bool = False) -> None:
        begun_s = time.monotonic()
        self._await("checkpoint")
        try:
            filled = self._files.fill("checkpoint", step, write)
        except StorageError as error:
            self._miss(str(error))
        else:
            self._act("checkpoint", behind, partial(self._keep_checkpoint, step, filled))
        self._kept_s = time.monotonic()
        _costs[self.task.trainer] = self._kept_s - begun_s

    def _keep_checkpoint(self, step: int, filled: Path) -> None:
        try:
            self._last = (step, self._files.keep("checkpoint", step, filled))
        except StorageError as error:
            self._miss(str(error))
        else:
            self._missed = False
            self._link.send("checkpointed", step=step, path=self._last[1])

    def _miss(self, why: str) -> None:
        """Train on without: what a checkpoint is for may never happen. Said once, until one is written."""
        if self._missed:
            return
        self._missed = True
        step, path = self._last
        say(f"{why}. Training goes on; {begins(step)} if it has to be resumed")
        self._link.send("checkpointed", step=step, path=path, error=why)

    def improved(self) -> bool:
        return self._improved

    def save_weights(self, step: int, write: Callable[[Path], object], behind: bool = False) -> None:
        if self._outranked == step:
            return
        self._await("weights")
        filled = self._files.fill("weights", step, write)
        self._act("weights", behind, partial(self._keep_weights, step, filled))

    def _keep_weights(self, step: int, filled: Path) -> None:
        self.weights = self._files.keep("weights", step, filled)

    def settle(self) -> None:
        """Wait for what is kept behind the training; raises what went wrong with it."""
        for each in self.leave():
            each.result()

    def leave(self) -> list[Future[None]]:
        """Wait for it, whatever comes of it."""
        under_way = list(self._under_way.values())
        self._under_way.clear()
        wait(under_way)
        return under_way

    def _await(self, kind: str) -> None:
        """Before another of a kind is written: whoever keeps one removes what is not whole of that kind."""
        if before := self._under_way.pop(kind, None):
            before.result()

    def _act(self, kind: str, behind: bool, act: Callable[[], None]) -> None:
        if behind:
            self._under_way[kind] = _behind.submit(act)
        else:
            act()

    def _note_best(self, metrics: Mapping[str, float], step: int) -> None:
        first = self.task.objectives[0]
        value = metrics.get(first["metric"])
        self._outranked = None
        if value is None:
            return
        floor, sign = self.task.floor, 1 if first["direction"] == "maximize" else -1
        if floor is not None and sign * value < sign * floor:
            self._outranked = step
        self._improved = self._improves(value, step)
        if self._improved and step > self.task.reported:
            self._best = value

    def _improves(self, value: float, step: int) -> bool:
        if step <= self.task.reported:
            # The ledger has this step's value already. What may be missing are the weights of the best
            # one: an attempt can die between a report and its weights.
            return step == self.task.best_step
        sign = 1 if self.task.objectives[0]["direction"] == "maximize" else -1
        return self._best is None or sign * value > sign * self._best


def begins(step: int) -> str:
    """Where a resumed attempt begins, in words."""
    return f"it goes on after step {step}" if step else "it begins anew"


def say(text: str) -> None:
    """A line of the house's own in the trial's log."""
    print(f"--- {text}", file=sys.stderr, flush=True)
