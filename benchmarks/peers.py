"""The same search through automl and through its peers, side by side on this machine. `make bench`.

Everyone trains the same models (trainers/peers_lightning.py, trainers/peers_keras.py) on scikit-learn's
real digits over the same space, with the same seed, budget, two slots and one CPU thread a slot, TPE
where it is to be had, and MLflow on an SQLite file, whose tables are there already, as in any project
after its first search. The models validate after every epoch and carry a stopwatch (trainers/laps.py),
so training is measured by the same code for all. How each contender is set up, and why, is written at
the top of its file in contenders/: ours.py, tune.py, optuna_alone.py, tuner.py; alone.py searches nothing,
and shows what the training itself costs here.

| workload | what it is |
|---|---|
| short | 60 trials of half a second to a second of training, none is cut |
| medium | 40 trials of about 10 s of training each as successive halving leaves them, 35 s if not cut |

A medium trial is long by a wide model with Lightning, and by eight times the rows with Keras, which takes
0.15 s to draw the first weights of so wide a model: a part of each trial that no search can spare.

Each run has processes and a project folder of its own. Wall time is that of the whole command, start-up
and ending included: automl's also packs and verifies the winner's MLflow model, which no peer does.
Contenders take turns within a round, in another order each round: two rounds of short and one of medium
unless `--repeats` says otherwise, which then holds for everyone; Ray Tune with fresh actors takes so
long that without it it runs in the first round alone. Medians are shown, the lowest and highest in
brackets. `training in slot time` leaves start-up and ending out: of each slot's time from its first
training step to its last, the part that was epochs (training and validation).
"""

from __future__ import annotations

import argparse
import os
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Sequence
from functools import cache
from pathlib import Path

from contenders import BY_NAME, CONTENDERS, Contender, laps, table
from contenders.base import WORKLOADS, Workload, workloads
from contenders.table import Facts
from contenders.watch import Seen, watch

HERE = Path(__file__).resolve().parent
INSTALL = f"{sys.executable} -m pip install -c constraints.txt -e '.[benchmarks]'"
TIMEOUT_S = 1800
# Rounds, unless told: a medium search is long, and its spread is small beside its length.
REPEATS = {"short": 2, "medium": 1}
# Takes part in the first round alone, unless told how many: it takes ten times as long as the others.
SLOW = ("tune",)
TAIL_LINES = 30


class Failed(Exception):
    """A contender did not come to its end; the text says how."""


@cache
def mlflow_database() -> bytes:
    """An MLflow database without an experiment, made by MLflow itself."""
    program = "from mlflow import MlflowClient; MlflowClient('sqlite:///mlflow.db').search_experiments()"
    with tempfile.TemporaryDirectory(prefix="automl-peers-") as folder:
        subprocess.run([sys.executable, "-c", program], cwd=folder, capture_output=True, check=True)
        return (Path(folder) / "mlflow.db").read_bytes()


def measure(contender: Contender, workload: Workload) -> Facts:
    """One run, in processes and a project folder of its own.

    Raises:
        Failed: it exited with another status than 0, took too long, or trained nothing.
    """
    with tempfile.TemporaryDirectory(prefix="automl-peers-", ignore_cleanup_errors=True) as name:
        folder, watched = Path(name) / "project", Path(name) / "watched"
        shutil.copytree(HERE / "trainers", folder / "trainers")
        watched.mkdir()
        (folder / "mlflow.db").write_bytes(mlflow_database())
        command = contender.room.command(folder, workload, **contender.options)
        log = Path(name) / "log.txt"
        seen = watch(command, folder, environment(folder, watched), log, TIMEOUT_S)
        if seen.code != 0:
            ending = f"exited with {seen.code}" if seen.code is not None else f"ran past {TIMEOUT_S} s"
            raise Failed(f"{ending}\n{tail(log)}")
        say(f"  watching it took {seen.watching_s:.1f} s of processor")
        try:
            return facts(seen, laps.read(watched), contender.room.outcome(folder, workload))
        except (ValueError, OSError, subprocess.SubprocessError) as error:
            raise Failed(f"{error}\n{tail(log)}") from error


