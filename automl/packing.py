"""`gpus: auto`: which share of a GPU the next attempt gets, from what others have had of theirs.

The first trial of each trainer has a whole GPU, and so has every one until one of them was measured.
From then on a trial gets the smallest share that holds what three of four measured trials needed, with
a margin, and of which a whole number fits on a GPU. One that runs out of memory in its share is tried
again in a larger one, the whole GPU at last.

Knows a trial's history and nothing else: the same history, the same shares.
"""

from __future__ import annotations

import math
from bisect import insort
from collections.abc import Iterable, Mapping, Sequence
from typing import Literal

from automl.results import Attempt, Trial

WHOLE = 1.0
MARGIN = 0.1
# So many trials to a GPU. Few sizes: a warm worker serves trials of its own size only.
_TO_A_GPU = (1, 2, 3, 4, 5, 6, 8, 10, 12, 16, 20)
# Ray counts fractions of a GPU in ten thousandths.
_GRAIN = 10_000
_TRAINED = ("complete", "pruned")
# Of the measured trials so many fit into the share; one giant does not halve what runs at once.
_MOST = 0.75


def extremes(gpus: float | Literal["auto"], there: bool) -> tuple[float, float]:
    """The smallest and the largest share that any attempt may get; see `Shares`."""
    if gpus != "auto":
        return gpus, gpus
    return (smallest(), WHOLE) if there else (0.0, 0.0)


class Shares:
    """The share of a GPU for each attempt.

    Args:
        gpus: of the search's resources: a number, or `auto`.
        there: whether there are any GPUs; `auto` means none otherwise.
        trials: all that there have been.
    """

    def __init__(self, gpus: float | Literal["auto"], there: bool, trials: Iterable[Trial] = ()) -> None:
        self._auto = gpus == "auto" and there
        self._fixed = 0.0 if gpus == "auto" else gpus
        self._needs: dict[str, list[float]] = {}
        for trial in trials:
            for attempt in trial.attempts:
                self.hear(trial.trainer, attempt)

    def hear(self, trainer: str, ended: Attempt) -> None:
        """An attempt has ended. Its need counts if it was measured and trained to its end.

        One that was cut off may have had little yet, one that ran out of memory had less than it needs.
        """
        if ended.outcome in _TRAINED and ended.gpu_peak_bytes and ended.gpu_total_bytes:
            insort(self._needs.setdefault(trainer, []), ended.gpu_peak_bytes / ended.gpu_total_bytes)

    def of(self, trial: Trial) -> float:
        """For the trial's next attempt."""
        if not self._auto:
            return self._fixed
        needs = self._needs.get(trial.trainer)
        usual = needed(needs[math.ceil(_MOST * len(needs)) - 1]) if needs else WHOLE
        return max(usual, trial.gpus or 0.0)

    def given(self, gpus: float) -> float | None:
        """What an attempt had, where more may be had: a share that was measured out. Else None."""
        return gpus if self._auto and gpus < WHOLE else None


def needed(part: float) -> float:
    """The share for a trial that needs such a part of a GPU's memory."""
    fits = [count for count in _TO_A_GPU if part * (1 + MARGIN) <= _share(count)]
    return _share(fits[-1]) if fits else WHOLE


def more(share: float) -> float:
    """The next share for a trial that ran out of memory in this one: at least twice as much."""
    larger = [_share(count) for count in reversed(_TO_A_GPU) if _share(count) >= min(2 * share, WHOLE)]
    return larger[0]


def smallest() -> float:
    """The smallest share that there is."""
    return _share(_TO_A_GPU[-1])


def _share(count: int) -> float:
    """What each of so many has of one GPU; never so much that they do not fit."""
    return (_GRAIN // count) / _GRAIN


def choose(devices: Sequence[str], taken: Mapping[str, float], gpus: float) -> list[str] | None:
    """The devices for an attempt; None where there is no room now.

    A share goes where most is taken already: so whole devices stay free for those who need one.

    Args:
        devices: all there are.
        taken: how much of each; those that are not named are free.
        gpus: a share, or a whole number of devices.
    """
    free = {device: 1.0 - taken.get(device, 0.0) for device in devices}
    if 0 < gpus < 1:
        room = [device for device in devices if free[device] >= gpus - 1e-9]
        return [min(room, key=lambda device: free[device])] if room else None
    empty = [device for device in devices if free[device] >= 1 - 1e-9]
    return empty[: int(gpus)] if len(empty) >= gpus else None
