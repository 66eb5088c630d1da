"""MLflow against the ledger: the runs of one search, and what mends them. `python -m automl.trackers.audit`.

A child process of fsck. In, on stdin: one JSON object (`Order`). Out, on stdout, JSON lines:
`{"difference": {...}}`, `{"done": text}`, `{"model": URI, "trial": n}`, `{"error": text}`, and last
`{"end": true}`. Runs are read in a few large requests. What is missing is shown by the tracker; what
MLflow can only add to (metrics, parameters) is mended by a new run in the place of the old one.
"""

from __future__ import annotations

import gc
import json
import os
import sys
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from mlflow.entities import Run, ViewType
from mlflow.exceptions import MlflowException
from mlflow.tracking import MlflowClient

from automl.differences import MLFLOW, Difference
from automl.errors import TrackingError
from automl.events import Event
from automl.fsck_ledger import Books
from automl.ledger import Ledger
from automl.results import objectives_in
from automl.trackers import judgement, registry
from automl.trackers import picture as words
from automl.trackers.__main__ import alone, readable
from automl.trackers.base import Message, Plan, Say
from automl.trackers.histories import Histories
from automl.trackers.mlflow import (
    CURSOR,
    IDENTITY,
    PARENT,
    SEARCH,
    TRIAL,
    identity_of,
    replay,
)
from automl.trackers.picture import Changes, Picture

PAGE = 1000
REPLAY = "--repair shows it again from the ledger"


@dataclass(frozen=True)
class Order:
    """What to compare.

    Args:
        plan: as the tracker's.
        tail: events that the ledger has not, and would have were what a dead driver left set right.
        repair: mend what differs.
    """

    plan: Plan
    tail: list[Event] = field(default_factory=list)
    repair: bool = False


@dataclass
class Mend:
    """What has to be done, gathered while comparing."""

    delete: dict[str, str] = field(default_factory=dict)
    adopt: list[str] = field(default_factory=list)
    trials: set[int] = field(default_factory=set)
    publish: bool = False


class Story:
    """The ledger's side: what is to be shown of all legal events."""

    def __init__(self, plan: Plan, events: Iterable[Event], tail: Iterable[Event]) -> None:
        legal = Books(plan.name).legal
        self.events = list(legal(events))
        self.picture = Picture(plan.name, plan.objectives)
        self.changes = self.picture.take([*self.events, *tail])
        self.end = self.events[-1].n if self.events else 0
        self.identity = identity_of(self.events[0]) if self.events else ""

    @property
    def params(self) -> dict[str, str]:
        """The search's parameters, as the first driver that gave each has them."""
        params: dict[str, str] = {}
        for event in self.events:
            if event.kind == "opened":
                now = Picture(self.picture.history.name, objectives_in(event.data.get("spec") or {}))
                now.opened = dict(event.data)
                params = words.search_params(now) | params
        return params

    def all_shown(self, cursor: int) -> bool:
        """Whether nothing is left to show after a position; where a model is was MLflow's own answer."""
        later = [event for event in self.events if event.n > cursor]
        return cursor <= self.end and all(event.data.get("model") for event in later)

    @property
    def search_run(self) -> judgement.Want:
        changed = any(event.kind == "opened" and event.data.get("strangers") for event in self.events)
        # Under other objectives, what was the best before was shown by other rules.
        changes = Changes() if changed else self.changes
        return judgement.search_run(self.picture, changes, self.params)

    @property
    def models(self) -> list[Event]:
        """What was published."""
        return [event for event in self.events if event.kind == "published"]

    @property
    def published(self) -> Event | None:
        """The model that is to be there: the last that was packed."""
        packed = [event for event in self.models if event.data.get("path")]
        return packed[-1] if packed else None


