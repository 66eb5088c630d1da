"""The Ray engine: Ray Tune places attempts on a cluster's CPUs and GPUs. The only door to Ray.

Tune's controller calls our Searcher for the next task and our scheduler with what workers say. One
Tune trial is one attempt; the warm actor behind it holds a Host. Decisions go back to the actors
through Ray's key-value store, which an actor reads before it answers its worker: so a decision that
is put before the controller goes on is always seen.
"""

from __future__ import annotations

import json
import logging
import os
import secrets
import tempfile
import time
import warnings
from collections.abc import Mapping
from typing import Any

from automl.engines.base import Answer, Capacity, Desk, Engine, Message, Task
from automl.errors import AutoMLError, Fault, InputError
from automl.host import Host

# All of them are read while Ray is imported or started.
_QUIET = {
    "TUNE_DISABLE_AUTO_CALLBACK_LOGGERS": "1",
    "TUNE_DISABLE_SIGINT_HANDLER": "1",
    "TUNE_GLOBAL_CHECKPOINT_S": "86400",
    "TUNE_MAX_PENDING_TRIALS_PG": "1",
    "RAY_AIR_NEW_OUTPUT": "0",
    "RAY_TRAIN_ENABLE_V2_MIGRATION_WARNINGS": "0",
    "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0",
    "RAY_TQDM": "0",
    "RAY_DEDUP_LOGS": "0",
    "RAY_USAGE_STATS_ENABLED": "0",
}
for _key, _value in _QUIET.items():
    os.environ.setdefault(_key, _value)

import ray  # noqa: E402 - after its environment
from ray import tune  # noqa: E402
from ray.experimental import internal_kv  # noqa: E402
from ray.tune.schedulers import FIFOScheduler, TrialScheduler  # noqa: E402
from ray.tune.search import Searcher  # noqa: E402

STEP_S = 1.0
_NAMESPACE = "automl"
_MESSAGES = "automl_messages"


class RayTune(Engine):
    """Runs trials on Ray.

    Args:
        root: the project's folder.
        address: a running cluster's; None takes RAY_ADDRESS, else starts a local Ray.
    """

    name = "ray"

    def __init__(self, root: str, address: str | None = None) -> None:
        self._root, self._address = root, address or os.environ.get("RAY_ADDRESS")
        self._key = f"{_NAMESPACE}/{secrets.token_hex(8)}"
        self._mine = False

    def start(self) -> None:
        if ray.is_initialized():
            return
        logging.getLogger("ray").setLevel(logging.ERROR)
        try:
            if self._address and self._address != "local":
                ray.init(address=self._address, log_to_driver=False, logging_level=logging.ERROR)
            else:
                _start_local()
        except (ConnectionError, RuntimeError, ValueError, OSError) as error:
            first = str(error).strip().splitlines()[0]
            raise InputError(_unreachable(self._address, first)) from error
        self._mine = True

    def capacity(self, cpus: float, gpus: float) -> Capacity:
        nodes = [node["Resources"] for node in ray.nodes() if node["Alive"]]
        slots = sum(_slots(node, cpus, gpus) for node in nodes)
        every = [(node.get("CPU", 0.0), node.get("GPU", 0.0)) for node in nodes]
        return Capacity(
            slots,
            sum(c for c, _ in every),
            sum(g for _, g in every),
            max((c for c, _ in every), default=0.0),
            max((g for _, g in every), default=0.0),
        )

    def run(self, desk: Desk) -> None:
        if desk.done:
            return
        bridge = Bridge(desk, self._key)
        resources = _PlacementOf(desk)
        trainable = tune.with_resources(Attempt, {"cpu": resources.cpus, "gpu": resources.gpus})
        with tempfile.TemporaryDirectory(prefix="automl-tune-") as folder, warnings.catch_warnings():
            warnings.simplefilter("ignore")
            tuner = tune.Tuner(
                trainable,
                param_space={"control": self._key, "root": self._root},
                tune_config=tune.TuneConfig(
                    search_alg=TaskSearcher(bridge),
                    scheduler=ReportScheduler(bridge),
                    num_samples=-1,
                    reuse_actors=True,
                    trial_name_creator=lambda trial: trial.trial_id,
                    trial_dirname_creator=lambda trial: trial.trial_id,
                ),
                run_config=tune.RunConfig(
                    name="search",
                    storage_path=folder,
                    verbose=0,
                    callbacks=[],
                    failure_config=tune.FailureConfig(max_failures=0),
                ),
            )
            tuner.fit()
        if bridge.error:
            raise bridge.error

    def close(self) -> None:
        if self._mine and ray.is_initialized():
            ray.shutdown()
        self._mine = False


