"""Room on a Ray cluster that grows by itself: what a search could use and is not there. Imports Ray.

An autoscaler adds nodes for what waits, and a search starts nothing that has no place. So one small task
waits for each place that it lacks, and wants just what a trial does. Once it has room it ends; the
node that it found is seen by the engine's next look. Tasks are the driver's own and end with it.
"""

from __future__ import annotations

import json
import time
from typing import Any

import ray
from ray._private.ray_constants import DEBUG_AUTOSCALING_STATUS
from ray.autoscaler.v2.sdk import get_cluster_status
from ray.autoscaler.v2.utils import is_autoscaler_v2
from ray.experimental import internal_kv

from automl.resources import Kind

LOOK_S = 0.5
# The kind of a node that nobody named one for, as an autoscaler shows it.
_NAMELESS = "node_"


class Growth:
    """What waits in the name of places that are not there.

    Args:
        cpus, gpus: of each place.
        kind: of the nodes that count.
    """

    def __init__(self, cpus: float, gpus: float, kind: Kind) -> None:
        words: dict[str, Any] = {"num_cpus": cpus, "num_gpus": gpus, "max_retries": 0}
        if kind.amounts:
            words["resources"] = dict(kind.amounts)
        if kind.labels:
            words["label_selector"] = dict(kind.labels)
        self._task = ray.remote(_nothing).options(**words)
        self._waiting: list[ray.ObjectRef] = []

    def want(self, lacking: int) -> None:
        """So many places more could be used. Returns at once; 0 takes back what still waits."""
        if self._waiting:
            _, self._waiting = ray.wait(self._waiting, num_returns=len(self._waiting), timeout=0)
        for extra in self._waiting[max(0, lacking) :]:
            ray.cancel(extra, force=False)
        del self._waiting[max(0, lacking) :]
        self._waiting += [self._task.remote() for _ in range(lacking - len(self._waiting))]


def _nothing() -> None:
    """To have room was all."""


def grows(patience_s: float = 0.0) -> bool | None:
    """Whether an autoscaler adds nodes to the cluster; None where that is not known yet.

    It has names for the kinds of its nodes; a cluster without one has none, or one that only looks on and
    names each node after itself.

    Args:
        patience_s: so long for what looks after the nodes to tell of them, on a cluster that has just begun.
    """
    until_s = time.monotonic() + patience_s
    while not (kinds := _kinds()) and time.monotonic() < until_s:
        time.sleep(LOOK_S)
    return any(not kind.startswith(_NAMELESS) for kind in kinds) if kinds else None


def _kinds() -> list[str]:
    if is_autoscaler_v2():
        status = get_cluster_status(ray.get_runtime_context().gcs_address)
        return [node.ray_node_type_name for node in (*status.active_nodes, *status.idle_nodes)]
    said = internal_kv._internal_kv_get(DEBUG_AUTOSCALING_STATUS)
    report = json.loads(said).get("autoscaler_report") if said else None
    return list((report or {}).get("node_type_mapping", {}).values())
