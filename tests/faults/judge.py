"""Judges a search that was killed about: its rows, its MLflow runs, its processes. Uses none of automl."""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from tests.faults.facts import Fact
from tests.faults.scenario import Plan
from tests.project.trainers.chaos import expected

LOST, DOUBLED, RUNNING, OTHER = "lost", "doubled", "running", "other"
FINAL = ("COMPLETE", "PRUNED")
# A resumed network sums up in the same order as one that was left in peace: the last digit at most.
EXACT = 1e-6


@dataclass(frozen=True)
class Violation:
    """A promise that was broken.

    Args:
        kind: `lost`, `doubled`, `running` (left so) or `other`.
        text: what was found.
        trial: where, if it is about one.
    """

    kind: str
    text: str
    trial: int | None = None


def judge(facts: Sequence[Fact], plan: Plan, twin: Sequence[Fact] | None = None) -> list[Violation]:
    """Everything that the rows of an ended search must hold.

    Args:
        facts: its rows.
        plan: what it was to do.
        twin: the rows of the same search, left in peace; without, its trainer is `chaos.walk`.
    """
    by_trial: dict[int, list[Fact]] = defaultdict(list)
    for fact in facts:
        if fact.trial is not None and fact.kind != "published":
            by_trial[fact.trial].append(fact)
    found = list(_whole(facts, plan, by_trial.keys()))
    for number, mine in sorted(by_trial.items()):
        found += [Violation(kind, text, number) for kind, text in _trial(mine, plan, twin)]
    return found


def _whole(facts: Sequence[Fact], plan: Plan, numbers: object) -> Iterator[Violation]:
    if [fact.n for fact in facts] != list(range(1, len(facts) + 1)):
        yield Violation(OTHER, "positions in the ledger have gaps or repeats")
    if set(numbers) != set(range(plan.trials)):  # type: ignore[call-overload]
        yield Violation(LOST, f"trials {sorted(numbers)} for a budget of {plan.trials}")  # type: ignore[call-overload]
    ended = sum(fact.kind == "finished" for fact in facts)
    if ended != plan.trials:
        yield Violation(LOST if ended < plan.trials else DOUBLED, f"{ended} ends, a budget of {plan.trials}")
    last = facts[-1] if facts else None
    closed = [fact for fact in facts if fact.kind == "closed"]
    if last is None or not closed or closed[-1].data.get("state") != "ENDED":
        yield Violation(OTHER, f"the search is not closed as ENDED: {last}")


def _trial(mine: Sequence[Fact], plan: Plan, twin: Sequence[Fact] | None) -> Iterator[tuple[str, str]]:
    kinds = Counter(fact.kind for fact in mine)
    if kinds["asked"] != 1 or mine[0].kind != "asked":
        yield DOUBLED, f"asked {kinds['asked']} times"
    if kinds["finished"] != 1:
        yield (DOUBLED if kinds["finished"] else RUNNING), f"finished {kinds['finished']} times"
        return
    if mine[-1].kind != "finished":
        yield OTHER, f"a {mine[-1].kind} after its end"
    state = next(fact for fact in mine if fact.kind == "finished").data
    if state["state"] not in FINAL:
        yield LOST, f"{state['state']}: {state.get('error')}"
    yield from _attempts(mine)
    wanted = _walked(mine, plan) if twin is None else _reported(mine, twin)
    yield from _reports(mine, plan, state, wanted)
    yield from _resumed(mine)


