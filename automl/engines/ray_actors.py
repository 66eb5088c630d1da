"""What the Ray engine gives to Tune: a Searcher, a scheduler, a controller that tells its actors something.

A Tune trial is a slot: where attempts that take the same run one after another. So what Tune does for a
trial, which takes longer than a report, is done once a slot. What the desk decides goes to an actor with
the next call of its `train`. Imports Ray.
"""

from __future__ import annotations

import contextlib
import json
import math
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import ray
from ray import tune
from ray.air.execution import ResourceRequest
from ray.air.execution._internal import RayActorManager
from ray.air.execution._internal.tracked_actor import TrackedActor
from ray.exceptions import OutOfMemoryError, RayActorError
from ray.tune import tune as tune_module
from ray.tune.execution import tune_controller
from ray.tune.experiment import Trial
from ray.tune.schedulers import FIFOScheduler, TrialScheduler
from ray.tune.search import Searcher

from automl.engines.base import Answer, Desk, Message, Task
from automl.engines.ray_nodes import Nodes
from automl.engines.ray_slot import MESSAGES, STEP_S, SlotActor
from automl.resources import Kind

# While a slot waits for the sampler, Tune looks up so often; while nothing runs, this waits so long.
PEEK_S = 0.002
THOUGHT_S = 60.0
# A placement that could be had at once is there after so long; one that is taken back before blocks its node.
SETTLED_S = 0.5
_NODE_LABEL = "ray.io/node-id"
# From the text of Ray's OutOfMemoryError.
_LOW_ON_MEMORY = "killed due to the node running low on memory"
# Of what Tune would send to an actor; the rest are objects of its own, whose import takes a second.
_SENT = ("avoid", "nursery")


@dataclass(frozen=True)
class Shape:
    """What a slot takes, beside the CPUs that all take, and the nodes that it keeps off."""

    gpus: float
    avoid: tuple[str, ...]


@dataclass
class Held:
    """A slot as the bridge sees it.

    Args:
        shape: what it takes.
        up: whether its actor has started.
        task: the attempt that it has.
        told: whether the actor has heard of that.
        answer: to what the attempt has said last.
        node: where it is, by Ray's id, once an attempt has said so.
    """

    shape: Shape
    up: bool = False
    task: Task | None = None
    told: bool = False
    answer: Answer = Answer.GO
    node: str = ""