class Audit:
    """Compares, and gathers what mends.

    Args:
        plan: the search, where it is shown.
        story: what should be shown.
    """

    def __init__(self, plan: Plan, story: Story) -> None:
        assert plan.uri is not None
        self._plan, self._story = plan, story
        self._client = MlflowClient(plan.uri)
        self._histories = Histories(self._client, plan.uri)
        self.mend = Mend()
        self.found: list[Difference] = []

    def compare(self) -> None:
        """Looks at everything; asks no run twice."""
        experiment = self._client.get_experiment_by_name(self._plan.experiment or self._plan.name)
        if experiment is None:
            self._note("there is no such experiment", REPLAY)
            self.mend.trials = set(self._story.picture.history.trials)
            self.mend.publish = self._story.published is not None
            return
        if experiment.lifecycle_stage == "deleted":
            mend = f"Restore it: mlflow experiments restore --experiment-id {experiment.experiment_id}"
            self._note("its experiment was deleted", mend, mendable=False)
            return
        self._experiment = str(experiment.experiment_id)
        runs = list(self._runs(f"tags.`{SEARCH}` = '{self._plan.name}'"))
        parent = self._one_parent(runs)
        children = self._one_child_each(runs, parent)
        self._judge(parent, children)
        self._judge_model(parent, children)

    # --- which runs there are ----------------------------------------------------------------

    def _runs(self, wanted: str, view: int = ViewType.ACTIVE_ONLY) -> Iterator[Run]:
        token: str | None = None
        while True:
            page = self._client.search_runs(
                [self._experiment], wanted, view, PAGE, ["attributes.start_time ASC"], token
            )
            yield from page
            token = page.token
            if not token:
                return

    def _one_parent(self, runs: list[Run]) -> Run | None:
        """The search's run. Of several the one stays that has the trials."""
        mine = [run for run in runs if run.data.tags.get(IDENTITY) == self._story.identity]
        if not mine:
            self._note("the search has no run", REPLAY)
            return None
        sizes = Counter(run.data.tags.get(PARENT) for run in runs)
        kept, *others = sorted(mine, key=lambda run: -sizes[run.info.run_id])
        for extra in others:
            self._note(f"the search has a second run, {extra.info.run_id}", "--repair deletes it")
            self.mend.delete[extra.info.run_id] = "the search's second run"
        return kept

    def _one_child_each(self, runs: list[Run], parent: Run | None) -> dict[int, Run]:
        """The trials' runs by number; doubles and strangers are noted."""
        tops = {run.info.run_id: run.data.tags[IDENTITY] for run in runs if IDENTITY in run.data.tags}
        above = {parent.info.run_id} if parent else self._deleted_parents()
        children: dict[int, list[Run]] = defaultdict(list)
        for run in runs:
            top = run.data.tags.get(PARENT, "")
            if run.info.run_id in tops or tops.get(top, self._story.identity) != self._story.identity:
                continue  # a parent; or another search's of the same name, in a ledger that is gone
            number = run.data.tags.get(TRIAL, "")
            if top in above and number.isdigit() and int(number) in self._story.picture.history.trials:
                children[int(number)].append(run)
            else:
                what = f"run {run.info.run_id} claims to be of this search, and is the run of no trial of it"
                self._note(what, "--repair deletes it")
                self.mend.delete[run.info.run_id] = "a run of no trial"
        return {number: self._one_child(number, found) for number, found in children.items()}

    def _deleted_parents(self) -> set[str]:
        mine = f"tags.`{IDENTITY}` = '{self._story.identity}'"
        return {run.info.run_id for run in self._runs(mine, ViewType.DELETED_ONLY)}

    def _one_child(self, number: int, found: list[Run]) -> Run:
        """Of several runs of a trial the fullest stays, the earliest among equals."""
        kept, *others = sorted(found, key=lambda run: -len(run.data.metrics) - len(run.data.params))
        for extra in others:
            self._note(f"it has a second run, {extra.info.run_id}", "--repair deletes it", number)
            self.mend.delete[extra.info.run_id] = f"the second run of trial {number}"
        return kept

    # --- what they are like ------------------------------------------------------------------

    def _judge(self, parent: Run | None, children: Mapping[int, Run]) -> None:
        closed = self._story.picture.closed is not None
        trials = self._story.picture.history.trials
        wants = {number: judgement.trial_run(trial, closed) for number, trial in trials.items()}
        top = self._story.search_run
        pairs = [(run, wants[number]) for number, run in children.items()]
        points = self._points([*pairs, *([(parent, top)] if parent else [])])
        if parent:
            self._judge_search(parent, top, points[parent.info.run_id])
        if parent is None or parent.info.run_id in self.mend.delete:
            self.mend.adopt = [run.info.run_id for run in children.values()]
        for number, want in wants.items():
            run = children.get(number)
            if run is None:
                self._note("it has no run", REPLAY, number)
                self.mend.trials.add(number)
                continue
            for problem in judgement.problems(run, want, points[run.info.run_id]):
                mend = "--repair makes its run anew from the ledger" if problem.anew else REPLAY
                self._note(problem.what, mend, number)
                self.mend.trials.add(number)
                if problem.anew:
                    self.mend.delete[run.info.run_id] = f"the run of trial {number}, to be made anew"

    def _judge_search(self, run: Run, want: judgement.Want, points: Mapping[str, Any]) -> None:
        for problem in judgement.problems(run, want, points):
            if problem.anew:
                self.mend.delete[run.info.run_id] = "the search's run, to be made anew"
            self._note(problem.what, "--repair makes it anew" if problem.anew else REPLAY)
        shown = run.data.tags.get(CURSOR, "0")
        if not shown.isdigit() or not self._story.all_shown(int(shown)):
            what = f"events up to {shown} are shown, and the ledger has {self._story.end}"
            self._note(what, REPLAY)

    def _points(
        self, pairs: list[tuple[Run, judgement.Want]]
    ) -> dict[str, dict[str, list[tuple[int, float]]]]:
        """The points of all runs by metric, as they are in MLflow."""
        expected: dict[str, dict[str, int]] = defaultdict(dict)
        for run, want in pairs:
            for name in {*want.points} | {*run.data.metrics}:
                expected[name][run.info.run_id] = len(want.points.get(name, ()))
        found: dict[str, dict[str, list[tuple[int, float]]]] = defaultdict(dict)
        for name, runs in expected.items():
            for run_id, points in self._histories.of(name, runs).items():
                found[run_id][name] = points
        return found

    # --- the model ---------------------------------------------------------------------------

    def _judge_model(self, parent: Run | None, children: Mapping[int, Run]) -> None:
        event = self._story.published
        if event is None or event.trial is None:
            return
        run = children.get(event.trial)
        anew = self.mend.delete
        if run is None or run.info.run_id in anew or parent is None or parent.info.run_id in anew:
            self.mend.publish = True  # its own line says so
            return
        tags = parent.data.tags
        wrong = []
        if not any(e.data.get("model") and e.trial == event.trial for e in self._story.models):
            wrong.append(f"the ledger does not know where the model of trial {event.trial} is")
        if tags.get("automl.best") != str(event.trial) or not tags.get("automl.model"):
            wrong.append(f"trial {event.trial} is published, and the search's run does not say so")
        if self._plan.register:
            wrong += self._registered(event, run, self._plan.register)
        for what in wrong:
            self._note(what, "--repair publishes it again from its folder")
            self.mend.publish = True

    def _registered(self, event: Event, run: Run, register: str) -> Iterator[str]:
        """What is wrong with the registered model: its version of this trial, and who is champion."""
        versions = self._client.search_model_versions(f"name = '{register}'")
        mine = [
            version
            for version in versions
            if version.run_id == run.info.run_id and version.tags.get("automl.trial") == str(event.trial)
        ]
        if not mine:
            yield f"{register} has no version of trial {event.trial}"
            return
        try:
            champion = self._client.get_model_version_by_alias(register, registry.CHAMPION)
        except MlflowException:
            yield f"{register} has no champion"
            return
        ours = str(champion.version) == str(mine[0].version)
        if not ours and registry.beats(mine[0].tags, champion.tags):
            better = f"and version {mine[0].version}, of trial {event.trial}, is better"
            yield f"the champion of {register} is version {champion.version}, {better}"

    def _note(self, what: str, mend: str, trial: int | None = None, mendable: bool = True) -> None:
        self.found.append(Difference(MLFLOW, what, mend, trial, mendable=mendable))


