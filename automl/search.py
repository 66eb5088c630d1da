"""The plan of a search, as frozen values. Knows no vendor, no file and no database."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from automl.space import Choice, Space

Direction = Literal["minimize", "maximize"]
FRAMEWORKS = ("lightning", "keras", "function")
SAMPLERS = ("auto", "tpe", "random", "gp", "cmaes", "nsgaii", "qmc", "grid")
PRUNERS = ("auto", "none", "median", "percentile", "successive_halving", "hyperband")


@dataclass(frozen=True)
class Objective:
    """What is optimised: a reported metric, and which way.

    Args:
        metric: a name that the trainer reports.
        direction: `minimize` or `maximize`.
        target: a value at which the search may end.
        value: `last` takes the last report of a trial, `best` its best one.
    """

    metric: str
    direction: Direction
    target: float | None = None
    value: Literal["last", "best"] = "last"

    def better(self, left: float, right: float) -> bool:
        """Whether `left` beats `right`."""
        return left > right if self.direction == "maximize" else left < right


@dataclass(frozen=True)
class Trainer:
    """What a trial runs.

    Args:
        framework: `lightning`, `keras` or `function`.
        model: `package.module:Name`; an importable class or function is turned into its address.
        data: the same; required for lightning and keras.
        fit: arguments of `Trainer` or `Model.fit`.
    """

    framework: str
    model: str
    data: str | None = None
    fit: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Budget:
    """When to end, whichever comes first.

    Args:
        trials: ended trials.
        time_s: seconds that a driver was alive, summed.
        patience: ended trials without a better best.
        failures: trials that fail alike, in a row, at the start.
    """

    trials: int | None = None
    time_s: float | None = None
    patience: int | None = None
    failures: int = 5


@dataclass(frozen=True)
class Resources:
    """What each trial gets: CPUs, GPUs (fractions allowed), and how many trials at once."""

    cpus: float = 1
    gpus: float = 0
    parallel: int | Literal["auto"] = "auto"


@dataclass(frozen=True)
class Tracking:
    """Where people browse: an MLflow tracking URI, an experiment, a registered model's name."""

    uri: str | None = None
    experiment: str | None = None
    register: str | None = None


@dataclass(frozen=True)
class Policy:
    """A sampler or pruner by name, with its arguments."""

    name: str = "auto"
    arguments: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Search:
    """The whole plan. `trainers` always maps names; one alone is called "trainer"."""

    name: str
    objectives: Sequence[Objective]
    trainers: Mapping[str, Trainer]
    space: Space
    budget: Budget
    seed: int = 0
    start_with: Sequence[Mapping[str, Any]] = ()
    sampler: Policy = Policy()
    pruner: Policy = Policy()
    resources: Resources = Resources()
    retries: int = 2
    storage: str = "runs"
    ledger: str | None = None
    tracking: Tracking | None = Tracking()

    @property
    def full_space(self) -> Space:
        """The space with `trainer` as its first parameter where there are several."""
        if len(self.trainers) == 1:
            return self.space
        return Space({"trainer": Choice(tuple(self.trainers)), **self.space.params}, self.space.constants)
