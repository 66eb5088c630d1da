"""The child process: trains one trial after another and stays warm. `python -m automl.worker`.

A host starts it and speaks with it over a Unix socket, a JSON object a line. It opens no database and
knows neither Ray nor MLflow. It dies with its host, and a guard above it ends what it started.

| host -> worker | meaning |
|---|---|
| `{"op": "run", "task": {...}}` | train; answered by started, report..., checkpointed..., ended |
| `{"op": "answer", "answer": "go"}` | the answer to a report |
| `{"op": "stop"}` | leave the running attempt after a checkpoint |
| `{"op": "inspect", "trainers": {...}}` | answered by `inspected`: signatures as plain data |
| `{"op": "quit"}` | end |
"""

from __future__ import annotations

import contextlib
import gc
import json
import os
import queue
import select
import signal
import socket
import sys
import threading
import time
import traceback
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from automl import causes, gpu_memory, guard, once, project, ranks, streams, usage
from automl.engines.base import Answer, Task
from automl.errors import CheckpointRefused, StorageError
from automl.follower import follow
from automl.frameworks.base import Framework, framework, train
from automl.handle import TrialHandle, begins, say
from automl.rehearse import Rehearsal, read_back
from automl.resume import Resume
from automl.storage import TrialFolder, folders


class Link:
    """The worker's end of the socket. A thread reads, so that a stop is seen while training."""

    def __init__(self, path: str) -> None:
        self._socket = socket.socket(socket.AF_UNIX)
        self._socket.connect(path)
        self._lock = threading.Lock()
        self.operations: queue.Queue[dict[str, Any]] = queue.Queue()
        self.answers: queue.Queue[Answer] = queue.Queue()
        self.stopped_s: float | None = None
        threading.Thread(target=self._read, name="automl-link", daemon=True).start()

    def send(self, kind: str, **data: Any) -> None:
        line = json.dumps({"kind": kind, **data}) + "\n"
        with self._lock:
            self._socket.sendall(line.encode())

    def forget(self) -> None:
        """The attempt before is over: that it was stopped, and an answer that it left before it heard."""
        self.stopped_s = None
        with contextlib.suppress(queue.Empty):
            while True:
                self.answers.get_nowait()

    def pulse(self) -> None:
        """Tell that it trains; never waits for a host that does not read."""
        if select.select([], [self._socket], [], 0)[1]:
            self.send("pulse")

    def _read(self) -> None:
        with self._socket.makefile("r", encoding="utf-8") as lines:
            for line in lines:
                self._dispatch(json.loads(line))
        os._exit(1)  # the host is gone; the guard above ends what this process started

    def _dispatch(self, said: dict[str, Any]) -> None:
        if said["op"] == "answer":
            self.answers.put(Answer(said["answer"]))
        elif said["op"] == "stop":
            self.stopped_s = time.monotonic()
        else:
            self.operations.put(said)


