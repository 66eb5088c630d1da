"""How long a slot idles between two trials, and what a driver costs. `make bench`.

Every trial carries a stopwatch (trainers/stopwatch.py). The turn-round is the time from the end of a
trial's last epoch to the first training step of the next trial of the same worker process: the last
report, the weights, the ledger, Optuna's next point, and the way to the worker and back are all in
it. Starting up is not. `no search` is a loop that builds and fits the same models in one process a slot:
what the framework itself takes between two of them. Each part runs in a process of its own, a few times;
medians are shown, and the lowest and highest of the repeats in brackets.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import resource
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from importlib import metadata
from itertools import pairwise
from pathlib import Path

from automl.engines.base import Capacity, Desk, Engine
from automl.results import History, Trial
from automl.run import Outcome, run
from automl.search import Budget, Objective, Search, Trainer
from automl.space import Float

HERE = Path(__file__).resolve().parent
TRAINERS = {
    "function": Trainer("function", "trainers.stopwatch:train"),
    "lightning": Trainer(
        "lightning",
        "trainers.stopwatch_lightning:Net",
        "trainers.stopwatch_lightning:Data",
        {"max_epochs": 4},
    ),
    "keras": Trainer(
        "keras",
        "trainers.stopwatch_keras:net",
        "trainers.stopwatch_keras:data",
        {"epochs": 4, "batch_size": 16},
    ),
}
SLOTS = 2
SLOW_TRIALS = 8
FAST_TRIALS = 60
MANY = 1000
REPORTS = 10

Facts = dict[str, float]


# --- the time between two trials --------------------------------------------------------------


def turnround(engine: str, framework: str) -> Facts:
    """A search of slow trials first (their share of training), then of fast ones (the turn-round)."""
    constants = {"model.origin": float(int(time.time()))}
    search = Search(
        name=f"{engine}-{framework}",
        objective=Objective("val_loss" if framework == "keras" else "loss", "minimize"),
        trainer=TRAINERS[framework],
        space={"model.x": Float(0.0, 1.0), **constants},
        start_with=[{"model.x": 1.0}] * SLOW_TRIALS,
        budget=Budget(trials=SLOW_TRIALS + FAST_TRIALS),
        search={"sampler": "tpe", "pruner": "none"},
        tracking=False,
    )
    return watched(by_worker(run(search, engine=engine).history))


def watched(slots: Sequence[Sequence[Mapping[str, float]]]) -> Facts:
    """What the stopwatches say of the slots' trials, in order."""
    idle_s = [after["first_s"] - before["end_s"] for slot in slots for before, after in pairwise(slot)]
    idle_s.sort()
    return {
        "p50_ms": 1000 * statistics.median(idle_s),
        "p95_ms": 1000 * idle_s[int(0.95 * len(idle_s))],
        "training_share": 100 * training_share(slots),
    }


def without(framework: str) -> Facts:
    """No search: in two processes at once, one model after another, slow ones first."""
    command = [sys.executable, str(HERE / "turnround.py"), "--loop", framework]
    env = {**os.environ, "PYTHONPATH": os.getcwd(), "OMP_NUM_THREADS": "1", "TF_NUM_INTRAOP_THREADS": "1"}
    loops = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=env) for _ in range(SLOTS)]
    return watched([json.loads(loop.communicate()[0].splitlines()[-1]) for loop in loops])


