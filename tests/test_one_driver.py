"""One driver a search: one that slept while another took over writes nothing more, anywhere."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import closing, suppress
from pathlib import Path

import psutil
import pytest

from automl.errors import LeaseHeld
from automl.events import Event
from automl.ledger import Ledger
from automl.storage import TrialFolder, folders
from automl.trackers.base import Follower, Plan
from tests.test_outage import in_ledger, shown_in, until, whole
from tests.test_trackers import Book, complete, empty_mlflow, opened  # noqa: F401  a fixture

HERE = Path(__file__).resolve().parents[1]

# A driver that takes itself for one on another machine, with a short period.
ELSEWHERE = """
import sys
import automl.machine
automl.machine.machine_id = lambda: "another machine"
from automl.ledger import Ledger
begin, period_s = Ledger.lease, float(sys.argv.pop(1))
Ledger.lease = lambda self, name, **more: begin(self, name, period_s=period_s, **more)
"""
SEARCH = ELSEWHERE + "from automl.__main__ import main\nmain()\n"

# One that holds a lease until it is killed, on a machine whose clock jumps by a day at every look.
JUMPING = (
    ELSEWHERE
    + """
import time
now, days = time.time, iter(range(1, 10**9))
time.time = lambda: now() + (-1) ** next(days) * 86400 * next(days)
lease = Ledger(sys.argv[1]).lease("s")
print("held", flush=True)
sys.stdin.read()
"""
)


@pytest.fixture
def start() -> Iterator[Callable[..., subprocess.Popen[str]]]:
    """Starts Python programs, and kills with the test whoever is left of them."""
    made: list[psutil.Process] = []

    def begin(program: str, *words: str, cwd: Path = HERE) -> subprocess.Popen[str]:
        child = subprocess.Popen(
            [sys.executable, "-c", program, *words],
            cwd=cwd,
            env={**os.environ, "PYTHONPATH": str(HERE)},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        made.append(psutil.Process(child.pid))
        return child

    yield begin
    for process in made:
        with suppress(psutil.Error):
            family = process.children(recursive=True)
            for each in [process, *family]:
                each.kill()


def test_a_driver_that_slept_while_another_took_over_writes_nothing_anywhere(
    postgres: str,
    root: Path,
    empty_mlflow: Path,  # noqa: F811
    start: Callable[..., subprocess.Popen[str]],
) -> None:
    shutil.copy(empty_mlflow, root / "mlflow.db")
    words = ["search", "search_spaces/resumes.yaml", "--engine=local", f"--ledger={postgres}"]
    given = [
        "trainer.model=trainers.careful:careful",
        "budget.trials=6",
        "space.model.steps=8",
        "space.model.sleep=0.1",
        "tracking={experiment: x}",
    ]
    words += [f"--set={each}" for each in given]
    sleeper = start(SEARCH, "1.0", *words, cwd=root)
    until(lambda: reports(postgres) >= 6)
    family = psutil.Process(sleeper.pid).children(recursive=True)
    shows = [each for each in family if "automl.trackers" in " ".join(each.cmdline())]
    assert len(shows) == 1
    sleeper.send_signal(signal.SIGSTOP)

    second = subprocess.run(
        [sys.executable, "-m", "automl", *words],
        cwd=root,
        env={**os.environ, "PYTHONPATH": str(HERE)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert second.returncode == 0, second.stderr
    assert "waiting 1 s for its heartbeat before taking over" in second.stderr
    # What shows the first driver's search has seen by itself that it is another's.
    assert not [each for each in shows if each.is_running() and each.status() != psutil.STATUS_ZOMBIE]
    history = in_ledger(postgres, "resumes")
    files = listed(root / "runs")
    shown = shown_in(f"sqlite:///{root / 'mlflow.db'}", "x")

    sleeper.send_signal(signal.SIGCONT)
    _, complaint = sleeper.communicate(timeout=60)
    assert sleeper.returncode == 1
    assert "resumes: another driver has taken this search over" in complaint
    assert "Traceback" not in complaint
    psutil.wait_procs(family, timeout=20)
    assert not [each for each in family if each.is_running()]
    assert in_ledger(postgres, "resumes").n == history.n
    assert whole(history, trials=6, steps=8)
    assert listed(root / "runs") == files
    assert shown == {number: [*range(1, 9)] for number in range(6)}
    assert shown == shown_in(f"sqlite:///{root / 'mlflow.db'}", "x")


def reports(url: str) -> int:
    with suppress(Exception), closing(Ledger(url, create=False)) as ledger:
        return sum(event.kind == "reported" for event in ledger.events("resumes"))
    return 0


def listed(folder: Path) -> dict[str, float]:
    """Every file but the logs, which the last words of a worker may reach, and when it was written."""
    files = [path for path in folder.rglob("*") if path.is_file() and path.name != "log.txt"]
    return {str(path.relative_to(folder)): path.stat().st_mtime for path in files}


def test_a_worker_of_a_driver_that_slept_removes_no_checkpoint_of_a_later_step(tmp_path: Path) -> None:
    new, late = (TrialFolder(str(tmp_path), "s", 0, tmp_path / "scratch") for _ in range(2))
    for step in (4, 5, 8):
        new.put("checkpoint", step, lambda folder, n=step: (folder / "step").write_text(str(n)))  # type: ignore[misc]
    late.put("checkpoint", 6, lambda folder: (folder / "step").write_text("6"))
    kept = [place[-8:] for place in folders(new.url, "checkpoint")]
    assert kept == ["00000005", "00000006", "00000008"]
    new.put("checkpoint", 9, lambda folder: (folder / "step").write_text("9"))
    assert [place[-8:] for place in folders(new.url, "checkpoint")] == ["00000008", "00000009"]


def test_a_tracker_ends_when_its_drivers_lease_is_anothers(root: Path, empty_mlflow: Path) -> None:  # noqa: F811
    shutil.copy(empty_mlflow, root / "mlflow.db")
    book = Book(f"sqlite:///{root}/ledger.db")
    first = book.write(opened(), *complete(0, 0.5))
    plan = Plan(book.ledger.url, book.name, str(root), f"sqlite:///{root / 'mlflow.db'}", fence=1)
    follower = Follower(plan)
    follower.start()
    until(lambda: follower.cursor == first)
    book.write(*complete(1, 0.6))  # under the second lease
    until(lambda: follower.error is not None)
    assert "another driver has taken the search over" in str(follower.error)
    behind = follower.finish(timeout_s=20)
    assert behind is not None
    assert follower.cursor == first
    assert list(shown_in(f"sqlite:///{root / 'mlflow.db'}", "digits")) == [0]


def test_clocks_that_jump_change_nothing(
    postgres: str, start: Callable[..., subprocess.Popen[str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    child = start(JUMPING, "1.0", postgres)
    assert child.stdout is not None
    assert child.stdout.readline().strip() == "held"
    with closing(Ledger(postgres)) as ledger:
        now, begun = time.time, time.monotonic()
        monkeypatch.setattr(time, "time", lambda: now() + 86400 * (-1) ** int(time.monotonic() * 50))
        with pytest.raises(LeaseHeld):
            ledger.lease("s")
        child.kill()
        with ledger.lease("s") as lease:
            assert time.monotonic() - begun >= 1.0
            lease.append([Event("opened")])
            assert lease.fence == 2
