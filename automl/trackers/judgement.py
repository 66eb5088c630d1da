"""What a run should look like, by the ledger, and how one that is there differs. Asks no server."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from mlflow.entities import Run

from automl.results import Trial
from automl.trackers import picture as words
from automl.trackers.picture import Changes, Picture

# So many faults of one kind are told of a run; more are counted.
TOLD_MOST = 3


@dataclass(frozen=True)
class Want:
    """A run as the ledger has it; `points` are values by metric and step."""

    status: str
    tags: Mapping[str, str]
    params: Mapping[str, str]
    points: Mapping[str, Mapping[int, float]] = field(default_factory=dict)


@dataclass(frozen=True)
class Problem:
    """How a run differs. Parameters and metrics cannot be changed in MLflow: such a run is made `anew`."""

    what: str
    anew: bool = False


def trial_run(trial: Trial, closed: bool) -> Want:
    """What the run of a trial should be."""
    points: dict[str, dict[int, float]] = {}
    for report in trial.reports:
        for name, value in words.finite_metrics(report).items():
            points.setdefault(name, {})[report.step] = value
    return Want(words.trial_status(trial, closed), words.trial_tags(trial), words.trial_params(trial), points)


def search_run(picture: Picture, changes: Changes, params: Mapping[str, str]) -> Want:
    """What the run of the search should be.

    Args:
        picture, changes: of all events.
        params: as the first driver gave them: they are never changed.
    """
    closed = picture.closed
    status = words.SEARCH_ENDS.get(str(closed["state"]), words.FINISHED) if closed else words.RUNNING
    name = words.label(f"best.{picture.objectives[0]['metric']}")
    bests = {number: value for number, value, _ in changes.bests}
    return Want(status, words.search_tags(picture), params, {name: bests} if bests else {})


def problems(run: Run, want: Want, history: Mapping[str, Sequence[tuple[int, float]]]) -> list[Problem]:
    """How a run differs from what it should be.

    Args:
        history: its points by metric.
    """
    found = []
    if run.info.status != want.status:
        found.append(Problem(f"its run is {run.info.status}, not {want.status}"))
    if wrong := list(_differing("tag", want.tags, run.data.tags)):
        found.append(Problem(_listed(wrong)))
    # What stands there already cannot be overwritten; of a child's parameters some are never added.
    if wrong := list(_differing("parameter", want.params, run.data.params)):
        found.append(Problem(_listed(wrong), anew=bool(run.data.params)))
    found += _metric_problems(run, want, history)
    return found


def _metric_problems(
    run: Run, want: Want, history: Mapping[str, Sequence[tuple[int, float]]]
) -> Iterator[Problem]:
    lacking, wrong = [], []
    for name, points in want.points.items():
        there = history.get(name, [])
        times = Counter(step for step, _ in there)
        lacking += [f"metric {name} lacks step {step}" for step in points if step not in times]
        doubled = sorted(step for step, count in times.items() if count > 1)
        wrong += [f"metric {name} has step {step} more than once" for step in doubled]
        wrong += [
            f"metric {name} is {value!r} at step {step}, not {points.get(step)!r}"
            for step, value in there
            if step not in doubled and not _same(value, points.get(step))
        ]
        if not lacking and not wrong and name not in run.data.metrics:
            wrong.append(f"metric {name} has no latest value")
    if lacking:
        yield Problem(_listed(lacking))
    if wrong:
        yield Problem(_listed(wrong), anew=True)


def _same(left: float, right: float | None) -> bool:
    return right is not None and math.isclose(left, right, rel_tol=1e-12)


def _differing(kind: str, want: Mapping[str, str], there: Mapping[str, str]) -> Iterator[str]:
    for name, value in want.items():
        if name not in there:
            yield f"{kind} {name} is missing"
        elif there[name] != value:
            yield f"{kind} {name} is {_short(there[name])}, not {_short(value)}"


def _short(value: str) -> str:
    return repr(value if len(value) <= 60 else value[:57] + "...")


def _listed(faults: Sequence[str]) -> str:
    rest = len(faults) - TOLD_MOST
    return "; ".join(faults[:TOLD_MOST]) + (f"; and {rest} more" if rest > 0 else "")
