"""A cluster that grows by itself: Ray's real autoscaler, whose machines are processes of this one."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import psutil
import pytest
from ray.autoscaler._private.fake_multi_node.node_provider import (
    FAKE_HEAD_NODE_ID,
    FakeMultiNodeProvider,
)

from tests.head import Head
from tests.test_cluster import HERE, attempts, most_at_once, nodes, quadratic, say

pytestmark = pytest.mark.timeout(300)
PROVIDER = f"{FakeMultiNodeProvider.__module__}.{FakeMultiNodeProvider.__name__}"
# Its machines have no addresses of their own, and nothing is set up on them by SSH.
LAPTOP = {"use_node_id_as_ip": True, "disable_node_updaters": True, "disable_launch_config_check": True}
KINDS = ("ray.head.default", "small")


@pytest.fixture
def client(version: str, tmp_path: Path) -> Iterator[Mapping[str, str]]:
    """The environment of one who uses it: a head that trains nothing, and up to two nodes of one CPU."""
    told = {"AUTOSCALER_UPDATE_INTERVAL_S": "1", "RAY_FAKE_CLUSTER": "1", "PYTHONPATH": str(HERE)}
    second = {"launch_multiple": True, "head_node_id": FAKE_HEAD_NODE_ID} if version == "v2" else {}
    if second:
        told |= {"RAY_enable_autoscaler_v2": "1", "RAY_CLOUD_INSTANCE_ID": FAKE_HEAD_NODE_ID}
        told |= {"RAY_OVERRIDE_NODE_ID_FOR_TESTING": FAKE_HEAD_NODE_ID, "RAY_NODE_TYPE_NAME": KINDS[0]}
    file = tmp_path / "grows.yaml"
    head = Head(0, told, {"autoscaling-config": file})
    file.write_text(json.dumps(growing(head.gcs, second)))
    try:
        with head:
            yield {**os.environ, **head.client, "RAY_ADDRESS": head.gcs, "PYTHONPATH": str(HERE)}
    finally:
        for process in psutil.process_iter(["cmdline"]):
            if f"--gcs-address={head.gcs}" in (process.info["cmdline"] or ()):
                process.kill()  # the autoscaler's own machines would outlive it


def growing(gcs: str, more: Mapping[str, Any]) -> dict[str, Any]:
    """A file of `ray up` whose cloud is this machine."""
    small = {"CPU": 1, "object_store_memory": 100 << 20}
    lists = ("initialization", "setup", "head_setup", "worker_setup", "head_start_ray", "worker_start_ray")
    return {
        "cluster_name": "grows",
        "max_workers": 2,
        "provider": {"type": "external", "module": PROVIDER, "gcs_address": gcs, **LAPTOP, **more},
        "available_node_types": {
            KINDS[0]: {"resources": {"CPU": 0}, "node_config": {}, "max_workers": 0},
            KINDS[1]: {"resources": small, "node_config": {}, "min_workers": 0, "max_workers": 2},
        },
        "head_node_type": KINDS[0],
        "upscaling_speed": 1.0,
        "idle_timeout_minutes": 5,
        "auth": {},
        "docker": {},
        "file_mounts": {},
        "cluster_synced_files": [],
        "file_mounts_sync_continuously": False,
        "rsync_exclude": [],
        "rsync_filter": [],
        **{f"{each}_commands": [] for each in lists},
    }


@pytest.mark.parametrize(("version", "parallel"), [("v1", "auto"), ("v2", 2)])
def test_a_search_has_the_cluster_grow_to_what_it_can_use(
    root: Path, client: Mapping[str, str], parallel: int | str
) -> None:
    more = {"resources.parallel": parallel}
    code, _, err = say(root, client, *quadratic("grown", 14, 0.8, **more))
    assert code == 0, err
    assert "the cluster is asked to grow, and the search waits" in err
    assert most_at_once(attempts(root, client, "grown")) == 2
    assert len(nodes(root, "grown")) == 2
