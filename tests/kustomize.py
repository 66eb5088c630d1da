"""Renders a kustomization as `kubectl kustomize` does, as far as this project's go.

Knows resources, namespace, images, configMapGenerator without the hash in its name, and JSON patches.
Raises on any other key, so that nothing is left out in silence.
"""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import yaml

KEYS = {"apiVersion", "kind", "namespace", "resources", "images", "configMapGenerator", "patches"}
Object = dict[str, Any]


def render(folder: Path) -> list[Object]:
    """The objects that a kustomization's folder stands for."""
    plan = yaml.safe_load((folder / "kustomization.yaml").read_text())
    if unknown := set(plan) - KEYS:
        raise ValueError(f"{folder}: {', '.join(sorted(unknown))}: not known here")
    objects = [each for name in plan["resources"] for each in _resource(folder / name)]
    objects += [_config_map(folder, each) for each in plan.get("configMapGenerator", ())]
    for patch in plan.get("patches", ()):
        for each in objects:
            if _aimed(patch["target"], each):
                _patch(each, yaml.safe_load(patch["patch"]))
    for each in objects:
        if plan.get("namespace") and each["kind"] != "Namespace":
            each["metadata"]["namespace"] = plan["namespace"]
        _images(each, plan.get("images", ()))
    return objects


def _resource(path: Path) -> list[Object]:
    if path.is_dir():
        return render(path)
    # Anchors make one object of several places; each place is patched alone.
    return [copy.deepcopy(each) for each in map(_apart, yaml.safe_load_all(path.read_text()))]


def _apart(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _apart(each) for key, each in value.items()}
    return [_apart(each) for each in value] if isinstance(value, list) else value


def _config_map(folder: Path, plan: Object) -> Object:
    data = {name: (folder / name).read_text() for name in plan["files"]}
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": plan["name"]}, "data": data}


def _aimed(target: Object, each: Object) -> bool:
    return target["kind"] == each["kind"] and target["name"] == each["metadata"]["name"]


def _patch(each: Object, steps: list[Object]) -> None:
    for step in steps:
        *way, last = [part.replace("~1", "/").replace("~0", "~") for part in step["path"].split("/")[1:]]
        place: Any = each
        for part in way:
            place = place[int(part)] if isinstance(place, list) else place[part]
        if step["op"] not in ("add", "replace") or (step["op"] == "replace") != (last in place):
            raise ValueError(f"{step['op']} {step['path']}: cannot be done")
        place[last] = step["value"]


def _images(value: Any, changes: list[Object]) -> None:
    if isinstance(value, list):
        for each in value:
            _images(each, changes)
    elif isinstance(value, dict):
        for container in value.get("containers", ()):
            name = container["image"].split(":")[0]
            for change in changes:
                if change["name"] == name:
                    container["image"] = f"{change['newName']}:{change['newTag']}"
        for each in value.values():
            _images(each, changes)
