"""A Ray cluster of two nodes: `python -m tests.faults.cluster`.

Says `{"address": ..., "raylet": pid}` of its second node on stdout; on each line of stdin it takes away
that node, dead by then, and adds a new one. Ends with stdin.
"""

from __future__ import annotations

import contextlib
import json
import sys

from ray.cluster_utils import Cluster

MEMORY_BYTES = 100 * 1024 * 1024


def main() -> None:
    """The whole life of the cluster; nodes are added on this, the main thread."""
    head = {"num_cpus": 1, "object_store_memory": MEMORY_BYTES, "include_dashboard": False}
    cluster = Cluster(initialize_head=True, head_node_args=head)
    node = cluster.add_node(num_cpus=1, object_store_memory=MEMORY_BYTES)
    _say(cluster, node)
    for _ in sys.stdin:
        with contextlib.suppress(Exception):  # what is dead already may be missed while it is taken away
            cluster.remove_node(node, allow_graceful=False)
        node = cluster.add_node(num_cpus=1, object_store_memory=MEMORY_BYTES)
        _say(cluster, node)
    cluster.shutdown()


def _say(cluster: Cluster, node: object) -> None:
    raylets = node.all_processes["raylet"]  # type: ignore[attr-defined]  # Ray's Node has no public name for it
    print(json.dumps({"address": cluster.address, "raylet": raylets[0].process.pid}), flush=True)


if __name__ == "__main__":
    main()
