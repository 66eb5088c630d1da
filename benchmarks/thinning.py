"""What it costs, and what is lost, when TPE is shown a selection of a long history.

Each problem is searched with several seeds by the search's own brain, four trials at a time, once
with all trials shown and once with each window. The runs share their beginning: up to the window
they are the same search. Markdown on stdout, progress on stderr.

Problems: Hartmann in six dimensions; Rosenbrock's valley in eight; `mixed`, with choices, whole
numbers and parameters that only some choices have; `noise`, the first with noise of a tenth of its
range; `fronts`, ZDT1 in six dimensions (two objectives; the share of the hypervolume that is missed).
Lower is better in all of them.
"""

from __future__ import annotations

import argparse
import copy
import math
import random
import statistics
import sys
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import automl.thinning
from automl.brain import Brain
from automl.events import State
from automl.search import Budget, Objective, Policy, Search, Trainer
from automl.space import Choice, Float, Int, Space

PARALLEL = 4
ALL = 10**9

HARTMANN_ALPHA = (1.0, 1.2, 3.0, 3.2)
HARTMANN_A = (
    (10, 3, 17, 3.5, 1.7, 8),
    (0.05, 10, 17, 0.1, 8, 14),
    (3, 3.5, 1.7, 10, 17, 8),
    (17, 8, 0.05, 10, 0.1, 14),
)
HARTMANN_P = (
    (0.1312, 0.1696, 0.5569, 0.0124, 0.8283, 0.5886),
    (0.2329, 0.4135, 0.8307, 0.3736, 0.1004, 0.9991),
    (0.2348, 0.1451, 0.3522, 0.2883, 0.3047, 0.6650),
    (0.4047, 0.8828, 0.8732, 0.5743, 0.1091, 0.0381),
)
HARTMANN_BEST = -3.32237

Params = Mapping[str, Any]


@dataclass(frozen=True)
class Problem:
    """A space, what a point costs, and what is left to gain after some points."""

    space: Mapping[str, Any]
    costs: Callable[[Params, random.Random], list[float]]
    objectives: int
    regret: Callable[[Sequence[Params]], float]


def cube(size: int) -> dict[str, Float]:
    return {f"model.x{place}": Float(0.0, 1.0) for place in range(size)}


def coordinates(params: Params) -> list[float]:
    return [params[name] for name in sorted(params)]


def hartmann(params: Params) -> float:
    xs = coordinates(params)
    inner = [
        sum(a * (x - p) ** 2 for a, x, p in zip(row, xs, centre, strict=True))
        for row, centre in zip(HARTMANN_A, HARTMANN_P, strict=True)
    ]
    return -sum(alpha * math.exp(-value) for alpha, value in zip(HARTMANN_ALPHA, inner, strict=True))


def rosenbrock(params: Params) -> float:
    xs = [4 * x - 2 for x in coordinates(params)]
    return math.log10(1 + sum(100 * (b - a * a) ** 2 + (1 - a) ** 2 for a, b in pairwise(xs)))


MIXED = {
    "model.kind": Choice(("net", "tree", "linear", "rare")),
    "model.lr": Float(1e-5, 1.0, log=True, when={"model.kind": ["net", "linear"]}),
    "model.depth": Int(1, 12, when={"model.kind": ["net", "tree"]}),
    "model.width": Int(8, 1024, log=True, when={"model.kind": "net"}),
    "model.leaf": Float(0.0, 1.0, when={"model.kind": "tree"}),
    "model.trick": Float(0.0, 1.0, when={"model.kind": "rare"}),
    "model.twist": Float(0.0, 1.0, when={"model.kind": "rare"}),
    "model.batch": Choice((16, 32, 64, 128)),
    "model.mix": Float(0.0, 1.0),
}


def mixed(params: Params) -> float:
    kind = params["model.kind"]
    shared = 0.3 * (params["model.mix"] - 0.7) ** 2 + 0.02 * abs(math.log2(params["model.batch"] / 64))
    if kind == "net":
        far = (math.log10(params["model.lr"]) + 2.5) ** 2 / 10 + ((params["model.depth"] - 7) / 10) ** 2
        return 0.05 + shared + far + (math.log2(params["model.width"] / 300) / 8) ** 2
    if kind == "tree":
        return 0.1 + shared + ((params["model.depth"] - 9) / 12) ** 2 + (params["model.leaf"] - 0.1) ** 2
    if kind == "linear":
        return 0.3 + shared + (math.log10(params["model.lr"]) + 1) ** 2 / 10
    # Better than all others, but only where two parameters are right.
    return (
        0.4
        + shared
        - 0.4 * math.exp(-30 * ((params["model.trick"] - 0.25) ** 2 + (params["model.twist"] - 0.8) ** 2))
    )


