"""What becomes of an attempt that did not end well: again, elsewhere, in smaller parts, or never.

| outcome, cause | what follows |
|---|---|
| stopped | the trial goes on at the next start; costs nothing |
| lost (driver, actor or node died) | again, LOST_MOST times; does not count against `retries` |
| failed: machine, hang, timeout | again, `retries` times over all three; the same exception from the same |
|        | lines twice counts as code |
| failed: memory | in a larger share of a GPU, where `gpus: auto` had measured one out; then once |
|        | more, each batch in SMALLER parts, where the trainer can; else infeasible |
| failed: code, nan, missing | never: it would only happen again |

Knows a trial's history and nothing else: no ledger, no engine, no vendor.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from automl import packing
from automl.events import State
from automl.reclaim import DIED
from automl.results import Attempt, Trial

# A trial whose node or actor dies so often is given up: it may be what kills them.
LOST_MOST = 10
# The causes that `retries` counts: the place is to blame, or what it was waiting for.
MACHINE = ("machine", "hang", "timeout")
INFEASIBLE = "infeasible"
SMALLER = 2
# A node is avoided once it has killed so many attempts with none that ended well in between...
KILLED_IN_A_ROW = 3
# ...and after so long it may have another: one more death there and it is avoided again.
AVOID_S = 600.0
# Trials that are all infeasible teach the sampler; so many times `budget.failures` of them are enough.
INFEASIBLE_TIMES = 4


@dataclass(frozen=True)
class Ruling:
    """What was decided about an attempt.

    Args:
        again: whether the trial gets another attempt.
        why: in words, for people.
        reason: of the trial's end, where it ends: the cause, or `infeasible`.
        micro: in how many parts the next attempt trains each batch, where that changes.
        gpus: the share of a GPU that the next attempt gets at least, where that changes.
        error: of the trial, where it ends.
    """

    again: bool
    why: str
    reason: str
    micro: int | None = None
    gpus: float | None = None
    error: str = ""

    def facts(self) -> dict[str, Any]:
        """What the ledger keeps of it, in the attempt's `ended`."""
        found: dict[str, Any] = {"ruling": self.why}
        if self.again:
            found["again"] = True
        if self.again and self.micro is not None:
            found["micro"] = self.micro
        if self.again and self.gpus is not None:
            found["gpus"] = self.gpus
        return found


def rule(
    trial: Trial, ended: Mapping[str, Any], retries: int, divisible: bool, share: float | None = None
) -> Ruling:
    """What follows from the end of an attempt that neither completed nor was pruned.

    Args:
        trial: with this attempt the last of its attempts, and its end not yet among the facts.
        ended: outcome, cause and place (of an exception) as the worker or its host told them.
        retries: of the search.
        divisible: whether this trial's batches can be trained in parts.
        share: of a GPU, that `gpus: auto` had measured out to this attempt; None where it had all.
    """
    ruling = _ruled(trial, ended, retries, divisible, share)
    return replace(ruling, error=_error(trial, ended))


def _ruled(
    trial: Trial, ended: Mapping[str, Any], retries: int, divisible: bool, share: float | None
) -> Ruling:
    outcome, cause = ended["outcome"], str(ended.get("cause") or ended["outcome"])
    if outcome == "stopped":
        return Ruling(True, "the search was stopped; the trial goes on at the next start", outcome)
    if outcome == "lost":
        return _lost(trial)
    if cause == "memory":
        return _memory(trial, divisible) if share is None else _cramped(share)
    if cause in MACHINE:
        return _machine(trial, ended, cause, retries)
    return Ruling(False, "not tried again: it would only happen again", cause)


def _lost(trial: Trial) -> Ruling:
    before = sum(_node_died(attempt) for attempt in trial.attempts)
    if before >= LOST_MOST:
        return Ruling(False, f"given up: {before + 1} nodes or actors died under it", "lost")
    return Ruling(True, "tried again; a lost node does not count against retries", "lost")


def _machine(trial: Trial, ended: Mapping[str, Any], cause: str, retries: int) -> Ruling:
    place = ended.get("place")
    if place and any(attempt.place == place for attempt in trial.attempts):
        why = "not tried again: the same exception from the same lines twice is the trainer's own"
        return Ruling(False, why, "code")
    before = sum(trial.failures(each) for each in MACHINE)
    if before >= retries:
        return Ruling(False, f"not tried again: its {retries} retries are used up", cause)
    return Ruling(True, f"tried again, retry {before + 1} of {retries}", cause)