def mend(plan: Plan, story: Story, needed: Mend, say: Say) -> None:
    """Deletes what should not be there, and has the tracker show the rest.

    Raises:
        MlflowException: the server refused or is away; a second repair does the rest.
    """
    client = MlflowClient(plan.uri)
    for run_id, what in needed.delete.items():
        client.delete_run(run_id)
        say({"done": f"MLflow: deleted {what}, {run_id}"})
    adopt = [run_id for run_id in needed.adopt if run_id not in needed.delete]
    published = story.published if needed.publish else None
    try:
        replay(plan, story.events, needed.trials, adopt, published, say)
    except TrackingError as error:
        say({"done": f"MLflow: the model could not be published again: {error}"})
    shown = [f"trial {number}" for number in sorted(needed.trials)]
    many = ", ".join(shown) if len(shown) <= 5 else f"{len(shown)} trials"
    say({"done": "MLflow: showed again the search" + (f" and {many}" if shown else "")})


def audit(order: Order, say: Say) -> None:
    """Compares, mends if that is wanted, and says what was found and done."""
    plan, ledger = order.plan, Ledger(order.plan.ledger, create=False)
    story = Story(plan, ledger.events(plan.name, tolerant=True), order.tail)
    if not story.events:
        return
    compared = Audit(plan, story)
    compared.compare()
    for difference in compared.found:
        say({"difference": asdict(difference)})
    if order.repair and any(difference.mendable for difference in compared.found):
        with alone(plan):
            mend(plan, story, compared.mend, say)


def main() -> int:
    """The whole life of the process."""
    out = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)
    said = json.loads(sys.stdin.readline())
    plan = Plan(**said["plan"])
    os.chdir(plan.root)
    gc.disable()  # it lives for seconds: looking for cycles among a million rows is a third of its time

    def say(message: Message) -> None:
        print(json.dumps(message), file=out, flush=True)

    try:
        audit(Order(plan, [Event(**event) for event in said["tail"]], said["repair"]), say)
    except Exception as error:
        say({"error": readable(error, plan)})
    say({"end": True})
    return 0


if __name__ == "__main__":
    # Not sys.exit: a hanging connection's threads must not keep the process.
    code = main()
    os._exit(code)
