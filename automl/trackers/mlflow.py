"""The ledger as MLflow shows it: one parent run a search, one child run a trial, and nothing else.

Knows no engine and no worker. What is in MLflow is looked at before anything is made, so that a
tracker that was killed between two calls goes on where it was; the cursor is a tag of the parent.
Runs in a process of its own (`python -m automl.trackers`).
"""

from __future__ import annotations

import getpass
import hashlib
import json
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice, zip_longest
from pathlib import Path
from typing import Any, cast

import mlflow
from mlflow.entities import Metric, Param, Run, RunTag
from mlflow.tracking import MlflowClient

from automl.errors import TrackingError
from automl.events import Event
from automl.results import Report, Trial
from automl.trackers import picture as words
from automl.trackers.base import Plan, Read, Say
from automl.trackers.picture import Changes, Picture
from automl.trackers.registry import Published, publish

BATCH_EVENTS = 500
BATCH_METRICS = 800  # with at most 100 params and 100 tags, MLflow takes 1,000 entries a call
BATCH_PARAMS = 100
CURSOR, IDENTITY, SEARCH, TRIAL = "automl.cursor", "automl.id", "automl.search", "automl.trial"
PARENT = "mlflow.parentRunId"


@dataclass
class Child:
    """A trial's run, as it is in MLflow.

    Args:
        run_id: MLflow's name for it.
        status: as last set.
        has_params: whether its parameters are there.
        fresh: made by this process, so that no metric can be there from before.
    """

    run_id: str
    status: str
    has_params: bool
    fresh: bool


class MLflowTracker:
    """Shows one search in MLflow.

    Args:
        plan: the search, the tracking URI, the experiment and the registered model's name.
        allowed: asked before every call of MLflow; raises where this process may not show the search
            any more, be it that it slept for an hour between two calls.
    """

    def __init__(self, plan: Plan, allowed: Callable[[], None] = lambda: None) -> None:
        assert plan.uri is not None
        self._plan, self._allowed = plan, allowed
        self._shown: _Shown | None = None
        # MLflow's model registry asks the process-wide URI; this process has one search only.
        mlflow.set_tracking_uri(plan.uri)

    @property
    def cursor(self) -> int:
        """The position of the last event that is shown; 0 before the first contact."""
        return self._shown.cursor if self._shown else 0

    def catch_up(self, read: Read, say: Say) -> None:
        """Shows every event that is not shown yet.

        After an exception nothing is believed: the next call looks at MLflow and the ledger anew.

        Args:
            read: the events after a position, in order.
            say: takes `{"cursor": n}` after each batch, and `{"model": URI, "trial": n}`.

        Raises:
            MlflowException: the server refused or is away.
            TrackingError: the experiment cannot be used.
        """
        shown, self._shown = self._shown, None
        if shown is None:
            client = cast(MlflowClient, _Asking(MlflowClient(self._plan.uri), self._allowed))
            shown = _found(client, self._plan, read, say)
        if shown is None:
            return
        events = iter(read(shown.cursor))
        while batch := list(islice(events, BATCH_EVENTS)):
            shown.apply(batch, say)
        self._shown = shown


class _Asking:
    """A client that asks before each of its calls."""

    def __init__(self, client: MlflowClient, allowed: Callable[[], None]) -> None:
        self._client, self._allowed = client, allowed

    def __getattr__(self, name: str) -> Any:
        self._allowed()
        return getattr(self._client, name)


def _found(client: MlflowClient, plan: Plan, read: Read, say: Say) -> _Shown | None:
    """What is in MLflow of this search; its parent run is made if it is not there."""
    events = list(read(0))
    if not events:
        return None
    experiment = _experiment(client, plan)
    parent = _parent(client, plan, experiment, events[0])
    shown = _Shown(client, plan, experiment, parent)
    shown.cursor = min(int(parent.data.tags.get(CURSOR, 0)), events[-1].n)
    shown.picture.take(event for event in events if event.n <= shown.cursor)
    say({"cursor": shown.cursor})
    return shown


