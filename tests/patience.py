"""What tests wait for as an engine does."""

from __future__ import annotations

from collections.abc import Callable

from automl.desk import Desk
from automl.engines.base import Task


def task_of(desk: Desk, fits: Callable[[Task], bool] = lambda task: True) -> Task | None:
    """The next task of a desk, once it is known what to try; None where there is none, or it does not fit."""
    task = desk.next_task(fits)
    while task is None and desk.thinking:
        desk.wait(10.0)
        task = desk.next_task(fits)
    return task
