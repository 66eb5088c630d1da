"""Supervises workers: starts them, feeds them, stops and recycles them.

Has never heard of Ray or a database: an engine drives it, `poll` never blocks for longer than asked.
"""

from __future__ import annotations

import shutil
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from automl import causes, scratch, stacks, usage
from automl.engines.base import Answer, Message, Task
from automl.errors import StorageError
from automl.nursery import Source
from automl.process import WorkerProcess
from automl.storage import TrialFolder
from automl.watch import Watch

# A worker that is to be killed for its silence has so long to write down where it hangs.
DUMP_S = 1.0
# After so many trials a worker is replaced, whatever `usage` says of it.
SERVES = 500
# Between the host and its worker; no desk hears of these.
_PRIVATE = ("hello", "pulse")


class Host:
    """The workers of one slot: one of each framework on CPU, a single one where there is a GPU.

    Args:
        root: the project's folder.
        cpus, gpus: what this slot was given.
        devices: the GPUs that it may see, as CUDA_VISIBLE_DEVICES takes them.
        source: where workers may be found that are warm already, for as many CPUs.
    """

    def __init__(
        self,
        root: str,
        cpus: float,
        gpus: float = 0,
        devices: Sequence[str] = (),
        source: Source | None = None,
    ) -> None:
        self._root, self._cpus, self._gpus = root, cpus, gpus
        self._source = source
        self._devices = ",".join(devices)
        self._scratch = scratch.make()
        self._workers: dict[str, WorkerProcess] = {}
        self._busy: WorkerProcess | None = None
        self._heard: deque[Message] = deque()
        self._task: Task | None = None
        self._watch = Watch(None, None)
        self._dumped: tuple[float, Path, int] | None = None
        self._oom_kills = 0

    @property
    def busy(self) -> bool:
        return self._busy is not None

    def fileno(self) -> int:
        """For `select`: readable when the running attempt has something to say."""
        return self._busy.fileno() if self._busy else -1

    def start(self, task: Task) -> None:
        """Begin an attempt; its messages come from `poll`."""
        assert not self.busy, "a host runs one attempt at a time"
        self._heard.clear()
        self._task, self._dumped = task, None
        self._oom_kills = causes.oom_kills()
        self._watch = Watch(task.silence_s, task.trial_s)
        self._busy = self._worker(task.framework, int(task.resources.get("ranks", 1)))
        self._busy.served += 1
        self._busy.send({"op": "run", "task": task.to_plain()})

    def poll(self, timeout_s: float) -> Message | None:
        """The next message of the running attempt, or None within the time. `ended` is the last."""
        if not self._heard and self._busy:
            self._listen(timeout_s)
        if not self._heard:
            return None
        message = self._heard.popleft()
        if message["kind"] == "ended":
            self._ended(message)
        return message

    def answer(self, answer: Answer) -> None:
        """Answer the attempt's last report, whether it waits for that or trains on."""
        if self._busy:
            self._watch.answer()
            self._busy.send({"op": "answer", "answer": str(answer)})

    def stop(self) -> None:
        """Have the attempt leave after a checkpoint; a worker that does not is killed."""
        if self._busy and self._watch.stop():
            self._busy.send({"op": "stop"})

    def inspect(
        self,
        trainers: Mapping[str, Mapping[str, Any]],
        timeout_s: float,
        meanwhile: Callable[[], None] = lambda: None,
    ) -> dict[str, Any]:
        """Signatures of trainers as plain data; the workers stay, warm.

        Args:
            trainers: framework, model, data and perhaps `ranks` by the trainer's name.
            timeout_s: for all together; importing user code may hang.
            meanwhile: called while the workers import their frameworks.

        Returns:
            For each name `error` (None, or `part` and `text`), `model`, `data` and `fit`.
        """
        by_framework: dict[str, dict[str, Any]] = {}
        for name, trainer in trainers.items():
            by_framework.setdefault(trainer["framework"], {})[name] = dict(trainer)
        asked = {name: self._worker(name, _ranks(mine)) for name, mine in by_framework.items()}
        for framework, worker in asked.items():
            worker.send({"op": "inspect", "trainers": by_framework[framework]})
        meanwhile()
        deadline = time.monotonic() + timeout_s
        found: dict[str, Any] = {}
        for framework, worker in asked.items():
            found |= self._inspected(worker, by_framework[framework], deadline, timeout_s)
        return {name: found[name] for name in trainers}

    def _inspected(
        self, worker: WorkerProcess, trainers: Mapping[str, Any], deadline: float, timeout_s: float
    ) -> dict[str, Any]:
        text = f"importing took longer than {timeout_s:g} s"
        while (left_s := deadline - time.monotonic()) > 0:
            messages = worker.receive(min(left_s, 1.0))
            if messages is None:
                text = f"the worker died while importing it: {worker.died()}. {worker.tail()}".strip()
                break
            for message in messages:
                if message["kind"] == "inspected":
                    return dict(message["trainers"])
        worker.kill()
        self._forget(worker)
        failed = {"error": {"part": "model", "text": text}, "model": None, "data": None, "fit": None}
        return dict.fromkeys(trainers, failed)

    def give_up(self) -> list[WorkerProcess]:
        """The workers, which from now on are the caller's; none of them may be busy."""
        workers, self._workers = list(self._workers.values()), {}
        return workers

    def leave(self) -> None:
        """Begin to end every worker; `close` waits for that."""
        for worker in self._workers.values():
            worker.leave()

    def close(self) -> None:
        """End every worker and everything that they started."""
        self.leave()
        self._drop_all()
        self._busy = None
        shutil.rmtree(self._scratch, ignore_errors=True)

    def _worker(self, framework: str, ranks: int = 1) -> WorkerProcess:
        worker = self._workers.get(framework)
        if worker is not None and (worker.served >= SERVES or worker.ranks != ranks):
            worker.kill()
            self._forget(worker)
            worker = None
        if worker is None:
            if self._gpus:  # two frameworks would fight for one GPU's memory
                self._drop_all()
            size = self._cpus, self._gpus, self._devices
            if self._source:
                worker = self._source.take(framework, ranks, self._gpus, self._devices)
            worker = worker or WorkerProcess.spawn(framework, *size, self._root, self._scratch, ranks)
            self._workers[framework] = worker
        return worker

    def _listen(self, timeout_s: float) -> None:
        assert self._busy
        messages = self._busy.receive(timeout_s)
        if messages is None:
            self._heard.append(_dead(self._busy.died(), causes.oom_kills() - self._oom_kills))
            self._forget(self._busy)
            return
        for message in messages:
            self._watch.hear(message["kind"], message.pop("waited_s", None))
        self._heard.extend(m for m in messages if m["kind"] not in _PRIVATE)
        if not any(message["kind"] == "ended" for message in messages):
            self._look_at_the_clocks(self._busy)

    def _look_at_the_clocks(self, worker: WorkerProcess) -> None:
        """An attempt that is out of time writes down where it is, and a moment later is killed."""
        verdict = self._watch.verdict()
        if verdict is None:
            self._dumped = None
        elif self._dumped is None:
            log = self._log(worker)
            self._dumped = time.monotonic(), log, log.stat().st_size if log.exists() else 0
            worker.dump()
        elif time.monotonic() - self._dumped[0] > DUMP_S:
            self._heard.append({"kind": "ended", **verdict, **self._hung_at(verdict["error"])})
            worker.kill()
            self._forget(worker)

    def _log(self, worker: WorkerProcess) -> Path:
        """Where the worker's stderr goes to now: the trial's log, once the attempt has started."""
        assert self._task
        try:
            return TrialFolder(self._task.storage, self._task.search, self._task.trial, worker.scratch).log
        except (OSError, StorageError):
            return worker.log

    def _hung_at(self, error: str) -> dict[str, str]:
        """The error with the place where it hung, and the stacks of all threads."""
        assert self._dumped and self._task
        _, log, size = self._dumped
        trace = stacks.dumped(log, size)
        place = stacks.where(trace, self._task.root)
        return {"error": f"{error}. It was at {place}" if place else error, "trace": trace[:4000]}

    def _ended(self, message: Message) -> None:
        worker, self._busy = self._busy, None
        held = message.get("usage")
        if worker is None or held is None:
            return
        worker.first_held = worker.first_held or held
        if message.get("spoilt") or usage.outgrown(worker.first_held, held):
            worker.kill()
            self._forget(worker)

    def _forget(self, worker: WorkerProcess) -> None:
        self._workers.pop(worker.framework, None)
        shutil.rmtree(worker.scratch, ignore_errors=True)

    def _drop_all(self) -> None:
        for worker in list(self._workers.values()):
            worker.kill()
            self._forget(worker)


def _ranks(trainers: Mapping[str, Mapping[str, Any]]) -> int:
    return max(int(trainer.get("ranks", 1)) for trainer in trainers.values())


def _dead(how: str, oom_kills: int) -> Message:
    cause = causes.of_death(how, oom_kills)
    why = " because memory ran out" if cause == "memory" else ""
    return {"kind": "ended", "outcome": "failed", "cause": cause, "error": f"the worker died: {how}{why}"}