def zdt1(params: Params) -> list[float]:
    xs = coordinates(params)
    g = 1 + 9 * sum(xs[1:]) / (len(xs) - 1)
    return [xs[0], g * (1 - math.sqrt(xs[0] / g))]


def missed_volume(points: Sequence[Params]) -> float:
    """Of the volume under (1.1, 1.1) that the true front dominates: the share that these points miss."""
    volume, height = 0.0, 1.1
    for first, second in sorted(zdt1(point) for point in points):
        if first < 1.1 and second < height:
            volume += (1.1 - first) * (height - second)
            height = second
    return 1 - volume / (1.21 - 1 / 3)


def alone(
    space: Mapping[str, Any], cost: Callable[[Params], float], best: float, noise: float = 0.0
) -> Problem:
    """One objective; the regret is that of the best point, by its cost without the noise."""
    return Problem(
        space,
        lambda params, dice: [cost(params) + noise * dice.gauss(0, 1)],
        1,
        lambda points: min(map(cost, points)) - best,
    )


PROBLEMS: Mapping[str, Problem] = {
    "Hartmann, 6 floats": alone(cube(6), hartmann, HARTMANN_BEST),
    "Rosenbrock, 8 floats": alone(cube(8), rosenbrock, 0.0),
    "mixed, conditional": alone(MIXED, mixed, 0.0),
    "Hartmann, noise 0.3": alone(cube(6), hartmann, HARTMANN_BEST, noise=0.3),
    "ZDT1, 6 floats": Problem(cube(6), lambda params, _: zdt1(params), 2, missed_volume),
}


class Run:
    """A search of a problem that can be copied where its window begins to matter."""

    def __init__(self, problem: Problem, seed: int) -> None:
        self.problem, self.dice = problem, random.Random(seed)
        search = Search(
            name="thinning",
            objectives=[Objective(f"cost{place}", "minimize") for place in range(problem.objectives)],
            trainers={"trainer": Trainer("function", "m:train")},
            space=Space(dict(problem.space), {}),
            budget=Budget(trials=10**6),
            sampler=Policy("tpe"),
            pruner=Policy("none"),
            seed=seed,
        )
        self.brain = Brain(search)
        self.points: list[Params] = []
        self.flight: deque[int] = deque()
        self.ask_s: list[float] = []

    def until(self, trials: int) -> None:
        while len(self.points) < trials:
            begun = time.thread_time()
            asked = self.brain.ask(len(self.points))
            self.ask_s.append(time.thread_time() - begun)
            assert asked is not None
            self.flight.append(len(self.points))
            self.points.append(asked.params)
            if len(self.flight) == PARALLEL:
                number = self.flight.popleft()
                self.brain.tell(number, State.COMPLETE, self.problem.costs(self.points[number], self.dice))

    def regret(self, trials: int) -> float:
        return self.problem.regret(self.points[:trials])


def compare(problem: Problem, seed: int, windows: Sequence[int], trials: int) -> dict[int, Run]:
    """The same search with each window; 0 shows all."""
    begun, ended = Run(problem, seed), {}
    for window in sorted(windows, key=lambda window: window or trials):
        automl.thinning.MOST_TRIALS = {"tpe": ALL}  # type: ignore[misc]
        begun.until(min(window or trials, trials))
        ended[window] = run = copy.deepcopy(begun)
        automl.thinning.MOST_TRIALS = {"tpe": window or ALL}  # type: ignore[misc]
        run.until(trials)
    return ended


def row(name: str, window: int, runs: Sequence[Run], marks: Sequence[int]) -> str:
    cells = []
    for mark in marks:
        found = sorted(run.regret(mark) for run in runs)
        cells.append(f"{statistics.median(found):.4f} ({found[0]:.4f} to {found[-1]:.4f})")
    late = [1000 * statistics.median(run.ask_s[-100:]) for run in runs]
    cells.append(f"{statistics.median(late):.0f}")
    return f"| {name} | {window or 'all'} | {' | '.join(cells)} |"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--trials", type=int, default=2000)
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--windows", type=int, nargs="+", default=[600, 0], help="0 shows all")
    parser.add_argument("--problems", nargs="+", choices=PROBLEMS, default=list(PROBLEMS))
    chosen = parser.parse_args()
    marks = [chosen.trials // 2, chosen.trials]
    heads = " | ".join(f"regret at {mark:,}" for mark in marks)
    print(f"| problem | shown | {heads} | CPU of the last asks, ms |\n|---|---|{'---|' * (len(marks) + 1)}")
    for name in chosen.problems:
        runs = []
        for seed in range(chosen.seeds):
            print(f"{name}, seed {seed}", file=sys.stderr)
            runs.append(compare(PROBLEMS[name], seed, chosen.windows, chosen.trials))
        for window in chosen.windows:
            print(row(name, window, [run[window] for run in runs], marks), flush=True)


if __name__ == "__main__":
    main()
