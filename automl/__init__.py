"""Hyperparameter search: Optuna-driven Lightning and Keras trials on Ray, tracked in MLflow.

The door. Importing it imports nothing heavy: every name is loaded when it is first used.
"""

from __future__ import annotations

import sys
from importlib import import_module
from types import ModuleType
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from automl.data import prepared as prepared
    from automl.door import BestTrial as BestTrial
    from automl.door import Result as Result
    from automl.door import check as check
    from automl.door import fsck as fsck
    from automl.door import load as load
    from automl.door import resume as resume
    from automl.door import run as run
    from automl.door import stop as stop
    from automl.door import submit as submit
    from automl.errors import AutoMLError as AutoMLError
    from automl.search import Budget as Budget
    from automl.search import Objective as Objective
    from automl.search import Resources as Resources
    from automl.search import Search as Search
    from automl.search import Timeout as Timeout
    from automl.search import Tracking as Tracking
    from automl.search import Trainer as Trainer
    from automl.space import Choice as Choice
    from automl.space import Float as Float
    from automl.space import Int as Int
    from automl.submission import Submission as Submission

__version__ = "0.1.0"

_HOME = {
    "Search": "automl.search",
    "Trainer": "automl.search",
    "Objective": "automl.search",
    "Float": "automl.space",
    "Int": "automl.space",
    "Choice": "automl.space",
    "Budget": "automl.search",
    "Resources": "automl.search",
    "Timeout": "automl.search",
    "Tracking": "automl.search",
    "AutoMLError": "automl.errors",
    "load": "automl.door",
    "check": "automl.door",
    "fsck": "automl.door",
    "run": "automl.door",
    "submit": "automl.door",
    "resume": "automl.door",
    "stop": "automl.door",
    "Result": "automl.door",
    "BestTrial": "automl.door",
    "Submission": "automl.submission",
    "prepared": "automl.data",
}
__all__ = list(_HOME)


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module 'automl' has no attribute {name!r}")
    value = getattr(import_module(_HOME[name]), name)
    globals()[name] = value
    return value


class _Door(ModuleType):
    """Python binds a submodule's name in its package; here `run` stays the function of the door."""

    def __setattr__(self, name: str, value: Any) -> None:
        if not (name in _HOME and isinstance(value, ModuleType)):
            super().__setattr__(name, value)


sys.modules[__name__].__class__ = _Door


def __dir__() -> list[str]:
    return sorted([*_HOME, "__version__"])
