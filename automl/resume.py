"""Which checkpoint an attempt goes on from: the last that is whole and can be loaded. Knows no framework."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from automl.engines.base import Task
from automl.errors import BrokenFolder, StorageError
from automl.storage import TrialFolder, fetch, folders, is_remote, step_of


class Resume:
    """Goes back through an attempt's checkpoints, from the one that the ledger names to the start.

    Attributes:
        task: the attempt, with the checkpoint and step that it really goes on from.
        folder: that checkpoint as a local folder; None at the start.
        skipped: why newer ones were not taken, in words for a person.
    """

    def __init__(self, task: Task, files: TrialFolder, scratch: Path) -> None:
        self.task = task
        self.skipped: list[str] = []
        self._places = _candidates(task, files)
        self._scratch = scratch
        self._fetched: Path | None = None
        self.folder: Path | None = None

    def seek(self) -> None:
        """Take the next older checkpoint that is whole, else the start.

        Raises:
            StorageError: the storage cannot be read now; nothing is known of what lies in it.
        """
        self.clear()
        for place in self._places:
            try:
                self.folder = fetch(place, self._scratch)
            except BrokenFolder as broken:
                self._skip(str(broken))
                continue
            self._fetched = self.folder if is_remote(place) else None
            self.task = replace(self.task, checkpoint=place, step=step_of(place))
            return
        self.folder = None
        if self.task.checkpoint:
            self.task = replace(self.task, checkpoint=None, step=0)

    def refuse(self, error: Exception) -> None:
        """The checkpoint in hand cannot be loaded: go on from one before it."""
        self._skip(f"{self.task.checkpoint} cannot be loaded: {error}")
        self.seek()

    def clear(self) -> None:
        """Remove what was fetched from a remote storage."""
        if self._fetched:
            shutil.rmtree(self._fetched, ignore_errors=True)
            self._fetched = None

    def _skip(self, why: str) -> None:
        self.skipped.append(why.splitlines()[0])


def _candidates(task: Task, files: TrialFolder) -> Iterator[str]:
    """The checkpoint that the ledger names, then older ones; these are looked for only if asked for."""
    if task.checkpoint is None:
        return
    yield task.checkpoint
    try:
        found = folders(files.url, "checkpoint")
    except Exception as error:  # each fsspec backend raises its own vendor's exceptions
        raise StorageError(f"cannot list {files.url}: {error}") from error
    yield from (place for place in reversed(found) if step_of(place) < task.step)
