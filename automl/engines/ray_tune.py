"""The Ray engine: Ray Tune places attempts on a cluster's CPUs and GPUs. With ray_actors the only door.

Tune's controller calls our Searcher for another slot and our scheduler with what workers say. One Tune
trial is one slot, with attempt after attempt; the actor behind it holds a Host. Ray is imported by `start`,
because it reads its environment, the token's too, while it is imported.
"""

from __future__ import annotations

import contextlib
import logging
import os
import secrets
import socket
import sys
import warnings
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from automl import credentials, exposure, scratch
from automl.engines.base import Capacity, Desk, Engine, Warm
from automl.errors import AutoMLError, Fault, InputError
from automl.resources import Kind

if TYPE_CHECKING:
    from automl.engines.ray_nodes import Nodes

_QUIET = {
    "TUNE_DISABLE_AUTO_CALLBACK_LOGGERS": "1",
    "TUNE_DISABLE_SIGINT_HANDLER": "1",
    "TUNE_GLOBAL_CHECKPOINT_S": "86400",
    "RAY_AIR_NEW_OUTPUT": "0",
    "RAY_TRAIN_ENABLE_V2_MIGRATION_WARNINGS": "0",
    "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0",
    "RAY_TQDM": "0",
    "RAY_USAGE_STATS_ENABLED": "0",
}

_CLUSTER = "RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER"