def _attempts(mine: Sequence[Fact]) -> Iterator[tuple[str, str]]:
    """Started one after the other, each ended once, each from the last checkpoint before it."""
    kept, running, last = [0], 0, 0
    for fact in mine:
        if fact.kind == "started":
            if running:
                yield DOUBLED, f"attempt {fact.attempt} began while {running} ran"
            if fact.attempt != last + 1:
                yield OTHER, f"attempt {fact.attempt} came after {last}"
            running = last = int(fact.attempt or 0)
            resumed = fact.data.get("resumed_step", kept[-1])
            if resumed not in kept[-2:]:
                yield OTHER, f"attempt {last} went on from step {resumed}, kept were {kept[-2:]}"
        elif fact.kind in ("reported", "checkpointed", "ended") and fact.attempt != running:
            yield OTHER, f"{fact.kind} of attempt {fact.attempt} while {running or 'none'} ran"
        if fact.kind == "checkpointed" and fact.data["step"] not in kept:
            kept.append(fact.data["step"])
        if fact.kind == "ended":
            running = 0
    if running:
        yield RUNNING, f"attempt {running} never ended"


def _walked(mine: Sequence[Fact], plan: Plan) -> list[dict[str, float]]:
    """What `chaos.walk` reports, step by step, when nobody disturbs it."""
    params = next(fact for fact in mine if fact.kind == "asked").data["params"]
    return [{"loss": loss} for loss in expected(params["model.x"], params["model.label"], plan.steps)]


def _reported(mine: Sequence[Fact], twin: Sequence[Fact]) -> list[dict[str, float]]:
    """What the same trial of the twin reported."""
    said = [fact for fact in twin if fact.trial == mine[0].trial and fact.kind == "reported"]
    return [fact.data["metrics"] for fact in said]


def _reports(
    mine: Sequence[Fact], plan: Plan, end: dict, wanted: Sequence[dict]
) -> Iterator[tuple[str, str]]:
    """Each step once, all of them, and each report, repeats included, is what it must be."""
    said = [fact for fact in mine if fact.kind == "reported"]
    steps = [fact.data["step"] for fact in said if not fact.data.get("repeat")]
    if len(set(steps)) != len(steps):
        yield DOUBLED, f"steps {steps}"
    whole = steps == list(range(1, len(steps) + 1))
    if not whole or (end["state"] == "COMPLETE" and len(steps) != plan.steps):
        yield LOST, f"steps {steps} of {plan.steps}"
    if len(wanted) != plan.steps:
        yield OTHER, f"its twin has {len(wanted)} steps"
        return
    for fact in said:
        step, metrics = fact.data["step"], fact.data["metrics"]
        for name, value in wanted[step - 1].items():
            if not math.isclose(metrics[name], value, rel_tol=EXACT, abs_tol=EXACT):
                yield OTHER, f"step {step} of attempt {fact.attempt}: {name} {metrics[name]}, not {value}"
    if end["state"] == "COMPLETE" and end["values"] != [next(iter(_values(said, plan.steps)))]:
        yield OTHER, f"ended with {end['values']}, its last report was {said[-1].data['metrics']}"


def _values(said: Sequence[Fact], last: int) -> Iterator[float]:
    """The objective as the last step's first report has it."""
    for fact in said:
        if fact.data["step"] == last and not fact.data.get("repeat"):
            metrics = fact.data["metrics"]
            yield metrics["loss" if "began" in metrics else "val_loss"]


def _resumed(mine: Sequence[Fact]) -> Iterator[tuple[str, str]]:
    """An attempt's steps follow on its checkpoint's, and what it read was that checkpoint."""
    after: dict[int, int] = {}
    began: dict[int, int] = {}
    for fact in mine:
        attempt = int(fact.attempt or 0)
        if fact.kind == "started":
            after[attempt] = began[attempt] = fact.data.get("resumed_step", 0)
        if fact.kind != "reported":
            continue
        step, metrics = fact.data["step"], fact.data["metrics"]
        if step != after.get(attempt, 0) + 1 or metrics.get("began", began.get(attempt)) != began.get(
            attempt
        ):
            text = f"after {after.get(attempt)}, from {metrics.get('began')} instead of {began.get(attempt)}"
            yield OTHER, f"step {step} of attempt {attempt} {text}"
        after[attempt] = step
    if len({fact.data["metrics"].get("seed") for fact in mine if fact.kind == "reported"}) > 1:
        yield OTHER, "its seed changed from one attempt to another"
