"""The best trial leaves the search as a verified model, built in a child process. Knows no ledger."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from automl import storage
from automl.errors import BrokenFolder, StorageError, WorkerError
from automl.export.base import Order, Publisher, Server, publish
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


class Packing:
    """The winner's packing, begun before the search has closed, on a thread of its own.

    Args:
        plan: the search and its places.
        takes: which arguments each trainer takes.
        say: told what happens, for people; from either thread.
        server: asked for the process that has imported a framework.
    """

    def __init__(
        self,
        plan: Plan,
        takes: Mapping[str, Any],
        say: Callable[[str], None],
        server: Callable[[str], Server | None] = lambda framework: None,
    ) -> None:
        self._plan, self._takes, self._say, self._server = plan, takes, say, server
        self._publisher: Publisher | None = None
        self._trial: Trial | None = None
        self._thread: threading.Thread | None = None
        self._facts: dict[str, Any] | None = None
        self._error: BaseException | None = None

    def prepare(self, trial: Trial) -> None:
        """Start the process that will pack such a trial: the last ones still train, and it imports."""
        framework = self._plan.search.trainers[trial.trainer].framework
        if self._publisher is not None and self._publisher.framework != framework:
            self.close()
        if self._publisher is None and trial.weights:
            self._publisher = Publisher(framework, str(self._plan.root), self._server(framework))

    def begin(self, trial: Trial) -> None:
        """Pack a COMPLETE trial, which nothing can beat any more, while the engine ends."""
        if self._thread is None:
            self.prepare(trial)
            self._trial = trial
            self._thread = threading.Thread(target=self._pack, name="automl-packing", daemon=True)
            self._thread.start()

    def result(self, trial: Trial) -> dict[str, Any]:
        """What the ledger keeps of a trial's packing, which may have begun before; see `packed`."""
        if self._thread is None or self._trial is not trial:
            self.close()
            return packed(self._plan, self._takes, trial, self._say)
        while self._thread.is_alive():
            self._thread.join(0.2)  # in short waits, so that a signal's handler runs
        if self._error is not None:
            raise self._error
        assert self._facts is not None
        return self._facts

    def close(self) -> None:
        """End whatever packs."""
        if self._publisher is not None:
            self._publisher.close()
            self._publisher = None

    def _pack(self) -> None:
        assert self._trial is not None
        try:
            self._facts = packed(self._plan, self._takes, self._trial, self._say, self._publisher)
        except BaseException as error:  # raised by `result`, in the thread that wants it
            self._error = error


def packed(
    plan: Plan,
    takes: Mapping[str, Any],
    trial: Trial,
    say: Callable[[str], None],
    publisher: Publisher | None = None,
) -> dict[str, Any]:
    """Have a trial's model built and verified as an MLflow model.

    Args:
        plan: the search and its places.
        takes: which arguments each trainer takes.
        trial: a COMPLETE one.
        say: told what happens, for people.
        publisher: a process that waits for this already.

    Returns:
        what the ledger keeps of it: step, values, and the `path` of the model or the `error`.
    """
    facts: dict[str, Any] = {"step": trial.step, "values": trial.values}
    try:
        return {**facts, "path": _package(plan, takes, trial, say, publisher)}
    except (WorkerError, StorageError) as error:
        what = str(error)
        if isinstance(error, BrokenFolder):
            what += ". To train it anew, put its parameters into start_with of another search"
        if trial.weights or plan.tracking_uri:  # else nobody has asked for a model
            say(f"trial {trial.number} is the best, but its model cannot be published: {what}")
        return {**facts, "error": what}


def _package(
    plan: Plan,
    takes: Mapping[str, Any],
    trial: Trial,
    say: Callable[[str], None],
    publisher: Publisher | None,
) -> str:
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
        return (publisher.publish(order) if publisher else publish(order)).path
    finally:
        if remote:
            storage.remove(str(weights))  # the copy that was fetched
