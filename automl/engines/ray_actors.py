"""What the Ray engine gives to Tune: a Searcher, a scheduler, a controller that loses no actor. Imports Ray.

Decisions go back to the actors through Ray's key-value store, which an actor reads before it answers
its worker: so a decision that is put before the controller goes on is always seen.
"""

from __future__ import annotations

import contextlib
import json
import math
import time
from collections.abc import Collection, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import ray
from ray import tune
from ray.air.execution import ResourceRequest
from ray.air.execution._internal import RayActorManager
from ray.air.execution._internal.tracked_actor import TrackedActor
from ray.exceptions import OutOfMemoryError, RayActorError
from ray.experimental import internal_kv
from ray.tune import tune as tune_module
from ray.tune.execution import tune_controller
from ray.tune.schedulers import FIFOScheduler, TrialScheduler
from ray.tune.search import Searcher

from automl.engines.base import Answer, Desk, Message, Task
from automl.engines.ray_attempt import MESSAGES, NAMESPACE, STEP_S, Attempt, name_of
from automl.engines.ray_nodes import Nodes
from automl.resources import Kind

# While a slot waits for the sampler, Tune looks up so often; while nothing runs, this waits so long.
PEEK_S = 0.002
THOUGHT_S = 60.0
# A placement that could be had at once is there after so long; an actor without one may take another.
SETTLED_S = 0.5
_NODE_LABEL = "ray.io/node-id"
# From the text of Ray's OutOfMemoryError.
_LOW_ON_MEMORY = "killed due to the node running low on memory"
# Of what Tune would send to an actor; the rest are objects of its own, whose import takes a second.
_SENT = ("control", "task", "avoid", "nursery")


class Bridge:
    """Between Tune's callbacks and the desk. Nothing that it is called for ever raises into Tune."""

    def __init__(
        self,
        desk: Desk,
        key: str,
        nodes: Nodes,
    ) -> None:
        self.desk, self._nodes = desk, nodes
        self._places: dict[str, str] = {}
        self.vacated: set[str] = set()
        self.error: BaseException | None = None
        self._key = key
        self._tasks: dict[str, Task] = {}
        self._answers: dict[str, str] = {}
        self._stopped = False
        self._put()

    def __reduce__(self) -> tuple[Any, tuple[()]]:
        """Tune pickles its searcher and scheduler to disk; of ours nothing goes there, nor is needed."""
        return dict, ()

    def next_config(self, trial_id: str) -> dict[str, Any] | str | None:
        """The configuration of a new Tune trial; None for not now; FINISHED at the end."""
        try:
            self.tick()
            task = None if self.error else self._next_task()
            if task is not None:
                self._tasks[trial_id] = task
                gpus = task.resources["gpus"]
                avoid = self._nodes.avoidable(task.avoid, self.desk.cpus, gpus)
                plain = json.dumps(task.to_plain())
                return {"control": self._key, "task": plain, "gpus": gpus, "avoid": avoid}
            over = self.error is not None or self.desk.done
            return Searcher.FINISHED if over and not self._tasks else None
        except Exception as error:
            self._break(error)
            return None if self._tasks else Searcher.FINISHED

    def _next_task(self) -> Task | None:
        """The desk's; where nothing runs there is nothing to hear meanwhile, and Tune would sleep longer."""
        if len(self._tasks) >= self.desk.slots:
            return None  # one was told to end: its actor is free in a moment, and another is not needed
        task = self.desk.next_task(self._fits)
        until_s = time.monotonic() + THOUGHT_S
        while task is None and not self._tasks and self.desk.thinking and time.monotonic() < until_s:
            self.desk.wait(STEP_S / 5)
            self.tick()
            task = self.desk.next_task(self._fits)
        return task

    def _fits(self, task: Task) -> bool:
        """Whether Ray could start it now; one that waits in Tune could not be given another share."""
        taken = sum(each.resources["gpus"] for each in self._tasks.values())
        share = self.desk.share if self._tasks else 1  # one always may have what there is
        there = self._nodes.capacity(self.desk.cpus, 0).gpus
        return taken + task.resources["gpus"] <= there * share + 1e-9

    def hear(self, trial_id: str, messages: list[Message]) -> None:
        """Hand an attempt's messages to the desk and post its decisions."""
        task = self._tasks.get(trial_id)
        if task is None:
            return
        try:
            for message in messages:
                if message["kind"] == "started":
                    self._places[trial_id] = message.get("node_id", "")
                if message["kind"] == "ended":
                    self._forget(trial_id)
                answer = self.desk.hear(task, message)
                if message["kind"] == "report" and answer in (Answer.END, Answer.FINISH):
                    self._answers[name_of(task)] = str(answer)
                    self._put()
            self.tick()
        except Exception as error:
            self._break(error)

    def short_of_memory(self, trial_id: str) -> None:
        """Ray ended an actor before the kernel would have had to."""
        error = "Ray ended its worker, because the node was low on memory"
        self.hear(trial_id, [{"kind": "ended", "outcome": "failed", "cause": "memory", "error": error}])
        self._forget(trial_id)

    def lost(self, trial_id: str) -> None:
        """An actor died, or its node."""
        self.hear(trial_id, [{"kind": "ended", "outcome": "lost", "error": "its Ray actor or node died"}])
        self._forget(trial_id)

    def tick(self) -> None:
        self.desk.tick()
        if self.desk.stopping and not self._stopped:
            self._stopped = True
            self._put()
        self._nodes.want_for(self.desk)
        self._vacate()

    def _vacate(self) -> None:
        """Attempts on nodes that will go write a checkpoint and leave; their trials go on elsewhere."""
        leaving = self._nodes.leaving
        told = {each for each in self._tasks if self._places.get(each) in leaving} - self.vacated
        for trial_id in told:
            self._answers[name_of(self._tasks[trial_id])] = str(Answer.STOP)
        if told:
            self.vacated |= told
            self._put()

    def _break(self, error: Exception) -> None:
        """The first error ends the run; attempts are told to stop, and `run` raises it."""
        self.error = self.error or error
        self._stopped = True
        self._put()

    def _forget(self, trial_id: str) -> None:
        task = self._tasks.pop(trial_id, None)
        self._places.pop(trial_id, None)
        if task is not None:
            self._answers.pop(name_of(task), None)

    def _put(self) -> None:
        said = json.dumps({"stop": self._stopped, "answers": self._answers})
        internal_kv._internal_kv_put(self._key, said, overwrite=True, namespace=NAMESPACE)


