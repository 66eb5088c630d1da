"""Named parameters and their conditions. Has never heard of YAML or Optuna."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from automl.errors import Fault
from automl.words import is_number, is_whole, plain, settle, show, wrong_kinds

When = Mapping[str, Any]


def same(left: Any, right: Any) -> bool:
    """Equality that tells True, 1 and 1.0 apart, inside lists and mappings too."""
    if type(left) is not type(right):
        return False
    if isinstance(left, dict):
        return left.keys() == right.keys() and all(same(left[key], right[key]) for key in left)
    if isinstance(left, list | tuple):
        return len(left) == len(right) and all(map(same, left, right))
    return bool(left == right)


@dataclass(frozen=True)
class Float:
    """A real number in [low, high], bounds included.

    Args:
        low, high: the bounds.
        log: sample the logarithm; needs low > 0, and no step.
        step: only low, low + step, low + 2 step... are sampled.
        when: the conditions under which the parameter exists: another parameter's name to the
            value, or the list of values, that it must have.

    Raises:
        InputError: with everything that is wrong with the values.
    """

    low: float
    high: float
    log: bool = False
    step: float | None = None
    when: When | None = None

    def __post_init__(self) -> None:
        settle(_range_faults(self, "number"))
        for name in ("low", "high", "step"):
            value = getattr(self, name)
            object.__setattr__(self, name, None if value is None else float(value))
        object.__setattr__(self, "when", _plain_when(self.when))

    def misfit(self, value: Any) -> str | None:
        """Why `value` is no point of this parameter, or None."""
        return _range_misfit(self, value, "number")


@dataclass(frozen=True)
class Int:
    """A whole number in [low, high], bounds included. Arguments and errors as for Float."""

    low: int
    high: int
    log: bool = False
    step: int | None = None
    when: When | None = None

    def __post_init__(self) -> None:
        settle(_range_faults(self, "whole"))
        object.__setattr__(self, "when", _plain_when(self.when))

    def misfit(self, value: Any) -> str | None:
        """Why `value` is no point of this parameter, or None."""
        return _range_misfit(self, value, "whole")


@dataclass(frozen=True)
class Choice:
    """One of `options`, any JSON values, told apart by type and stored by index.

    Raises:
        InputError: no options, the same one twice, or one that JSON cannot hold.
    """

    options: Sequence[Any] = ()
    when: When | None = None

    def __post_init__(self) -> None:
        settle([*_option_faults(self.options), *_when_faults(self.when)])
        object.__setattr__(self, "options", tuple(plain(option) for option in self.options))
        object.__setattr__(self, "when", _plain_when(self.when))

    def misfit(self, value: Any) -> str | None:
        """Why `value` is no point of this parameter, or None."""
        if any(same(option, value) for option in self.options):
            return None
        return f"{show(value)} is none of {show(list(self.options))}"

    def index(self, value: Any) -> int:
        """The position of `value`. Raises ValueError when it is no option."""
        for position, option in enumerate(self.options):
            if same(option, value):
                return position
        raise ValueError(f"{value!r} is none of {list(self.options)!r}")


Parameter = Float | Int | Choice


@dataclass(frozen=True)
class Space:
    """Parameters by name, in the order of the file; constants are plain values.

    `params` holds Float, Int and Choice; `constants` the rest. What joins parameters (a condition
    on another one) is checked by Search, which also knows the trainers.

    Raises:
        InputError: a constant that JSON cannot hold.
    """

    params: Mapping[str, Parameter] = field(default_factory=dict)
    constants: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        settle([fault for name, value in self.constants.items() for fault in constant_faults(name, value)])
        object.__setattr__(self, "params", dict(self.params))
        object.__setattr__(self, "constants", {name: plain(value) for name, value in self.constants.items()})

    def ordered(self) -> Iterator[tuple[str, Parameter]]:
        """The parameters, each after those that its condition names."""
        left = dict(self.params)
        while left:
            ready = [name for name, p in left.items() if not (set(p.when or {}) & left.keys())]
            if not ready:
                raise ValueError(f"conditions in a circle: {', '.join(left)}")
            for name in ready:
                yield name, left.pop(name)

    def active(self, name: str, values: Mapping[str, Any]) -> bool:
        """Whether the parameter's condition holds, given the values chosen so far."""
        when = self.params[name].when or {}
        known = {**self.constants, **values}
        return all(key in known and holds(wanted, known[key]) for key, wanted in when.items())


def holds(wanted: Any, value: Any) -> bool:
    """A condition's one entry: equality, or any of a list."""
    if isinstance(wanted, list | tuple):
        return any(same(option, value) for option in wanted) or same(list(wanted), value)
    return same(wanted, value)


