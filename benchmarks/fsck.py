"""How long `automl fsck` takes on a large search. `make benchfsck`.

A ledger, a storage and an MLflow database are filled with a search of many trials; the whole command
is then timed, its start included, a few times. Shown are the median and, in brackets, the lowest and
highest, and the seconds of processor that it took, which other work on the machine changes less (a
server's own are not in them). MLflow's rows are written straight into its tables: its own client
would take half an hour.
"""

from __future__ import annotations

import argparse
import os
import platform
import random
import resource
import shutil
import signal
import socket
import sqlite3
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request
import uuid
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from automl import manifest
from automl.events import Event
from automl.ledger import Ledger
from automl.results import History
from automl.search import Budget, Objective, Search, Trainer
from automl.space import Float

REPORTS = 10
T0 = 1_790_000_000.0
NAME = "big"
WAITING_EVERY = 200
DAMAGED = 7

Row = tuple[Any, ...]


def events(root: Path, trials: int) -> Iterator[Event]:
    """A search whose trials all ended, but for a few that wait with a checkpoint."""
    search = Search(
        name=NAME,
        objective=Objective("loss", "minimize"),
        trainer=Trainer("function", "trainers.none:train"),
        space={f"model.p{i}": Float(0.0, 1.0) for i in range(6)},
        budget=Budget(trials=trials),
    )
    shuffled = random.Random(1)
    at = T0
    yield Event(
        "opened", data={"spec": search.to_plain(), "host": "box", "pid": 1, "versions": {}}, time_s=at
    )
    for number in range(trials):
        at += 1.0
        params = {f"model.p{i}": shuffled.random() for i in range(6)}
        asked = {"params": params, "trainer": "trainer", "source": "sampler", "sampler": "tpe"}
        yield Event("asked", number, None, {**asked, "trial_attrs": {}, "study_attrs": {}}, at)
        yield Event("started", number, 1, {"node": "box", "pid": 9, "framework": "function"}, at)
        loss = 1.0 + shuffled.random()
        for step in range(1, REPORTS + 1):
            metrics = {"loss": loss / step, "accuracy": 1.0 - loss / step}
            yield Event("reported", number, 1, {"step": step, "metrics": metrics}, at + step / 100)
        place = str(root / "runs" / NAME / "trials" / str(number))
        if number % WAITING_EVERY == 0:
            checkpoint = {"step": REPORTS, "path": f"{place}/checkpoint-{REPORTS:08d}"}
            yield Event("checkpointed", number, 1, checkpoint, at + 0.2)
            yield Event("ended", number, 1, {"outcome": "stopped", "again": True}, at + 0.3)
            continue
        weights = f"{place}/weights-{REPORTS:08d}"
        yield Event("ended", number, 1, {"outcome": "complete", "weights": weights}, at + 0.3)
        finished = {"state": "COMPLETE", "values": [loss / REPORTS], "step": REPORTS}
        yield Event("finished", number, None, finished, at + 0.3)
    yield Event("closed", data={"state": "STOPPED", "reason": "SIGINT"}, time_s=at + 1.0)


def fill_ledger(root: Path, trials: int) -> int:
    ledger, batch = Ledger(f"sqlite:///{root}/automl.db"), []
    with ledger.lease(NAME) as lease:
        for event in events(root, trials):
            batch.append(event)
            if len(batch) == 5000:
                lease.append(batch)
                batch = []
        lease.append(batch)
        count = lease.n
    ledger.close()
    return count


def fill_storage(root: Path, history: History) -> None:
    """A log for every trial, a checkpoint for those that wait, weights for the best three."""
    done = sorted((t for t in history.trials.values() if t.values), key=lambda t: (t.values, t.number))
    kept = [t.weights for t in done[:3]] + [t.checkpoint for t in history.trials.values() if t.checkpoint]
    for number in history.trials:
        folder = root / "runs" / NAME / "trials" / str(number)
        folder.mkdir(parents=True)
        (folder / "log.txt").write_text("epoch 1\n")
    for place in map(Path, filter(None, kept)):
        place.mkdir()
        (place / "model.bin").write_bytes(bytes(100_000))
        manifest.seal(place)


class Filler:
    """Writes MLflow's tables as its client would have."""

    def __init__(self, root: Path) -> None:
        from mlflow.tracking import MlflowClient

        client = MlflowClient(f"sqlite:///{root}/mlflow.db")
        self._experiment = int(client.create_experiment(NAME, artifact_location=f"file://{root}/mlartifacts"))
        self._rows: dict[str, list[Row]] = {
            table: [] for table in ("runs", "tags", "params", "metrics", "latest_metrics")
        }

    def run(self, want: Any, links: Mapping[str, str], times: Mapping[str, Mapping[int, float]]) -> str:
        run_id = uuid.uuid4().hex
        start = int(T0 * 1000)
        where = f"file:///tmp/{run_id}"
        row = (run_id, "run", "UNKNOWN", "", "", "user", want.status, start, start, 0, "", "active", where)
        self._rows["runs"].append((*row, self._experiment))
        self._rows["tags"] += [(key, value, run_id) for key, value in {**want.tags, **links}.items()]
        self._rows["params"] += [(key, value, run_id) for key, value in want.params.items()]
        for key, points in want.points.items():
            rows = [
                (key, value, int(times[key][step] * 1000), run_id, step) for step, value in points.items()
            ]
            self._rows["metrics"] += [(*row[:4], row[4], 0) for row in rows]
            last = max(rows, key=lambda row: row[4])
            self._rows["latest_metrics"].append((key, last[1], last[2], last[4], 0, run_id))
        return run_id

    def write(self, file: Path) -> None:
        columns = {
            "runs": "run_uuid,name,source_type,source_name,entry_point_name,user_id,status,start_time,"
            "end_time,deleted_time,source_version,lifecycle_stage,artifact_uri,experiment_id",
            "tags": "key,value,run_uuid",
            "params": "key,value,run_uuid",
            "metrics": "key,value,timestamp,run_uuid,step,is_nan",
            "latest_metrics": "key,value,timestamp,step,is_nan,run_uuid",
        }
        with sqlite3.connect(file) as db:
            for table, rows in self._rows.items():
                marks = ",".join("?" * len(rows[0]))
                db.executemany(f"INSERT INTO {table} ({columns[table]}) VALUES ({marks})", rows)


