"""One batch and back, for `check --deep`: trains, keeps a checkpoint and weights, and takes up both again.

Knows no framework and tells no search: what is reported stays here.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path

from automl.engines.base import Answer
from automl.errors import AutoMLError, CheckpointRefused
from automl.frameworks.base import Framework
from automl.handle import TrialHandle
from automl.project import resolve_address
from automl.storage import fetch
from automl.words import in_one_line

# A framework's account of what does not fit may be as long as its list of layers.
WHY_MOST = 300


class Unkept(AutoMLError):
    """What a trainer has learned cannot be kept, or cannot be taken up again."""


class Rehearsal(TrialHandle):
    """A handle that tells nobody, and keeps what it is given only until it was read back."""

    kept: tuple[int, str] | None = None
    mute: str | None = None  # why no winner of this trainer could be published

    def tell(self, metrics: Mapping[str, float], step: int) -> Answer:
        plain = {str(name): float(value) for name, value in metrics.items()}
        self._note_best(plain, step)
        self.reports.append(plain)
        return Answer.FINISH if self._may_leave() else Answer.GO

    def _may_leave(self) -> bool:
        """A plain callable knows no batches: it may leave once it has shown every metric."""
        seen = {name for report in self.reports for name in report}
        wanted = {objective["metric"] for objective in self.task.objectives}
        return self.task.framework == "function" and wanted <= seen

    def following(self, scratch: Path) -> Rehearsal:
        """The same, from the checkpoint that this one kept."""
        assert self.kept
        step, place = self.kept
        task = replace(self.task, checkpoint=place, step=step)
        return Rehearsal(self._link, task, self._files, fetch(place, scratch))

    def due(self) -> bool:
        return True

    def save_checkpoint(self, step: int, write: Callable[[Path], object], behind: bool = False) -> None:
        with _telling("its checkpoint cannot be written"):
            self.kept = step, self._files.put("checkpoint", step, write)

    def save_weights(self, step: int, write: Callable[[Path], object], behind: bool = False) -> None:
        with _telling("its weights cannot be written"):
            self.weights = self._files.put("weights", step, write)


def read_back(
    done: Rehearsal, vendor: Framework, train: Callable[[Rehearsal], object], scratch: Path
) -> None:
    """Load the weights of a rehearsal, and go on from its checkpoint for another batch.

    Args:
        done: a rehearsal that was trained.
        vendor: its framework.
        train: trains another one.
        scratch: a local folder of this process.

    Raises:
        Unkept: the checkpoint or the weights cannot be taken up again.
    """
    if done.weights:  # first: the other pass keeps weights of its own in their place
        with _telling("its weights cannot be loaded again"):
            model = resolve_address(done.task.model, done.task.root)
            done.mute = vendor.mute(vendor.load(model, done.task.arguments, fetch(done.weights, scratch)))
    if done.kept:
        with _telling("it cannot go on from its checkpoint"):
            train(done.following(scratch))


@contextlib.contextmanager
def _telling(what: str) -> Iterator[None]:
    try:
        yield
    except Unkept:
        raise
    except Exception as error:
        why = str(error) if isinstance(error, CheckpointRefused) else f"{type(error).__name__}: {error}"
        raise Unkept(f"{what}: {in_one_line(why, WHY_MOST).rstrip('.')}") from error
