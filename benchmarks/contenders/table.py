"""Markdown of what was measured: medians, with the lowest and highest of the repeats in brackets."""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from contenders.base import Workload

FIRST = "automl-ray"  # whom the others are compared with


@dataclass(frozen=True)
class Facts:
    """One run of a contender.

    Args:
        wall_s: from the start of its first process to the end of its command.
        start_s: of that, to the first training step.
        end_s: of that, after the last epoch.
        training_s: seconds in training epochs, all slots added.
        training_share: of the slots' time between their first and last steps, 0 to 1.
        cpu_s: processor seconds of all processes.
        memory_bytes: of all processes at once, at most.
        trials: how many it says to have ended.
        epochs: how many were trained.
        best: the best value, by its own word.
        states: how many trials it calls what.
    """

    wall_s: float
    start_s: float
    end_s: float
    training_s: float
    training_share: float
    cpu_s: float
    memory_bytes: int
    trials: int
    epochs: int
    best: float | None
    states: str

    @property
    def trials_per_minute(self) -> float:
        return 60 * self.trials / self.wall_s


Measured = Mapping[str, Sequence[Facts]]  # by the contender's name


def section(workload: Workload, runs: Mapping[str, Sequence[Facts | None]], titles: Mapping[str, str]) -> str:
    """The tables of a workload under its heading. None is a run that failed; it is counted by the title."""
    measured = {name: [run for run in each if run is not None] for name, each in runs.items()}
    titles = {name: _counted(titles[name], each) for name, each in runs.items()}
    pruning = "pruning" if workload.pruned else "no pruning"
    heading = f"### {workload.name}, {workload.framework}"
    about = f"{workload.trials} trials of {workload.epochs} epochs, {pruning}"
    return "\n\n".join([heading, about, _times(measured, titles), _costs(measured, titles)])


def _counted(title: str, runs: Sequence[Facts | None]) -> str:
    failed = sum(run is None for run in runs)
    return f"{title} ({failed} of {len(runs)} runs failed)" if failed else title


def _times(measured: Measured, titles: Mapping[str, str]) -> str:
    lines = [
        "| contender | wall, s | times automl-ray | to first step, s | after last, s | trials a minute "
        "| training, slot-s | of it a trial | training in slot time, % |",
        "|---|---|---|---|---|---|---|---|---|",
    ]
    for name, runs in measured.items():
        if not runs:
            lines.append(f"| {titles[name]} | | | | | | | | |")
            continue
        cells = [
            spread([run.wall_s for run in runs], 1),
            ratio(measured, name, "wall_s"),
            spread([run.start_s for run in runs], 1),
            spread([run.end_s for run in runs], 1),
            spread([run.trials_per_minute for run in runs], 1),
            spread([run.training_s for run in runs], 1),
            spread([run.training_s / run.trials for run in runs], 2),
            spread([100 * run.training_share for run in runs], 1),
        ]
        lines.append(f"| {titles[name]} | {' | '.join(cells)} |")
    return "\n".join(lines)


def _costs(measured: Measured, titles: Mapping[str, str]) -> str:
    lines = [
        "| contender | processor, s | times | memory at most, MB | times | best | epochs | states |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for name, runs in measured.items():
        if runs:
            cells = [
                spread([run.cpu_s for run in runs]),
                ratio(measured, name, "cpu_s"),
                spread([run.memory_bytes / 1e6 for run in runs]),
                ratio(measured, name, "memory_bytes"),
                spread([run.best for run in runs if run.best is not None], 4),
                spread([run.epochs for run in runs]),
                "<br>".join(dict.fromkeys(run.states for run in runs)),
            ]
            lines.append(f"| {titles[name]} | {' | '.join(cells)} |")
    return "\n".join(lines)


def spread(values: Sequence[float], digits: int = 0) -> str:
    """`5.0 (4.5 to 5.5)`, a single value bare."""
    if not values:
        return "none"
    middle = f"{statistics.median(values):.{digits}f}"
    if len(values) == 1:
        return middle
    return f"{middle} ({min(values):.{digits}f} to {max(values):.{digits}f})"


def ratio(measured: Measured, name: str, fact: str) -> str:
    """A contender's median as a multiple of the first one's; empty where that one was not measured."""
    if not measured.get(FIRST):
        return ""
    own, first = (statistics.median(getattr(run, fact) for run in measured[each]) for each in (name, FIRST))
    return f"{own / first:.2f}"
