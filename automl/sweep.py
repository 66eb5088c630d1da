"""Which files of ended trials stay, and the thread that removes the others. Knows no ledger."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

from automl import storage
from automl.results import Trial
from automl.search import Search

# The weights of so many best trials are kept.
KEEP = 3


class Sweep:
    """Forgets checkpoints of ended trials, and weights that are no longer among the best.

    Args:
        search: its name and objectives are used.
        place: the storage, a local folder or fsspec URL.
    """

    def __init__(self, search: Search, place: str) -> None:
        self._search, self._place = search, place
        self._thread = ThreadPoolExecutor(1, "automl-sweep")
        self._ranking: list[tuple[float, int, str]] = []

    def recall(self, trial: Trial) -> None:
        """A trial that an earlier driver ended, and swept after."""
        self._rank(trial)

    def after(self, trial: Trial) -> None:
        """A trial has just ended."""
        if trial.checkpoint:
            url = storage.trial_url(self._place, self._search.name, trial.number)
            self._thread.submit(storage.forget, url, "checkpoint")
        if trial.weights and trial.values is None:
            self._thread.submit(storage.remove, trial.weights)
        for weights in self._rank(trial):
            self._thread.submit(storage.remove, weights)

    def finish(self) -> None:
        """Wait until all is removed. Nothing may be swept afterwards."""
        self._thread.shutdown(wait=True)

    def _rank(self, trial: Trial) -> list[str]:
        """The weights that a COMPLETE trial pushes out; with several objectives all stay."""
        if not trial.weights or trial.values is None or len(self._search.objectives) > 1:
            return []
        sign = -1.0 if self._search.objectives[0].direction == "maximize" else 1.0
        ranking = sorted([*self._ranking, (sign * trial.values[0], trial.number, trial.weights)])
        self._ranking = ranking[:KEEP]
        return [weights for _, _, weights in ranking[KEEP:]]
