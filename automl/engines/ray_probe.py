"""Whether nodes see what this machine writes into a storage, and the other way round. Imports Ray.

One small task is pinned to every node. It takes no CPUs, so that a busy cluster answers too.
"""

from __future__ import annotations

import ray
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

from automl import storage

# A node may have to start a process first, and import this package.
ANSWER_S = 60.0


def blind_nodes(place: str) -> dict[str, str]:
    """Those of the living nodes that do not share the storage with this machine.

    Args:
        place: a storage, as the nodes will be told of it. Left as it was.

    Returns:
        what is wrong, by the node's host.

    Raises:
        OSError, ValueError, ImportError: this machine itself cannot write there.
    """
    hosts = {node["NodeID"]: _host(node) for node in ray.nodes() if node["Alive"]}
    with storage.passing(place) as name, storage.letter(place, name) as letter:
        asked = {_ask(node, letter): node for node in hosts}
        answered, _ = ray.wait(list(asked), num_returns=len(asked), timeout=ANSWER_S)
        wrong = {}
        for answer, node in asked.items():
            found = _said(answer, letter, node) if answer in answered else _SILENT
            if found:
                wrong[hosts[node]] = found
        return wrong


_SILENT = f"does not answer within {ANSWER_S:g} s"


def _host(node: dict) -> str:
    """Its name and address; one machine may be several nodes."""
    name, where = str(node["NodeManagerHostname"]), str(node["NodeManagerAddress"])
    return f"{name} ({where}, {node['NodeID'][:8]})"


def _ask(node: str, letter: str) -> ray.ObjectRef:
    pinned = NodeAffinitySchedulingStrategy(node_id=node, soft=False)
    task = ray.remote(storage.answer).options(num_cpus=0, max_retries=0, scheduling_strategy=pinned)
    return task.remote(letter, node)


def _said(answer: ray.ObjectRef, letter: str, node: str) -> str | None:
    try:
        wrong = ray.get(answer, timeout=ANSWER_S)
    except ray.exceptions.RayError as error:
        return f"cannot be asked: {str(error).strip().splitlines()[-1]}"
    if wrong:
        return f"does not see what this machine wrote: {wrong}"
    if wrong := storage.unanswered(letter, node):
        return f"wrote there, and this machine does not see it: {wrong}"
    return None