def _cramped(share: float) -> Ruling:
    """Fewer trials beside it leave more memory of the host as well."""
    more = packing.more(share)
    why = f"tried again with {more:g} of a GPU, where it had {share:g}"
    return Ruling(True, why, "memory", gpus=more)


def _memory(trial: Trial, divisible: bool) -> Ruling:
    before = sum(each.cause == "memory" and not each.gave_way for each in trial.attempts)
    if before == 0 and divisible:
        micro = trial.micro * SMALLER
        why = f"tried again with each batch in {micro} parts, whose gradients add up"
        return Ruling(True, why, "memory", micro)
    why = "even with smaller batches" if before else "and its batches cannot be trained in parts"
    return Ruling(False, f"infeasible: out of memory, {why}; the sampler is told to keep away", INFEASIBLE)


def _error(trial: Trial, ended: Mapping[str, Any]) -> str:
    """What the trial died of; of two attempts that were short of memory, the first says it best."""
    last = str(ended.get("error") or f"attempt {len(trial.attempts)} was {ended['outcome']}")
    if ended.get("cause") != "memory":
        return last
    first = next((each.error for each in trial.attempts if each.cause == "memory" and each.error), last)
    return first if first == last else f"{first}; in smaller parts: {last}"


def divisible(
    framework: str, arguments: Mapping[str, Mapping[str, Any]], takes: Mapping[str, Any] | None
) -> bool:
    """Whether a trial's batches may be trained in parts, as far as can be told before it runs.

    What only the worker sees (data that are a dataset, a size that is a default) it refuses itself,
    with CannotSplit.

    Args:
        framework: of the trial's trainer.
        arguments: of the trial: `model`, `data`, `fit`.
        takes: for `model`, `data` and `fit` the names of the trainer's arguments, or None for any.
    """
    if framework == "function":
        return "micro_batches" in ((takes or {}).get("model") or ())
    if framework == "keras":
        return True
    size = arguments.get("data", {}).get("batch_size")
    if size is not None:
        return isinstance(size, int) and size % SMALLER == 0 and size >= SMALLER
    names = (takes or {}).get("data")
    return names is None or "batch_size" in names


class Nodes:
    """Which nodes have just killed several attempts in a row."""

    def __init__(self, ended: Iterable[Attempt] = ()) -> None:
        self._deaths: Counter[str] = Counter()
        self._last_s: dict[str, float] = {}
        for attempt in sorted(ended, key=lambda each: each.ended_s or 0.0):
            self.hear(attempt)

    def hear(self, attempt: Attempt) -> None:
        """An attempt has ended. What stopped, or failed by its own code, speaks for no node."""
        node = attempt.node_id
        if not node:
            return
        if attempt.outcome in ("complete", "pruned"):
            self._deaths[node] = 0
        elif _node_died(attempt) or (attempt.outcome == "failed" and attempt.cause in MACHINE):
            self._deaths[node] += 1
            self._last_s[node] = attempt.ended_s or 0.0

    def avoid(self, now_s: float) -> tuple[str, ...]:
        """The nodes to stay away from, if there is another. Sorted."""
        return tuple(
            sorted(
                node
                for node, deaths in self._deaths.items()
                if deaths >= KILLED_IN_A_ROW and now_s - self._last_s[node] < AVOID_S
            )
        )


def give_up(ended: Sequence[Trial], most: int) -> str | None:
    """Why a search whose first trials all failed alike ends, or None where it goes on.

    Failures of the machine count as well: what killed the first trials through all their retries
    kills the others too. Infeasible trials do not: the sampler learns from them where to look, until
    INFEASIBLE_TIMES as many were all that there was.

    Args:
        ended: all trials that have ended, the one that just did last.
        most: `budget.failures`.
    """
    if not ended or any(trial.state is not State.FAILED for trial in ended):
        return None
    counted = [trial for trial in ended if trial.reason != INFEASIBLE]
    if not counted:
        enough = len(ended) == most * INFEASIBLE_TIMES
        return f"the first {len(ended)} trials were infeasible: {ended[-1].error}" if enough else None
    if len(counted) != most or ended[-1] is not counted[-1]:
        return None
    if len({(trial.reason, _alike(trial.error)) for trial in counted}) != 1:
        return None
    return f"the first {most} trials failed alike: {counted[-1].error}"


def _node_died(attempt: Attempt) -> bool:
    """Lost with its node or actor. The death of its driver speaks for neither node nor trial."""
    return attempt.outcome == "lost" and attempt.error != DIED


def _alike(error: str | None) -> str:
    """An error without its numbers, which tell trials apart but not reasons."""
    return "".join(each for each in error or "" if not each.isdigit())
