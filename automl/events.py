"""Events, states, and the table of legal moves. Plain data: knows no database and no vendor.

An event is one fact about a search, JSON all through. The kinds and their `data`:

| kind | trial | attempt | data |
|---|---|---|---|
| opened | - | - | a driver began: spec (the whole search as plain data), text (the file), versions, git, |
|        |   |   | host, pid, engine, owner (user@host), address (of the cluster, if on one), job (its
|        |   |   | job there, if it is one), automl, strangers (ended trials that the changed search has no |
|        |   |   | place for: they keep their numbers and are no longer ranked) |
| asked | n | - | params, trainer, source (start_with, share, startup, sampler, grid), sampler, |
|       |   |   | trial_attrs, study_attrs, seen (the n of the last event that the sampler knew of, where |
|       |   |   | it thought while others were appended; without it, all that came before) |
| started | n | k | node, pid, device, framework, warm (bool), code (a hash), resumed_step, |
|         |   |   | skipped (why newer checkpoints were not taken, if any was not), node_id (Ray's |
|         |   |   | name of the node), avoided (nodes that had just killed several attempts), micro (in |
|         |   |   | how many parts each batch is trained) |
| reported | n | k | step, metrics, prune (bool), repeat (bool: an earlier attempt reported this step), |
|          |   |   | trial_attrs |
| checkpointed | n | k | step, path: the checkpoint to go on from now (null: from the start); |
|              |   |   | error (why it is not a newer one, if one was wanted) |
| ended | n | k | the attempt's outcome: complete, pruned, failed, stopped, lost; error (one line or null), |
|       |   |   | cause (code, machine, hang, timeout, memory, nan, missing, or null), weights (path or |
|       |   |   | null), trace, place (a hash of the exception and its lines), again (bool: the trial |
|       |   |   | goes back to WAITING), ruling (why, in words), micro (parts of a batch from now on), |
|       |   |   | gpus (the least share of a GPU from now on), gpu_peak_bytes (what its process had of |
|       |   |   | its GPU at most), gpu_total_bytes (what that GPU has) |
| finished | n | - | state (COMPLETE, PRUNED, FAILED), values, step, error, reason |
| published | n | - | path (a verified MLflow model folder), model (URI, once it is logged), error |
| closed | - | - | the driver ended: state (ENDED, STOPPED, FAILED; LOST: it died, and fsck wrote it), |
|        |   |   | reason, swept (bool: false where files had to stay, as the ledger was away) |

started, reported, ended and closed also carry `alive_s`: seconds that their driver had been alive, by a
count that no change of the clock can shift.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Literal

Kind = Literal[
    "opened", "asked", "started", "reported", "checkpointed", "ended", "finished", "published", "closed"
]


class State(StrEnum):
    """What a trial is. COMPLETE, PRUNED and FAILED are final."""

    WAITING = "WAITING"
    RUNNING = "RUNNING"
    COMPLETE = "COMPLETE"
    PRUNED = "PRUNED"
    FAILED = "FAILED"

    @property
    def final(self) -> bool:
        return self in FINAL


FINAL = frozenset({State.COMPLETE, State.PRUNED, State.FAILED})

# A trial that was cut off before an attempt began may still end (given up while waiting).
MOVES: Mapping[State, frozenset[State]] = {
    State.WAITING: frozenset({State.RUNNING, State.FAILED}),
    State.RUNNING: frozenset({State.WAITING, State.COMPLETE, State.PRUNED, State.FAILED}),
    State.COMPLETE: frozenset(),
    State.PRUNED: frozenset(),
    State.FAILED: frozenset(),
}


def move(old: State, new: State) -> State:
    """The only way in which a trial changes its state.

    Raises:
        ValueError: the move is not in the table.
    """
    if new not in MOVES[old]:
        raise ValueError(f"a trial cannot go from {old} to {new}")
    return new


@dataclass(frozen=True)
class Event:
    """One fact.

    Args:
        kind: one of the table above.
        trial: the trial's number, from 0; None for facts about the search.
        attempt: the attempt's number, from 1; None for facts about the trial.
        data: plain JSON data.
        time_s: seconds since the epoch, UTC.
        n: position in the search, from 1; 0 until the ledger has appended it.
    """

    kind: Kind
    trial: int | None = None
    attempt: int | None = None
    data: Mapping[str, Any] = field(default_factory=dict)
    time_s: float = 0.0
    n: int = 0


def iso(time_s: float | None) -> str | None:
    """UTC text of a time such as `2026-11-22T10:00:00.000Z`; None stays None."""
    if time_s is None:
        return None
    return dt.datetime.fromtimestamp(time_s, dt.UTC).isoformat(timespec="milliseconds")[:-6] + "Z"