class Bridge:
    """Between Tune's callbacks and the desk. Nothing that it is called for ever raises into Tune."""

    def __init__(self, desk: Desk, key: str) -> None:
        self.desk = desk
        self.error: BaseException | None = None
        self._key = key
        self._tasks: dict[str, Task] = {}
        self._answers: dict[str, str] = {}
        self._stopped = False
        self._put()

    def next_config(self, trial_id: str) -> dict[str, Any] | str | None:
        """The configuration of a new Tune trial; None for not now; FINISHED at the end."""
        try:
            self.tick()
            task = None if self.error else self.desk.next_task()
            if task is not None:
                self._tasks[trial_id] = task
                return {"control": self._key, "task": json.dumps(task.to_plain())}
            over = self.error is not None or self.desk.done
            return Searcher.FINISHED if over and not self._tasks else None
        except Exception as error:
            self._break(error)
            return None if self._tasks else Searcher.FINISHED

    def hear(self, trial_id: str, messages: list[Message]) -> None:
        """Hand an attempt's messages to the desk and post its decisions."""
        task = self._tasks.get(trial_id)
        if task is None:
            return
        try:
            for message in messages:
                if message["kind"] == "ended":
                    self._forget(trial_id)
                answer = self.desk.hear(task, message)
                if message["kind"] == "report" and answer in (Answer.END, Answer.FINISH):
                    self._answers[_name(task)] = str(answer)
                    self._put()
            self.tick()
        except Exception as error:
            self._break(error)

    def lost(self, trial_id: str) -> None:
        """An actor died, or its node."""
        self.hear(trial_id, [{"kind": "ended", "outcome": "lost", "error": "its Ray actor or node died"}])
        self._forget(trial_id)

    def tick(self) -> None:
        self.desk.tick()
        if self.desk.stopping and not self._stopped:
            self._stopped = True
            self._put()

    def _break(self, error: Exception) -> None:
        """The first error ends the run; attempts are told to stop, and `run` raises it."""
        self.error = self.error or error
        self._stopped = True
        self._put()

    def _forget(self, trial_id: str) -> None:
        task = self._tasks.pop(trial_id, None)
        if task is not None:
            self._answers.pop(_name(task), None)

    def _put(self) -> None:
        said = json.dumps({"stop": self._stopped, "answers": self._answers})
        internal_kv._internal_kv_put(self._key, said, overwrite=True, namespace=_NAMESPACE)


class TaskSearcher(Searcher):
    """Tune asks it for trials; it asks the desk."""

    def __init__(self, bridge: Bridge) -> None:
        super().__init__()
        self._bridge = bridge

    def suggest(self, trial_id: str) -> dict[str, Any] | str | None:
        return self._bridge.next_config(trial_id)

    def on_trial_complete(self, trial_id: str, result: dict | None = None, error: bool = False) -> None:
        if error or not result or _MESSAGES not in result:
            self._bridge.lost(trial_id)
        else:
            self._bridge.hear(trial_id, json.loads(result[_MESSAGES]))

    def save(self, checkpoint_path: str) -> None:
        """Nothing to keep: the ledger remembers."""

    def restore(self, checkpoint_path: str) -> None:
        """Nothing to bring back: the ledger remembers."""


class ReportScheduler(FIFOScheduler):
    """Tune shows it every result; the desk decides, and the actor reads the decision."""

    def __init__(self, bridge: Bridge) -> None:
        super().__init__()
        self._bridge = bridge

    def on_trial_result(self, tune_controller: Any, trial: Any, result: dict) -> str:
        self._bridge.hear(trial.trial_id, json.loads(result[_MESSAGES]))
        return str(TrialScheduler.CONTINUE)