def loop(framework: str) -> list[Mapping[str, float]]:
    """What the stopwatches of a slot's share of the models show at their ends."""
    origin = float(int(time.time()))
    points = [1.0] * (SLOW_TRIALS // SLOTS) + [0.5] * (FAST_TRIALS // SLOTS)
    fit = {"lightning": fit_lightning, "keras": fit_keras}[framework]
    return [fit(x, origin) for x in points]


def fit_lightning(x: float, origin: float) -> Mapping[str, float]:
    """As Lightning's users write it, without what a search has no use for either."""
    import logging

    import pytorch_lightning as pl
    from trainers.stopwatch_lightning import Data, Net

    logging.getLogger("pytorch_lightning").setLevel(logging.WARNING)
    pl.seed_everything(0, workers=True, verbose=False)
    trainer = pl.Trainer(
        max_epochs=4,
        accelerator="cpu",
        devices=1,
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        num_sanity_val_steps=0,
    )
    trainer.fit(Net(x, origin), datamodule=Data())
    return {name: float(value) for name, value in trainer.callback_metrics.items()}


def fit_keras(x: float, origin: float) -> Mapping[str, float]:
    """The session is cleared first, as Keras advises where one model follows another."""
    import keras
    from trainers.stopwatch_keras import data, net

    keras.utils.clear_session()
    keras.utils.set_random_seed(0)
    (rows, labels), judged = data()
    history = (
        net(x, origin).fit(rows, labels, validation_data=judged, epochs=4, batch_size=16, verbose=0).history
    )
    return {name.removeprefix("val_"): float(values[-1]) for name, values in history.items()}


def by_worker(history: History) -> list[list[Mapping[str, float]]]:
    """What each worker process trained, in order: the metrics of every trial's last report."""
    found: dict[tuple[str, int], list[Trial]] = {}
    for trial in history.trials.values():
        assert trial.state == "COMPLETE" and len(trial.attempts) == 1, (trial.state, trial.error)
        found.setdefault((trial.attempts[0].node, trial.attempts[0].pid), []).append(trial)
    slots = [sorted(trials, key=lambda trial: trial.attempts[0].started_s) for trials in found.values()]
    return [[stopwatch(trial) for trial in slot] for slot in slots]


def stopwatch(trial: Trial) -> Mapping[str, float]:
    """What its stopwatch showed at the end; Keras puts `val_` before what comes from judging."""
    return {name.removeprefix("val_"): value for name, value in trial.reports[-1].metrics.items()}


def training_share(slots: Sequence[Sequence[Mapping[str, float]]]) -> float:
    """Of the slots' time from the first step of their slow trials to the first of the fast ones."""
    busy_s = span_s = 0.0
    for slot in slots:
        slow = [trial for trial in slot if trial["busy_s"] > 1]
        if slow and len(slow) < len(slot):
            busy_s += sum(trial["busy_s"] for trial in slow)
            span_s += slot[len(slow)]["first_s"] - slow[0]["first_s"]
    return busy_s / span_s


# --- what a driver costs ------------------------------------------------------------------------


class Simulated(Engine):
    """Trains nothing: tells the desk at once what a worker would. Notes what each trial cost."""

    name = "simulated"

    def __init__(self) -> None:
        self.ask_ms: list[float] = []
        self.tell_ms: list[float] = []

    def start(self) -> None:
        """Nothing to start."""

    def capacity(self, cpus: float, gpus: float) -> Capacity:
        return Capacity(1, 1, 0, 1, 0)

    def run(self, desk: Desk) -> None:
        while not desk.done:
            begun = time.perf_counter()
            task = desk.next_task()
            asked = time.perf_counter()
            if task is None:
                desk.wait(1.0)
                continue
            x = task.arguments["model"]["x"]
            desk.hear(task, {"kind": "started", "node": "here", "pid": 1, "framework": "function"})
            for step in range(1, REPORTS + 1):
                metrics = {"loss": x**2 + 1 / step, "accuracy": x, "seconds": 0.1}
                desk.hear(task, {"kind": "report", "step": step, "metrics": metrics})
            desk.hear(task, {"kind": "ended", "outcome": "complete"})
            desk.tick()
            self.ask_ms.append(1000 * (asked - begun))
            self.tell_ms.append(1000 * (time.perf_counter() - asked))

    def close(self) -> None:
        """Nothing to end."""


def driver() -> Facts:
    """A thousand trials of ten reports in one driver; random points, so that the sampler costs nothing."""
    engine = Simulated()
    simulate(engine)

    def around(costs: Sequence[float], trial: int) -> float:
        return statistics.median(costs[trial - 50 : trial])

    return {
        "ask_100_ms": around(engine.ask_ms, 100),
        "ask_1000_ms": around(engine.ask_ms, MANY),
        "tell_100_ms": around(engine.tell_ms, 100),
        "tell_1000_ms": around(engine.tell_ms, MANY),
        "memory_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
    }


def simulate(engine: Simulated) -> Outcome:
    """A search of `MANY` simulated trials."""
    search = Search(
        name="driver",
        objective=Objective("loss", "minimize"),
        trainer=TRAINERS["function"],
        space={f"model.{name}": Float(0.0, 1.0) for name in ("x", "origin", "slow_s")},
        budget=Budget(trials=MANY),
        search={"sampler": "random", "pruner": "none"},
        tracking=False,
    )
    return run(search, engine=engine)


# --- the whole ----------------------------------------------------------------------------------

PARTS: dict[str, Callable[[], Facts]] = {
    "no search-lightning": lambda: without("lightning"),
    "no search-keras": lambda: without("keras"),
    "local-function": lambda: turnround("local", "function"),
    "local-lightning": lambda: turnround("local", "lightning"),
    "local-keras": lambda: turnround("local", "keras"),
    "ray-function": lambda: turnround("ray", "function"),
    "ray-lightning": lambda: turnround("ray", "lightning"),
    "ray-keras": lambda: turnround("ray", "keras"),
    "driver": driver,
}


def measure(part: str) -> Facts:
    """A part in a process and a project of its own."""
    with tempfile.TemporaryDirectory(prefix="automl-bench-") as folder:
        shutil.copytree(HERE / "trainers", Path(folder) / "trainers")
        command = [sys.executable, str(HERE / "turnround.py"), "--part", part]
        done = subprocess.run(command, cwd=folder, stdout=subprocess.PIPE, text=True, check=True)
    return json.loads(done.stdout.splitlines()[-1])


def table(measured: Mapping[str, Sequence[Facts]]) -> str:
    """Markdown of all parts."""

    def cell(part: str, fact: str, digits: int = 0) -> str:
        values = [facts[fact] for facts in measured[part]]
        low, high = min(values), max(values)
        return f"{statistics.median(values):.{digits}f} ({low:.{digits}f} to {high:.{digits}f})"

    lines = [
        "| warm slot | turn-round p50, ms | p95, ms | training in trials of 2 s, % |",
        "|---|---|---|---|",
    ]
    for part in measured:
        if part != "driver":
            facts = [cell(part, "p50_ms"), cell(part, "p95_ms"), cell(part, "training_share", 1)]
            lines.append(f"| {part.replace('-', ', ')} | {' | '.join(facts)} |")
    if "driver" in measured:
        lines += [
            "",
            f"| driver, trials of {REPORTS} reports | at 100 | at {MANY:,} |",
            "|---|---|---|",
            f"| ask, ms a trial | {cell('driver', 'ask_100_ms', 1)} | {cell('driver', 'ask_1000_ms', 1)} |",
            f"| append and tell, ms a trial | {cell('driver', 'tell_100_ms', 1)} "
            f"| {cell('driver', 'tell_1000_ms', 1)} |",
            f"| memory at most, without Ray, MB | | {cell('driver', 'memory_mb')} |",
        ]
    return "\n".join(lines)


def machine() -> str:
    """What it was measured on."""
    names = ("ray", "optuna", "pytorch-lightning", "torch", "keras", "tensorflow")
    versions = ", ".join(f"{name} {metadata.version(name)}" for name in names)
    return f"{os.cpu_count()} cores, Python {platform.python_version()}, {versions}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--repeats", type=int, default=2)
    parser.add_argument("--part", choices=PARTS, help="one part, in this process: JSON")
    parser.add_argument("--loop", choices=("lightning", "keras"), help="a slot of a part without a search")
    chosen = parser.parse_args()
    if chosen.loop:
        print(json.dumps(loop(chosen.loop)))
        return
    if chosen.part:
        print(json.dumps(PARTS[chosen.part]()))
        return
    measured: dict[str, list[Facts]] = {}
    for part in PARTS:
        for repeat in range(1, chosen.repeats + 1):
            print(f"{part}, {repeat} of {chosen.repeats}", file=sys.stderr)
            measured.setdefault(part, []).append(measure(part))
    print(f"{machine()}; {chosen.repeats} repeats\n\n{table(measured)}")


if __name__ == "__main__":
    main()
