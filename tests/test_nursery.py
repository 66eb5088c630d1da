"""Workers are started before anybody needs one, and belong to whoever takes one."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from automl.engines.base import Task
from automl.host import Host
from automl.nursery import Elsewhere, Nursery
from automl.process import WorkerProcess
from automl.run import run
from tests.faults.kill import offspring
from tests.test_engines import Watcher, a_search, engine, ray_cluster
from tests.test_forkserver import pid_of, server_of
from tests.test_watch import PATIENCE_S, ROOT, a_task, drive

__all__ = ["engine", "ray_cluster"]  # fixtures

COUNTED, QUADRATIC = "trainers.counted:train", "trainers.tiny_function:quadratic"
# Another process of this machine, as a Ray actor is: takes a worker, trains, and ends without a word.
OTHER = """
import json, os, sys
from automl.engines.base import Answer, Task
from automl.host import Host
from automl.nursery import Elsewhere

said = json.loads(sys.stdin.readline())
host = Host(said["task"]["root"], 1, source=Elsewhere(said["address"]))
host.start(Task(**said["task"]))
while True:
    message = host.poll(1.0)
    if message:
        print(json.dumps(message), flush=True)
        if message["kind"] == "report":
            host.answer(Answer.GO)
        if message["kind"] == "ended":
            break
sys.stdin.readline()
os._exit(0)
"""


@pytest.fixture
def nursery() -> Iterator[Nursery]:
    nursery = Nursery(str(ROOT), 1)
    yield nursery
    nursery.close()


@pytest.fixture
def other(nursery: Nursery, tmp_path: Path) -> Iterator[subprocess.Popen[str]]:
    """Another process that has been told to train one trial."""
    process = subprocess.Popen(
        [sys.executable, "-c", OTHER], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert process.stdin
    task = a_trial(tmp_path)
    process.stdin.write(json.dumps({"address": nursery.address, "task": task.to_plain()}) + "\n")
    process.stdin.flush()
    with process:
        yield process
        process.kill()


def a_trial(place: Path) -> Task:
    return a_task(place, "", model=QUADRATIC)


def grow(nursery: Nursery, count: int = 1) -> None:
    nursery.preload({"function": [QUADRATIC]})
    nursery.grow(["function"] * count)


def until_gone(pid: int) -> None:
    deadline_s = time.monotonic() + PATIENCE_S
    while psutil.pid_exists(pid) and psutil.Process(pid).status() != psutil.STATUS_ZOMBIE:
        assert time.monotonic() < deadline_s
        time.sleep(0.05)


def test_a_host_takes_a_worker_that_is_there_before_it_starts_one(nursery: Nursery, tmp_path: Path) -> None:
    grow(nursery)
    host = Host(str(ROOT), 1, source=nursery)
    ended = drive(host, a_trial(tmp_path))[-1]
    assert ended["outcome"] == "complete"
    assert nursery.take("function") is None
    host.close()


def test_one_of_another_framework_stays_where_it_is(nursery: Nursery) -> None:
    grow(nursery)
    assert nursery.take("keras") is None
    worker = nursery.take("function")
    assert worker is not None
    worker.kill()


def test_another_process_is_given_a_worker_which_ends_with_it(
    nursery: Nursery, other: subprocess.Popen[str]
) -> None:
    grow(nursery)
    assert other.stdout and other.stdin
    messages = [json.loads(other.stdout.readline())]
    while messages[-1]["kind"] != "ended":
        messages.append(json.loads(other.stdout.readline()))
    assert messages[-1]["outcome"] == "complete"
    worker = psutil.Process(messages[0]["pid"])
    guards = worker.parents()[:2]
    assert os.getpid() in [each.pid for each in worker.parents()]  # this process had started it
    other.stdin.close()
    for each in (worker, *guards):
        until_gone(each.pid)


def test_how_a_worker_died_is_known_to_the_process_that_did_not_start_it(nursery: Nursery) -> None:
    grow(nursery)
    worker = Elsewhere(nursery.address).take("function")
    assert isinstance(worker, WorkerProcess)
    hello = []
    while not hello:
        hello = worker.receive(1.0) or []
    os.kill(hello[0]["pid"], signal.SIGKILL)
    while worker.receive(1.0) is not None:
        pass
    assert worker.died() == "killed by SIGKILL"


def test_nobody_is_given_what_is_not_there(nursery: Nursery, tmp_path: Path) -> None:
    assert Elsewhere(nursery.address).take("function") is None
    assert Elsewhere(str(tmp_path / "no-socket")).take("function") is None


def test_those_that_nobody_took_end_with_the_nursery(nursery: Nursery) -> None:
    grow(nursery, 2)
    mine: list[psutil.Process] = []
    until_s = time.monotonic() + PATIENCE_S
    while len(mine) < 2:  # each is there a moment after its start
        assert time.monotonic() < until_s
        mine = [psutil.Process(pid) for pid in offspring(os.getpid(), "automl.worker")]
    nursery.close()
    for each in mine:
        until_gone(each.pid)


def test_lightning_is_imported_once_for_all_workers_whoever_asks_and_however_late(nursery: Nursery) -> None:
    nursery.preload({"lightning": ["trainers.tiny_lightning:TinyNet"]})
    nursery.grow(["lightning"])
    workers = [
        nursery.take("lightning"),
        Elsewhere(nursery.address).take("lightning"),
        nursery.take("lightning"),
    ]
    servers = {server_of(pid_of(each)) for each in workers if each}
    assert len(servers) == 1
    assert servers.pop().ppid() == os.getpid()
    assert [each.kill() for each in workers if each] == ["exit code 0"] * 3
    assert nursery.take("lightning", ranks=2) is None  # torchrun starts those


def test_code_is_imported_once_a_slot_and_the_check_is_no_slot_more(engine: str, root: Path) -> None:
    watcher = Watcher()
    search = a_search(
        name="counted", trials=8, trainer={"framework": "function", "model": COUNTED}, **{"model.sleep": 0.05}
    )
    outcome = run(search, engine, view=watcher)
    imported = (root / "imports.txt").read_text().split()
    trained = {str(trial.attempts[0].pid) for trial in outcome.history.trials.values()}
    assert trained <= set(imported)
    assert len(imported) == len(set(imported)) <= watcher.slots