class Attempt(tune.Trainable):
    """A thin, warm actor around a Host. Each step returns within a second, empty-handed if need be."""

    def setup(self, config: dict[str, Any]) -> None:
        self._host: Host | None = None
        self.reset_config(config)

    def reset_config(self, new_config: dict[str, Any]) -> bool:
        task = Task(**json.loads(new_config["task"]))
        self._control_key = new_config["control"]
        self._task, self._owes = task, False
        if self._host is None or self._host.busy:
            self._close()
            devices = [str(gpu) for gpu in ray.get_gpu_ids()]
            self._host = Host(task.root, task.resources["cpus"], task.resources["gpus"], devices)
        self._host.start(task)
        return True

    def step(self) -> dict[str, Any]:
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
        return {_MESSAGES: json.dumps(messages), "done": ended}

    def cleanup(self) -> None:
        self._close()

    def _listen(self, host: Host) -> list[Message]:
        """Messages until one that Tune must see now, for a second at most."""
        messages: list[Message] = []
        deadline = time.monotonic() + STEP_S
        while (left_s := deadline - time.monotonic()) > 0:
            message = host.poll(left_s)
            if message is None:
                continue
            messages.append(message)
            if message["kind"] in ("report", "ended"):
                self._owes = message["kind"] == "report"
                break
        return messages

    def _decision(self) -> Answer:
        raw = internal_kv._internal_kv_get(self._control_key, namespace=_NAMESPACE)
        control: Mapping[str, Any] = json.loads(raw) if raw else {"stop": True, "answers": {}}
        if own := control["answers"].get(_name(self._task)):
            return Answer(own)
        return Answer.STOP if control["stop"] else Answer.GO

    def _close(self) -> None:
        if self._host is not None:
            self._host.close()
            self._host = None


class _PlacementOf:
    """What each trial takes, read off the desk's search."""

    def __init__(self, desk: Any) -> None:
        self.cpus, self.gpus = desk.search.resources.cpus, desk.search.resources.gpus


def _name(task: Task) -> str:
    return f"{task.trial}-{task.attempt}"


def _slots(node: Mapping[str, float], cpus: float, gpus: float) -> int:
    fits = []
    if cpus:
        fits.append(int((node.get("CPU", 0.0) + 1e-9) // cpus))
    if gpus:
        count = int(node.get("GPU", 0.0))
        fits.append(count * int(1 / gpus) if gpus < 1 else int(count // gpus))
    return min(fits) if fits else 0


def _start_local() -> None:
    # A token of this run alone, in the environment: Ray would write one into the home folder,
    # readable for everybody, and its ports do not all keep to loopback.
    if not os.environ.get("RAY_AUTH_TOKEN") and not os.environ.get("RAY_AUTH_TOKEN_PATH"):
        os.environ["RAY_AUTH_TOKEN"] = secrets.token_hex(32)
        os.environ.setdefault("RAY_AUTH_MODE", "token")
    ray.init(
        address="local",
        include_dashboard=False,
        log_to_driver=False,
        logging_level=logging.ERROR,
        object_store_memory=200 * 1024 * 1024,
        _node_ip_address="127.0.0.1",
    )


def _unreachable(address: str | None, why: str) -> Fault:
    if not address:
        return Fault("engine", f"a local Ray could not be started: {why}", "Try --engine local")
    mend = "Check the address, or leave --address and RAY_ADDRESS away to start a local Ray"
    return Fault("address", f"no Ray cluster answers at {address}: {why}", mend)


def health(address: str | None = None) -> str:
    """One line on the cluster at an address, for `automl doctor`.

    Raises:
        AutoMLError: nothing answers there.
    """
    engine = RayTune(os.getcwd(), address)
    engine.start()
    try:
        given = engine.capacity(1, 0)
        return f"Ray {ray.__version__}, {given.cpus:g} CPUs, {given.gpus:g} GPUs"
    except Exception as error:  # a cluster that dies while it is asked raises what it likes
        raise AutoMLError(str(error)) from error
    finally:
        engine.close()
