"""The best trial leaves the search as a verified model, built in a child process. Knows no ledger."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from automl import storage
from automl.errors import BrokenFolder, StorageError, WorkerError
from automl.export.base import Order, publish
from automl.plan import Plan
from automl.results import History, Trial, best_trials


def unpublished(plan: Plan, history: History) -> Trial | None:
    """The best trial, unless there is none or its model was published already."""
    directions = [objective.direction for objective in plan.search.objectives]
    front = best_trials(history.trials.values(), directions)
    published = history.published or {}
    if not front or (published.get("trial") == front[0].number and not published.get("error")):
        return None
    return front[0]


def packed(plan: Plan, takes: Mapping[str, Any], trial: Trial, say: Callable[[str], None]) -> dict[str, Any]:
    """Have a trial's model built and verified as an MLflow model.

    Args:
        plan: the search and its places.
        takes: which arguments each trainer takes.
        trial: a COMPLETE one.
        say: told what happens, for people.

    Returns:
        what the ledger keeps of it: step, values, and the `path` of the model or the `error`.
    """
    facts: dict[str, Any] = {"step": trial.step, "values": trial.values}
    try:
        return {**facts, "path": _package(plan, takes, trial, say)}
    except (WorkerError, StorageError) as error:
        what = str(error)
        if isinstance(error, BrokenFolder):
            what += ". To train it anew, put its parameters into start_with of another search"
        if trial.weights or plan.tracking_uri:  # else nobody has asked for a model
            say(f"trial {trial.number} is the best, but its model cannot be published: {what}")
        return {**facts, "error": what}


def _package(plan: Plan, takes: Mapping[str, Any], trial: Trial, say: Callable[[str], None]) -> str:
    search = plan.search
    name, arguments = search.arguments(trial.params, takes)
    trainer = search.trainers[name]
    if not trial.weights:
        mend = "return a scikit-learn estimator" if trainer.framework == "function" else "look at its log"
        raise StorageError(f"trial {trial.number} kept no weights; {mend}")
    say(f"packing the model of trial {trial.number}")
    remote = storage.is_remote(plan.storage)
    out = plan.root / "runs" if remote else Path(plan.storage)
    weights = storage.fetch(trial.weights, out)
    order = Order(
        framework=trainer.framework,
        root=str(plan.root),
        model=trainer.model,
        arguments=arguments,
        weights=str(weights),
        out=str(out / search.name / "model"),
        values=trial.values or (),
        trial=trial.number,
    )
    try:
        return publish(order).path
    finally:
        if remote:
            storage.remove(str(weights))  # the copy that was fetched
