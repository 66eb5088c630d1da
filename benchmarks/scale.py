"""What the driver costs when there are very many trials. Trains nothing.

A simulated engine keeps 64 slots busy and reports for each trial 20 times, as fast as the driver
answers. Everything else is real: the desk, the brain, the ledger in SQLite. For each sampler: events a
second, and what one trial costs the driver around the 100th, the 1,000th and the last one, in CPU
time of its process (all threads), the sampler's own work taken out and shown apart. Then, on the ledger
that the first run has left: what a driver takes to go on from it (events, history, brain, desk), and
what `automl ls` and `automl show` take as whole commands, with their bytecode there, as an installation
has it. `--asks` shows the samplers alone, side by side: what one ask costs, and to take and tell its trial,
where so many trials have ended and 64 run.

Each part runs in a process of its own, a few times; medians, and the lowest and highest in brackets.
Markdown on stdout, progress on stderr.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import random
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections import deque
from collections.abc import Mapping, Sequence
from importlib import metadata
from pathlib import Path
from typing import Any, NamedTuple

from automl.engines.base import Answer, Capacity, Desk, Engine, Task
from automl.run import run
from automl.search import Budget, Objective, Search, Trainer
from automl.space import Float

HERE = Path(__file__).resolve().parent
SLOTS = 64
REPORTS = 20
STARTS = -(-SLOTS // REPORTS)  # in one round, so that trials do not all end at once
NAME = "scale"
SAMPLERS = ("random", "tpe")
ALONE = ("random", "qmc", "nsgaii", "cmaes", "tpe")
ASKS = 40  # around each mark

Facts = dict[str, float]


class Mark(NamedTuple):
    """Seconds so far, when some trial had ended: on the clock, of the CPU, of the CPU for the sampler."""

    wall_s: float
    cpu_s: float
    sampler_s: float


class Simulated(Engine):
    """Tells the desk at once what workers would, one report of each slot after another."""

    name = "simulated"

    def __init__(self) -> None:
        self.sampler_s = 0.0
        self.marks: list[Mark] = []

    def start(self) -> None:
        """Nothing to start."""

    def capacity(self, cpus: float, gpus: float) -> Capacity:
        return Capacity(SLOTS, SLOTS, 0, SLOTS, 0)

    def run(self, desk: Desk) -> None:
        running: list[tuple[Task, int]] = []
        self._mark()
        while not desk.done:
            for _ in range(min(STARTS, SLOTS - len(running))):
                if (task := desk.next_task()) is None:
                    break
                desk.hear(task, {"kind": "started", "node": "here", "pid": 1, "framework": "function"})
                running.append((task, 1))
            if not running:
                time.sleep(0.0005)  # the sampler thinks in another thread
            running = [(task, step + 1) for task, step in running if self._goes_on(desk, task, step)]
            desk.tick()

    def _goes_on(self, desk: Desk, task: Task, step: int) -> bool:
        if step <= REPORTS:
            x = task.arguments["model"]["x"]
            metrics = {"loss": x**2 + 1 / step, "accuracy": x, "seconds": 0.1}
            return desk.hear(task, {"kind": "report", "step": step, "metrics": metrics}) is Answer.GO
        desk.hear(task, {"kind": "ended", "outcome": "complete"})
        self._mark()
        return False

    def _mark(self) -> None:
        self.marks.append(Mark(time.perf_counter(), time.process_time(), self.sampler_s))

    def close(self) -> None:
        """Nothing to end."""


def watch_sampler(engine: Simulated) -> None:
    """Have the engine's clock of the sampler count every thought, in whatever thread."""
    from automl.thought import Thought

    think = Thought.__call__

    def timed(thought: Thought) -> Any:
        begun = time.thread_time()
        try:
            return think(thought)
        finally:
            engine.sampler_s += time.thread_time() - begun

    Thought.__call__ = timed  # type: ignore[method-assign]


def search_of(sampler: str, trials: int) -> Search:
    return Search(
        name=NAME,
        objective=Objective("loss", "minimize"),
        trainer=Trainer("function", "trainers.nothing:train"),
        space={"model.x": Float(0.0, 1.0), **{f"model.x{place}": Float(0.0, 1.0) for place in range(9)}},
        budget=Budget(trials=trials),
        search={"sampler": sampler, "pruner": "none"},
        tracking=False,
    )


# --- the parts ----------------------------------------------------------------------------------


def drive(sampler: str, trials: int) -> Facts:
    """A whole search in one driver."""
    engine = Simulated()
    watch_sampler(engine)
    outcome = run(search_of(sampler, trials), engine=engine)
    assert outcome.history.counts["COMPLETE"] == trials, outcome.history.counts
    whole = engine.marks[-1].wall_s - engine.marks[0].wall_s
    facts = {
        "events_a_second": outcome.history.n / whole,
        "memory_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
    }
    for mark in marks_of(trials):
        facts |= {f"{what}_{mark}": value for what, value in around(engine.marks, mark).items()}
    return facts


def marks_of(trials: int) -> list[int]:
    return [mark for mark in (100, 1000, 10_000, 100_000) if mark < trials] + [trials]


