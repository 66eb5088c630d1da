"""Events -> trials, best, tables, curves. A pure fold: knows no database and no vendor."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from automl.events import Event, State, iso, move


@dataclass(slots=True)
class Report:
    """One report that counted: metrics at a step (from 1)."""

    step: int
    metrics: dict[str, float]
    time_s: float
    attempt: int = 1


@dataclass(slots=True)
class Attempt:
    """One try at training a trial on some node; `outcome` is None while it runs."""

    number: int
    node: str = ""
    pid: int = 0
    device: str = "cpu"
    framework: str = ""
    started_s: float = 0.0
    ended_s: float | None = None
    outcome: str | None = None
    error: str | None = None
    cause: str | None = None
    code: str | None = None
    resumed_step: int = 0
    session: int = 0  # of which driver: its place among the sessions
    alive_s: float | None = None  # how long that driver had been alive when this began
    spent_s: float | None = None
    node_id: str = ""
    place: str | None = None
    gpu_peak_bytes: int | None = None  # what its process had of its GPU, at most
    gpu_total_bytes: int | None = None
    gave_way: bool = False  # short of memory in its share of a GPU; the next attempt has more


@dataclass(slots=True)
class Trial:
    """One point of the space and all that happened to it.

    `values` are what it is worth in the search as it is now: None where that was changed, by
    `--continue`, into one that this trial does not fit. `told` are those that it ended with.
    """

    number: int
    params: dict[str, Any]
    trainer: str
    source: str
    sampler: str
    asked_s: float
    state: State = State.WAITING
    values: list[float] | None = None
    told: list[float] | None = None
    step: int | None = None
    reports: list[Report] = field(default_factory=list)
    steps: set[int] = field(default_factory=set)
    attempts: list[Attempt] = field(default_factory=list)
    checkpoint: str | None = None
    checkpoint_step: int = 0
    weights: str | None = None
    micro: int = 1
    gpus: float | None = None  # the least share of a GPU that it may have, once it was short of memory
    error: str | None = None
    reason: str | None = None
    ended_s: float | None = None
    ended_nth: int = 0  # 1 for the first trial that ended

    @property
    def started_s(self) -> float | None:
        return self.attempts[0].started_s if self.attempts else None

    @property
    def seconds(self) -> float | None:
        """Seconds that its attempts ran, summed; of those that ended."""
        spent = [a.spent_s for a in self.attempts if a.spent_s is not None]
        return round(sum(spent), 3) if spent else None

    def failures(self, cause: str) -> int:
        """How many attempts failed of a cause."""
        return sum(a.outcome == "failed" and a.cause == cause for a in self.attempts)


@dataclass
class Session:
    """One driver's life with the search."""

    data: dict[str, Any]
    opened_s: float
    last_s: float
    closed: dict[str, Any] | None = None
    alive_s: float | None = None

    @property
    def seconds(self) -> float:
        """How long this driver was alive, as far as the ledger knows.

        By the driver's own count; an earlier version wrote none, and its clock may have been set since.
        """
        return self.last_s - self.opened_s if self.alive_s is None else self.alive_s