def environment(folder: Path, watched: Path) -> dict[str, str]:
    """The same for everyone: one thread a slot, no usage statistics, nothing of the caller's own."""
    own = ("AUTOML_", "MLFLOW_", "RAY_", "TUNE_", "OPTUNA_", "KERASTUNER_")
    kept = {name: value for name, value in os.environ.items() if not name.startswith(own)}
    threads = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS", "NUMEXPR_NUM_THREADS")
    threads += ("TF_NUM_INTRAOP_THREADS", "TF_NUM_INTEROP_THREADS")
    paths = [str(folder), str(HERE), kept.get("PYTHONPATH", "")]
    return {
        **kept,
        **dict.fromkeys(threads, "1"),
        "PYTHONPATH": os.pathsep.join(filter(None, paths)),
        "PYTHONUNBUFFERED": "1",
        "PEERS_LAPS": str(watched),
        "RAY_USAGE_STATS_ENABLED": "0",
        "TF_CPP_MIN_LOG_LEVEL": "2",
    }


def tail(log: Path) -> str:
    return "\n".join(log.read_text(errors="replace").splitlines()[-TAIL_LINES:])


def facts(seen: Seen, training: laps.Training, outcome: object) -> Facts:
    """What was seen from outside, by the stopwatches, and by the contender itself."""
    return Facts(
        wall_s=seen.ended_s - seen.begun_s,
        start_s=training.begun_s - seen.begun_s,
        end_s=seen.ended_s - training.ended_s,
        training_s=training.busy_s,
        training_share=training.share,
        cpu_s=seen.cpu_s,
        memory_bytes=seen.memory_bytes,
        trials=outcome.trials,
        epochs=sum(trial.epochs for trial in training.trials),
        best=outcome.best,
        states=outcome.to_text(),
    )


def turns(contenders: Sequence[Contender], workload: Workload, repeats: int | None) -> Iterable[Contender]:
    """Who runs when: everyone once a round, each round begun by another."""
    able = [
        each
        for each in contenders
        if workload.framework in each.frameworks and workload.name in each.workloads
    ]
    for turn in range(repeats or REPEATS[workload.name]):
        cut = turn % len(able) if able else 0
        for contender in [*able[cut:], *able[:cut]]:
            if repeats or turn == 0 or contender.name not in SLOW:
                yield contender


def run(
    contenders: Sequence[Contender], workload: Workload, repeats: int | None
) -> dict[str, list[Facts | None]]:
    """All runs of a workload, by contender, in the table's order; None for one that failed."""
    order = list(turns(contenders, workload, repeats))
    measured: dict[str, list[Facts | None]] = {each.name: [] for each in contenders if each in order}
    for count, contender in enumerate(order, start=1):
        what = f"{workload.name} {workload.framework}, {contender.name} ({count} of {len(order)})"
        say(what)
        try:
            found = measure(contender, workload)
        except Failed as error:
            say(f"{what} failed: {error}")
            measured[contender.name].append(None)
            continue
        say(f"{what}: {found.wall_s:.1f} s, best {found.best}, {found.states}")
        measured[contender.name].append(found)
    return measured


def say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


def refuse_missing(contenders: Sequence[Contender]) -> None:
    """Peers that are not installed are named, before anything is measured."""
    missing = sorted({package for contender in contenders for package in contender.missing})
    if missing:
        names = ", ".join(each.name for each in contenders if each.missing)
        sys.exit(f"not installed: {', '.join(missing)} (for {names}). Install them with\n  {INSTALL}")


def arguments(given: Sequence[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    several = {"action": "append", "default": []}
    parser.add_argument("--workload", choices=sorted({each.name for each in WORKLOADS}), **several)
    parser.add_argument("--framework", choices=("lightning", "keras"), **several)
    parser.add_argument("--contender", choices=BY_NAME, help="several times for several", **several)
    parser.add_argument("--repeats", type=int, help="rounds; by default 2 of short and 1 of medium")
    parser.add_argument("--trials", type=int, help="fewer trials, to look whether it runs")
    return parser.parse_args(given)


def main() -> None:
    """Print a section for each workload; exit with 1 if a contender failed."""
    chosen = arguments()
    contenders = [each for each in CONTENDERS if not chosen.contender or each.name in chosen.contender]
    refuse_missing(contenders)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # which sees the contender's processes off
    titles = {each.name: each.title for each in contenders}
    failed = False
    for workload in workloads(chosen.workload, chosen.framework, chosen.trials):
        measured = run(contenders, workload, chosen.repeats)
        failed |= any(None in runs for runs in measured.values())
        print(table.section(workload, measured, titles), end="\n\n", flush=True)
    sys.exit(1 if failed else 0)


if __name__ == "__main__":
    main()
