"""Judges what an MLflow server shows of a search, with MLflow's own client. Uses none of automl."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from typing import Any

from tests.faults.facts import Fact
from tests.faults.judge import DOUBLED, LOST, OTHER, RUNNING, Violation
from tests.faults.scenario import Plan

PARENT, TRIAL = "mlflow.parentRunId", "automl.trial"
STATUS = {"COMPLETE": "FINISHED", "PRUNED": "KILLED", "FAILED": "FAILED"}


def judge_mlflow(uri: str, facts: Sequence[Fact], plan: Plan) -> list[Violation]:
    """One parent, one child a trial, none RUNNING, each step once, values as in the ledger."""
    from mlflow.tracking import MlflowClient

    client = MlflowClient(uri)
    experiment = client.get_experiment_by_name(plan.name)
    if experiment is None:
        return [Violation(LOST, "MLflow has no such experiment")]
    runs = client.search_runs([experiment.experiment_id], max_results=5000)
    found = list(_parents(runs))
    children: dict[int, list[Any]] = defaultdict(list)
    for run in runs:
        if PARENT in run.data.tags:
            children[int(run.data.tags.get(TRIAL, -1))].append(run)
    ended = {fact.trial: fact.data["state"] for fact in facts if fact.kind == "finished"}
    for number in sorted({*children, *(n for n in ended if n is not None)}):
        mine = [fact for fact in facts if fact.trial == number]
        for kind, text in _child(client, children[number], mine, ended.get(number)):
            found.append(Violation(kind, f"MLflow: {text}", number))
    return found


def _parents(runs: Sequence[Any]) -> Iterator[Violation]:
    parents = [run for run in runs if PARENT not in run.data.tags]
    if len(parents) != 1:
        yield Violation(DOUBLED if parents else LOST, f"MLflow has {len(parents)} parent runs")
    for run in parents:
        if run.info.status != "FINISHED":
            kind = RUNNING if run.info.status == "RUNNING" else OTHER
            yield Violation(kind, f"MLflow's parent run is {run.info.status}")


def _child(client: Any, runs: Sequence[Any], mine: Sequence[Fact], state: str | None) -> Iterator[tuple]:
    if len(runs) != 1:
        yield (DOUBLED if runs else LOST), f"{len(runs)} runs"
        return
    run = runs[0]
    if run.info.status != STATUS.get(str(state)):
        yield (RUNNING if run.info.status == "RUNNING" else OTHER), f"{run.info.status}, ledger {state}"
    history = sorted((each.step, each.value) for each in client.get_metric_history(run.info.run_id, "loss"))
    said = [fact for fact in mine if fact.kind == "reported" and not fact.data.get("repeat")]
    wanted = [(fact.data["step"], fact.data["metrics"]["loss"]) for fact in said]
    steps = [step for step, _ in history]
    if len(set(steps)) != len(steps):
        yield DOUBLED, f"steps {steps}"
    elif history != wanted:
        kind = LOST if len(history) < len(wanted) else OTHER
        yield kind, f"steps {steps}, or their values, differ from the ledger's {[s for s, _ in wanted]}"
    asked = next((fact.data["params"] for fact in mine if fact.kind == "asked"), {})
    if run.data.params.get("model.x") != str(asked.get("model.x")):
        yield OTHER, f"model.x is {run.data.params.get('model.x')}, in the ledger {asked.get('model.x')}"