class History:
    """All that the events say of one search, kept up to date by `apply`."""

    def __init__(self, name: str, events: Iterable[Event] = ()) -> None:
        self.name = name
        self.trials: dict[int, Trial] = {}
        self.sessions: list[Session] = []
        self.published: dict[str, Any] | None = None
        self.counts: dict[State, int] = dict.fromkeys(State, 0)
        self.ended = 0
        self.n = 0
        for event in events:
            self.apply(event)

    def apply(self, event: Event) -> None:
        """Take in one event. Raises ValueError on a move that the table of states forbids."""
        getattr(self, "_" + event.kind)(event)
        if event.n > self.n:
            self.n = event.n
        if self.sessions:
            self._note_time(event)

    def _note_time(self, event: Event) -> None:
        session = self.sessions[-1]
        if event.time_s > session.last_s:
            session.last_s = event.time_s
        alive_s = event.data.get("alive_s")
        if alive_s is not None:
            session.alive_s = max(session.alive_s or 0.0, alive_s)

    @property
    def spec(self) -> Mapping[str, Any] | None:
        """The search as plain data, as the latest driver saw it."""
        return self.sessions[-1].data.get("spec") if self.sessions else None

    @property
    def alive_s(self) -> float:
        """Seconds that drivers were alive, summed."""
        return sum(session.seconds for session in self.sessions)

    def state(self, driver_alive: bool) -> tuple[str, str | None]:
        """RUNNING, ENDED, STOPPED, FAILED or LOST, and the reason."""
        if not self.sessions:
            return "LOST", "no driver has opened it"
        closed = self.sessions[-1].closed
        if closed:
            return str(closed["state"]), closed.get("reason")
        return ("RUNNING", None) if driver_alive else ("LOST", "its driver died")

    def of_state(self, *states: State) -> list[Trial]:
        return [trial for trial in self.trials.values() if trial.state in states]

    def _opened(self, event: Event) -> None:
        self.sessions.append(Session(dict(event.data), event.time_s, event.time_s))
        strangers = frozenset(event.data.get("strangers", ()))
        for trial in self.trials.values():
            trial.values = None if trial.number in strangers else trial.told

    def _closed(self, event: Event) -> None:
        self.sessions[-1].closed = dict(event.data)

    def _asked(self, event: Event) -> None:
        assert event.trial is not None
        data = event.data
        self.trials[event.trial] = Trial(
            event.trial,
            dict(data["params"]),
            data["trainer"],
            data["source"],
            data["sampler"],
            event.time_s,
        )
        self.counts[State.WAITING] += 1

    def _trial(self, event: Event) -> Trial:
        assert event.trial is not None
        return self.trials[event.trial]

    def _move(self, trial: Trial, new: State) -> None:
        old, trial.state = trial.state, move(trial.state, new)
        self.counts[old] -= 1
        self.counts[new] += 1

    def _started(self, event: Event) -> None:
        trial, data = self._trial(event), event.data
        self._move(trial, State.RUNNING)
        trial.attempts.append(
            Attempt(
                event.attempt or 1,
                data.get("node", ""),
                data.get("pid", 0),
                data.get("device", "cpu"),
                data.get("framework", ""),
                event.time_s,
                code=data.get("code"),
                resumed_step=data.get("resumed_step", 0),
                session=len(self.sessions) - 1,
                alive_s=data.get("alive_s"),
                node_id=data.get("node_id", ""),
            )
        )

    def _reported(self, event: Event) -> None:
        if event.data.get("repeat"):
            return
        metrics = {name: float(value) for name, value in event.data["metrics"].items()}
        report = Report(event.data["step"], metrics, event.time_s, event.attempt or 1)
        trial = self._trial(event)
        trial.reports.append(report)
        trial.steps.add(report.step)

    def _checkpointed(self, event: Event) -> None:
        trial = self._trial(event)
        trial.checkpoint, trial.checkpoint_step = event.data["path"], event.data["step"]

    def _ended(self, event: Event) -> None:
        trial, data = self._trial(event), event.data
        attempt = trial.attempts[-1]
        attempt.outcome, attempt.ended_s = data["outcome"], event.time_s
        attempt.spent_s = self._spent_s(attempt, event)
        attempt.error, attempt.cause = data.get("error"), data.get("cause")
        attempt.place = data.get("place")
        attempt.gpu_peak_bytes, attempt.gpu_total_bytes = (
            data.get("gpu_peak_bytes"),
            data.get("gpu_total_bytes"),
        )
        attempt.gave_way = "gpus" in data
        trial.gpus = data.get("gpus", trial.gpus)
        trial.micro = data.get("micro", trial.micro)
        trial.weights = data.get("weights") or trial.weights
        if data.get("again"):
            self._move(trial, State.WAITING)

    def _spent_s(self, attempt: Attempt, event: Event) -> float:
        """How long an attempt took: by its driver's count, which no change of the clock can shift."""
        ended_s, mine = event.data.get("alive_s"), attempt.session == len(self.sessions) - 1
        if mine and ended_s is not None and attempt.alive_s is not None:
            return float(max(0.0, ended_s - attempt.alive_s))
        # What the next driver wrote for one that died ends when that one was last heard of.
        last_s = event.time_s if mine else min(event.time_s, self.sessions[attempt.session].last_s)
        return max(0.0, last_s - attempt.started_s)

    def _finished(self, event: Event) -> None:
        trial, data = self._trial(event), event.data
        self._move(trial, State(data["state"]))
        trial.values = trial.told = data.get("values")
        trial.step = data.get("step")
        trial.error, trial.reason = data.get("error"), data.get("reason")
        trial.ended_s = event.time_s
        self.ended += 1
        trial.ended_nth = self.ended

    def _published(self, event: Event) -> None:
        before = self.published or {}
        same = before if before.get("trial") == event.trial else {}
        self.published = {**same, **event.data, "trial": event.trial}


class Outline(History):
    """As much as a list of searches needs to know of one: counts, the state, and which trials are best.

    Folds what `Ledger.outline` finds. A finished trial is known by its end alone; its parameters, where
    they are wanted, may come after that.
    """

    def _finished(self, event: Event) -> None:
        assert event.trial is not None
        if event.trial not in self.trials:
            self.trials[event.trial] = Trial(event.trial, {}, "", "", "", event.time_s, State.RUNNING)
            self.counts[State.RUNNING] += 1
        super()._finished(event)

    def _asked(self, event: Event) -> None:
        if event.trial in self.trials:
            self._trial(event).params = dict(event.data["params"])
        else:
            super()._asked(event)


