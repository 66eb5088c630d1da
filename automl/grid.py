"""Every combination of a space once, and seeds by hash. Has never heard of Optuna."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Any

from automl.errors import Fault, InputError
from automl.space import Choice, Int, Parameter


def seed_of(*parts: int | str) -> int:
    """A seed in [0, 2**32) that is the same in every process, whatever PYTHONHASHSEED is."""
    text = ":".join(map(str, parts))
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:4], "big")


class Grid:
    """Every combination once, in an order that the seed decides.

    Optuna's own GridSampler raises on the last `tell` under ask and tell. The order is shuffled so
    that a budget smaller than the grid still sees all of each axis: a trial takes the point that
    its number hashes to, or the next one that nobody has tried. Nothing is kept but what was tried,
    so a grid of any size costs nothing, and start points that lie on it are not tried twice.

    Args:
        axes: what varies, by name. An Int axis is every step of its range, log or not.
        seed: the search's.

    Raises:
        InputError: a float without a step.
    """

    def __init__(self, axes: Mapping[str, Parameter], seed: int) -> None:
        self._axes = {name: _ticks(name, axis) for name, axis in axes.items()}
        self._size = math.prod(map(len, self._axes.values()))
        self._seed = seed
        self._tried: set[int] = set()

    def point(self, number: int) -> dict[str, Any] | None:
        """An untried point for the trial of that number; None when there is none left."""
        if len(self._tried) >= self._size:
            return None
        index = seed_of(self._seed, number) % self._size
        while index in self._tried:
            index = (index + 1) % self._size
        return self._at(index)

    def tried(self, point: Mapping[str, Any]) -> None:
        """The point was asked for; points off the grid do not count."""
        index = 0
        for name, ticks in self._axes.items():
            if point.get(name) not in ticks:
                return
            index = index * len(ticks) + ticks.index(point[name])
        self._tried.add(index)

    def _at(self, index: int) -> dict[str, Any]:
        point = {}
        for name, ticks in reversed(self._axes.items()):
            index, place = divmod(index, len(ticks))
            point[name] = ticks[place]
        return point


def _ticks(name: str, axis: Parameter) -> Sequence[Any]:
    if isinstance(axis, Choice):
        return range(len(axis.options))
    if isinstance(axis, Int):
        return range(axis.low, axis.high + 1, axis.step or 1)
    if axis.step is None and axis.low < axis.high:
        fault = Fault(
            f"space.{name}", "a grid needs a step here", "Give the float a `step`, or make it a choice"
        )
        raise InputError(fault)
    # In decimals, because 3 * 0.1 is not 0.3.
    low, step = Decimal(str(axis.low)), Decimal(str(axis.step or 1))
    count = int((Decimal(str(axis.high)) - low) // step) + 1
    return tuple(float(low + place * step) for place in range(count))