class TaskSearcher(Searcher):
    """Tune asks it for trials; it asks the desk."""

    def __init__(self, bridge: Bridge) -> None:
        super().__init__()
        self._bridge = bridge

    # Ray's own annotation forgets FINISHED, which is a text.
    def suggest(self, trial_id: str) -> dict[str, Any] | str | None:  # type: ignore[override]
        return self._bridge.next_config(trial_id)

    def on_trial_complete(self, trial_id: str, result: dict | None = None, error: bool = False) -> None:
        if error or not result or MESSAGES not in result:
            self._bridge.lost(trial_id)
        else:
            self._bridge.hear(trial_id, json.loads(result[MESSAGES]))

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
        return super().add_actor(cls, {"config": _sent(kwargs["config"])}, resource_request, **words)

    def schedule_actor_task(  # type: ignore[override]
        self,
        tracked_actor: TrackedActor,
        method_name: str,
        args: tuple[Any, ...] | None = None,
        kwargs: dict[str, Any] | None = None,
        **words: Any,
    ) -> Any:
        if method_name == "reset":
            assert args
            args, kwargs = (_sent(args[0]),), None
        return super().schedule_actor_task(tracked_actor, method_name, args, kwargs, **words)

    def remove_actor(self, tracked_actor: Any, *arguments: Any, **words: Any) -> bool:
        if tracked_actor in self._pending_actors_to_attrs:
            self._let_settle()
        return bool(super().remove_actor(tracked_actor, *arguments, **words))

    def cleanup(self) -> None:
        if self._pending_actors_to_attrs:
            self._let_settle()
        super().cleanup()

    @property
    def settles_s(self) -> float:
        """Seconds until every actor has its place that can have one now."""
        return max(0.0, self._requested_s + SETTLED_S - time.monotonic())

    def _let_settle(self) -> None:
        """A placement that is taken back between its two phases leaves Ray's node short of it for ever."""
        time.sleep(self.settles_s)

    def next(self, timeout: float | None = None) -> bool:
        """Tune asks for a trial once in a turn; one that is being thought of shall not wait for the next."""
        hungry = self.desk is not None and self.desk.hungry
        return super().next(min(timeout or PEEK_S, PEEK_S) if hungry else timeout)

    def _actor_task_failed(self, tracked_actor_task: Any, exception: Exception) -> None:
        """Tune would end the whole experiment when Ray ends one actor for memory."""
        if isinstance(exception, OutOfMemoryError):
            exception = RayActorError(error_msg=str(exception))
        super()._actor_task_failed(tracked_actor_task, exception)


def _sent(config: Mapping[str, Any]) -> dict[str, Any]:
    return {key: config[key] for key in _SENT if key in config}


class Slot(tune.Trainable):
    """What Tune is told to run; its actors are of another class, see `Attempt`."""


class Classes(tune_controller._ActorClassCache):
    """Tune's own (2.60) gives its actors an environment of their own, so that no worker that Ray has
    started already can become one.

    On a Ray that this driver has started, its own environment is theirs. On a cluster it may not be: there
    Tune brings along what names a bucket's credentials.
    """

    alone = False

    def get(self, trainable_cls: type) -> Any:
        return ray.remote(Attempt) if self.alone else super().get(Attempt)