def best_trials(trials: Iterable[Trial], directions: Sequence[str]) -> list[Trial]:
    """The best COMPLETE trial, or with several objectives the Pareto front.

    Args:
        trials: any trials; only COMPLETE ones count.
        directions: `minimize` or `maximize` for each objective.

    Returns:
        By number; with one objective at most one, the earliest among equals.
    """
    signs = [-1.0 if direction == "maximize" else 1.0 for direction in directions]
    valued = [(t.values, t) for t in trials if t.state is State.COMPLETE and t.values is not None]
    if len(signs) == 1:
        ranked = [(signs[0] * value, trial.number, trial) for (value,), trial in valued]
        return [min(ranked)[2]] if ranked else []
    scored = [
        ([sign * value for sign, value in zip(signs, values, strict=True)], trial) for values, trial in valued
    ]
    front = _front({tuple(costs) for costs, _ in scored})
    return [trial for costs, trial in scored if tuple(costs) in front]


def _front(points: Iterable[tuple[float, ...]]) -> set[tuple[float, ...]]:
    """Those that none of the others dominates. In this order none is dominated by a later one."""
    front: list[tuple[float, ...]] = []
    for costs in sorted(points):
        # With two objectives the last one found has the lowest second cost so far.
        rivals = front[-1:] if len(costs) == 2 else front
        if not any(dominates(other, costs) for other in rivals):
            front.append(costs)
    return set(front)


def dominates(left: Sequence[float], right: Sequence[float]) -> bool:
    """Whether costs are nowhere higher, and somewhere lower."""
    return all(a <= b for a, b in zip(left, right, strict=True)) and list(left) != list(right)


def objective_value(reports: Sequence[Report], metric: str, direction: str, value: str) -> tuple[float, int]:
    """The value of a trial and the step that it comes from.

    Args:
        reports: those that counted, in order.
        metric, direction: the objective's.
        value: `last` or `best`.

    Raises:
        LookupError: the metric was never reported.
    """
    seen = [(report.metrics[metric], report.step) for report in reports if metric in report.metrics]
    if not seen:
        raise LookupError(metric)
    if value == "last":
        return max(seen, key=lambda pair: pair[1])
    pick = max if direction == "maximize" else min
    return pick(seen, key=lambda pair: pair[0])


def show(history: History, driver_alive: bool) -> dict[str, Any]:
    """The documented shape of `automl show NAME --json`; NaN and infinity become null."""
    trials = [_show_trial(trial) for trial in history.trials.values()]
    return {**headline(history, driver_alive), "trials": trials}


def headline(history: History, driver_alive: bool) -> dict[str, Any]:
    """The same without the trials."""
    state, reason = history.state(driver_alive)
    objectives = objectives_of(history)
    front = best_trials(history.trials.values(), [o["direction"] for o in objectives])
    bests = [_best(history, trial) for trial in front]
    return {
        "schema": 1,
        "name": history.name,
        "state": state,
        "reason": reason,
        "objectives": [{"metric": o["metric"], "direction": o["direction"]} for o in objectives],
        "counts": {str(name): count for name, count in history.counts.items()},
        "best": bests if len(objectives) > 1 else (bests[0] if bests else None),
    }


def objectives_of(history: History) -> list[dict[str, Any]]:
    """The objectives as plain mappings, from the recorded search."""
    return objectives_in(history.spec or {})


def objectives_in(spec: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The objectives of a search that was written as plain data; none where it names none."""
    objective = spec.get("objective") or []
    return [dict(o) for o in (objective if isinstance(objective, list | tuple) else [objective])]


def _best(history: History, trial: Trial) -> dict[str, Any]:
    published = history.published or {}
    mine = published if published.get("trial") == trial.number else {}
    model = mine.get("model") or mine.get("path")  # without a tracking server, the verified folder
    return {"number": trial.number, "values": trial.values, "params": trial.params, "model": model}


def _show_trial(trial: Trial) -> dict[str, Any]:
    return {
        "number": trial.number,
        "state": str(trial.state),
        "trainer": trial.trainer,
        "params": trial.params,
        "values": trial.values,
        "reports": [
            {"step": r.step, "metrics": finite(r.metrics), "time": iso(r.time_s)} for r in trial.reports
        ],
        "attempts": [
            {
                "number": a.number,
                "outcome": a.outcome,
                "node": a.node,
                "pid": a.pid,
                "started": iso(a.started_s),
                "ended": iso(a.ended_s),
                "error": a.error,
            }
            for a in trial.attempts
        ],
        "started": iso(trial.started_s),
        "ended": iso(trial.ended_s),
        "seconds": trial.seconds,
        "error": trial.error,
    }


def finite(metrics: Mapping[str, float]) -> dict[str, float | None]:
    """NaN and infinity as None: JSON has no words for them, and MLflow turns NaN into 0."""
    return {name: (value if math.isfinite(value) else None) for name, value in metrics.items()}
