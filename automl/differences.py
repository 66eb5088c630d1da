"""One difference between the ledger and what should agree with it, and what mends it. A value."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from automl.events import Event

LEDGER, STORAGE, MLFLOW = "ledger", "storage", "MLflow"


@dataclass(frozen=True)
class Difference:
    """What does not agree, on one line.

    Args:
        part: `ledger`, `storage` or `MLflow`.
        what: what is wrong, without a full stop.
        mend: how to mend it, one sentence without a full stop.
        trial: the trial that it is about; None for the search.
        event: the position of the event that it is about.
        mendable: whether `--repair` can mend it.
        remove: the folders whose removal mends it.
        append: the events whose appending mends it.
    """

    part: str
    what: str
    mend: str
    trial: int | None = None
    event: int | None = None
    mendable: bool = False
    remove: Sequence[str] = field(default=(), compare=False, repr=False)
    append: Sequence[Event] = field(default=(), compare=False, repr=False)

    @property
    def where(self) -> str:
        parts = [self.part]
        parts += [f"event {self.event}"] if self.event is not None else []
        parts += [f"trial {self.trial}"] if self.trial is not None else []
        return ", ".join(parts)

    def plain(self) -> dict[str, Any]:
        """The difference as JSON data."""
        names = ("part", "trial", "event", "what", "mend", "mendable")
        return {"where": self.where, **{name: getattr(self, name) for name in names}}

    def __str__(self) -> str:
        return f"{self.where}: {self.what}. {self.mend}{'' if self.mend.endswith('?') else '.'}"
