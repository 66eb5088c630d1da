"""Who takes part in peers.py: a table of names, so that listing them imports none of them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from importlib import import_module, util
from typing import Any

BOTH = ("lightning", "keras")


@dataclass(frozen=True)
class Contender:
    """One way to run the search.

    Args:
        name: as `--contender` takes it.
        title: as the tables show it.
        module: the file of this package that runs it.
        options: what that file takes beside the workload.
        frameworks, workloads: which it takes part in.
        needs: import names of packages beyond automl's own, to the names that pip knows.
    """

    name: str
    title: str
    module: str
    options: Mapping[str, Any] = field(default_factory=dict)
    frameworks: tuple[str, ...] = BOTH
    workloads: tuple[str, ...] = ("short", "medium")
    needs: Mapping[str, str] = field(default_factory=dict)

    @property
    def room(self) -> Any:
        """Its module: `command` and `outcome`, as `base` describes them."""
        return import_module(f"contenders.{self.module}")

    @property
    def missing(self) -> list[str]:
        """The packages that are not installed."""
        return [package for name, package in self.needs.items() if util.find_spec(name) is None]


_TUNER = {"keras_tuner": "keras-tuner", "tensorboard": "tensorboard"}  # the second is used by the first
CONTENDERS = (
    Contender("alone", "the training alone, no search", "alone"),
    Contender("automl-ray", "automl, Ray engine", "ours", {"engine": "ray"}),
    Contender("automl-local", "automl, local engine", "ours", {"engine": "local"}),
    Contender("tune", "Ray Tune", "tune", {"reuse": False}),
    Contender("tune-reuse", "Ray Tune, reuse_actors", "tune", {"reuse": True}),
    Contender("optuna", "Optuna", "optuna_alone", needs={"optuna_integration": "optuna-integration"}),
    Contender(
        "keras-tuner", "Keras Tuner, Bayesian", "tuner", {"kind": "bayesian"}, ("keras",), needs=_TUNER
    ),
    Contender(
        "keras-tuner-hyperband",
        "Keras Tuner, Hyperband",
        "tuner",
        {"kind": "hyperband"},
        ("keras",),
        ("medium",),
        _TUNER,
    ),
)
BY_NAME: Mapping[str, Contender] = {contender.name: contender for contender in CONTENDERS}
