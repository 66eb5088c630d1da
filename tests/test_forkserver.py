"""Workers that are forked off a process which has imported what they need."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from automl import forkserver, guard
from automl.engines.base import Message
from automl.forkserver import Forkserver
from automl.host import Host
from automl.process import WorkerProcess, shared_environment
from tests.test_watch import PATIENCE_S, a_task, drive

# The server's program, with an import that does something else.
OTHER_IMPORT = """
import threading, time
from automl import preloaded

def starts_a_thread(name):
    threading.Thread(target=time.sleep, args=(600,), daemon=True).start()

def starts_one_that_looks_after_itself(name):
    import pyarrow

def fails(name):
    raise ImportError("libcudart.so.12: cannot open shared object file")

preloaded.framework = {how}
preloaded.main()
"""
ADDRESS = "trainers.tiny_function:quadratic"


def pid_of(worker: WorkerProcess) -> int:
    """The worker's own pid, once it serves."""
    deadline_s = time.monotonic() + PATIENCE_S
    while not (said := worker.receive(1.0)):
        assert said is not None, worker.tail()
        assert time.monotonic() < deadline_s
    return int(said[0]["pid"])


def server_of(pid: int) -> psutil.Process:
    """What a worker was forked off: the process above its two guards."""
    return psutil.Process(pid).parents()[2]


class Source:
    """Gives workers that are forked off one server."""

    def __init__(self, server: Forkserver, root: Path, place: Path) -> None:
        self._server, self._root, self._place = server, root, place

    def take(
        self, framework: str = "function", ranks: int = 1, gpus: float = 0, devices: str = ""
    ) -> WorkerProcess:
        size = 1, gpus, devices
        return WorkerProcess.spawn(framework, *size, str(self._root), self._place, ranks, server=self._server)


@pytest.fixture
def server(root: Path, tmp_path: Path) -> Iterator[Forkserver]:
    server = Forkserver("function", str(root), shared_environment(1), tmp_path / "server.log")
    yield server
    server.close()


@pytest.fixture
def source(server: Forkserver, root: Path, tmp_path: Path) -> Source:
    return Source(server, root, tmp_path)


def test_a_fork_trains_as_any_worker(source: Source, root: Path, tmp_path: Path) -> None:
    host = Host(str(root), 1, source=source)
    messages = drive(host, a_task(tmp_path, "", model=ADDRESS, root=str(root)))
    assert server_of(messages[0]["pid"]).ppid() == os.getpid()
    assert messages[-1]["outcome"] == "complete"
    host.close()


def test_forks_see_the_code_as_it_is_when_they_are_forked(source: Source, root: Path) -> None:
    def signature() -> str:
        host = Host(str(root), 1, source=source)
        trainer = {"framework": "function", "model": "trainers.moving:train"}
        found = host.inspect({"t": trainer}, PATIENCE_S)["t"]
        host.close()
        return str(found)

    code = root / "trainers" / "moving.py"
    code.write_text("def train(trial, first): ...\n")
    assert "first" in signature()
    code.write_text("def train(trial, second, third): ...\n")
    assert "third" in signature()


def test_a_fork_has_a_session_a_log_and_devices_of_its_own(
    source: Source, root: Path, tmp_path: Path
) -> None:
    worker = source.take(gpus=0.5, devices="3")
    pid = pid_of(worker)
    assert os.getsid(pid) not in (os.getsid(0), os.getsid(server_of(pid).pid))
    assert os.readlink(f"/proc/{pid}/fd/0") == os.devnull
    assert os.readlink(f"/proc/{pid}/fd/1") == str(worker.log)
    task = a_task(tmp_path, "", model="trainers.probe_function:environment", root=str(root))
    worker.send({"op": "run", "task": {**task.to_plain(), "arguments": {"model": {}}}})
    said: list[Message] = []
    while not said or said[-1]["kind"] not in ("report", "ended"):
        said += worker.receive(1.0) or []
    assert said[0]["device"] == "cuda:3"
    worker.kill()


def test_how_a_fork_died_is_told_and_no_other_feels_it(source: Source) -> None:
    first, second = source.take(), source.take()
    os.kill(pid_of(first), signal.SIGSEGV)
    while first.receive(1.0) is not None:
        pass
    assert first.died() == "killed by SIGSEGV"
    assert psutil.pid_exists(pid_of(second))
    assert second.kill() == "exit code 0"


def test_forks_outlive_their_server_and_the_next_worker_is_started_without_it(source: Source) -> None:
    worker = source.take()
    pid = pid_of(worker)
    server = server_of(pid)
    server.kill()
    server.wait(PATIENCE_S)
    later = source.take()
    assert psutil.Process(pid_of(later)).parents()[2].pid == os.getpid()
    time.sleep(guard.LOOK_S + 1)  # in which guards look for whom they depend on
    assert psutil.pid_exists(pid)
    for each in (worker, later):
        assert each.kill() == "exit code 0"


def test_one_that_is_not_born_yet_is_given_up_at_once_and_ends_by_itself(
    server: Forkserver, source: Source
) -> None:
    os.kill(server.pid, signal.SIGSTOP)
    worker = source.take()
    assert worker.kill() == "killed by SIGKILL"
    os.kill(server.pid, signal.SIGCONT)
    later = source.take()
    assert server_of(pid_of(later)).pid == server.pid
    later.kill()
    deadline_s = time.monotonic() + PATIENCE_S
    while children := psutil.Process(server.pid).children(recursive=True):
        assert time.monotonic() < deadline_s, children
        time.sleep(0.05)


def test_a_server_that_dies_before_the_birth_costs_the_worker(server: Forkserver, source: Source) -> None:
    os.kill(server.pid, signal.SIGSTOP)
    worker = source.take()
    os.kill(server.pid, signal.SIGKILL)
    while worker.receive(0.1) is not None:
        pass
    assert worker.died() == "killed by SIGKILL"


@pytest.mark.parametrize(
    ("how", "forks"),
    [("starts_a_thread", False), ("fails", False), ("starts_one_that_looks_after_itself", True)],
)
def test_where_importing_leaves_a_thread_behind_or_fails_nothing_is_forked(
    how: str, forks: bool, root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (root / "other_import.py").write_text(OTHER_IMPORT.format(how=how))
    monkeypatch.setattr(forkserver, "PROGRAM", "other_import")
    server = Forkserver("function", str(root), shared_environment(1), tmp_path / "server.log")
    worker = Source(server, root, tmp_path).take()
    process = psutil.Process(pid_of(worker))
    assert (process.cmdline() == psutil.Process(server.pid).cmdline()) is forks
    assert (process.cmdline()[1:] == ["-m", "automl.worker"]) is not forks  # with an import of its own
    assert server_of(process.pid).pid == server.pid
    assert worker.kill() == "exit code 0"
    server.close()