class Bridge:
    """Between Tune's callbacks and the desk. Nothing that it is called for ever raises into Tune.

    A slot is called by its Tune trial's id. Tasks that the desk has handed out before there is a slot for
    them are ready for the first that takes as much.
    """

    def __init__(self, desk: Desk, nodes: Nodes) -> None:
        self.desk, self._nodes = desk, nodes
        self.error: BaseException | None = None
        self._slots: dict[str, Held] = {}
        self._ready: list[tuple[Shape, Task]] = []

    def __reduce__(self) -> tuple[Any, tuple[()]]:
        """Tune pickles its searcher and scheduler to disk; of ours nothing goes there, nor is needed."""
        return dict, ()

    # --- slots that are not there yet ------------------------------------------------------

    def next_slot(self, slot: str) -> dict[str, Any] | str | None:
        """What another slot takes; None for not now; FINISHED at the end."""
        try:
            self.tick()
            shape = self._lacking()
            if shape is None and not self.waiting and self.error is None:
                self._ready += self._next_task()
                shape = self._lacking()
        except Exception as error:
            self._break(error)
            shape = None
        if shape is not None:
            self._slots[slot] = Held(shape)
            return {"gpus": shape.gpus, "avoid": list(shape.avoid)}
        over = self.error is not None or self.desk.done
        return Searcher.FINISHED if over and not self._running else None

    def _lacking(self) -> Shape | None:
        """What the first ready task takes that no slot is about to come for."""
        coming = Counter(each.shape for each in self._slots.values() if not each.up)
        for shape, _ in self._ready:
            if not coming[shape]:
                return shape
            coming[shape] -= 1
        return None

    @property
    def needless(self) -> bool:
        """Whether those have nothing to wait for: others were free before."""
        return self.error is not None or not (self._ready or self.desk.more)

    # --- slots that are there --------------------------------------------------------------

    @property
    def waiting(self) -> list[str]:
        """The free ones: what to try there is being thought of."""
        return [name for name, each in self._slots.items() if each.up and each.task is None]

    def serve(self, slot: str) -> str:
        """Give a free slot its next attempt; whether Tune shall go on with it, let it wait, or end it."""
        mine = self._slots[slot]
        mine.up = True
        try:
            if self.error is None and not self._leaves(mine):
                if self._take(mine):
                    return str(TrialScheduler.CONTINUE)
                if self._room and self.desk.hungry and self.desk.more:
                    return str(TrialScheduler.NOOP)
        except Exception as error:
            self._break(error)
        del self._slots[slot]
        return str(TrialScheduler.STOP)

    def _take(self, mine: Held) -> bool:
        """Whether there was a task for a slot. One that takes something else is ready for another."""
        if self._take_ready(mine):
            return True
        self._ready += self._next_task()
        return self._take_ready(mine)

    def _take_ready(self, mine: Held) -> bool:
        for found in self._ready:
            if found[0] == mine.shape:
                self._ready.remove(found)
                mine.task, mine.told, mine.answer = found[1], False, Answer.GO
                return True
        return False

    def said(self, slot: str) -> str | None:
        """What the actor of a slot is told with its next call; None for one that has nothing to do."""
        mine = self._slots[slot]
        if mine.task is None:
            return None
        if not mine.told:
            mine.told = True
            return json.dumps({"task": mine.task.to_plain()})
        answer, mine.answer = mine.answer, Answer.GO
        stops = self.error is not None or self.desk.stopping or self._leaves(mine)
        return json.dumps({"answer": Answer.STOP if answer is Answer.GO and stops else answer})

    def hear(self, slot: str, messages: Sequence[Message]) -> str:
        """Hand an attempt's messages to the desk; how Tune shall go on with the slot."""
        mine = self._slots.get(slot)
        if mine is None or mine.task is None:
            return str(TrialScheduler.STOP)
        task = mine.task
        if messages and messages[-1]["kind"] == "ended":
            mine.task = None
        try:
            for message in messages:
                if message["kind"] == "started":
                    mine.node = message.get("node_id", "")
                answer = self.desk.hear(task, message)
                if message["kind"] == "report":
                    mine.answer = answer
            self.tick()
        except Exception as error:
            self._break(error)
        return str(TrialScheduler.CONTINUE) if mine.task else self.serve(slot)

    def _leaves(self, mine: Held) -> bool:
        """Attempts on nodes that will go write a checkpoint and leave; their trials go on elsewhere."""
        return mine.node in self._nodes.leaving

    # --- the ends of slots -----------------------------------------------------------------

    def gone(self, slot: str, how: Message) -> None:
        """Tune has ended a slot; where its actor never came, a task that was ready for it fails with it."""
        mine = self._slots.pop(slot, None)
        if mine is None:
            return
        if not mine.up:
            self._take_ready(mine)
        if mine.task is not None:
            try:
                self.desk.hear(mine.task, {**how, "node_id": mine.node})
                self.tick()
            except Exception as error:
                self._break(error)

    def tick(self) -> None:
        self.desk.tick()
        if self.desk.stopping:
            while self._ready:
                self.desk.give_back(self._ready.pop()[1])
        self._nodes.want_for(self.desk)

    def _break(self, error: Exception) -> None:
        """The first error ends the run; attempts are told to stop, and `run` raises it."""
        self.error = self.error or error
        self._ready.clear()

    # --- the desk --------------------------------------------------------------------------

    @property
    def _running(self) -> list[Task]:
        return [each.task for each in self._slots.values() if each.task is not None]

    @property
    def _room(self) -> bool:
        return len(self._running) + len(self._ready) < self.desk.slots

    def _next_task(self) -> list[tuple[Shape, Task]]:
        """The desk's next, if any; where nothing runs there is nothing to hear while it is thought of."""
        if not self._room:
            return []  # one was told to end: its slot is free in a moment, and another is not needed
        task = self.desk.next_task(self._fits)
        if task is None and self.desk.thinking:  # most samplers have it before Tune is round again
            self.desk.wait(PEEK_S)
            task = self.desk.next_task(self._fits)
        until_s = time.monotonic() + THOUGHT_S
        while task is None and not self._running and self.desk.thinking and time.monotonic() < until_s:
            self.desk.wait(STEP_S / 5)
            self.tick()
            task = self.desk.next_task(self._fits)
        if task is None:
            return []
        gpus = task.resources["gpus"]
        return [(Shape(gpus, tuple(self._nodes.avoidable(task.avoid, self.desk.cpus, gpus))), task)]

    def _fits(self, task: Task) -> bool:
        """Whether Ray could start it now; one that waits in Tune could not be given another share."""
        known = [*self._running, *(each for _, each in self._ready)]
        share = self.desk.share if known else 1  # one always may have what there is
        there = self._nodes.capacity(self.desk.cpus, 0).gpus
        taken = sum(each.resources["gpus"] for each in (*known, task))
        return taken <= there * share + 1e-9


