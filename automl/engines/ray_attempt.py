"""The actor of one slot on Ray, which Tune's controller believes to be a Trainable. Never imports Tune.

Tune takes an actor a second of processor to import, and 100 MB; what it calls on one are five methods.
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
from ray.experimental import internal_kv

from automl import credentials
from automl.engines.base import Answer, Message, Task
from automl.host import Host
from automl.nursery import Elsewhere

STEP_S = 1.0
NAMESPACE = "automl"
# The key of a result under which Tune passes on what an attempt has said.
MESSAGES = "automl_messages"


class Attempt:
    """A thin, warm actor around a Host: the methods that Tune's controller calls on its actors.

    Args:
        config: `task` as JSON; `control`, the key of the decisions; `nursery`, where warm workers may be
            found, or empty; and perhaps `avoid`, nodes that this should not be on.
    """

    def __init__(self, config: Mapping[str, Any]) -> None:
        credentials.forget()  # whatever the node was started with
        self._host: Host | None = None
        self.reset(config)

    def reset(self, new_config: Mapping[str, Any]) -> bool:
        """Begin another attempt; true, as Tune wants to hear."""
        task = _here(Task(**json.loads(new_config["task"])))
        self._control_key = new_config["control"]
        self._place = {"node_id": ray.get_runtime_context().get_node_id()}
        if new_config.get("avoid"):
            self._place["avoided"] = new_config["avoid"]
        self._task, self._owes, self._steps = task, False, 0
        if self._host is None or self._host.busy:
            self._close()
            devices = [str(gpu) for gpu in ray.get_gpu_ids()]
            source = Elsewhere(new_config["nursery"]) if new_config["nursery"] else None
            cpus, gpus = task.resources["cpus"], task.resources["gpus"]
            self._host = Host(task.root, cpus, gpus, devices, source)
        self._host.start(task)
        return True

    def train(self) -> dict[str, Any]:
        """What the attempt has said, within a second; empty-handed if need be."""
        assert self._host
        if self._owes:
            self._owes = False
            answer = self._decision()
            self._host.answer(answer)
            if answer is Answer.STOP:
                self._host.stop()
        messages = self._listen(self._host)
        if not messages and self._decision() is Answer.STOP:
            self._host.stop()
        ended = bool(messages) and messages[-1]["kind"] == "ended"
        self._steps += 1
        return {MESSAGES: json.dumps(messages), "done": ended, "training_iteration": self._steps}

    def get_auto_filled_metrics(self, debug_metrics_only: bool = False) -> dict[str, Any]:
        """What Tune takes for the result of an attempt that has said nothing yet."""
        return {}

    def stop(self) -> None:
        """End what it has started."""
        self._close()

    def _listen(self, host: Host) -> list[Message]:
        """Messages until one that Tune must see now, for a second at most."""
        messages: list[Message] = []
        deadline = time.monotonic() + STEP_S
        while (left_s := deadline - time.monotonic()) > 0:
            message = host.poll(left_s)
            if message is None:
                continue
            messages.append(message | self._place if message["kind"] in ("started", "ended") else message)
            if message["kind"] in ("report", "ended"):
                self._owes = message["kind"] == "report"
                break
        return messages

    def _decision(self) -> Answer:
        raw = internal_kv._internal_kv_get(self._control_key, namespace=NAMESPACE)
        control: Mapping[str, Any] = json.loads(raw) if raw else {"stop": True, "answers": {}}
        if own := control["answers"].get(name_of(self._task)):
            return Answer(own)
        return Answer.STOP if control["stop"] else Answer.GO

    def _close(self) -> None:
        if self._host is not None:
            self._host.close()
            self._host = None


def _here(task: Task) -> Task:
    """A submitted project lies where Ray unpacked it: on each node in the current directory of its actors."""
    return task if Path(task.root).is_dir() else replace(task, root=os.getcwd())


def name_of(task: Task) -> str:
    """Under which a decision on it is kept."""
    return f"{task.trial}-{task.attempt}"