class Worker:
    """One process, one framework; of several ranks it is the first.

    Args:
        link: to the host.
        said: what the host said when it started this process.
    """

    def __init__(self, link: Link, said: Mapping[str, Any]) -> None:
        self._link, self._scratch, self._root = link, Path(said["scratch"]), said["root"]
        self._framework_name, self._ranks = said["framework"], said["ranks"]
        self._cpus, self._gpus = said["cpus"], said["gpus"]
        self._group: ranks.Group | None = None
        if ranks.program(self._framework_name, self._ranks) == ranks.TORCHRUN:
            self._group = ranks.Group(self._scratch, self._ranks, self._give_up)
        self._framework: Framework | None = None
        self._served = 0
        self._held: dict[str, int] = {}
        self._beside_bytes: int | None = None
        self._codes: dict[tuple[str, ...], str] = {}

    @property
    def framework(self) -> Framework:
        """Imported at first need, so that a failing import is told as any other fault."""
        if self._framework is None:
            self._framework = framework(self._framework_name)
            self._framework.start(self._cpus, self._gpus, self._ranks)
            # What was imported stays: collecting garbage need not look at it again. Keras does so before
            # every trial, and would look for longer than a short epoch takes.
            gc.collect()
            gc.freeze()
        return self._framework

    def serve(self) -> None:
        """Do what the host says until it says quit."""
        while True:
            said = self._link.operations.get()
            if said["op"] == "quit":
                if self._group:
                    self._group.say(op="quit")
                return
            if said["op"] == "inspect":
                self._link.send("inspected", trainers=self._inspect(said["trainers"]))
            elif said["op"] == "run":
                self._run(Task(**said["task"]))

    def _run(self, task: Task) -> None:
        self._link.forget()
        guard.heed_dumps()
        try:
            files = TrialFolder(task.storage, task.search, task.trial, self._scratch)
        except StorageError as error:
            self._link.send("ended", **causes.failed(error))
            return
        with streams.log_into(files.log):
            if task.attempt > 1:
                print(f"--- attempt {task.attempt} on {socket.gethostname()}, pid {os.getpid()}", flush=True)
            ended = self._attempt(task, files)
        with contextlib.suppress(Exception):  # the log is a help, its loss no reason to fail the trial
            files.send_log()
        self._served += 1
        if self._group and self._group.astray:
            ended["spoilt"] = True
        self._link.send("ended", **ended, **self._gpu_facts(), usage=self._usage())
        if self._framework:
            with contextlib.suppress(Exception):  # a vendor's own; the next trial would meet it again
                self._framework.forget()

    def _gpu_facts(self) -> dict[str, int]:
        """What the trial has had of its GPU, where that is known. Never raises, as below."""
        with contextlib.suppress(Exception):  # a vendor's own
            use = self._framework.gpu_use() if self._framework and self._gpus else None
            if use is not None:
                if self._beside_bytes is None:  # asked once: nvidia-smi takes a while, a context stays
                    self._beside_bytes = use.beside_bytes(gpu_memory.process_bytes())
                return use.facts(self._beside_bytes)
        return {}

    def _give_up(self, ended: dict[str, Any]) -> None:
        """Another rank has failed, and this one waits for it; the host ends both."""
        self._link.send("ended", **{**ended, "spoilt": True}, usage={})

    def _usage(self) -> dict[str, int]:
        """What this process holds. What only waits to be collected is, before it counts as a leak."""
        now = self._measured()
        self._held = self._held or now
        if usage.outgrown(self._held, now):
            gc.collect()
            if self._framework:
                with contextlib.suppress(Exception):  # that of a GPU in error
                    self._framework.release()
            now = self._measured()
        return self._group.most(now) if self._group else now

    def _measured(self) -> dict[str, int]:
        """Never raises: the trial has ended already, and how it ended is still to be told."""
        try:
            return usage.measure(self._framework.gpu_bytes() if self._framework else 0)
        except Exception:  # a vendor's own
            return {usage.BROKEN: 1}

    def _attempt(self, task: Task, files: TrialFolder) -> dict[str, Any]:
        resume = Resume(task, files, self._scratch)
        try:
            try:
                resume.seek()
            finally:
                self._begin(resume)
            return self._resumed(resume, files)
        except (Exception, *causes.LEAVING) as error:
            streams.mend(files.log)
            traceback.print_exc()
            return error.facts if isinstance(error, ranks.RankFailed) else causes.failed(error)
        finally:
            resume.clear()

    def _begin(self, resume: Resume) -> None:
        task = resume.task
        addresses = [address for address in (task.model, task.data) if address]
        skipped = {"skipped": resume.skipped} if resume.skipped else {}
        self._link.send(
            "started",
            pid=os.getpid(),
            node=socket.gethostname(),
            device=self._device(),
            framework=task.framework,
            warm=self._served > 0,
            code=None if task.deep else self._code(addresses, Path(task.root)),
            resumed_step=task.step,
            micro=task.micro,
            **skipped,
        )
        for why in resume.skipped:
            say(f"{why}; {begins(task.step)}")

    def _code(self, addresses: Sequence[str], root: Path) -> str:
        """The hash of the code at its first use here: what a module was imported from stays what it is."""
        key = tuple(addresses)
        if key not in self._codes:
            self._codes[key] = project.code_hash(addresses, root)
        return self._codes[key]

    def _resumed(self, resume: Resume, files: TrialFolder) -> dict[str, Any]:
        """Train; from one checkpoint earlier where the trainer cannot go on from the last."""
        if resume.task.deep:
            return self._rehearse(resume.task, files)
        while True:
            handle = TrialHandle(self._link, resume.task, files, resume.folder)
            try:
                outcome = self._settled(handle)
            except CheckpointRefused as error:
                traceback.print_exc()
                resume.refuse(error)
                step, why = resume.task.step, resume.skipped[-1]
                say(f"{why}; {begins(step)}")
                self._link.send("checkpointed", step=step, path=resume.task.checkpoint, error=why)
                continue
            return {"outcome": outcome, "weights": _kept(handle, files), "reports": handle.reports}

    def _settled(self, handle: TrialHandle) -> str:
        """Train; what is still on its way to the storage then belongs to this attempt."""
        outcome = "failed"
        try:
            outcome = self._train(handle)
        finally:
            if outcome in ("failed", "pruned"):  # nobody asks for its weights
                handle.leave()
        handle.settle()
        return outcome

    def _rehearse(self, task: Task, files: TrialFolder) -> dict[str, Any]:
        handle = Rehearsal(self._link, task, files, None)
        outcome = self._train(handle)
        read_back(handle, self.framework, self._train, self._scratch)
        return {"outcome": outcome, "reports": handle.reports, "mute": handle.mute}

    def _train(self, handle: TrialHandle) -> str:
        if self._group is None:
            return train(self.framework, handle, self._link.pulse)
        with self._group.training(handle) as leader:
            return train(self.framework, leader, self._link.pulse)

    def warm(self, addresses: Sequence[str]) -> None:
        """Import what will be needed. What fails is tried again, and told, by whoever needs it."""
        if self._group:
            self._group.say(op="warm", addresses=addresses)
        with contextlib.suppress(Exception, *causes.LEAVING):
            _ = self.framework
            for address in addresses:
                project.resolve_address(address, self._root)

    def _device(self) -> str:
        return f"cuda:{os.environ.get('CUDA_VISIBLE_DEVICES', '')}" if self._gpus else "cpu"

    def _inspect(self, trainers: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
        if self._group:
            places = [trainer[part] for trainer in trainers.values() for part in ("model", "data")]
            self._group.say(op="warm", addresses=[each for each in places if each])
        return {name: self._signatures(trainer) for name, trainer in trainers.items()}

    def _signatures(self, trainer: Mapping[str, Any]) -> dict[str, Any]:
        found: dict[str, Any] = {"error": None, "model": None, "data": None, "fit": None}
        for part in ("model", "data"):
            try:
                vendor = self.framework
                if trainer.get(part):
                    found[part] = project.signature(
                        project.resolve_address(trainer[part], self._root), trainer["framework"]
                    )
                found["fit"] = vendor.fit_signature()
            except (Exception, *causes.LEAVING) as error:
                found["error"] = found["error"] or {"part": part, "text": causes.line(error)}
        return found


def _kept(handle: TrialHandle, files: TrialFolder) -> str | None:
    """Where the weights are: this attempt's, or the better ones that an attempt before it left."""
    if handle.weights:
        return handle.weights
    return next(reversed(folders(files.url, "weights")), None)


def main(host: int | None = None) -> None:
    """Serve the host at `AUTOML_SOCKET`; as another rank than the first, serve that one.

    Args:
        host: the pid of the process with which this one ends, if that is not its parent.
    """
    said = json.loads(os.environ["AUTOML_WORKER"])
    alone = ranks.program(said["framework"], said["ranks"]) == ranks.ALONE
    if alone:  # else the guards stand above torchrun
        guard.stand(Path(said["scratch"]), host)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    guard.heed_dumps()
    sys.path.insert(0, said["root"])
    streams.forgive()
    if not alone and (rank := int(os.environ["RANK"])):
        follow(said, rank)
    else:
        link = Link(os.environ["AUTOML_SOCKET"])
        once.attend(link.pulse)
        worker = Worker(link, said)
        link.send("hello", pid=os.getpid())
        if said["warm"]:
            worker.warm(said["warm"])
        worker.serve()
    streams.mend()
    os._exit(0)  # a trainer's left-over threads must not keep the process


if __name__ == "__main__":
    main()
