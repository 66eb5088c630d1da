"""What was killed, and what became of it, as a table. Knows no process."""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from tests.faults.facts import Fact
from tests.faults.judge import DOUBLED, LOST, OTHER, RUNNING, Violation
from tests.faults.scenario import Kill

NAMES = {
    "driver": "driver",
    "worker": "worker",
    "guard": "guard of a worker",
    "actor": "host actor (Ray)",
    "node": "node (Ray)",
    "tracker": "tracker",
    "mlflow": "MLflow server",
    "postgres": "PostgreSQL",
}


@dataclass(frozen=True)
class Verdict:
    """A round that was played and judged.

    Args:
        stage: where.
        kills: what was ended.
        violations: what was broken by it.
        recovered: seconds until each kill was overcome, by its kind.
        wall_s: how long all of it took.
        facts: the rows of its ledger.
    """

    stage: str
    kills: Sequence[Kill]
    violations: Sequence[Violation]
    recovered: Mapping[str, Sequence[float]] = field(default_factory=dict)
    wall_s: float = 0.0
    facts: Sequence[Fact] = ()


def recovered_s(kill: Kill, facts: Sequence[Fact], shown: Sequence[tuple[float, int]]) -> float | None:
    """Seconds from a kill to the first sign that it is overcome; None where it interrupted nothing.

    The sign: for a driver and a database, the first report of any trial that the next driver, or the
    same, wrote; for a worker, an actor or a node, the next attempt of a trial that it took down; for
    MLflow and the tracker, the first event that is shown after it.
    """
    after = [fact for fact in facts if fact.seen_s > kill.time_s and fact.n > kill.n]
    if kill.kind in ("mlflow", "tracker"):
        seen = [at_s for at_s, cursor in shown if at_s > kill.time_s and cursor > kill.shown]
        return seen[0] - kill.time_s if seen else None
    if kill.kind in ("worker", "guard", "actor", "node"):
        hit = [f for f in after if f.kind == "ended" and f.data.get("outcome") in ("lost", "failed")]
        again = [
            f for f in after if hit and f.kind == "started" and f.trial == hit[0].trial and f.n > hit[0].n
        ]
        return again[0].seen_s - kill.time_s if again else None
    opened = next((f.n for f in after if f.kind == "opened"), 0 if kill.kind == "postgres" else None)
    if opened is None:
        return None
    said = [f for f in after if f.kind in ("reported", "closed") and f.n > opened]
    return said[0].seen_s - kill.time_s if said else None


def said(verdicts: Sequence[Verdict]) -> str:
    """How much of a search there was to be damaged."""
    facts = [fact for verdict in verdicts for fact in verdict.facts]
    ended = sum(fact.kind == "finished" for fact in facts)
    steps = sum(fact.kind == "reported" and not fact.data.get("repeat") for fact in facts)
    again = [fact for fact in facts if fact.kind == "started" and (fact.attempt or 0) > 1]
    resumed = sum(fact.data.get("resumed_step", 0) > 0 for fact in again)
    return (
        f"{ended} trials with {steps} steps; {len(again)} attempts went on where another was cut off, "
        f"{resumed} of them from a checkpoint"
    )


def table(verdicts: Sequence[Verdict]) -> str:
    """A row for each kind of victim, and one for all; a violation counts for each kind of its round."""
    head = (
        "| killed | kills | of these two at once | trials lost | doubled | left RUNNING | other "
        "| seconds to recover, median | most |\n|---|" + "---|" * 8
    )
    kinds = [kind for kind in NAMES if any(k.kind == kind for v in verdicts for k in v.kills)]
    rows = [_row(NAMES[kind], verdicts, kind) for kind in kinds]
    return "\n".join([head, *rows, _row("all", verdicts, None)])


def _row(name: str, verdicts: Sequence[Verdict], kind: str | None) -> str:
    kills = [k for v in verdicts for k in v.kills if kind in (None, k.kind)]
    hit = [v for v in verdicts if kind is None or any(k.kind == kind for k in v.kills)]
    broken = [each for v in hit for each in v.violations]
    counts = [sum(each.kind == what for each in broken) for what in (LOST, DOUBLED, RUNNING, OTHER)]
    seconds = [s for v in verdicts for k, many in v.recovered.items() if kind in (None, k) for s in many]
    took = [f"{statistics.median(seconds):.1f}", f"{max(seconds):.1f}"] if seconds else ["", ""]
    cells = [name, len(kills), sum(k.together for k in kills), *counts, *took]
    return "| " + " | ".join(str(cell) for cell in cells) + " |"
