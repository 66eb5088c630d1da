"""However a search ends, and whatever is killed, no process and no folder of it stays."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import uuid
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import psutil
import pytest

from automl import machine, scratch
from automl.engines.base import Answer, Task
from automl.host import Host
from tests.faults.kill import host_of

SOURCE = Path(__file__).parent / "project"
ROOT = SOURCE.parents[1]
MARK = "AUTOML_TEST_FAMILY"
PATIENCE_S = 120.0
FILE = """
name: family
objective: {metric: loss, direction: minimize}
trainer: {framework: function, model: "trainers.unruly:family"}
space: {model.x: {float: [-1.0, 1.0]}, model.mark: MARK, model.steps: 40, model.sleep: 0.05}
budget: {trials: 1}
resources: {parallel: 1}
search: {sampler: random, pruner: none}
"""


class Family:
    """A driver and everything that it started, found by the environment or by the command line."""

    def __init__(self, place: Path, engine: str, **settings: Any) -> None:
        self.mark = str(uuid.uuid4().int)[:9]
        self.project = place / "project"
        shutil.copytree(SOURCE, self.project, ignore=shutil.ignore_patterns("__pycache__", "runs", "*.db*"))
        (self.project / "family.yaml").write_text(FILE.replace("MARK", self.mark))
        command = [sys.executable, "-m", "automl", "search", "family.yaml", "--engine", engine]
        for key, value in {"tracking": "false", **settings}.items():
            command += ["--set", f"{key}={value}"]
        (place / "tmp").mkdir()
        env = {**os.environ, MARK: self.mark, "TMPDIR": str(place / "tmp")}
        env["PYTHONPATH"] = str(SOURCE.parents[1])
        for name in ("AUTOML_LEDGER", "RAY_ADDRESS"):
            env.pop(name, None)
        self.driver = subprocess.Popen(
            command, cwd=self.project, env=env, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True
        )

    def members(self) -> list[psutil.Process]:
        """All that live, the driver aside; the dead that nobody has buried yet show no environment."""
        return [each for each in psutil.process_iter() if self._is_member(each)]

    def sleepers(self) -> list[psutil.Process]:
        return [each for each in self.members() if self._is_sleeper(each)]

    def await_trial(self, worker: int | None = None) -> psutil.Process:
        """The worker, once its whole family of this attempt is there: another one than that given."""

        def found() -> psutil.Process | None:
            for each in self.members():
                with contextlib.suppress(psutil.Error):
                    mine = "automl.worker" in each.cmdline() and each.pid != worker
                    if mine and len(each.children()) == 4:
                        return each
            return None

        return self.until(found)

    def await_none(self) -> None:
        """Until nothing is left."""
        self.until(lambda: not self.members())

    def until(self, look: Callable[[], Any]) -> Any:
        deadline_s = time.monotonic() + PATIENCE_S
        while not (found := look()):
            code = self.driver.poll()
            if time.monotonic() > deadline_s or (code or 0) > 0:
                left = [(p.pid, p.ppid(), p.cmdline()) for p in self.members()]
                said = self.driver.stderr.read() if code is not None and not left else ""
                raise AssertionError(f"driver {code}, there are {left}; {said}")
            time.sleep(0.1)
        return found

    def close(self) -> None:
        self.driver.kill()
        for each in self.members():
            with contextlib.suppress(psutil.Error):
                each.kill()
        self.driver.communicate()

    def _is_member(self, process: psutil.Process) -> bool:
        try:
            if process.pid == self.driver.pid:
                return False
            return process.environ().get(MARK) == self.mark or self._is_sleeper(process)
        except psutil.Error:
            return False

    def _is_sleeper(self, process: psutil.Process) -> bool:
        with contextlib.suppress(psutil.Error):
            return process.cmdline() == ["sleep", f"600.{self.mark}"]
        return False


@pytest.fixture
def family() -> Iterator[Callable[..., Family]]:
    made: list[Family] = []
    # Ray's sockets want a short path.
    with tempfile.TemporaryDirectory(prefix="f-", dir="/tmp") as home:

        def make(engine: str, **settings: Any) -> Family:
            made.append(Family(Path(tempfile.mkdtemp(dir=home)), engine, **settings))
            return made[-1]

        yield make
        for each in made:
            each.close()


def test_a_killed_worker_or_guard_takes_the_family_along_and_so_does_the_end_of_a_search(
    family: Callable[..., Family],
) -> None:
    one = family("local", retries=3)
    worker = one.await_trial()
    for above in range(3):  # the worker, the guard above it, the guard above that
        kin = [worker, *worker.parents()[:2]]
        left = [*kin, *one.sleepers()]
        assert len(left) == 5
        kin[above].kill()
        assert psutil.wait_procs(left, timeout=PATIENCE_S)[1] == []
        worker = one.await_trial(worker.pid)
    assert one.driver.wait(PATIENCE_S) == 0
    assert one.members() == []
    assert list((one.project.parent / "tmp").glob("automl-*")) == []


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_stopped_search_leaves_no_process(family: Callable[..., Family], number: int, code: int) -> None:
    one = family("local", **{"model.steps": 100000})
    one.await_trial()
    one.driver.send_signal(number)
    assert one.driver.wait(PATIENCE_S) == code
    assert one.members() == []


def test_a_killed_driver_leaves_no_process_and_the_next_search_no_folder_of_it(
    family: Callable[..., Family], monkeypatch: pytest.MonkeyPatch
) -> None:
    one = family("local", tracking="{uri: sqlite:///mlflow.db}", **{"model.steps": 100000})
    one.await_trial()
    one.driver.kill()
    one.driver.wait()
    one.await_none()
    place = one.project.parent / "tmp"
    monkeypatch.setattr("tempfile.tempdir", str(place))
    monkeypatch.setattr(scratch, "_parent", lambda: place)
    assert list(place.glob("automl-*/owner.json"))
    host = Host(str(one.project), 1)
    assert [json.loads(each.read_text())["pid"] for each in place.glob("automl-*/owner.json")] == [
        os.getpid()
    ]
    host.close()
    assert list(place.glob("automl-*/")) == []


def test_on_ray_a_killed_actor_and_a_killed_driver_leave_no_process(family: Callable[..., Family]) -> None:
    one = family("ray", **{"model.steps": 100000})
    worker = one.await_trial()
    first = one.sleepers()
    host_of(worker).kill()
    assert psutil.wait_procs([worker, *first], timeout=PATIENCE_S)[1] == []
    one.await_trial(worker.pid)
    one.driver.kill()
    one.driver.wait()
    one.await_none()


def test_one_process_has_a_lock_and_its_file_goes_with_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(scratch, "_parent", lambda: tmp_path)
    (tmp_path / f"automl-left-{os.getuid()}.lock").touch()
    inside: list[int] = []

    def one(number: int) -> None:
        for _ in range(50):
            with scratch.lock("one"):
                inside.append(number)
                scratch.sweep()
                assert inside == [number]
                inside.pop()

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(one, range(4)))
    assert list(tmp_path.iterdir()) == []


def test_only_what_a_dead_owner_left_is_swept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(scratch, "_parent", lambda: tmp_path)
    dead = subprocess.Popen(["true"])
    dead.wait()
    me = {"pid": os.getpid(), "machine": machine.machine_id()}
    started_s = machine.process_started_s(os.getpid())
    owners: dict[str, Any] = {
        "automl-mine": {**me, "started_s": started_s},
        "automl-recycled": {**me, "started_s": (started_s or 0.0) - 1.0},
        "automl-dead": {**me, "pid": dead.pid, "started_s": 1.0},
        "automl-elsewhere": {"pid": dead.pid, "started_s": 1.0, "machine": "another"},
        "automl-broken": {},
        "automl-strange": None,
        "other-dead": {**me, "pid": dead.pid, "started_s": 1.0},
    }
    left = {}
    for name, owner in owners.items():
        (tmp_path / name).mkdir()
        if owner is not None:
            (tmp_path / name / "owner.json").write_text(json.dumps(owner))
        env = {**os.environ, scratch.MARK: str(tmp_path / name / "w-1" / "s")}
        left[name] = subprocess.Popen(["sleep", "600"], env=env)
    scratch.sweep()
    swept = {"automl-recycled", "automl-dead"}
    try:
        assert {name for name in owners if not (tmp_path / name).exists()} == swept
        assert {name for name in left if name in swept and left[name].wait(10)} == swept
        assert {name for name in left if left[name].poll() is not None} == swept
    finally:
        for each in left.values():
            each.kill()
            each.wait()


@pytest.mark.parametrize("answer", [Answer.GO, Answer.END])
def test_the_loader_processes_of_a_trial_are_gone_before_the_next(answer: Answer, tmp_path: Path) -> None:
    """Those of the examples stay from epoch to epoch, and their worker from trial to trial."""
    host = Host(str(ROOT), 1)
    words: dict[str, Any] = {"framework": "lightning", "model": "trainers.digits_torch:DigitsNet"}
    words |= {"data": "trainers.digits_torch:DigitsData", "trainer": "trainer", "search": "loaders"}
    words |= {"objectives": ({"metric": "val_loss", "direction": "minimize", "value": "last"},)}
    words |= {"resources": {"cpus": 1, "gpus": 0}, "root": str(ROOT), "storage": str(tmp_path)}
    arguments = {"data": {"num_workers": 2}, "fit": {"max_epochs": 2}}
    pids, loaders = set(), []
    for number in range(2):
        host.start(Task(trial=number, attempt=1, seed=number, arguments=arguments, **words))
        while (message := host.poll(1.0) or {"kind": "nothing"})["kind"] != "ended":
            if message["kind"] == "started":
                worker = psutil.Process(message["pid"])
                pids.add(message["pid"])
                assert worker.children() == []
            if message["kind"] == "report":
                loaders.append(len(worker.children()))
                host.answer(answer)
    left = worker.children()
    host.close()
    assert len(pids) == 1
    assert set(loaders) == {4}
    assert left == []
