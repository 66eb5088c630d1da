"""Several processes that train one trial together: rank 0 speaks with the host, the others with rank 0.

They share a node and a folder, and in it a Unix socket: plain JSON, an object a line. What rank 0 is
told at a report it tells all, so that every rank goes on, prunes, stops and checkpoints at the same
step. Knows no framework: how gradients meet is the vendor's affair, and so is how processes start.

| rank 0 -> others | meaning |
|---|---|
| `{"op": "train", "task": {...}, ...}` | train, as rank 0 does from now on; answered by `ended` |
| `{"op": "answer", "step": n, ...}` | what the driver answered to the report of step n |
| `{"op": "write", "go": true}` | take part in writing a checkpoint; false: there will be none |
| `{"op": "hold"}` | begin no batch until `leave`; answered by `held`, the batches begun |
| `{"op": "leave", "after": n}` | leave before the batch after the n-th |
| `{"op": "warm", "addresses": [...]}` | import the framework, and these |
| `{"op": "quit"}` | end |
"""

from __future__ import annotations

import contextlib
import json
import os
import queue
import socket
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

from automl.engines.base import Answer
from automl.errors import CheckpointRefused, StorageError, TrialStopped, WorkerError
from automl.handle import TrialHandle

# The programs that are started for a worker: alone, or once for each rank, by torchrun.
ALONE, TORCHRUN = "automl.worker", "automl.frameworks.torchrun"
# In the folder that ranks share; a Unix socket's address has room for few characters.
SOCKET = "r"
# A rank that failed waits so long for the others to fail as well: most faults are all ranks' own.
SHARED_FAULT_S = 5.0
# Ranks leave a trial together; one that takes so much longer than rank 0 will never leave.
LEAVE_S = 60.0


def program(framework: str, ranks: int) -> str:
    """The module that is run for a worker whose trials train in so many ranks.

    Keras has its replicas within one process.
    """
    return TORCHRUN if ranks > 1 and framework == "lightning" else ALONE