class SlotSearcher(Searcher):
    """Tune asks it for trials; it gives slots."""

    def __init__(self, bridge: Bridge) -> None:
        super().__init__()
        self._bridge = bridge

    # Ray's own annotation forgets FINISHED, which is a text.
    def suggest(self, trial_id: str) -> dict[str, Any] | str | None:  # type: ignore[override]
        return self._bridge.next_slot(trial_id)

    def on_trial_complete(self, trial_id: str, result: dict | None = None, error: bool = False) -> None:
        lost = {"kind": "ended", "outcome": "lost", "error": "its Ray actor or node died"}
        self._bridge.gone(trial_id, lost)

    def save(self, checkpoint_path: str) -> None:
        """Nothing to keep: the ledger remembers."""

    def restore(self, checkpoint_path: str) -> None:
        """Nothing to bring back: the ledger remembers."""


class Actors(RayActorManager):
    """Tune's own (2.60): it looks up sooner, lets placements settle, and bears an end for memory."""

    desk: Desk | None = None
    _requested_s = -math.inf

    def add_actor(
        self, cls: Any, kwargs: dict[str, Any], resource_request: ResourceRequest, **words: Any
    ) -> TrackedActor:
        self._requested_s = time.monotonic()
        sent = {key: kwargs["config"][key] for key in _SENT if key in kwargs["config"]}
        return super().add_actor(cls, {"config": sent}, resource_request, **words)

    def remove_actor(self, tracked_actor: Any, *arguments: Any, **words: Any) -> bool:
        if tracked_actor in self._pending_actors_to_attrs:
            self._let_settle()
        return bool(super().remove_actor(tracked_actor, *arguments, **words))

    def cleanup(self) -> None:
        if self._pending_actors_to_attrs:
            self._let_settle()
        super().cleanup()

    def _let_settle(self) -> None:
        """A placement that is taken back between its two phases leaves Ray's node short of it for ever."""
        time.sleep(max(0.0, self._requested_s + SETTLED_S - time.monotonic()))

    def next(self, timeout: float | None = None) -> bool:
        """Tune asks for a trial once in a turn; one that is being thought of shall not wait for the next."""
        hungry = self.desk is not None and self.desk.hungry
        return super().next(min(timeout or PEEK_S, PEEK_S) if hungry else timeout)

    def _actor_task_failed(self, tracked_actor_task: Any, exception: Exception) -> None:
        """Tune would end the whole experiment when Ray ends one actor for memory."""
        if isinstance(exception, OutOfMemoryError):
            exception = RayActorError(error_msg=str(exception))
        super()._actor_task_failed(tracked_actor_task, exception)


class Slot(tune.Trainable):
    """What Tune is told to run; its actors are of another class, see `SlotActor`."""


