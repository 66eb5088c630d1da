"""What of a search's history is to be shown, as plain words. Knows neither MLflow nor the ledger."""

from __future__ import annotations

import json
import math
import posixpath
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from automl.events import FINAL, Event, State
from automl.results import Attempt, History, Report, Trial, best_trials
from automl.urls import mask_url

FINISHED, KILLED, FAILED, RUNNING, SCHEDULED = "FINISHED", "KILLED", "FAILED", "RUNNING", "SCHEDULED"
ENDS = frozenset({FINISHED, KILLED, FAILED})
SEARCH_ENDS = {"ENDED": FINISHED, "STOPPED": KILLED, "FAILED": FAILED, "LOST": KILLED}
TRIAL_ENDS = {State.COMPLETE: FINISHED, State.PRUNED: KILLED, State.FAILED: FAILED}

VALUE_LENGTH = 5000
NAME_LENGTH = 250


@dataclass
class Changes:
    """What some events have changed.

    Args:
        reports: for each trial that was touched, in order, its reports that counted.
        bests: (trial, value, seconds) of each new best value, for one objective.
        opened, closed: whether a driver began or ended.
        published: those `published` events that carry a model folder.
    """

    reports: dict[int, list[Report]] = field(default_factory=dict)
    bests: list[tuple[int, float, float]] = field(default_factory=list)
    opened: bool = False
    closed: bool = False
    published: list[Event] = field(default_factory=list)


class Picture:
    """A search's history, and what changes in it.

    Args:
        name: the search.
        objectives: `{"metric", "direction"}` each.
    """

    def __init__(self, name: str, objectives: Sequence[Mapping[str, Any]]) -> None:
        self.history = History(name)
        self.objectives = objectives
        self.best: float | None = None
        self.opened: dict[str, Any] = {}

    @property
    def closed(self) -> dict[str, Any] | None:
        """What the last driver said at its end; None while one may be at work."""
        return self.history.sessions[-1].closed if self.history.sessions else None

    def take(self, events: Iterable[Event]) -> Changes:
        """Folds events in and tells what they have changed."""
        changes = Changes()
        for event in events:
            self.history.apply(event)
            self._note(event, changes)
        if changes.opened or changes.closed:
            for trial in self.history.trials.values():
                if trial.state not in FINAL:
                    changes.reports.setdefault(trial.number, [])
        return changes

    def _note(self, event: Event, changes: Changes) -> None:
        if event.trial is not None and event.kind != "published":
            touched = changes.reports.setdefault(event.trial, [])
            if event.kind == "reported" and not event.data.get("repeat"):
                touched.append(self.history.trials[event.trial].reports[-1])
            elif event.kind == "finished":
                self._note_best(event, changes)
        elif event.kind == "opened":
            self.opened, changes.opened = dict(event.data), True
            if event.data.get("strangers"):
                self._judge_anew()
        elif event.kind == "closed":
            changes.closed = True
        elif event.kind == "published" and event.data.get("path") and not event.data.get("model"):
            changes.published.append(event)

    def _judge_anew(self) -> None:
        """The search was changed, and what was the best may have no place in it any more."""
        directions = [objective["direction"] for objective in self.objectives]
        front = best_trials(self.history.trials.values(), directions) if len(directions) == 1 else []
        self.best = front[0].values[0] if front and front[0].values else None

    def _note_best(self, event: Event, changes: Changes) -> None:
        values = event.data.get("values")
        if event.data["state"] != State.COMPLETE or not values or len(self.objectives) != 1:
            return
        value, larger = float(values[0]), self.objectives[0]["direction"] == "maximize"
        if self.best is None or (value > self.best if larger else value < self.best):
            self.best = value
            changes.bests.append((event.trial or 0, value, event.time_s))


def trial_status(trial: Trial, closed: bool) -> str:
    """What MLflow calls the state of a trial."""
    if trial.state in TRIAL_ENDS:
        return TRIAL_ENDS[trial.state]
    if trial.state is State.RUNNING:
        return RUNNING
    stopped = bool(trial.attempts) and trial.attempts[-1].outcome == "stopped"
    return KILLED if stopped or closed else SCHEDULED