def around(marks: Sequence[Mark], trial: int) -> Facts:
    """What a trial cost in the window around one: CPU, of which the sampler's is apart; and the clock."""
    half = max(20, min(200, trial // 4))
    last = min(trial + half, len(marks) - 1)
    first = last - 2 * half
    before, after, count = marks[max(0, first)], marks[last], last - max(0, first)
    sampler_ms = 1000 * (after.sampler_s - before.sampler_s) / count
    return {
        "driver_ms": 1000 * (after.cpu_s - before.cpu_s) / count - sampler_ms,
        "sampler_ms": sampler_ms,
        "wall_ms": 1000 * (after.wall_s - before.wall_s) / count,
    }


def resume(trials: int) -> Facts:
    """A driver that finds the ledger: until its desk could hand out the next task."""
    from automl.brain import Brain
    from automl.desk import Desk, Setting
    from automl.heap import still
    from automl.ledger import Ledger
    from automl.results import History

    search = search_of("random", trials + 1)
    begun, begun_cpu = time.perf_counter(), time.process_time()
    book = Ledger("sqlite:///automl.db")
    with book.lease(NAME) as lease:
        with still():
            events = list(book.events(NAME))
            history = History(NAME, events)
            brain = Brain(search)
            brain.replay(events)
        Desk(search, brain, history, lease, Setting(".", "runs"), lambda: SLOTS, lambda event: None)
    assert history.counts["COMPLETE"] == trials
    return {
        "resume_s": time.perf_counter() - begun,
        "resume_cpu_s": time.process_time() - begun_cpu,
        "resume_events": len(events),
        "resume_memory_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
    }


def asks(sampler: str, trials: int) -> Facts:
    """A brain alone: the median of some asks at each mark, 64 trials running."""
    from automl.brain import Brain
    from automl.events import State
    from automl.thought import Asked

    brain, dice, facts = Brain(search_of(sampler, trials)), random.Random(0), {}
    running: deque[tuple[int, float]] = deque()
    axes, took = list(search_of(sampler, trials).full_space.params), []
    for number in range(trials):
        begun = time.thread_time()
        if sampler == "tpe" and all(abs(number - mark) > ASKS for mark in marks_of(trials)):
            # What its asks cost depends on how many trials there are, and all of them would take minutes.
            point: Asked | None = Asked({axis: dice.random() for axis in axes}, "", "", sampler, {}, {})
        else:
            point = brain.thought(number)()
        assert point is not None
        brain.take(number, point)
        running.append((number, sum(value**2 for value in point.params.values())))
        if len(running) > SLOTS:
            ended, loss = running.popleft()
            brain.tell(ended, State.COMPLETE, [loss])
        took.append(1000 * (time.thread_time() - begun))
        if number + 1 in marks_of(trials):
            facts[f"ask_ms_{number + 1}"] = statistics.median(took[-ASKS:])
    return facts


COMMANDS: Mapping[str, Sequence[str]] = {
    "automl ls": ["ls"],
    "automl ls --json": ["ls", "--json"],
    "automl show NAME": ["show", NAME],
    "automl show NAME --json": ["show", NAME, "--json"],
}


def command(words: Sequence[str], folder: Path) -> Facts:
    """A whole command, its output read from a pipe."""
    environment = {key: value for key, value in os.environ.items() if key != "PYTHONDONTWRITEBYTECODE"}
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    begun = time.perf_counter()
    done = subprocess.run(
        [sys.executable, "-m", "automl", *words],
        cwd=folder,
        env=environment,
        stdout=subprocess.PIPE,
        check=True,
    )
    took = time.perf_counter() - begun
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    cpu_s = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return {"wall_s": took, "cpu_s": cpu_s, "kib": len(done.stdout) / 1024}


# --- the whole ----------------------------------------------------------------------------------


def project(folder: Path) -> Path:
    """A project whose one trainer is never called."""
    (folder / "trainers").mkdir(parents=True)
    (folder / "trainers" / "__init__.py").touch()
    names = ", ".join(["x", *(f"x{place}" for place in range(9))])
    (folder / "trainers" / "nothing.py").write_text(f"def train(trial, {names}):\n    pass\n")
    return folder


def part(words: Sequence[str], folder: Path) -> Facts:
    """A part in a process of its own."""
    whole = [sys.executable, str(HERE / "scale.py"), *words]
    done = subprocess.run(whole, cwd=folder, stdout=subprocess.PIPE, text=True, check=True)
    found: Facts = json.loads(done.stdout.splitlines()[-1])
    return found


def spread(measured: Sequence[Facts], fact: str, digits: int = 1) -> str:
    values = [facts[fact] for facts in measured]
    low, high = min(values), max(values)
    return f"{statistics.median(values):,.{digits}f} ({low:,.{digits}f} to {high:,.{digits}f})"


def driver_table(measured: Mapping[str, Sequence[Facts]], trials: int) -> list[str]:
    marks = marks_of(trials)
    heads = " | ".join(f"at {mark:,}" for mark in marks)
    lines = [
        f"| {trials:,} trials of {REPORTS} reports, {SLOTS} slots | {heads} |",
        f"|---|{'---|' * len(marks)}",
    ]
    words = {
        "driver_ms": "driver, CPU ms a trial",
        "sampler_ms": "sampler, CPU ms a trial",
        "wall_ms": "both, ms a trial on the clock",
    }
    for sampler, facts in measured.items():
        for fact, said in words.items():
            cells = " | ".join(spread(facts, f"{fact}_{mark}", 2) for mark in marks)
            lines.append(f"| {sampler}: {said} | {cells} |")
    lines += ["", "| | events a second | memory at most, MB |", "|---|---|---|"]
    for sampler, facts in measured.items():
        lines.append(
            f"| {sampler} | {spread(facts, 'events_a_second', 0)} | {spread(facts, 'memory_mb', 0)} |"
        )
    return lines


def reading_table(resumed: Sequence[Facts], commands: Mapping[str, Sequence[Facts]]) -> list[str]:
    lines = ["| reading that ledger | seconds | of the CPU | |", "|---|---|---|---|"]
    events, memory = f"{resumed[0]['resume_events']:,.0f} events", spread(resumed, "resume_memory_mb", 0)
    took = f"{spread(resumed, 'resume_s', 2)} | {spread(resumed, 'resume_cpu_s', 2)}"
    lines.append(f"| resume of a driver | {took} | {events}, {memory} MB |")
    for said, facts in commands.items():
        took = f"{spread(facts, 'wall_s', 2)} | {spread(facts, 'cpu_s', 2)}"
        lines.append(f"| `{said}` | {took} | {facts[0]['kib']:,.0f} KiB |")
    return lines


def asks_table(measured: Mapping[str, Sequence[Facts]], trials: int) -> list[str]:
    marks = marks_of(trials)
    heads = " | ".join(f"at {mark:,}" for mark in marks)
    lines = [f"| ask, take and tell, CPU ms a trial | {heads} |", f"|---|{'---|' * len(marks)}"]
    for sampler, facts in measured.items():
        cells = " | ".join(spread(facts, f"ask_ms_{mark}", 2) for mark in marks)
        lines.append(f"| {sampler} | {cells} |")
    return lines


def machine() -> str:
    """What it was measured on."""
    versions = ", ".join(f"{name} {metadata.version(name)}" for name in ("optuna", "sqlalchemy"))
    return f"{os.cpu_count()} cores, Python {platform.python_version()}, {versions}"


def measure(chosen: argparse.Namespace) -> None:
    drivers: dict[str, list[Facts]] = {}
    with tempfile.TemporaryDirectory(prefix="automl-scale-") as scratch:
        for sampler in chosen.samplers or SAMPLERS:
            for repeat in range(chosen.repeats):
                print(f"driver, {sampler}, {repeat + 1} of {chosen.repeats}", file=sys.stderr)
                folder = project(Path(scratch) / f"{sampler}-{repeat}")
                words = ["--part", sampler, "--trials", str(chosen.trials)]
                drivers.setdefault(sampler, []).append(part(words, folder))
        folder = Path(scratch) / f"{(chosen.samplers or SAMPLERS)[0]}-0"
        print("reading", file=sys.stderr)
        words = ["--part", "resume", "--trials", str(chosen.trials)]
        resumed = [part(words, folder) for _ in range(chosen.repeats)]
        commands = {
            said: [command(words, folder) for _ in range(1 + chosen.repeats)][1:]
            for said, words in COMMANDS.items()
        }
    lines = [*driver_table(drivers, chosen.trials), "", *reading_table(resumed, commands)]
    print(f"{machine()}; {chosen.repeats} repeats\n\n" + "\n".join(lines))


def compare(chosen: argparse.Namespace) -> None:
    """The samplers alone, in turns."""
    measured: dict[str, list[Facts]] = {}
    with tempfile.TemporaryDirectory(prefix="automl-scale-") as scratch:
        for repeat in range(chosen.repeats):
            for sampler in chosen.samplers or ALONE:
                print(f"asks, {sampler}, {repeat + 1} of {chosen.repeats}", file=sys.stderr)
                words = ["--part", sampler, "--asks", "--trials", str(chosen.trials)]
                measured.setdefault(sampler, []).append(part(words, Path(scratch)))
    print(f"{machine()}; {chosen.repeats} repeats\n\n" + "\n".join(asks_table(measured, chosen.trials)))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--trials", type=int, default=10_000)
    parser.add_argument("--repeats", type=int, default=2)
    parser.add_argument("--samplers", nargs="+", choices=ALONE, help="random and tpe, or all with --asks")
    parser.add_argument("--asks", action="store_true", help="the samplers alone, side by side")
    parser.add_argument("--part", choices=(*ALONE, "resume"), help="one part, in this process: JSON")
    chosen = parser.parse_args()
    if chosen.part is None:
        (compare if chosen.asks else measure)(chosen)
    elif chosen.part == "resume":
        print(json.dumps(resume(chosen.trials)))
    else:
        print(json.dumps((asks if chosen.asks else drive)(chosen.part, chosen.trials)))


if __name__ == "__main__":
    main()