class _Shown:
    """One search as it is in MLflow, and how it goes on."""

    def __init__(self, client: MlflowClient, plan: Plan, experiment: str, parent: Run) -> None:
        self._client, self._plan, self._experiment = client, plan, experiment
        self._parent = parent.info.run_id
        self._parent_status = parent.info.status
        self._parent_params = set(parent.data.params)
        self._parent_seen = False
        self._children = _children(client, experiment, self._parent)
        self.picture = Picture(plan.name, plan.objectives)
        self.cursor = 0

    def apply(self, events: Sequence[Event], say: Say) -> None:
        """Shows these events, which follow the cursor, and moves it."""
        changes = self.picture.take(events)
        if changes.opened:
            self._open()
        for number, reports in changes.reports.items():
            self._show_trial(self.picture.history.trials[number], reports)
        for event in changes.published:
            self._publish(event, say)
        self._show_search(changes, events[-1].n)
        self.cursor = events[-1].n
        say({"cursor": self.cursor})

    def show_again(
        self, events: Sequence[Event], trials: Iterable[int], published: Event | None, say: Say
    ) -> None:
        """Shows the search as it is after all events, and some of its trials, whatever the cursor says."""
        changes = self.picture.take(events)
        self._open()
        for number in trials:
            trial = self.picture.history.trials[number]
            self._show_trial(trial, trial.reports)
        if published is not None:
            self._publish(published, say)
        self._show_search(changes, events[-1].n)

    # --- the parent ------------------------------------------------------------------------

    def _open(self) -> None:
        source = self.picture.opened.get("text")
        if source:
            self._client.log_text(self._parent, words.mask_url(source), "search.yaml")
        params = words.search_params(self.picture)
        new = [Param(name, value) for name, value in params.items() if name not in self._parent_params]
        self._client.log_batch(self._parent, params=new)
        self._parent_params |= set(params)

    def _show_search(self, changes: Changes, cursor: int) -> None:
        """The parent's metrics, tags and status; the cursor goes last, when all else is there."""
        closed = self.picture.closed
        status = words.SEARCH_ENDS.get(str(closed["state"]), words.FINISHED) if closed else words.RUNNING
        end_s = self.picture.history.sessions[-1].last_s if self.picture.history.sessions else None
        metrics = [
            Metric(words.label(f"best.{self.picture.objectives[0]['metric']}"), value, _ms(when_s), trial)
            for trial, value, when_s in changes.bests
        ]
        if metrics and not self._parent_seen:
            metrics = self._unseen(self._parent, metrics)
        self._parent_seen = True
        if status != self._parent_status:
            self._set_status(self._parent, status, end_s)
            self._parent_status = status
        tags = [RunTag(name, value) for name, value in words.search_tags(self.picture).items()]
        self._log(self._parent, metrics, [], tags)
        self._client.set_tag(self._parent, CURSOR, str(cursor))

    # --- the children ----------------------------------------------------------------------

    def _show_trial(self, trial: Trial, reports: Sequence[Report]) -> None:
        tags = words.trial_tags(trial)
        child = self._children.get(trial.number) or self._make_child(trial, tags)
        metrics = [
            Metric(name, value, _ms(report.time_s), report.step)
            for report in reports
            for name, value in words.finite_metrics(report).items()
        ]
        if metrics and not child.fresh:
            metrics = self._unseen(child.run_id, metrics)
        params = {} if child.has_params else words.trial_params(trial)
        self._log(
            child.run_id,
            metrics,
            [Param(name, value) for name, value in params.items()],
            [RunTag(name, value) for name, value in tags.items()],
        )
        child.has_params = child.fresh = True
        status = words.trial_status(trial, self.picture.closed is not None)
        if status != child.status:
            self._set_status(child.run_id, status, words.trial_end_s(trial))
            child.status = status

    def _make_child(self, trial: Trial, tags: dict[str, str]) -> Child:
        links = {PARENT: self._parent, SEARCH: self._plan.name, TRIAL: str(trial.number), **_source()}
        started_s = trial.started_s or trial.asked_s
        run = self._client.create_run(
            self._experiment, _ms(started_s), {**tags, **links}, f"{self._plan.name}-{trial.number}"
        )
        child = Child(run.info.run_id, words.RUNNING, has_params=False, fresh=True)
        return self._children.setdefault(trial.number, child)

    def _publish(self, event: Event, say: Say) -> None:
        assert event.trial is not None
        trial = self.picture.history.trials[event.trial]
        winner = Published(
            self._plan.name,
            self._identity,
            trial,
            tuple(self.picture.objectives),
            Path(event.data["path"]),
        )
        run_id = self._children[trial.number].run_id
        uri = publish(self._client, winner, self._experiment, run_id, self._plan.register)
        self._client.set_tag(self._parent, "automl.best", str(trial.number))
        self._client.set_tag(self._parent, "automl.model", uri)
        say({"model": uri, "trial": trial.number})

    @property
    def _identity(self) -> str:
        return str(self._client.get_run(self._parent).data.tags[IDENTITY])

    # --- calls -----------------------------------------------------------------------------

    def _unseen(self, run_id: str, metrics: Sequence[Metric]) -> list[Metric]:
        """Those that a process that was killed before it moved the cursor had not logged yet."""
        seen = {
            (name, logged.step)
            for name in {metric.key for metric in metrics}
            for logged in self._client.get_metric_history(run_id, name)
        }
        return [metric for metric in metrics if (metric.key, metric.step) not in seen]

    def _log(
        self, run_id: str, metrics: Sequence[Metric], params: Sequence[Param], tags: Sequence[RunTag]
    ) -> None:
        parts = zip_longest(
            _chunks(metrics, BATCH_METRICS), _chunks(params, BATCH_PARAMS), _chunks(tags, BATCH_PARAMS)
        )
        for metric_part, param_part, tag_part in parts:
            self._client.log_batch(run_id, metric_part or [], param_part or [], tag_part or [])

    def _set_status(self, run_id: str, status: str, end_s: float | None) -> None:
        if status in words.ENDS:
            self._client.set_terminated(run_id, status, None if end_s is None else _ms(end_s))
        else:
            self._client.update_run(run_id, status=status)