class Classes(tune_controller._ActorClassCache):
    """Tune's own (2.60) gives its actors an environment of their own, so that no worker that Ray has
    started already can become one.

    On a Ray that this driver has started, its own environment is theirs. On a cluster it may not be: there
    Tune brings along what names a bucket's credentials.
    """

    alone = False

    def get(self, trainable_cls: type) -> Any:
        return ray.remote(SlotActor) if self.alone else super().get(SlotActor)


class Controller(tune_controller.TuneController):
    """Tune's own (2.60), whose calls of `train` tell the actors something, and whose slots may wait."""

    bridge: Bridge

    @property
    def _max_pending_trials(self) -> int:
        """How many may wait for their actors. Tune's own is one, where a searcher is not its own."""
        return self.bridge.desk.ahead

    @_max_pending_trials.setter
    def _max_pending_trials(self, most: int) -> None:
        """It is as many as there are slots, and these come and go."""

    def on_step_begin(self) -> None:
        super().on_step_begin()
        waiting = self.bridge.waiting
        for trial in [each for each in self._running_trials if each.trial_id in waiting]:
            self._execute_action(trial, self.bridge.serve(trial.trial_id))
        if self._pending_trials and self.bridge.needless:
            for trial in list(self._pending_trials):
                self.stop_trial(trial)

    def _schedule_trial_train(self, trial: Trial) -> None:
        said = self.bridge.said(trial.trial_id)
        if said is None:  # its actor has just started
            self._execute_action(trial, self.bridge.serve(trial.trial_id))
            return
        self._schedule_trial_task(
            trial, "train", (said,), on_result=self._on_training_result, on_error=self._trial_task_failure
        )


@contextlib.contextmanager
def mended(bridge: Bridge, alone: bool) -> Iterator[None]:
    """Tune makes its parts from the names that its modules have for them.

    Args:
        bridge: to the desk of this run.
        alone: whether this driver has started Ray.
    """
    Actors.desk, Controller.bridge, Classes.alone = bridge.desk, bridge, alone
    parts = (
        (tune_controller, "RayActorManager", Actors),
        (tune_controller, "_ActorClassCache", Classes),
        (tune_module, "TuneController", Controller),
    )
    with contextlib.ExitStack() as stack:
        stack.callback(setattr, Actors, "desk", None)
        stack.callback(delattr, Controller, "bridge")
        for module, name, ours in parts:
            stack.callback(setattr, module, name, getattr(module, name))
            setattr(module, name, ours)
        yield


class ReportScheduler(FIFOScheduler):
    """Tune shows it every result; the desk decides, and Tune goes on with the slot accordingly."""

    def __init__(self, bridge: Bridge) -> None:
        super().__init__()
        self._bridge = bridge

    def on_trial_result(self, tune_controller: Any, trial: Any, result: dict) -> str:
        return self._bridge.hear(trial.trial_id, json.loads(result[MESSAGES]))

    def on_trial_error(self, tune_controller: Any, trial: Any) -> None:
        """Comes before the searcher's `on_trial_complete`, which is not told what the error was."""
        with contextlib.suppress(OSError):
            if _LOW_ON_MEMORY in Path(trial.error_file or "").read_text():
                error = "Ray ended its worker, because the node was low on memory"
                memory = {"kind": "ended", "outcome": "failed", "cause": "memory", "error": error}
                self._bridge.gone(trial.trial_id, memory)


def placement(cpus: float, gpus: float, avoid: Sequence[str], kind: Kind) -> tune.PlacementGroupFactory:
    """What an attempt needs, and where it must not be. A slot is for tasks that take the same."""
    bundle = {"CPU": cpus, "GPU": gpus, **kind.amounts}
    where = dict(kind.labels)
    if avoid:
        where[_NODE_LABEL] = f"!in({','.join(sorted(avoid))})"
    if not where:
        return tune.PlacementGroupFactory([bundle])
    return tune.PlacementGroupFactory([bundle], bundle_label_selector=[where])