def threads_each(cpus: float, framework: str, ranks: int) -> int:
    """How many threads each process of a worker may compute with."""
    processes = ranks if program(framework, ranks) == TORCHRUN else 1
    return max(1, int(cpus) // processes)


class RankFailed(WorkerError):
    """Another rank failed, and rank 0 did not.

    Attributes:
        facts: how that rank says that the attempt ended.
    """

    def __init__(self, rank: int, facts: Mapping[str, Any]) -> None:
        self.facts = {**facts, "error": f"rank {rank}: {facts['error']}"}
        super().__init__(self.facts["error"])


class Wire:
    """One end of a socket between rank 0 and another one."""

    def __init__(self, link: socket.socket) -> None:
        self._link, self._lock = link, threading.Lock()

    def say(self, **said: Any) -> None:
        """A rank that is dead is noticed by who reads."""
        with self._lock, contextlib.suppress(OSError):
            self._link.sendall(json.dumps(said).encode() + b"\n")

    def lines(self) -> Iterator[dict[str, Any]]:
        """What the other end says, until it is gone."""
        with contextlib.suppress(OSError), self._link.makefile("r", encoding="utf-8") as lines:
            for line in lines:
                yield json.loads(line)


class _Seat(Wire):
    """Another rank, as rank 0 sees it."""

    def __init__(self, link: socket.socket, failed: Callable[[_Seat], None]) -> None:
        super().__init__(link)
        self.rank = 0
        self.ended: dict[str, Any] | None = None
        self.usage: dict[str, int] = {}
        self.gone = False
        self.begun: queue.Queue[int] = queue.Queue()
        self.news = threading.Condition()
        self._on_failure = failed
        threading.Thread(target=self._read, name="automl-rank", daemon=True).start()

    def train(self, **said: Any) -> None:
        self.ended = None
        self.say(op="train", **said)

    @property
    def failed(self) -> bool:
        return self.ended is not None and self.ended["outcome"] == "failed"

    @property
    def facts(self) -> dict[str, Any]:
        """How it says that its part ended."""
        return {key: value for key, value in (self.ended or {}).items() if key != "kind"}

    def wait(self, until_s: float) -> bool:
        """Whether the rank has ended its part, or its process, by then."""
        with self.news:
            return self.news.wait_for(
                lambda: self.ended is not None or self.gone, max(0.0, until_s - time.monotonic())
            )

    def _read(self) -> None:
        for said in self.lines():
            with self.news:
                self._hear(said)
                self.news.notify_all()
        with self.news:
            self.gone = True
            self.news.notify_all()

    def _hear(self, said: dict[str, Any]) -> None:
        if said["kind"] == "hello":
            self.rank = said["rank"]
        elif said["kind"] == "held":
            self.begun.put(said["batches"])
        elif said["kind"] == "usage":
            self.usage = said["usage"]
        elif said["kind"] == "ended":
            self.ended = said
            if self.failed:
                self._on_failure(self)


class Group:
    """The other ranks, as rank 0 sees them.

    Args:
        folder: the worker's own, which the ranks share.
        ranks: how many there are, rank 0 included.
        give_up: called with how the attempt ended, from a thread, where another rank has failed and
            rank 0 waits for it in vain.
    """

    def __init__(self, folder: Path, ranks: int, give_up: Callable[[dict[str, Any]], None]) -> None:
        self._others, self._give_up = ranks - 1, give_up
        self._listener = socket.socket(socket.AF_UNIX)
        self._listener.bind(str(folder / SOCKET))
        self._listener.listen(ranks)
        self._met: list[_Seat] = []
        self._alarm: threading.Timer | None = None
        # Whether a rank may still be waiting for another one in a trial that has failed: then they serve
        # no more, for what one of them sends next would be taken for what is waited for.
        self.astray = False

    def say(self, **said: Any) -> None:
        """To all of them."""
        for seat in self._seats():
            seat.say(**said)

    @contextlib.contextmanager
    def training(self, handle: TrialHandle) -> Iterator[Leader]:
        """All ranks train the handle's task; in here rank 0 does.

        Raises:
            RankFailed: another rank has failed.
            StorageError: rank 0 was refused a checkpoint that others took up.
        """
        task, place = handle.task.to_plain(), handle.checkpoint
        said = {"task": task, "checkpoint": str(place) if place else None}
        for seat in self._seats():
            seat.train(**said, folder=str(handle.folder), log=str(handle.log))
        try:
            yield Leader(handle, self)
        except BaseException as error:
            self._ended(SHARED_FAULT_S)
            if not isinstance(error, CheckpointRefused):
                self.astray = True
            elif self.astray:
                raise StorageError(f"not every rank was refused its checkpoint: {error}") from None
            raise
        else:
            self._ended(LEAVE_S)
        finally:
            if self._alarm:
                self._alarm.cancel()
            self._alarm = None
        self._look()

    def agree(self, begun: int) -> int:
        """The batch after which every rank leaves, none of which has begun another one by now.

        Ranks that run ahead of rank 0 wait for it: their gradients need its own.

        Args:
            begun: how many batches rank 0 has begun.
        """
        self.say(op="hold")
        after = max(begun, *(seat.begun.get() for seat in self._seats()))
        self.say(op="leave", after=after)
        return after

    def most(self, held: Mapping[str, int]) -> dict[str, int]:
        """What the rank that holds most holds, figure by figure."""
        known = [held, *(seat.usage for seat in self._met)]
        names = dict.fromkeys(name for each in known for name in each)
        return {name: max(each.get(name, 0) for each in known) for name in names}

    def _seats(self) -> list[_Seat]:
        """All others, once they have called."""
        while len(self._met) < self._others:
            self._met.append(_Seat(self._listener.accept()[0], self._set_alarm))
        return self._met

    def _set_alarm(self, seat: _Seat) -> None:
        if self._alarm is None:
            failure = RankFailed(seat.rank, seat.facts)
            self._alarm = threading.Timer(SHARED_FAULT_S, self._give_up, [failure.facts])
            self._alarm.daemon = True
            self._alarm.start()

    def _ended(self, patience_s: float) -> None:
        """Wait for the others. Where one has died, what ends this process is on its way."""
        until_s = time.monotonic() + patience_s
        self.astray = not all(seat.wait(until_s) for seat in self._seats())
        if any(seat.gone for seat in self._seats()):
            time.sleep(LEAVE_S)
            os._exit(1)

    def _look(self) -> None:
        for seat in self._seats():
            if seat.failed:
                self.astray = True
                raise RankFailed(seat.rank, seat.facts)


class Leader:
    """The handle of rank 0, see `frameworks.base.Handle`: what the driver answers, it tells all ranks."""

    def __init__(self, handle: TrialHandle, group: Group) -> None:
        self.task, self.checkpoint, self.folder = handle.task, handle.checkpoint, handle.folder
        self._handle, self._group = handle, group
        self._due = False
        self._begun = 0
        self._last: int | None = None

    def tell(self, metrics: Mapping[str, float], step: int) -> Answer:
        answer = self._handle.tell(metrics, step)
        self._due = self._handle.due()
        self._group.say(
            op="answer", step=step, answer=str(answer), due=self._due, improved=self._handle.improved()
        )
        return answer

    def hurry(self, metrics: Mapping[str, float], step: int) -> None:
        """Several ranks have to know the answer at the same place."""

    def post(self, metrics: Mapping[str, float], step: int) -> bool:
        """Nor may they be at different steps."""
        return False

    def pulse(self) -> None:
        self._handle.pulse()

    def leave_if_told(self) -> None:
        self._handle.pulse()
        if self._last is None and self._handle.overdue():
            self._last = self._group.agree(self._begun)
        if self._last is not None and self._begun >= self._last:
            raise TrialStopped
        self._begun += 1

    def due(self) -> bool:
        return self._due

    def save_checkpoint(self, step: int, write: Callable[[Path], object], behind: bool = False) -> None:
        begun: list[Path] = []

        def together(folder: Path) -> None:
            begun.append(folder)
            self._group.say(op="write", go=True)
            write(folder)

        try:
            self._handle.save_checkpoint(step, together, behind)
        finally:
            if not begun:  # the storage gave no folder to write into
                self._group.say(op="write", go=False)

    def improved(self) -> bool:
        return self._handle.improved()

    def save_weights(self, step: int, write: Callable[[Path], object], behind: bool = False) -> None:
        self._handle.save_weights(step, write, behind)