class RayTune(Engine):
    """Runs trials on Ray.

    Args:
        root: the project's folder.
        address: a running cluster's; None takes RAY_ADDRESS, else starts a local Ray.
        insecure: join a cluster although there is no token for it.

    Raises:
        InputError: a cluster is meant, and there is no token for it, or one that others can read.
    """

    name = "ray"

    def __init__(self, root: str, address: str | None = None, insecure: bool = False) -> None:
        self._root, self._address = root, address or os.environ.get("RAY_ADDRESS")
        fault = (
            credentials.token_file_fault()
            if self._local
            else credentials.token_fault(str(self._address), insecure)
        )
        if fault:
            raise InputError(fault)
        self.address = None if self._local else self._address
        self._mine = False
        self._nursery = ""
        self._kind = Kind()
        self._seen: Nodes | None = None

    @property
    def _local(self) -> bool:
        return not self._address or self._address == "local"

    def start(self) -> None:
        for key, value in _QUIET.items():
            os.environ.setdefault(key, value)
        local = self._local
        if local:
            _own_token()
        import ray

        if ray.is_initialized():
            return
        for logger in ("ray", "ray.tune"):
            logging.getLogger(logger).setLevel(logging.CRITICAL)
        try:
            if local:
                _start_local()
            else:
                _knock(str(self._address))
                with _on_loopback() if _only_here(str(self._address)) else contextlib.nullcontext():
                    ray.init(address=self._address, log_to_driver=False, logging_level=logging.ERROR)
        except ray.exceptions.AuthenticationError as error:
            raise InputError(_locked(self._address)) from error
        except (ConnectionError, RuntimeError, ValueError, OSError) as error:
            first = str(error).strip().splitlines()[0]
            raise InputError(_unreachable(self._address, first)) from error
        self._mine = True

    def foresee(self, cpus: float, gpus: float) -> int:
        """A local Ray takes this machine's CPUs; workers for GPUs are not started ahead."""
        if gpus or not self._local or "ray" in sys.modules:
            return 0
        return int(len(os.sched_getaffinity(0)) // cpus) if cpus else 0

    def welcome(self, nursery: Warm) -> None:
        self._nursery = nursery.address

    @property
    def _nodes(self) -> Nodes:
        from automl.engines.ray_nodes import Nodes

        self._seen = self._seen or Nodes(alone=self._local)
        return self._seen

    def blind(self, storage: str) -> Mapping[str, str]:
        return {} if self._local else self._nodes.blind(storage)

    def narrow(self, kind: Kind) -> Mapping[str, str]:
        self._kind = kind
        return self._nodes.narrow(kind)

    @property
    def grows(self) -> bool:
        from automl.engines.ray_nodes import FIRST_S

        return self._nodes.grow(FIRST_S)

    def capacity(self, cpus: float, gpus: float) -> Capacity:
        return self._nodes.capacity(cpus, gpus)

    def run(self, desk: Desk) -> None:
        if desk.done:
            return
        from ray import tune

        from automl.engines import ray_actors as ours

        cpus = desk.cpus
        bridge = ours.Bridge(desk, self._nodes)
        self._nodes.begin(desk.say)
        trainable = tune.with_resources(
            ours.Slot,
            lambda config: ours.placement(cpus, config.get("gpus", 0), config.get("avoid", ()), self._kind),
        )
        with scratch.folder("tune") as folder, warnings.catch_warnings():
            warnings.simplefilter("ignore")
            tuner = tune.Tuner(
                trainable,
                param_space={"nursery": self._nursery},
                tune_config=tune.TuneConfig(
                    search_alg=ours.SlotSearcher(bridge),
                    scheduler=ours.ReportScheduler(bridge),
                    num_samples=-1,
                    trial_name_creator=lambda trial: trial.trial_id,
                ),
                run_config=tune.RunConfig(
                    name="search",
                    storage_path=str(folder),
                    verbose=0,
                    callbacks=[],
                    failure_config=tune.FailureConfig(max_failures=0),
                    checkpoint_config=tune.CheckpointConfig(checkpoint_at_end=False),
                ),
            )
            alone = self._local and self._mine
            with ours.mended(bridge, alone), contextlib.ExitStack() as stack:
                stack.callback(self._nodes.end)
                tuner.fit()
        if bridge.error:
            raise bridge.error

    def close(self) -> None:
        if self._mine:
            import ray

            ray.shutdown()
        self._mine = False


def _own_token() -> None:
    """A token of this run alone, in the environment, where the user names none.

    Ray would write one into the home folder, readable for everybody, and this machine has other users.
    Where Ray was imported before, it has made up its mind already.
    """
    mode = (os.environ.get("RAY_AUTH_MODE") or "token").lower()
    if "ray" not in sys.modules and mode == "token" and not credentials.token_is_named():
        os.environ["RAY_AUTH_MODE"] = "token"
        os.environ["RAY_AUTH_TOKEN"] = secrets.token_hex(32)


def _start_local() -> None:
    import ray

    with credentials.hidden(), _on_loopback(), _lean():
        ray.init(
            address="local",
            include_dashboard=False,
            log_to_driver=False,
            logging_level=logging.ERROR,
            object_store_memory=200 * 1024 * 1024,
        )


@contextlib.contextmanager
def _on_loopback() -> Iterator[None]:
    """What is started meanwhile takes 127.0.0.1 for this machine's address, as Ray does on macOS.

    All of its ports keep to loopback then. A node of a larger cluster could not.
    """
    from ray._private import ray_constants

    before = ray_constants.ENABLE_RAY_CLUSTER
    ray_constants.ENABLE_RAY_CLUSTER = False
    os.environ[_CLUSTER] = "0"
    try:
        yield
    finally:
        ray_constants.ENABLE_RAY_CLUSTER = before
        del os.environ[_CLUSTER]


@contextlib.contextmanager
def _lean() -> Iterator[None]:
    """A Ray that is started meanwhile has no autoscaler, no log monitor and no dashboard's server.

    One machine does not grow, the log monitor reads for a driver that asked for nothing, and the server,
    which `include_dashboard=False` starts all the same, answers nobody here: each costs a second or more
    of processor while the first trials could train.
    """
    from ray._private.node import Node

    with contextlib.ExitStack() as stack:
        for name in ("start_monitor", "start_log_monitor", "start_api_server"):
            stack.callback(setattr, Node, name, getattr(Node, name))
            setattr(Node, name, lambda *_, **__: None)
        yield


def _only_here(address: str) -> bool:
    """Whether that Ray keeps to loopback, as our own does: a driver elsewhere would not find its node."""
    parts = urlsplit(address if "://" in address else f"//{address}")
    if parts.hostname not in ("127.0.0.1", "localhost") or not parts.port:
        return False
    try:
        return parts.port not in {each.port for each in exposure.listeners()}
    except OSError:
        return False


def _knock(address: str) -> None:
    """Raises OSError where nothing listens at HOST:PORT: Ray would go on trying for minutes."""
    parts = urlsplit(address if "://" in address else f"//{address}")
    if parts.hostname and parts.port:
        socket.create_connection((parts.hostname, parts.port), timeout=5).close()


def _unreachable(address: str | None, why: str) -> Fault:
    if not address:
        return Fault("engine", f"a local Ray could not be started: {why}", "Try --engine local")
    mend = "Check the address, or leave --address and RAY_ADDRESS away to start a local Ray"
    return Fault("address", f"no Ray cluster answers at {address}: {why}", mend)


def _locked(address: str | None) -> Fault:
    what = f"the Ray cluster at {address} wants a token, and there is none here, or another"
    mend = "Set RAY_AUTH_MODE=token, and RAY_AUTH_TOKEN_PATH to a copy of the cluster's ~/.ray/auth_token"
    return Fault("address", what, mend)


def health(address: str | None = None) -> str:
    """One line on the cluster at an address, for `automl doctor`.

    Raises:
        AutoMLError: nothing answers there.
    """
    engine = RayTune(os.getcwd(), address)
    engine.start()
    import ray

    try:
        given = engine.capacity(1, 0)
        return f"Ray {ray.__version__}, {given.cpus:g} CPUs, {given.gpus:g} GPUs"
    except Exception as error:  # a cluster that dies while it is asked raises what it likes
        raise AutoMLError(str(error)) from error
    finally:
        engine.close()
