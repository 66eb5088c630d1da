"""What the stopwatches of the models have written, put together. The same for every contender.

A trial is what one model trained. Trials are laid on slots in the order in which they began, each on
the slot that had been free for the shortest time: contenders differ in how they place trials on
processes, but nobody trains more of them at once than there are slots.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Trained:
    """One trial's training, on the monotonic clock.

    Args:
        begun_s, ended_s: its first training step, the end of its last epoch.
        busy_s: how much of that were its epochs.
        epochs: how many.
    """

    begun_s: float
    ended_s: float
    busy_s: float
    epochs: int


@dataclass(frozen=True)
class Training:
    """All trials of a search."""

    trials: tuple[Trained, ...]

    @property
    def begun_s(self) -> float:
        return min(trial.begun_s for trial in self.trials)

    @property
    def ended_s(self) -> float:
        return max(trial.ended_s for trial in self.trials)

    @property
    def busy_s(self) -> float:
        """Seconds of training, all slots added."""
        return sum(trial.busy_s for trial in self.trials)

    @property
    def slots(self) -> list[list[Trained]]:
        """The trials by slot."""
        slots: list[list[Trained]] = []
        for trial in sorted(self.trials, key=lambda trial: trial.begun_s):
            free = [slot for slot in slots if slot[-1].ended_s <= trial.begun_s]
            if free:
                max(free, key=lambda slot: slot[-1].ended_s).append(trial)
            else:
                slots.append([trial])
        return slots

    @property
    def share(self) -> float:
        """Of the slots' time, each from its first training step to its last, the part that was training."""
        return self.busy_s / sum(slot[-1].ended_s - slot[0].begun_s for slot in self.slots)


def read(folder: Path) -> Training:
    """The laps of every process that wrote into the folder.

    Raises:
        ValueError: nothing was trained.
    """
    trials = [trial for file in sorted(folder.glob("*.txt")) for trial in _trials(file)]
    if not trials:
        raise ValueError("no model was trained")
    return Training(tuple(trials))


def _trials(file: Path) -> Iterable[Trained]:
    laps: dict[str, list[tuple[float, float]]] = {}
    for line in file.read_text().splitlines():
        trial, begun_s, ended_s = line.split()
        laps.setdefault(trial, []).append((float(begun_s), float(ended_s)))
    for epochs in laps.values():
        busy_s = sum(ended_s - begun_s for begun_s, ended_s in epochs)
        yield Trained(epochs[0][0], epochs[-1][1], busy_s, len(epochs))