class Controller(tune_controller.TuneController):
    """Tune's own (2.60), which would lose actors.

    It gives a warm actor to a trial whose own is starting, and ends that: where trials are shorter than
    an actor's start, there would never be more than one. And it ends warm actors that no trial is there
    for, although the next one is only being thought of, and keeps one of them at most.
    """

    vacated: Collection[str] = ()  # trials whose actors are on nodes that go
    _actor_manager: Actors

    @property
    def _max_pending_trials(self) -> int:
        """How many trials may wait for their actors. Tune's own is one, where a searcher is not its own."""
        return Actors.desk.ahead if Actors.desk else 1

    @_max_pending_trials.setter
    def _max_pending_trials(self, most: int) -> None:
        """It is as many as there are slots, and these come and go."""

    def _maybe_reuse_cached_actor(self, trial: Any) -> bool:
        own = self._trial_to_actor.get(trial)
        if own is not None and trial not in self._resetting_trials and not self._waits_in_vain(own):
            return False
        return bool(super()._maybe_reuse_cached_actor(trial))

    def _waits_in_vain(self, actor: Any) -> bool:
        """Whether an actor has no place after a while: the warm one may be what has that place."""
        return not self._actor_manager.is_actor_started(actor) and not self._actor_manager.settles_s

    def _cleanup_cached_actors(self, force_all: bool = False) -> None:
        if force_all or self._pending_trials or Actors.desk is None or not Actors.desk.more:
            super()._cleanup_cached_actors(force_all)

    def _maybe_cache_trial_actor(self, trial: Any) -> bool:
        """Tune keeps no second actor, when two trials end at once and the next are not there yet."""
        if trial.trial_id in self.vacated:
            return False
        key, more = trial.placement_group_factory, self._actor_cache.num_cached_objects + 1
        self._actor_cache.increase_max(key, more)
        try:
            return bool(super()._maybe_cache_trial_actor(trial))
        finally:
            self._actor_cache.decrease_max(key, more)


@contextlib.contextmanager
def mended(desk: Desk, vacated: Collection[str], alone: bool) -> Iterator[None]:
    """Tune makes its parts from the names that its modules have for them.

    Args:
        desk: asked whether a point is being thought of, and how many trials may wait for their actors.
        vacated: trials whose actors serve no other; grows meanwhile.
        alone: whether this driver has started Ray.
    """
    Actors.desk, Controller.vacated, Classes.alone = desk, vacated, alone
    parts = (
        (tune_controller, "RayActorManager", Actors),
        (tune_controller, "_ActorClassCache", Classes),
        (tune_module, "TuneController", Controller),
    )
    with contextlib.ExitStack() as stack:
        stack.callback(setattr, Actors, "desk", None)
        for module, name, ours in parts:
            stack.callback(setattr, module, name, getattr(module, name))
            setattr(module, name, ours)
        yield


class ReportScheduler(FIFOScheduler):
    """Tune shows it every result; the desk decides, and the actor reads the decision."""

    def __init__(self, bridge: Bridge) -> None:
        super().__init__()
        self._bridge = bridge

    def on_trial_add(self, tune_controller: Any, trial: Any) -> None:
        """Tune makes a folder for every trial, and nothing is put there: one does for all."""
        trial.relative_logdir = trial.storage.trial_dir_name = "trials"

    def on_trial_result(self, tune_controller: Any, trial: Any, result: dict) -> str:
        self._bridge.hear(trial.trial_id, json.loads(result[MESSAGES]))
        return str(TrialScheduler.CONTINUE)

    def on_trial_error(self, tune_controller: Any, trial: Any) -> None:
        """Comes before the searcher's `on_trial_complete`, which is not told what the error was."""
        with contextlib.suppress(OSError):
            file = Path(trial.error_file or "")
            text = file.read_text()
            file.unlink()  # the next error of any trial is written into the same file
            if _LOW_ON_MEMORY in text:
                self._bridge.short_of_memory(trial.trial_id)

    def on_trial_complete(self, tune_controller: Any, trial: Any, result: dict) -> None:
        """Tune keeps running averages of every ended trial, some 40 KB each; nobody asks for them."""
        trial.run_metadata.metric_analysis.clear()
        trial.run_metadata.metric_n_steps.clear()
        trial.run_metadata.invalidate_cache()


def placement(cpus: float, gpus: float, avoid: Sequence[str], kind: Kind) -> tune.PlacementGroupFactory:
    """What an attempt needs, and where it must not be. Tune keeps actors warm for equal requests only."""
    bundle = {"CPU": cpus, "GPU": gpus, **kind.amounts}
    where = dict(kind.labels)
    if avoid:
        where[_NODE_LABEL] = f"!in({','.join(sorted(avoid))})"
    if not where:
        return tune.PlacementGroupFactory([bundle])
    return tune.PlacementGroupFactory([bundle], bundle_label_selector=[where])
