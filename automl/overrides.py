"""`--set KEY=VALUE` over the plain data of a search file. Knows no Search.

A key of `space` fixes that parameter; any other key is a dotted path into the file. Names in a file
have dots in them, so that the longest match wins.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from automl.errors import Fault
from automl.plain import KEYS
from automl.words import Spot, dotted, mask_url, show, unknown
from automl.yamltext import parse

SET = "--set"  # stands for the file in the position of a fault; the line counts the overrides


@dataclass(frozen=True)
class Override:
    """One `KEY=VALUE`, and where in the file's data it went."""

    key: str
    value: Any
    path: Spot

    @property
    def value_column(self) -> int:
        """Where the value begins in `KEY=VALUE`, from 1."""
        return len(self.key) + 2


class _Refused(Exception):
    """Why a path leads nowhere, and the mend."""


def apply(
    data: Mapping[str, Any], overrides: Sequence[str]
) -> tuple[dict[str, Any], tuple[Override, ...], list[Fault]]:
    """The data with the overrides in it.

    Args:
        data: the file's plain data; is not changed.
        overrides: `KEY=VALUE` each; VALUE is YAML.

    Returns:
        the new data; the overrides, one for each text; the faults of those that went nowhere.
    """
    new: dict[str, Any] = _anew(data)
    applied: list[Override] = []
    faults: list[Fault] = []
    for number, text in enumerate(overrides, start=1):
        key, mark, source = text.partition("=")
        key = key.strip()
        document = parse(source)
        override = Override(key, document.data, ("\0",))
        if not mark or not key:
            faults.append(
                Fault(mask_url(key) or SET, f"{show(text)} is no KEY=VALUE", "Write KEY=VALUE").at(
                    SET, number, 1
                )
            )
        elif document.faults:
            found = (Fault(key, fault.what, fault.mend) for fault in document.faults)
            faults += [fault.at(SET, number, override.value_column) for fault in found]
        else:
            try:
                override = Override(key, document.data, _put(new, key, document.data))
            except _Refused as error:
                faults.append(Fault(key, *error.args).at(SET, number, 1))
        applied.append(override)
    return new, tuple(applied), faults


def _anew(value: Any) -> Any:
    """A copy in which nothing is shared: an alias is overridden in one place only."""
    if isinstance(value, Mapping):
        return {key: _anew(item) for key, item in value.items()}
    return [_anew(item) for item in value] if isinstance(value, list) else value


def _put(data: dict[str, Any], key: str, value: Any) -> Spot:
    """Put the value in its place, and say which that is."""
    space = data.get("space") if isinstance(data.get("space"), dict) else None
    if space is not None and (key in space or _names_trainer(data, key)):
        space[key] = value
        _forget(data, key)
        return ("space", key)
    return _put_path(data, _path(data, key), value)


def _names_trainer(data: Mapping[str, Any], key: str) -> bool:
    """`trainer` alone is a parameter where there are several of them."""
    return key == "trainer" and isinstance(data.get("trainers"), Mapping) and "trainer" not in data


def _forget(data: Mapping[str, Any], name: str) -> None:
    """A parameter that is fixed is no part of a start point any more."""
    points = data.get("start_with")
    for point in points if isinstance(points, list) else ():
        if isinstance(point, dict):
            point.pop(name, None)


def _path(data: Mapping[str, Any], key: str) -> Spot:
    """The path that `key` means: from the file, or from its space, whichever matches more."""
    head = _longest(data, key)
    space = data.get("space")
    inside = _longest(space, key) if isinstance(space, Mapping) else None
    if inside and len(inside) > len(head or ""):
        return ("space", *_steps(space, key))
    if head is None and key.split(".")[0] not in KEYS:
        raise _Refused(*_unknown_key(data, key))
    return tuple(_steps(data, key))


def _unknown_key(data: Mapping[str, Any], key: str) -> tuple[str, str]:
    space = data.get("space")
    names = [*(space if isinstance(space, Mapping) else ()), *(dotted(path) for path in _paths(data)), *KEYS]
    what, mend = unknown(key, names, "no parameter and no key of the file")
    if mend.startswith("Use one of"):
        mend = f"To add a constant, write space.{key}=VALUE"
    return what, mend


def _paths(data: Any, above: Spot = ()) -> Iterator[Spot]:
    if isinstance(data, Mapping):
        for key, value in data.items():
            yield (*above, key)
            yield from _paths(value, (*above, key))


def _longest(data: Any, rest: str) -> str | None:
    """The longest key of a mapping that is `rest` or begins it."""
    keys = [key for key in data if isinstance(key, str) and f"{rest}.".startswith(f"{key}.")]
    return max(keys, key=len, default=None)


def _steps(data: Any, rest: str) -> Iterator[str | int]:
    """The keys that `rest` means, from `data` on; the last ones may be new."""
    in_space = False
    while rest:
        if isinstance(data, list):
            step: str | int = rest.split(".")[0]
            if not str(step).isdecimal() or int(step) >= len(data):
                raise _Refused(f"{show(step)} is no item of a list of {len(data)}", "Count from 0")
            head, step = str(step), int(step)
        else:
            known = _longest(data, rest) if isinstance(data, Mapping) else None
            head = step = known or (rest if in_space else rest.split(".")[0])
        yield step
        in_space = step == "space" and not in_space
        data = _below(data, step)
        rest = rest[len(head) + 1 :]


def _below(data: Any, step: str | int) -> Any:
    """What lies under a key or an index; None where nothing does."""
    try:
        return data[step]
    except (KeyError, IndexError, TypeError):
        return None


def _put_path(data: Any, path: Spot, value: Any) -> Spot:
    for depth, step in enumerate(path[:-1]):
        below = _below(data, step)
        if below is None or below is False:
            below = {}
        elif path[:depth] == ("search",) and isinstance(below, str):
            below = {"name": below}
        elif not isinstance(below, dict | list):
            raise _Refused(
                f"{dotted(path[: depth + 1])} is {show(below)}, nothing lies below it", "Set it whole"
            )
        data[step] = below
        data = below
    data[path[-1]] = value
    return path
