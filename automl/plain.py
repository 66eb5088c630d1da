"""Plain data, in the words of the search file, to the parts of a search: every fault, not the first.

Values that are made already (from Python) pass as they are. Knows no YAML and no positions: a fault
carries the keys that lead to its place.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeVar

from automl.errors import Fault, InputError
from automl.policies import Policy, policy_faults
from automl.resources import Resources
from automl.space import Choice, Float, Int, Parameter, Space, constant_faults
from automl.urls import ledger_fault, storage_fault
from automl.values import FRAMEWORKS, Budget, Objective, Timeout, Tracking, Trainer, count_fault
from automl.words import KINDS, Spot, dotted, is_text, is_whole, show, under, unknown

KEYS = (
    "schema",
    "name",
    "seed",
    "objective",
    "trainer",
    "trainers",
    "space",
    "start_with",
    "budget",
    "search",
    "resources",
    "retries",
    "timeout",
    "storage",
    "keep",
    "ledger",
    "tracking",
)
RANGE_KEYS = ("log", "step", "when")
PARAMETERS: Mapping[str, tuple[type[Float] | type[Int] | type[Choice], tuple[str, ...]]] = {
    "float": (Float, RANGE_KEYS),
    "int": (Int, RANGE_KEYS),
    "choice": (Choice, ("when",)),
}
SEEDS = 2**32
NAME_LENGTH = 100

T = TypeVar("T")


@dataclass(frozen=True)
class Sketch:
    """What is known of a trainer that has a fault, for the checks that it does not spoil."""

    framework: str
    data: Any
    fit: Mapping[str, Any]


@dataclass
class Reading:
    """What was read so far: the sound parts by name, and all the faults.

    Args:
        parts: attributes of Search by name; a part with a fault that spoils it is missing.
        broken: parameters that are in the space but could not be read.
        conditions: what is well-formed under `when`, by parameter, broken ones included.
        faults: in the order in which they were found.
    """

    parts: dict[str, Any] = field(default_factory=dict)
    broken: set[str] = field(default_factory=set)
    conditions: dict[str, Mapping[str, Any]] = field(default_factory=dict)
    faults: list[Fault] = field(default_factory=list)

    def fault(self, path: Spot, what: str, mend: str, at_key: bool = False) -> None:
        """Note one fault."""
        self.faults.append(Fault(dotted(path), what, mend, spot=path, at_key=at_key))

    def kind(self, path: Spot, value: Any, kind: str) -> bool:
        """Whether the value is of the kind; notes the fault if not."""
        words, test = KINDS[kind]
        if not test(value):
            self.fault(path, f"{show(value)} is not {words}", f"Give {words}")
        return test(value)

    def keys(
        self, path: Spot, value: Mapping[Any, Any], valid: Sequence[str], what: str = "unknown key"
    ) -> None:
        """Note the keys that are not valid."""
        for key in value:
            if key not in valid:
                self.fault((*path, key), *unknown(key, valid, what), at_key=True)

    def make(self, path: Spot, kind: Callable[..., T], spots: Mapping[str, Spot], **words: Any) -> T | None:
        """The value, or None and its faults noted. `spots` says where an attribute lies in the file."""
        try:
            return kind(**words)
        except InputError as error:
            for fault in error.faults:
                spot = fault.spot or ((fault.where,) if fault.where else ())
                if spot and spot[0] in spots:
                    spot = (*spots[str(spot[0])], *spot[1:])
                place = under(fault, *path)
                self.faults.append(
                    Fault(place.where, fault.what, fault.mend, spot=(*path, *spot), at_key=fault.at_key)
                )
            return None

    def record(
        self, path: Spot, kind: type[T], value: Any, words: Sequence[str], required: Sequence[str] = ()
    ) -> T | None:
        """A value of `kind` from a mapping of its `words`."""
        if isinstance(value, kind):
            return value
        if not self.kind(path, value, "mapping"):
            return None
        self.keys(path, value, words)
        given = {word: value[word] for word in words if value.get(word) is not None}
        return self.make(path, kind, {}, **{**dict.fromkeys(required), **given})


def read(raw: Mapping[str, Any]) -> Reading:
    """Everything that can be read of a search.

    Args:
        raw: the search file as plain data; a value may also be the Python value itself.
    """
    reading = Reading()
    reading.keys((), raw, KEYS)
    given = {key: value for key, value in raw.items() if value is not None}
    if "schema" in given and not (is_whole(given["schema"]) and given["schema"] == 1):
        reading.fault(("schema",), f"{show(given['schema'])} is no schema of this version", "Write schema: 1")
    _read_scalars(reading, given)
    _read_objectives(reading, given)
    _read_trainers(reading, given)
    for key, reader in _READERS.items():
        if key in given:
            reader(reading, given[key])
    if "tracking" in raw:
        _read_tracking(reading, raw["tracking"])
    for key, mend in (
        ("space", "Add space, with at least one parameter"),
        ("budget", "Add budget: {trials: 50}"),
    ):
        if key not in given:
            reading.fault((key,), "missing", mend)
    return reading


def _read_scalars(reading: Reading, given: Mapping[str, Any]) -> None:
    if "name" not in given:
        reading.fault(("name",), "missing", "Add name")
    for key, check in _SCALARS.items():
        if key in given:
            fault = check(given[key])
            if fault is None:
                reading.parts[key] = given[key]
            else:
                reading.faults.append(fault)


def _name_fault(name: Any) -> Fault | None:
    if not isinstance(name, str):
        return Fault("name", f"{show(name)} is not text", "Give text, in quotes if it looks like a number")
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]*", name):
        mend = "Use letters, digits, . _ and -, with a letter or digit first"
        return Fault("name", f"{show(name)} is no name", mend)
    if len(name) > NAME_LENGTH:
        return Fault("name", f"has {len(name)} characters", f"Use at most {NAME_LENGTH}")
    return None


def _seed_fault(seed: Any) -> Fault | None:
    fault = count_fault("seed", seed, 0)
    if fault is None and seed >= SEEDS:
        return Fault("seed", f"{seed} is too large", f"Give a seed below {SEEDS}")
    return fault


def _text_then(where: str, check: Callable[[str], Fault | None]) -> Callable[[Any], Fault | None]:
    def fault(value: Any) -> Fault | None:
        return check(value) if is_text(value) else Fault(where, f"{show(value)} is not text", "Give text")

    return fault


_SCALARS: Mapping[str, Callable[[Any], Fault | None]] = {
    "name": _name_fault,
    "seed": _seed_fault,
    "retries": lambda value: count_fault("retries", value, 0),
    "keep": lambda value: count_fault("keep", value, 1),
    "storage": _text_then("storage", storage_fault),
    "ledger": _text_then("ledger", ledger_fault),
}


def _read_objectives(reading: Reading, given: Mapping[str, Any]) -> None:
    value = given.get("objective")
    if value is None or value == [] or value == ():
        mend = "Add objective: {metric: val_accuracy, direction: maximize}"
        reading.fault(("objective",), "missing", mend)
        return
    words = ("metric", "direction", "target", "value")
    many = isinstance(value, list | tuple)
    paths: list[Spot] = [("objective", i) for i in range(len(value))] if many else [("objective",)]
    made = [
        reading.record(path, Objective, item, words, ("metric", "direction"))
        for path, item in zip(paths, value if many else [value], strict=True)
    ]
    reading.parts["objectives"] = tuple(made)


def _read_trainers(reading: Reading, given: Mapping[str, Any]) -> None:
    if "trainer" in given and "trainers" in given:
        mend = "Keep trainer for one, trainers for several"
        reading.fault(("trainers",), "there is trainer as well", mend, at_key=True)
    if "trainer" not in given and "trainers" not in given:
        mend = "Add trainer: {framework: lightning, model: ..., data: ...}"
        reading.fault(("trainer",), "missing", mend)
        return
    named: dict[Any, tuple[Spot, Any]] = {}
    if "trainer" in given:
        named["trainer"] = (("trainer",), given["trainer"])
    if "trainers" in given and reading.kind(("trainers",), given["trainers"], "mapping"):
        if not given["trainers"]:
            reading.fault(("trainers",), "no trainers", "Give at least one: {NAME: {framework: ...}}")
        named |= {name: (("trainers", name), value) for name, value in given["trainers"].items()}
    for name, (path, _) in named.items():
        if not (isinstance(name, str) and re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9_-]*", name)):
            mend = "Use letters, digits, _ and -; quote what YAML takes for a number"
            reading.fault(path, f"{show(name)} is no name", mend, at_key=True)
    words = ("framework", "model", "data", "fit")
    if named:
        reading.parts["trainers"] = {
            name: reading.record(path, Trainer, value, words, ("framework", "model")) or _sketch(value)
            for name, (path, value) in named.items()
        }


def _sketch(value: Any) -> Sketch | None:
    if not isinstance(value, Mapping) or value.get("framework") not in FRAMEWORKS:
        return None
    fit = value.get("fit")
    return Sketch(value["framework"], value.get("data", ""), fit if isinstance(fit, Mapping) else {})


def _read_space(reading: Reading, value: Any) -> None:
    if isinstance(value, Space):
        value = {**value.params, **value.constants}
    if not reading.kind(("space",), value, "mapping"):
        return
    params: dict[str, Parameter] = {}
    constants: dict[str, Any] = {}
    for name, entry in value.items():
        if not isinstance(name, str):
            reading.fault(("space", name), f"{show(name)} is not text", "Write model.NAME", at_key=True)
        elif isinstance(entry, Float | Int | Choice):
            params[name] = entry
            reading.conditions[name] = entry.when or {}
        elif isinstance(entry, Mapping):
            made = _read_parameter(reading, ("space", name), entry)
            when = made.when if made else entry.get("when")
            reading.conditions[name] = when if isinstance(when, Mapping) else {}
            if made is None:
                reading.broken.add(name)
            else:
                params[name] = made
        else:
            found = [under(fault, "space") for fault in constant_faults(name, entry)]
            reading.faults += found
            if not found:
                constants[name] = entry
    reading.parts["space"] = Space(params, constants)


def _read_parameter(reading: Reading, path: Spot, entry: Mapping[str, Any]) -> Parameter | None:
    kinds = [key for key in entry if key in PARAMETERS]
    if not kinds:
        reading.keys(path, entry, (*PARAMETERS, *RANGE_KEYS))
        if set(entry) <= set(RANGE_KEYS):
            reading.faults += [under(fault, "space") for fault in constant_faults(str(path[-1]), entry)]
        return None
    kind, words = PARAMETERS[kinds[0]]
    for extra in kinds[1:]:
        reading.fault(
            (*path, extra), f"a parameter is {kinds[0]} or {extra}", "Keep one of them", at_key=True
        )
    reading.keys(path, {key: 0 for key in entry if key not in kinds}, words, f"{kinds[0]} does not take it")
    given = {word: entry[word] for word in words if entry.get(word) is not None}
    value = entry[kinds[0]]
    if kind is Choice:
        return reading.make(path, Choice, {"options": ("choice",)}, options=value, **given)
    if not (isinstance(value, list | tuple) and len(value) == 2):
        reading.fault((*path, kinds[0]), f"{show(value)} is not [low, high]", "Give two numbers: [low, high]")
        return None
    spots: dict[str, Spot] = {"low": (kinds[0], 0), "high": (kinds[0], 1)}
    made = reading.make(path, kind, spots, low=value[0], high=value[1], **given)
    assert made is None or isinstance(made, Float | Int)
    return made


def _read_start_with(reading: Reading, value: Any) -> None:
    if not reading.kind(("start_with",), value, "list"):
        return
    points = [
        (i, point) for i, point in enumerate(value) if reading.kind(("start_with", i), point, "mapping")
    ]
    reading.parts["start_with"] = tuple(dict(point) for _, point in points)
    reading.parts["start_with_rows"] = tuple(i for i, _ in points)


def _read_budget(reading: Reading, value: Any) -> None:
    words = ("trials", "time", "patience", "failures")
    value = _with_units(reading, "budget", value, ("time",))
    reading.parts["budget"] = reading.record(("budget",), Budget, value, words)


def _read_timeout(reading: Reading, value: Any) -> None:
    words = ("silence", "trial")
    value = _with_units(reading, "timeout", value, words)
    reading.parts["timeout"] = reading.record(("timeout",), Timeout, value, words)


def _with_units(reading: Reading, key: str, value: Any, words: Sequence[str]) -> Any:
    """The value with times that have a unit; notes the numbers that have none."""
    for word in words:
        number = value.get(word) if isinstance(value, Mapping) else None
        if isinstance(number, int | float):
            mend = f"Write {number}s, {number}m or {number}h"
            reading.fault((key, word), f"{show(number)} has no unit", mend)
            value = {**value, word: "1s"}
    return value


def _read_policies(reading: Reading, value: Any) -> None:
    if not reading.kind(("search",), value, "mapping"):
        return
    reading.keys(("search",), value, ("sampler", "pruner"))
    for kind in ("sampler", "pruner"):
        if value.get(kind) is not None:
            reading.parts[kind] = _read_policy(reading, kind, value[kind])


def _read_policy(reading: Reading, kind: str, value: Any) -> Policy | None:
    path = ("search", kind)
    whole = isinstance(value, str)
    if isinstance(value, Mapping):
        if not isinstance(value.get("name"), str):
            reading.fault((*path, "name"), "missing, or not text", f"Write {{name: a {kind}, arguments...}}")
            return None
        arguments = {key: item for key, item in value.items() if key != "name"}
        value = reading.make(path, Policy, {}, name=value["name"], arguments=arguments)
    elif whole:
        value = Policy(value)
    elif not isinstance(value, Policy):
        reading.fault(path, f"{show(value)} is no {kind}", "Give a name, or {name: ..., arguments...}")
        return None
    if value is None:
        return None
    faults = [under(fault, *path) for fault in policy_faults(kind, value)]
    if whole:
        faults = [Fault(fault.where, fault.what, fault.mend, spot=path) for fault in faults]
    reading.faults += faults
    return None if faults else value


def _read_resources(reading: Reading, value: Any) -> None:
    words = ("cpus", "gpus", "parallel", "ranks", "share", "accelerator", "custom", "labels")
    reading.parts["resources"] = reading.record(("resources",), Resources, value, words)


def _read_tracking(reading: Reading, value: Any) -> None:
    if value is None or value is False:
        reading.parts["tracking"] = None
        return
    words = ("uri", "experiment", "register")
    made = reading.record(("tracking",), Tracking, value, words)
    if made is not None:
        reading.parts["tracking"] = made


_READERS: Mapping[str, Callable[[Reading, Any], None]] = {
    "space": _read_space,
    "start_with": _read_start_with,
    "budget": _read_budget,
    "search": _read_policies,
    "resources": _read_resources,
    "timeout": _read_timeout,
}
