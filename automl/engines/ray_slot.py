"""The actor of one slot on Ray, which Tune's controller believes to be a Trainable. Never imports Tune.

Tune takes an actor a second of processor to import, and 100 MB; what it calls on one are three methods.
Each call of `train` brings what the driver has to say: another attempt, or what the running one is told.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import ray

from automl import credentials
from automl.engines.base import Answer, Message, Task
from automl.host import Host
from automl.nursery import Elsewhere

STEP_S = 1.0
# The key of a result under which Tune passes on what an attempt has said.
MESSAGES = "automl_messages"


class SlotActor:
    """A thin actor around a Host: the methods that Tune's controller calls on its actors.

    Args:
        config: `nursery`, where warm workers may be found, or empty; and perhaps `avoid`, nodes that this
            should not be on.
    """

    def __init__(self, config: Mapping[str, Any]) -> None:
        credentials.forget()  # whatever the node was started with
        self._source = Elsewhere(config["nursery"]) if config["nursery"] else None
        self._place = {"node_id": ray.get_runtime_context().get_node_id()}
        if config.get("avoid"):
            self._place["avoided"] = config["avoid"]
        self._host: Host | None = None
        self._owes, self._steps = False, 0

    def train(self, said: str) -> dict[str, Any]:
        """Do what the driver says; then what the attempt has said, within a second; empty-handed if need be.

        Args:
            said: JSON: a `task` to begin with, or the `answer` to a report, of which only `stop` means
                something where there was none.
        """
        told = json.loads(said)
        if "task" in told:
            self._begin(_here(Task(**told["task"])))
        else:
            self._tell(Answer(told["answer"]))
        self._steps += 1
        return {MESSAGES: json.dumps(self._listen()), "training_iteration": self._steps}

    def get_auto_filled_metrics(self, debug_metrics_only: bool = False) -> dict[str, Any]:
        """What Tune takes for the result of a slot that was given nothing to do."""
        return {}

    def stop(self) -> None:
        """End what it has started."""
        if self._host is not None:
            self._host.close()
            self._host = None

    def _begin(self, task: Task) -> None:
        if self._host is None:
            devices = [str(gpu) for gpu in ray.get_gpu_ids()]
            self._host = Host(
                task.root, task.resources["cpus"], task.resources["gpus"], devices, self._source
            )
        self._owes = False
        self._host.start(task)

    def _tell(self, answer: Answer) -> None:
        assert self._host
        if self._owes:
            self._owes = False
            self._host.answer(answer)
        if answer is Answer.STOP:
            self._host.stop()

    def _listen(self) -> list[Message]:
        """Messages until one that Tune must see now, for a second at most."""
        assert self._host
        messages: list[Message] = []
        deadline = time.monotonic() + STEP_S
        while (left_s := deadline - time.monotonic()) > 0:
            message = self._host.poll(left_s)
            if message is None:
                continue
            messages.append(message | self._place if message["kind"] in ("started", "ended") else message)
            if message["kind"] in ("report", "ended"):
                self._owes = message["kind"] == "report"
                break
        return messages


def _here(task: Task) -> Task:
    """A submitted project lies where Ray unpacked it: on each node in the current directory of its actors."""
    return task if Path(task.root).is_dir() else replace(task, root=os.getcwd())