def trial_end_s(trial: Trial) -> float | None:
    """When a trial, or its last attempt, ended."""
    return trial.ended_s or (trial.attempts[-1].ended_s if trial.attempts else None)


def trial_params(trial: Trial) -> dict[str, str]:
    """Parameters by their names in the file, as text."""
    return {label(name): clipped(text(value)) for name, value in trial.params.items()}


def trial_tags(trial: Trial) -> dict[str, str]:
    """What is known of a trial besides its parameters and metrics."""
    last = trial.attempts[-1] if trial.attempts else Attempt(0)
    outcome = trial.error or last.error
    facts = {
        "state": str(trial.state),
        "trainer": trial.trainer,
        "source": trial.source,
        "sampler": trial.sampler,
        "attempts": len(trial.attempts),
        "node": last.node,
        "device": last.device if trial.attempts else None,
        "framework": last.framework,
        "seconds": trial.seconds,
        "values": ",".join(map(repr, trial.values)) if trial.values else None,
        "reason": trial.reason,
        "error": mask_url(outcome) if outcome else None,
        "nonfinite": _nonfinite(trial),
    }
    known = {f"automl.{name}": clipped(text(fact)) for name, fact in facts.items() if fact not in (None, "")}
    # What an earlier attempt left must go once a later one did better: a tag is never removed.
    return ({"automl.error": ""} | known) if len(trial.attempts) > 1 else known


def search_tags(picture: Picture) -> dict[str, str]:
    """What is known of a search as it is now."""
    history, opened, closed = picture.history, picture.opened, picture.closed
    facts: dict[str, Any] = {
        "automl.state": closed["state"] if closed else "RUNNING",
        "automl.reason": (closed or {}).get("reason") or "",
        **{f"automl.trials.{state}": count for state, count in history.counts.items()},
        **{f"automl.{key}": opened.get(key) for key in ("engine", "host", "git", "automl")},
        "automl.seed": (opened.get("spec") or {}).get("seed"),
        **{f"automl.version.{name}": version for name, version in (opened.get("versions") or {}).items()},
        "mlflow.source.git.commit": opened.get("git") if isinstance(opened.get("git"), str) else None,
    }
    return {
        label(name): clipped(mask_url(text(fact)))
        for name, fact in facts.items()
        if fact is not None and (fact != "" or name == "automl.reason")
    }


def search_params(picture: Picture) -> dict[str, str]:
    """What a search's table row says of its plan; fixed by the first driver."""
    spec = picture.opened.get("spec") or {}
    facts = {
        "seed": spec.get("seed"),
        "objective": ", ".join(f"{o['direction']} {o['metric']}" for o in picture.objectives),
        "search": spec.get("search"),
        "budget": spec.get("budget"),
    }
    return {name: clipped(mask_url(text(fact))) for name, fact in facts.items() if fact not in (None, "", {})}


def finite_metrics(report: Report) -> dict[str, float]:
    """The report's metrics that are numbers, under names that MLflow takes."""
    return {label(name): value for name, value in report.metrics.items() if math.isfinite(value)}


def label(name: str) -> str:
    """A name that MLflow takes: only what it refuses is replaced."""
    safe = re.sub(r"[^/\w.\- :]", "_", name)[:NAME_LENGTH] or "_"
    norm = posixpath.normpath(safe)
    unique = norm == safe and norm != "." and not norm.startswith(("..", "/"))
    return safe if unique else "_" + safe.replace("/", "_").strip(".")


def text(value: Any) -> str:
    """A value as the file would have it."""
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, default=str)


def clipped(value: str) -> str:
    """Text that MLflow stores whole."""
    return value if len(value) <= VALUE_LENGTH else value[: VALUE_LENGTH - 3] + "..."


def _nonfinite(trial: Trial) -> str | None:
    bad = [
        f"{name}={value} at step {report.step}"
        for report in trial.reports
        for name, value in report.metrics.items()
        if not math.isfinite(value)
    ]
    return ", ".join(bad[:20]) or None