def fill_mlflow(root: Path, written: Sequence[Event]) -> None:
    from automl.trackers import judgement
    from automl.trackers.audit import Story
    from automl.trackers.base import Plan
    from automl.trackers.mlflow import CURSOR, IDENTITY, PARENT, SEARCH, TRIAL

    objectives = [{"metric": "loss", "direction": "minimize"}]
    story = Story(Plan("", NAME, str(root), "", objectives=objectives), written, ())
    filler = Filler(root)
    top = {SEARCH: NAME, IDENTITY: story.identity, CURSOR: str(story.end)}
    best = "best.loss"
    when = {best: {number: when_s for number, _, when_s in story.changes.bests}}
    parent = filler.run(story.search_run, top, when)
    for trial in story.picture.history.trials.values():
        times = {report.step: report.time_s for report in trial.reports}
        want = judgement.trial_run(trial, closed=True)
        links = {PARENT: parent, SEARCH: NAME, TRIAL: str(trial.number)}
        filler.run(want, links, dict.fromkeys(want.points, times))
    filler.write(root / "mlflow.db")


@contextmanager
def server(root: Path) -> Iterator[str]:
    """An `mlflow server` in front of the same database."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    command = [sys.executable, "-m", "mlflow", "server", "--port", str(port), "--workers", "1"]
    command += [f"--backend-store-uri=sqlite:///{root}/mlflow.db", f"--artifacts-destination={root}/served"]
    quiet: dict[str, Any] = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    process = subprocess.Popen(command, cwd=root, start_new_session=True, **quiet)
    try:
        while True:
            try:
                urllib.request.urlopen(f"http://127.0.0.1:{port}/health", timeout=1)
                break
            except OSError:
                time.sleep(0.2)
        yield f"http://127.0.0.1:{port}"
    finally:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def timed(root: Path, *options: str, uri: str | None = None, code: int = 0) -> tuple[float, float]:
    """The seconds of one whole command, and those of the processor."""
    command = [sys.executable, "-m", "automl", "fsck", NAME, *options]
    environment = {**os.environ, "MLFLOW_TRACKING_URI": uri or f"sqlite:///{root}/mlflow.db"}
    begun_s, spent_s = time.monotonic(), processor_s()
    done = subprocess.run(command, cwd=root, env=environment, capture_output=True, text=True, check=False)
    took_s = time.monotonic() - begun_s
    if done.returncode != code:
        raise SystemExit(
            f"{command} exited with {done.returncode}\n{done.stdout[:3000]}{done.stderr[-3000:]}"
        )
    return took_s, processor_s() - spent_s


def processor_s() -> float:
    """What the ended child processes have taken so far."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def damage(root: Path) -> None:
    """A handful of children lose their status, and one its run."""
    with sqlite3.connect(root / "mlflow.db") as db:
        some = "SELECT run_uuid FROM tags WHERE key = 'automl.trial' AND CAST(value AS INTEGER) < ?"
        db.execute(f"UPDATE runs SET status = 'RUNNING' WHERE run_uuid IN ({some})", (DAMAGED,))


def shown(name: str, times: Sequence[tuple[float, float]]) -> str:
    """A row of the table: wall clock, then processor."""
    cells = [
        f"{statistics.median(part):.1f} ({min(part):.1f} to {max(part):.1f})"
        for part in zip(*times, strict=True)
    ]
    return f"| {name} | {' | '.join(cells)} |"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--trials", type=int, default=10_000)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--folder", type=Path, help="keep what was filled here, and use it again")
    given = parser.parse_args()
    root = given.folder or Path(tempfile.mkdtemp(prefix="automl-bench-"))
    if not (root / "mlflow.db").exists():
        (root / "trainers").mkdir(parents=True)
        count = fill_ledger(root, given.trials)
        ledger = Ledger(f"sqlite:///{root}/automl.db")
        written = list(ledger.events(NAME))
        fill_storage(root, History(NAME, written))
        fill_mlflow(root, written)
        print(f"{given.trials} trials, {count} events, {platform.machine()}, {os.cpu_count()} cores")
    print("| `automl fsck` | seconds | of processor |\n|---|---|---|")
    repeats = range(given.repeats)
    print(shown("all agree, MLflow on SQLite", [timed(root) for _ in repeats]), flush=True)
    with server(root) as uri:
        print(shown("all agree, an MLflow server", [timed(root, uri=uri) for _ in repeats]), flush=True)
    repairs = []
    for _ in repeats:
        damage(root)
        repairs.append(timed(root, "--repair"))
    print(shown(f"`--repair` of {DAMAGED} runs, SQLite", repairs))
    if not given.folder:
        shutil.rmtree(root)


if __name__ == "__main__":
    main()