def replay(
    plan: Plan,
    events: Sequence[Event],
    trials: Iterable[int],
    adopt: Sequence[str],
    published: Event | None,
    say: Say,
) -> None:
    """Shows the search once more as it is after all these events; of its trials only some.

    Args:
        plan: the search, and where it is shown.
        events: all of them.
        trials: the trials that are shown again, or for the first time.
        adopt: runs of trials whose parent is gone.
        published: the model that is published once more, if any.
        say: takes `{"model": URI, "trial": n}`.

    Raises:
        MlflowException: the server refused or is away.
        TrackingError: the experiment cannot be used, or the model's folder is gone.
    """
    mlflow.set_tracking_uri(str(plan.uri))
    client = MlflowClient(plan.uri)
    experiment = _experiment(client, plan)
    parent = _parent(client, plan, experiment, events[0])
    for run_id in adopt:
        client.set_tag(run_id, PARENT, parent.info.run_id)
    shown = _Shown(client, plan, experiment, parent)
    shown.show_again(events, sorted(trials), published, say)


def _experiment(client: MlflowClient, plan: Plan) -> str:
    """The experiment's id; made if need be, with its artifacts inside the project for a database."""
    name = plan.experiment or plan.name
    found = client.get_experiment_by_name(name)
    if found is None:
        return str(client.create_experiment(name, artifact_location=_artifacts(plan)))
    if found.lifecycle_stage == "deleted":
        raise TrackingError(
            f"the MLflow experiment {name} was deleted. "
            f"Restore it: mlflow experiments restore --experiment-id {found.experiment_id}"
        )
    return str(found.experiment_id)


def _artifacts(plan: Plan) -> str | None:
    """Where a database's artifacts go, whatever the current directory; a server decides itself."""
    scheme = str(plan.uri).partition(":")[0]
    served = scheme.startswith(("http", "databricks", "uc"))
    return None if served else (Path(plan.root) / "mlartifacts").as_uri()


def _parent(client: MlflowClient, plan: Plan, experiment: str, first: Event) -> Run:
    """The search's run. Of several, which only an answer lost on its way can make, the first stays."""
    identity = identity_of(first)
    mine = f"tags.`{SEARCH}` = '{plan.name}' AND tags.`{IDENTITY}` = '{identity}'"
    found = client.search_runs([experiment], mine, order_by=["attributes.start_time ASC"])
    for extra in found[1:]:
        client.delete_run(extra.info.run_id)
    if found:
        return found[0]
    tags = {SEARCH: plan.name, IDENTITY: identity, **_source()}
    return client.create_run(experiment, _ms(first.time_s), tags, plan.name)


def _children(client: MlflowClient, experiment: str, parent: str) -> dict[int, Child]:
    """The trials' runs by number; of several for one trial the first stays."""
    children: dict[int, Child] = {}
    for run in _runs(client, experiment, f"tags.`{PARENT}` = '{parent}'"):
        number = int(run.data.tags.get(TRIAL, -1))
        if number in children:
            client.delete_run(run.info.run_id)
        elif number >= 0:
            children[number] = Child(run.info.run_id, run.info.status, bool(run.data.params), fresh=False)
    return children


def _runs(client: MlflowClient, experiment: str, wanted: str) -> Iterable[Run]:
    token: str | None = None
    while True:
        order = ["attributes.start_time ASC"]
        page = client.search_runs([experiment], wanted, max_results=500, order_by=order, page_token=token)
        yield from page
        token = page.token
        if not token:
            return


def identity_of(first: Event) -> str:
    """Tells two searches of one name apart, should a ledger be deleted and begun again."""
    facts = [first.time_s, first.data.get("host"), first.data.get("pid")]
    return hashlib.sha256(json.dumps(facts).encode()).hexdigest()[:16]


def _source() -> dict[str, str]:
    """What MLflow's own columns show of where a run came from."""
    try:
        user = getpass.getuser()
    except (OSError, KeyError):
        user = "unknown"  # a container's user need not have a name
    return {"mlflow.user": user, "mlflow.source.name": "automl", "mlflow.source.type": "JOB"}


def _chunks(items: Sequence[Any], size: int) -> Iterator[list[Any]]:
    for start in range(0, len(items), size):
        yield list(items[start : start + size])


def _ms(seconds: float) -> int:
    return int(seconds * 1000)
