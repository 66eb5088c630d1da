"""Every exception that a user can meet. Knows nothing else of the house.

AutoMLError
├── InputError            the input is wrong: `faults` has all of them; exit code 2
│   ├── NoSuchSearch      no search of that name in the ledger
│   └── ChangedSearch     the name exists with another objective, trainer or space
├── LedgerError           the ledger cannot be reached, read or written
│   ├── LedgerAway        not now: its server is away, its file locked, its disk full
│   ├── NoLedger          nothing was written there yet
│   ├── LeaseHeld         another driver runs this search; exit code 2
│   └── LeaseLost         another driver has taken this search over
├── StorageError          checkpoints or weights cannot be written or read
│   ├── BrokenFolder      a checkpoint or weights are missing, cut off or damaged
│   └── CheckpointRefused a checkpoint is whole, but the trainer cannot go on from it
├── WorkerError           a worker process died, hung or could not be started
└── TrackingError         the tracking server refused or cannot be reached

What ends a trial from inside derives from BaseException, so that a trainer's own
`except Exception` does not swallow it:

TrialEnded
├── TrialPruned           the driver answered a report with "prune"
├── TrialStopped          the search is stopping; the trial goes on at the next start
└── TrialFinished         the trial has reached the target: it is complete
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace


@dataclass(frozen=True)
class Fault:
    """One thing wrong in an input: where it is, what it is, and how to mend it.

    Args:
        where: dotted path into the search file, such as `space.model.lr`.
        what: what is wrong, without a full stop.
        mend: how to mend it, one sentence without a full stop.
        file: the path as the user gave it, if the input came from a file.
        line, column: 1-based position in `file`; 0 where unknown.
        spot: the keys that lead to the exact place, where that is finer than `where`.
        at_key: the last key of `spot` itself is wrong, not its value.
    """

    where: str
    what: str
    mend: str
    file: str | None = None
    line: int = 0
    column: int = 0
    spot: tuple[str | int, ...] = field(default=(), compare=False, repr=False)
    at_key: bool = field(default=False, compare=False, repr=False)

    def at(self, file: str, line: int, column: int) -> Fault:
        """This fault with its position."""
        return replace(self, file=file, line=line, column=column)

    def __str__(self) -> str:
        position = f"{self.file}:{self.line}:{self.column}: " if self.file else ""
        stop = "" if self.mend.endswith(("?", ".")) else "."
        return f"{position}{self.where}: {self.what}. {self.mend}{stop}"


class AutoMLError(Exception):
    """The root of all exceptions of this package."""


class InputError(AutoMLError):
    """The input is wrong. `faults` holds everything that is wrong with it."""

    def __init__(self, faults: Sequence[Fault] | Fault) -> None:
        self.faults: tuple[Fault, ...] = (faults,) if isinstance(faults, Fault) else tuple(faults)
        super().__init__("\n".join(str(fault) for fault in self.faults))


class NoSuchSearch(InputError):
    """No search of that name is in the ledger."""


class ChangedSearch(InputError):
    """A search of that name exists with another objective, trainer or space."""


class LedgerError(AutoMLError):
    """The ledger cannot be reached, read or written."""


class LedgerAway(LedgerError):
    """The ledger cannot be reached, read or written just now; the same may succeed later."""


class NoLedger(LedgerError):
    """There is no ledger at that place yet."""


class LeaseHeld(LedgerError):
    """Another driver runs this search."""


class LeaseLost(LedgerError):
    """Another driver has taken this search over; nothing more may be written."""


class StorageError(AutoMLError):
    """Checkpoints or weights cannot be written or read."""


class BrokenFolder(StorageError):
    """A checkpoint or weights are missing, cut off or damaged."""


class CheckpointRefused(StorageError):
    """A checkpoint is whole, but the trainer cannot go on from it."""


class WorkerError(AutoMLError):
    """A worker process died, hung or could not be started."""


class TrackingError(AutoMLError):
    """The tracking server refused or cannot be reached."""


class TrialEnded(BaseException):
    """Raised inside a trainer by `report` or between batches; let it pass."""


class TrialPruned(TrialEnded):
    """The driver answered a report with "prune"."""


class TrialStopped(TrialEnded):
    """The search is stopping; the trial goes on from its checkpoint at the next start."""


class TrialFinished(TrialEnded):
    """The trial has reached the target; what it has learned is kept."""
