"""A search's points, as the file has them and as Optuna has them. Knows no study and no events.

A choice is a number to Optuna, its place among the options, so that `True` and `1` are two. With
brain.py, thought.py and samplers.py the only door to Optuna.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import optuna
from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution, IntDistribution

from automl.samplers import distribution
from automl.search import Search
from automl.space import Choice, Float, same


class Points:
    """To and from Optuna.

    Args:
        search: its space, constants and trainers are used.
    """

    def __init__(self, search: Search) -> None:
        self._space = search.full_space
        self._trainer = next(iter(search.trainers))
        self.axes = {name: distribution(parameter) for name, parameter in self._space.ordered()}
        self.conditional = any(parameter.when for parameter in self._space.params.values())

    def trainer(self, values: Mapping[str, Any]) -> str:
        """The name of the trainer that runs a point."""
        return str(values.get("trainer", self._trainer))

    def suggested(self, trial: optuna.Trial) -> dict[str, Any]:
        """A trial's values as its trainer gets them, drawn one after another."""
        values = self._blank()
        for name, axis in self.axes.items():
            if self._space.active(name, values):
                values[name] = self._outward(name, _drawn(trial, name, axis))
        return values

    def fixed(self, point: Mapping[str, Any]) -> dict[str, Any]:
        """A point of the file, whole or in part, as Optuna has it."""
        return {name: self.inward(name, value) for name, value in point.items() if name in self.axes}

    def settled(self, fixed: Mapping[str, Any]) -> bool:
        """Whether fixed parameters leave nothing to draw."""
        values = self._blank()
        for name in self.axes:
            if not self._space.active(name, values):
                continue
            if name not in fixed:
                return False
            values[name] = self._outward(name, fixed[name])
        return True

    def wants_trainer(self, fixed: Mapping[str, Any]) -> bool:
        """Whether the trainer is left open by fixed parameters and by their conditions."""
        conditions = [self._space.params[name].when or {} for name in fixed]
        return "trainer" not in fixed and not any("trainer" in when for when in conditions)

    def raw(self, params: Mapping[str, Any]) -> dict[str, Any] | None:
        """Recorded parameters as Optuna has them; None when they are no point of this space."""
        constants = self._space.constants
        raw: dict[str, Any] = {}
        for name, axis in self.axes.items():
            if not self._space.active(name, {**constants, **params}):
                continue
            try:
                raw[name] = self.inward(name, params[name])
                if not axis._contains(axis.to_internal_repr(raw[name])):
                    return None
            except (KeyError, ValueError, TypeError):
                return None
        kept = all(name in params and same(plain(value), params[name]) for name, value in constants.items())
        return raw if kept and params.keys() == raw.keys() | constants.keys() else None

    def inward(self, name: str, value: Any) -> Any:
        parameter = self._space.params[name]
        if isinstance(parameter, Choice):
            return parameter.index(value)
        return float(value) if isinstance(parameter, Float) else int(value)

    def _outward(self, name: str, raw: Any) -> Any:
        parameter = self._space.params[name]
        if isinstance(parameter, Choice):
            return parameter.options[raw]
        return float(raw) if isinstance(parameter, Float) else int(raw)

    def _blank(self) -> dict[str, Any]:
        first: dict[str, Any] = {"trainer": None} if "trainer" in self.axes else {}
        return first | dict(self._space.constants)


def _drawn(trial: optuna.Trial, name: str, axis: BaseDistribution) -> Any:
    if isinstance(axis, CategoricalDistribution):
        return trial.suggest_categorical(name, axis.choices)
    if isinstance(axis, FloatDistribution):
        return trial.suggest_float(name, axis.low, axis.high, step=axis.step, log=axis.log)
    assert isinstance(axis, IntDistribution)
    return trial.suggest_int(name, axis.low, axis.high, step=axis.step, log=axis.log)


def plain(value: Any) -> Any:
    """A value as it comes back from JSON."""
    return json.loads(json.dumps(value))
