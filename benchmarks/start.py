"""From the command to the first training step, and to the end of a search of four trials.

Whole commands, `automl search FILE`, each in a project of its own, with MLflow's tracking on and
without; and the commands that ought to answer at once. A trainer notes when it takes a step
(trainers/first_step.py). Medians are shown, and the lowest and highest of the repeats in brackets.
"""

from __future__ import annotations

import argparse
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from itertools import product
from pathlib import Path

HERE = Path(__file__).resolve().parent
TRIALS = 4
ENGINES = ("local", "ray")
TRAINERS = {
    "function": "{framework: function, model: 'trainers.first_step:train'}",
    "lightning": "{framework: lightning, model: 'trainers.first_step_lightning:Net', "
    "data: 'trainers.first_step_lightning:data', fit: {max_epochs: 2}}",
    "keras": "{framework: keras, model: 'trainers.first_step_keras:net', "
    "data: 'trainers.first_step_keras:data', fit: {epochs: 2}}",
}
FILE = """name: start
objective: {{metric: {metric}, direction: minimize}}
trainer: {trainer}
space: {{model.x: {{float: [0.001, 0.1], log: true}}}}
budget: {{trials: {trials}}}
search: {{pruner: none}}
"""


@contextmanager
def project(framework: str) -> Iterator[Path]:
    """A project with one search file, `search.yaml`, and a folder for the stamps."""
    with tempfile.TemporaryDirectory(prefix="automl-bench-") as folder:
        root = Path(folder)
        ignored = shutil.ignore_patterns("__pycache__")
        shutil.copytree(HERE / "trainers", root / "trainers", ignore=ignored)
        metric = "val_loss" if framework == "keras" else "loss"
        text = FILE.format(metric=metric, trainer=TRAINERS[framework], trials=TRIALS)
        (root / "search.yaml").write_text(text)
        (root / "stamps").mkdir()
        yield root


def command(root: Path, *words: str) -> float:
    """The seconds of a whole `automl` command in the project."""
    begun_s = time.time()
    done = subprocess.run(
        [sys.executable, "-m", "automl", *words],
        cwd=root,
        env={**os.environ, "BENCH_STAMPS": str(root / "stamps")},
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        raise SystemExit(f"automl {' '.join(words)} exited with {done.returncode}\n{done.stderr[-3000:]}")
    return time.time() - begun_s


def search(engine: str, framework: str) -> tuple[float, float]:
    """Seconds to the first training step, and to the end."""
    with project(framework) as root:
        begun_s = time.time()
        whole_s = command(root, "search", "search.yaml", "--engine", engine)
        stamps = [float(line) for file in (root / "stamps").iterdir() for line in file.open()]
    assert len(stamps) >= 2 * TRIALS, stamps  # Keras looks at a batch before it trains
    return min(stamps) - begun_s, whole_s


def answer(*words: str) -> float:
    """The seconds of a command that needs no more than the project."""
    with project("function") as root:
        return command(root, *words)


def cell(values: Sequence[float], digits: int = 1) -> str:
    """Median (lowest to highest)."""
    low, high = min(values), max(values)
    return f"{statistics.median(values):.{digits}f} ({low:.{digits}f} to {high:.{digits}f})"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--engine", choices=ENGINES, action="append")
    parser.add_argument("--framework", choices=TRAINERS, action="append")
    given = parser.parse_args()
    cases = list(product(given.engine or ENGINES, given.framework or TRAINERS))
    measured: dict[tuple[str, str], list[tuple[float, float]]] = {case: [] for case in cases}
    for repeat in range(1, given.repeats + 1):  # interleaved, so that a slow minute hits all of them
        for case in cases:
            print(f"{', '.join(case)}, {repeat} of {given.repeats}", file=sys.stderr)
            measured[case].append(search(*case))
    print(f"| `automl search`, {TRIALS} trials | first training step, s | end, s |\n|---|---|---|")
    for case, times in measured.items():
        firsts, ends = zip(*times, strict=True)
        print(f"| {', '.join(case)} | {cell(firsts)} | {cell(ends)} |")
    print("\n| command | seconds |\n|---|---|")
    for words in (("--help",), ("check", "search.yaml")):
        taken = [answer(*words) for _ in range(max(5, given.repeats))]
        shown = " ".join(words).replace("search.yaml", "FILE (a plain callable)")
        print(f"| `automl {shown}` | {cell(taken, 2)} |")


if __name__ == "__main__":
    main()
