"""The program of every rank but the first: trains what rank 0 trains, and is as warm. Knows no host.

It tells rank 0 how its part of a trial ended, and nobody anything else; `ranks` has the words.
"""

from __future__ import annotations

import contextlib
import gc
import os
import queue
import socket
import sys
import threading
import time
import traceback
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from automl import causes, guard, project, streams, usage
from automl.engines.base import Answer, Task
from automl.errors import AutoMLError, CheckpointRefused, TrialStopped
from automl.frameworks.base import Framework, framework, train
from automl.ranks import LEAVE_S, SOCKET, Wire

# Rank 0 listens within so long: it begins at the same time.
_CONNECT_S = 120.0


def follow(said: Mapping[str, Any], rank: int) -> None:
    """Do what rank 0 says, until it says quit.

    Args:
        said: what the host said when it started the ranks.
        rank: of this process.
    """
    program = _Program(said, rank)
    while (told := program.seat.operations.get())["op"] != "quit":
        if told["op"] == "warm":
            program.warm(told["addresses"])
        elif told["op"] == "train":
            program.train(told)


class _Program:
    """One rank, one framework."""

    def __init__(self, said: Mapping[str, Any], rank: int) -> None:
        self._said, self._rank = said, rank
        self._framework: Framework | None = None
        self.seat = Seated(Path(said["scratch"]), rank)

    @property
    def framework(self) -> Framework:
        """Imported at first need, as rank 0 does: by then its fault is told as any other."""
        if self._framework is None:
            self._framework = framework(self._said["framework"])
            self._framework.start(self._said["cpus"], self._said["gpus"], self._said["ranks"])
            gc.collect()
            gc.freeze()
        return self._framework

    def warm(self, addresses: Sequence[str]) -> None:
        """Import what rank 0 imports, which tells what is wrong with it."""
        with contextlib.suppress(Exception, *causes.LEAVING):
            _ = self.framework
            for address in addresses:
                project.resolve_address(address, self._said["root"])

    def train(self, told: Mapping[str, Any]) -> None:
        """Train as rank 0 does; how it ended goes to that one."""
        guard.heed_dumps()
        log = Path(told["log"])
        with streams.log_into(log):
            ended = self._train(told, log)
        self.seat.say(kind="ended", **ended)
        self.seat.say(kind="usage", usage=self._holds())

    def _holds(self) -> dict[str, int]:
        try:
            return usage.measure(self._framework.gpu_bytes() if self._framework else 0)
        except Exception:  # that of a GPU in error
            return {usage.BROKEN: 1}

    def _train(self, told: Mapping[str, Any], log: Path) -> dict[str, Any]:
        handle = Follower(self.seat, told)
        try:
            return {"outcome": train(self.framework, handle)}
        except (Exception, *causes.LEAVING) as error:
            streams.mend(log)
            if not isinstance(error, CheckpointRefused):  # of which rank 0 has its own
                print(f"--- rank {self._rank}", file=sys.stderr, flush=True)
                traceback.print_exc()
            return causes.failed(error)


class Seated(Wire):
    """Another rank's end of the socket. A thread reads, so that a hold is heard while training.

    Args:
        folder: the worker's own, which the ranks share.
        rank: of this process.
    """

    def __init__(self, folder: Path, rank: int) -> None:
        super().__init__(_connect(str(folder / SOCKET)))
        self.operations: queue.Queue[dict[str, Any]] = queue.Queue()
        self._told: queue.Queue[dict[str, Any]] = queue.Queue()
        self._hold = threading.Condition()
        self._held, self._after, self._begun = False, -1, 0
        self.say(kind="hello", rank=rank)
        threading.Thread(target=self._read, name="automl-rank", daemon=True).start()

    def told(self, op: str) -> dict[str, Any]:
        """What rank 0 says next about the step that both are at.

        Raises:
            AutoMLError: it is elsewhere.
        """
        said = self._told.get()
        if said["op"] != op:
            raise AutoMLError(f"the ranks are not at the same step: {op} is due here, {said['op']} at rank 0")
        return said

    def begin_batch(self) -> None:
        """Raises TrialStopped where all ranks leave before this one."""
        with self._hold:
            self._hold.wait_for(lambda: not self._held or self._after >= 0)
            if self._held and self._begun >= self._after:
                raise TrialStopped
            self._begun += 1

    def _read(self) -> None:
        for said in self.lines():
            self._dispatch(said)
        time.sleep(LEAVE_S)  # rank 0 is gone, and what ends this process is on its way
        os._exit(1)

    def _dispatch(self, said: dict[str, Any]) -> None:
        if said["op"] in ("answer", "write"):
            self._told.put(said)
        elif said["op"] == "hold":
            with self._hold:
                self._held = True
                self.say(kind="held", batches=self._begun)
        elif said["op"] == "leave":
            with self._hold:
                self._after = said["after"]
                self._hold.notify_all()
        else:
            with self._hold:
                self._held, self._after, self._begun = False, -1, 0
            self.operations.put(said)


class Follower:
    """The handle of another rank than 0: it tells nobody, and does as rank 0 was told."""

    def __init__(self, seat: Seated, said: Mapping[str, Any]) -> None:
        self.task = Task(**said["task"])
        self.checkpoint = Path(said["checkpoint"]) if said["checkpoint"] else None
        self.folder = Path(said["folder"])
        self._seat, self._last = seat, {"due": False, "improved": False}

    def tell(self, metrics: Mapping[str, float], step: int) -> Answer:
        said = self._last = self._seat.told("answer")
        if said["step"] != step:
            raise AutoMLError(f"the ranks are not at the same step: {step} here, {said['step']} at rank 0")
        return Answer(said["answer"])

    def hurry(self, metrics: Mapping[str, float], step: int) -> None:
        """Several ranks have to know the answer at the same place."""

    def post(self, metrics: Mapping[str, float], step: int) -> bool:
        """Nor may they be at different steps."""
        return False

    def pulse(self) -> None:
        """Rank 0 does: where this one hangs, that one does as well."""

    def leave_if_told(self) -> None:
        self._seat.begin_batch()

    def due(self) -> bool:
        return bool(self._last["due"])

    def save_checkpoint(self, step: int, write: Callable[[Path], object], behind: bool = False) -> None:
        if self._seat.told("write")["go"]:
            write(self.folder)

    def improved(self) -> bool:
        return bool(self._last["improved"])

    def save_weights(self, step: int, write: Callable[[Path], object], behind: bool = False) -> None:
        """They are those of rank 0."""


def _connect(address: str) -> socket.socket:
    """Rank 0 may not have begun to listen."""
    until_s = time.monotonic() + _CONNECT_S
    while True:
        link = socket.socket(socket.AF_UNIX)
        try:
            link.connect(address)
            return link
        except OSError:
            link.close()
            if time.monotonic() > until_s:
                raise
            time.sleep(0.02)
