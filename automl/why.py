"""Why a trial is what it is: told from the ledger's events alone. Knows no database and no vendor."""

from __future__ import annotations

import statistics
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from automl.events import Event, iso
from automl.results import finite
from automl.words import show as short


def explain(name: str, events: Sequence[Event], number: int, spec: Mapping[str, Any]) -> dict[str, Any]:
    """All that the ledger knows of a trial's fate, as plain data.

    Args:
        name: the search.
        events: all of its events, in order.
        number: the trial; it must be among them.
        spec: the search as plain data.
    """
    own = [event for event in events if event.trial == number]
    asked = next(event for event in own if event.kind == "asked")
    finished = next((event for event in own if event.kind == "finished"), None)
    end = dict(finished.data) if finished else {}
    attempts = _attempts(own)
    return {
        "schema": 1,
        "name": name,
        "number": number,
        "state": end.get("state") or _unfinished(attempts),
        "trainer": asked.data["trainer"],
        "params": asked.data["params"],
        "source": asked.data["source"],
        "sampler": asked.data["sampler"],
        "origin": _origin(events, asked),
        "asked": iso(asked.time_s),
        "attempts": attempts,
        "reports": [_report(event) for event in own if event.kind == "reported"],
        "pruned": _pruned(events, own, spec),
        "values": end.get("values"),
        "step": end.get("step"),
        "reason": end.get("reason"),
        "error": end.get("error"),
        "ended": iso(finished.time_s) if finished else None,
    }


def _origin(events: Sequence[Event], asked: Event) -> str:
    sampler, trainer = asked.data["sampler"], asked.data["trainer"]
    source = asked.data["source"]
    if source == "start_with":
        return f"start point {(asked.trial or 0) + 1} of start_with; what it leaves out came from {sampler}"
    if source == "share":
        return f"{sampler}, with trainer {trainer} fixed, which would have fallen under its share of trials"
    if source == "startup":
        return f"the random start-up of {sampler}"
    if source == "grid":
        return f"point {(asked.trial or 0) + 1} of the grid"
    if sampler in ("random", "qmc"):
        return f"sampler {sampler}, which learns nothing from other trials"
    ended = sum(event.kind == "finished" and event.n < asked.n for event in events)
    return f"sampler {sampler}, which knew {ended} ended trials"


def _attempts(own: Iterable[Event]) -> list[dict[str, Any]]:
    attempts: list[dict[str, Any]] = []
    for event in own:
        data = event.data
        if event.kind == "started":
            attempts.append(
                {
                    "number": event.attempt,
                    "node": data.get("node", ""),
                    "pid": data.get("pid", 0),
                    "device": data.get("device", "cpu"),
                    "framework": data.get("framework", ""),
                    "warm": data.get("warm", False),
                    "code": data.get("code"),
                    "resumed_step": data.get("resumed_step", 0),
                    "micro": data.get("micro", 1),
                    "avoided": data.get("avoided", []),
                    "checkpoints": [],
                    "passed_over": [*data.get("skipped", [])],
                    "started": iso(event.time_s),
                    "ended": None,
                    "outcome": None,
                    "cause": None,
                    "error": None,
                    "again": False,
                    "ruling": None,
                }
            )
        elif event.kind == "checkpointed" and attempts:
            if data.get("error"):
                attempts[-1]["passed_over"].append(data["error"])
            else:
                attempts[-1]["checkpoints"].append(data["step"])
        elif event.kind == "ended" and attempts:
            attempts[-1] |= {
                "ended": iso(event.time_s),
                **{key: data.get(key) for key in ("outcome", "cause", "error", "ruling")},
                "again": bool(data.get("again")),
            }
    return attempts


def _unfinished(attempts: Sequence[Mapping[str, Any]]) -> str:
    return "RUNNING" if attempts and attempts[-1]["outcome"] is None else "WAITING"


def _report(event: Event) -> dict[str, Any]:
    data = event.data
    return {
        "step": data["step"],
        "metrics": finite({name: float(value) for name, value in data["metrics"].items()}),
        "time": iso(event.time_s),
        "attempt": event.attempt,
        "prune": bool(data.get("prune")),
        "repeat": bool(data.get("repeat")),
    }


def _pruned(events: Sequence[Event], own: Iterable[Event], spec: Mapping[str, Any]) -> dict[str, Any] | None:
    """At which step a trial was cut, and what the others had reported there by then."""
    cut = next((event for event in own if event.kind == "reported" and event.data.get("prune")), None)
    if cut is None:
        return None
    objective = spec.get("objective") or {}
    first = objective[0] if isinstance(objective, list | tuple) else objective
    metric, step = first.get("metric"), cut.data["step"]
    others = [
        float(event.data["metrics"][metric])
        for event in events
        if event.kind == "reported"
        and event.n < cut.n
        and event.trial != cut.trial
        and event.data["step"] == step
        and not event.data.get("repeat")
        and metric in event.data["metrics"]
    ]
    pick = max if first.get("direction") == "maximize" else min
    return {
        "step": step,
        "pruner": _pruner(spec),
        "metric": metric,
        "value": cut.data["metrics"].get(metric),
        "others": len(others),
        "best": pick(others) if others else None,
        "median": statistics.median(others) if others else None,
    }


