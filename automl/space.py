"""Named parameters and their conditions. Has never heard of YAML or Optuna."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

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
    """A real number in [low, high], bounds included."""

    low: float
    high: float
    log: bool = False
    step: float | None = None
    when: When | None = None


@dataclass(frozen=True)
class Int:
    """A whole number in [low, high], bounds included."""

    low: int
    high: int
    log: bool = False
    step: int | None = None
    when: When | None = None


@dataclass(frozen=True)
class Choice:
    """One of `options`, any JSON values, told apart by type and stored by index."""

    options: Sequence[Any] = ()
    when: When | None = None

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

    `params` holds Float, Int and Choice; `constants` the rest.
    """

    params: Mapping[str, Parameter] = field(default_factory=dict)
    constants: Mapping[str, Any] = field(default_factory=dict)

    def ordered(self) -> Iterator[tuple[str, Parameter]]:
        """The parameters, each after those that its condition names."""
        done: set[str] = set()
        left = dict(self.params)
        while left:
            ready = [name for name, p in left.items() if not (set(p.when or {}) & left.keys())]
            if not ready:
                raise ValueError(f"conditions in a circle: {', '.join(left)}")
            for name in ready:
                yield name, left.pop(name)
                done.add(name)

    def active(self, name: str, values: Mapping[str, Any]) -> bool:
        """Whether the parameter's condition holds, given the values chosen so far."""
        when = self.params[name].when or {}
        return all(key in values and holds(wanted, values[key]) for key, wanted in when.items())


def holds(wanted: Any, value: Any) -> bool:
    """A condition's one entry: equality, or any of a list."""
    if isinstance(wanted, list | tuple):
        return any(same(option, value) for option in wanted) or same(list(wanted), value)
    return same(wanted, value)
