"""A faulty search file without its faulty parts: so that its trainers can be looked at all the same.

What comes out is for finding more faults and never for running. Knows no vendor and no database.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from automl.errors import Fault
from automl.search import Origin, Search, build, examine
from automl.words import Spot

ROUNDS = 10
# What a search cannot do without, for a file that has none that is sound.
STAND_INS: Mapping[str, Any] = {
    "name": "unnamed",
    "objective": {"metric": "loss", "direction": "minimize"},
    "space": {},
    "budget": {"trials": 1},
}


def salvage(data: Mapping[str, Any], origin: Origin | None) -> Search | None:
    """The sound rest of a search.

    Args:
        data: the file as plain data.
        origin: the file.

    Returns:
        a search; None where too little is sound, a trainer at least.
    """
    words = dict(data)
    for _ in range(ROUNDS):
        reading = examine(words)
        if not reading.faults:
            return build(reading, origin)
        before = words
        for fault in reading.faults:
            words = _without(words, fault)
        if words == before:
            return None
    return None


def _without(words: dict[str, Any], fault: Fault) -> dict[str, Any]:
    spot: Spot = fault.spot or (fault.where,)
    top = str(spot[0])
    if top == "space" and len(spot) > 1 and isinstance(words.get("space"), Mapping):
        return {**words, "space": _emptied(words["space"], spot[1])}
    if top in ("trainer", "trainers") and isinstance(words.get(top), Mapping):
        return _pruned(words, spot)
    if top in STAND_INS:
        return {**words, top: STAND_INS[top]}
    return {key: value for key, value in words.items() if key != top}


def _emptied(space: Mapping[Any, Any], name: Any) -> dict[Any, Any]:
    """A faulty parameter as a constant: its name can still be compared with the signatures."""
    if space.get(name) is None:
        return {key: value for key, value in space.items() if key != name}
    return {**space, name: None}


def _pruned(words: Mapping[str, Any], spot: Spot) -> dict[str, Any]:
    """Without what lies at `spot`; without the whole trainer where that is something missing."""
    parts = list(spot)
    while parts and not _there(words, parts):
        parts.pop()
    if len(parts) < len(spot):
        parts = parts[: 1 if parts[:1] == ["trainer"] else 2]
    return _cut(words, parts)


def _there(node: Any, parts: list[str | int]) -> bool:
    for part in parts:
        if not isinstance(node, Mapping) or part not in node:
            return False
        node = node[part]
    return True


def _cut(node: Mapping[Any, Any], parts: list[str | int]) -> dict[Any, Any]:
    if len(parts) <= 1:
        return {key: value for key, value in node.items() if not parts or key != parts[0]}
    return {**node, parts[0]: _cut(node[parts[0]], parts[1:])}