def constant_faults(name: str, value: Any) -> list[Fault]:
    """What is wrong with a constant: it must be JSON, and no mapping."""
    if isinstance(value, Mapping):
        mend = "Give float, int or choice; a constant mapping is written {choice: [{...}]}"
        return [Fault(name, "a mapping, but no float, int or choice", mend, spot=(name,))]
    return _json_fault(name, value, (name,))


def _json_fault(name: str, value: Any, spot: tuple[str | int, ...]) -> list[Fault]:
    try:
        plain(value)
    except ValueError as error:
        return [Fault(name, str(error), "Give a JSON value", spot=spot)]
    return []


def _range_faults(p: Float | Int, kind: str) -> list[Fault]:
    """Every fault of a range; those of joined values only where each value is sound."""
    values = {"low": p.low, "high": p.high, "log": p.log, "step": p.step}
    missing = [
        Fault("", f"{name} is missing", "Give low and high", spot=(name,))
        for name in ("low", "high")
        if values[name] is None
    ]
    faults = missing + wrong_kinds(values, {"low": kind, "high": kind, "log": "flag", "step": kind})
    bad = {fault.spot[0] for fault in faults}
    for needs, name, wrong, what, mend in _RANGE_RULES:
        if not bad & set(needs) and wrong(p):
            spot = () if name == "range" else (name,)
            faults.append(Fault("", what.format(p=p), mend, spot=spot))
    return [*faults, *_when_faults(p.when)]


# What joins the values of a range: the values needed, the one to blame, the test, what, the mend.
_RANGE_RULES: Sequence[tuple[tuple[str, ...], str, Callable[[Any], bool], str, str]] = (
    (
        ("low", "high"),
        "low",
        lambda p: p.low > p.high,
        "low {p.low} is above high {p.high}",
        "Put the smaller bound first",
    ),
    (
        ("low", "log"),
        "low",
        lambda p: p.log and p.low <= 0,
        "low is {p.low}, a log scale needs low > 0",
        "Try 1e-5, or 1 for an int",
    ),
    (
        ("log", "step"),
        "step",
        lambda p: p.log and p.step is not None,
        "log and step exclude each other",
        "Remove one of them",
    ),
    (
        ("step",),
        "step",
        lambda p: p.step is not None and p.step <= 0,
        "step is {p.step}, it must be above zero",
        "Give a positive step",
    ),
    (
        ("low", "high", "step"),
        "step",
        lambda p: p.step is not None and p.low <= p.high and p.step > 0 and p.step > p.high - p.low,
        "step {p.step} is larger than the range from {p.low} to {p.high}",
        "Give a smaller step",
    ),
)


def _range_misfit(p: Float | Int, value: Any, kind: str) -> str | None:
    if not (is_whole(value) if kind == "whole" else is_number(value)):
        return f"{show(value)} is not {'a whole' if kind == 'whole' else 'a finite'} number"
    if not p.low <= value <= p.high:
        return f"{value} is outside {p.low} to {p.high}"
    if p.step:
        steps = (value - p.low) / p.step
        if not math.isclose(steps, round(steps), abs_tol=1e-8):
            return f"{value} is not on the grid from {p.low} in steps of {p.step}"
    return None


def _option_faults(options: Any) -> list[Fault]:
    if not isinstance(options, list | tuple):
        return [Fault("", f"{show(options)} is not a list of options", "Give a list")]
    if not options:
        return [Fault("", "no options", "Give at least one option")]
    faults = [fault for i, option in enumerate(options) for fault in _json_fault("", option, ("options", i))]
    if faults:
        return faults
    values = [plain(option) for option in options]
    return [
        Fault("", f"{show(value)} is given twice", "Remove one of them", spot=("options", i))
        for i, value in enumerate(values)
        if any(same(value, earlier) for earlier in values[:i])
    ]


def _when_faults(when: Any) -> list[Fault]:
    if when is None:
        return []
    if not isinstance(when, Mapping) or not all(isinstance(key, str) for key in when):
        mend = "Write when: {parameter: value}"
        return [Fault("when", f"{show(when)} is not a mapping of parameters", mend, spot=("when",))]
    if not when:
        return [
            Fault("when", "no condition", "Remove when, or write when: {parameter: value}", spot=("when",))
        ]
    return [
        fault for key, value in when.items() for fault in _json_fault(f"when.{key}", value, ("when", key))
    ] + [
        Fault(f"when.{key}", "no values", "Give at least one value", spot=("when", key))
        for key, value in when.items()
        if isinstance(value, list | tuple) and not value
    ]


def _plain_when(when: When | None) -> When | None:
    return None if when is None else {key: plain(value) for key, value in when.items()}