def _pruner(spec: Mapping[str, Any]) -> str:
    named = (spec.get("search") or {}).get("pruner") or "auto"
    return str(named.get("name", "auto") if isinstance(named, Mapping) else named)


# --- as text -------------------------------------------------------------------------------


def lines(why: Mapping[str, Any]) -> list[str]:
    """What `explain` found, in words."""
    params = [f"  {name} = {short(value)}" for name, value in why["params"].items()]
    return [
        f"trial {why['number']} of {why['name']}: {why['state']}",
        "",
        f"Its parameters came from {why['origin']}.",
        f"They were asked for at {why['asked']}; trainer {why['trainer']}.",
        *params,
        "",
        *_attempt_lines(why["attempts"]),
        *_report_lines(why["reports"]),
        "",
        _ending(why),
    ]


def _attempt_lines(attempts: Sequence[Mapping[str, Any]]) -> list[str]:
    if not attempts:
        return ["No attempt has begun."]
    return [line for attempt in attempts for line in _one_attempt(attempt)]


def _one_attempt(attempt: Mapping[str, Any]) -> list[str]:
    place = f"{attempt['node'] or 'unknown node'}, pid {attempt['pid']}, {attempt['device']}"
    from_ = (
        f"from the checkpoint of step {attempt['resumed_step']}"
        if attempt["resumed_step"]
        else "from the start"
    )
    how = ", in a warm worker" if attempt["warm"] else ""
    if attempt["micro"] > 1:
        how += f", each batch in {attempt['micro']} parts"
    if attempt["avoided"]:
        nodes = ", ".join(node[:8] for node in attempt["avoided"])
        how += f", away from {nodes}, which had just killed several attempts"
    head = f"Attempt {attempt['number']}: {place}; {from_}{how}; began {attempt['started']}"
    over = [f"  {why}" for why in attempt["passed_over"]]
    if attempt["outcome"] is None:
        return [f"{head}, still running", *over]
    tail = f"  {attempt['outcome']} at {attempt['ended']}"
    if cause := _CAUSES.get(attempt["cause"] or attempt["outcome"]):
        tail += f": {cause}"
    if attempt["error"]:
        tail += f" ({attempt['error']})"
    if attempt["ruling"]:
        tail += f"; {attempt['ruling']}"
    elif attempt["again"]:
        tail += "; the trial goes on"
    return [head, *over, tail]


_CAUSES = {
    "code": "the trainer's code raised",
    "machine": "the machine was to blame, which counts against retries",
    "hang": "it hung, which counts against retries",
    "timeout": "it took too long, which counts against retries",
    "memory": "out of memory, on the host or the GPU",
    "nan": "the objective was not a finite number",
    "missing": "the objective was never reported",
    "lost": "its driver or node died, which does not count against retries",
    "stopped": "the search was stopped, which does not count against retries",
}


def _report_lines(reports: Sequence[Mapping[str, Any]]) -> list[str]:
    if not reports:
        return ["", "It reported nothing."]
    said = [f"  step {r['step']:>4}  {_metrics(r['metrics'])}{_mark(r)}" for r in reports]
    return ["", "It reported", *said]


def _metrics(metrics: Mapping[str, float | None]) -> str:
    return "  ".join(
        f"{name}={'not finite' if value is None else f'{value:.6g}'}" for name, value in metrics.items()
    )


def _mark(report: Mapping[str, Any]) -> str:
    if report["repeat"]:
        return f"  (again by attempt {report['attempt']}; the first report counts)"
    return "  <- pruned" if report["prune"] else ""


def _ending(why: Mapping[str, Any]) -> str:
    if why["state"] == "COMPLETE":
        values = ", ".join(f"{value:.6g}" for value in why["values"] or [])
        return f"COMPLETE at {why['ended']}: its value is {values}, from step {why['step']}."
    if why["state"] == "PRUNED":
        return f"PRUNED at {why['ended']}{_against(why)}"
    if why["state"] == "FAILED":
        return f"FAILED at {why['ended']}: {why['error'] or why['reason']}."
    if why["state"] == "RUNNING":
        return "It has not ended: it runs, or its driver died while it ran."
    return "It has not ended: it waits, and goes on when the search is started again."


def _against(why: Mapping[str, Any]) -> str:
    cut = why["pruned"]
    if not cut:
        return f": {why['reason'] or 'by its trainer'}."
    value = "nothing" if cut["value"] is None else f"{cut['value']:.6g}"
    said = f" by pruner {cut['pruner']} at step {cut['step']}: its {cut['metric']} was {value}"
    if not cut["others"]:
        return f"{said}; no other trial had reported that step."
    return (
        f"{said}; {cut['others']} other trials had reported that step, the best {cut['best']:.6g}, "
        f"their median {cut['median']:.6g}."
    )
