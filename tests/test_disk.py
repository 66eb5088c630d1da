"""Disks that are full, read-only or gone: on real, small file systems, through a real worker."""

from __future__ import annotations

import os
import resource
import shutil
import signal
import subprocess
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from automl.engines.base import Answer, Message
from automl.errors import InputError, LedgerError, StorageError
from automl.events import Event
from automl.host import Host
from automl.ledger import Ledger
from automl.run import run as run_search
from automl.search import Resources, Search, Trainer
from automl.specfile import load
from automl.storage import TrialFolder, held, probe
from automl.why import explain, lines
from tests.test_engines import Watcher, a_search, states
from tests.test_frameworks import CPUS, ROOT, SUBJECTS, Attempt, checkpoint_of, cut_off, runner

SUMS, FITS = "trainers.keeps:sums", "trainers.keeps:fits_after"
Mount = Callable[[str], Path]


@pytest.fixture(scope="module")
def host() -> Iterator[Host]:
    host = Host(str(ROOT), CPUS)
    yield host
    host.close()


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of one megabyte."""
    place = tmp_path / "disk"
    place.mkdir()
    said = _mount("-t", "tmpfs", "-o", "size=1m", "tmpfs", str(place))
    if said.returncode:
        pytest.skip(f"a file system can be mounted by root alone: {said.stderr.strip()}")
    try:
        yield place
    finally:
        subprocess.run(["umount", str(place)], check=True)


@pytest.fixture
def run(host: Host, disk: Path) -> Callable[..., Attempt]:
    return runner(host, SUBJECTS["function"], disk)


def _mount(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(["mount", *arguments], capture_output=True, text=True)


def fill(disk: Path) -> Path:
    """Take all the room that is left."""
    ballast = disk / "ballast"
    with pytest.raises(OSError), ballast.open("wb", buffering=0) as stream:
        while True:
            stream.write(bytes(4096))
    return ballast


def test_training_goes_on_without_a_checkpoint_that_the_disk_has_no_room_for(
    run: Callable[..., Attempt], disk: Path
) -> None:
    def fills(message: Message) -> None:
        if message["kind"] == "report" and message["step"] == 2:
            fill(disk)

    attempt = run(model=SUMS, model_={"kb": 50}, seen=fills)
    assert attempt.ended["outcome"] == "complete"
    assert attempt.steps == [1, 2, 3, 4, 5]
    written, told = attempt.of("checkpointed")[:2], attempt.of("checkpointed")[2:]
    assert [message["step"] for message in written] == [1, 2]
    [failed] = told  # said once
    assert (failed["step"], failed["path"]) == (2, written[1]["path"])
    said = f"cannot write checkpoint of step 3 to {attempt.folder}: No space left on device. Make room there"
    assert failed["error"].startswith(said)
    assert [place for _, place in held(str(disk), "tiny")] == [each["path"] for each in written]

    (disk / "ballast").unlink()
    again = run(model=SUMS, attempt=2, checkpoint=failed["path"], step=2, reported=5)
    assert again.started["resumed_step"] == 2
    assert again.steps == [3, 4, 5]


def test_a_checkpoint_that_has_room_again_is_written_and_the_next_lack_is_told_anew(
    run: Callable[..., Attempt], disk: Path
) -> None:
    def fills(message: Message) -> None:
        if message["kind"] == "report" and message["step"] in (1, 3):
            fill(disk)
        elif message["kind"] == "report" and message["step"] == 2:
            (disk / "ballast").unlink()

    attempt = run(model=SUMS, model_={"kb": 50}, seen=fills)
    told = [(message["step"], "error" in message) for message in attempt.of("checkpointed")]
    assert told == [(1, False), (1, True), (3, False), (3, True)]
    assert attempt.ended["outcome"] == "complete"


def test_weights_without_room_are_the_machines_failure_and_the_next_attempt_may_have_it(
    run: Callable[..., Attempt], disk: Path
) -> None:
    ballast = fill(disk)
    attempt = run(model=FITS, model_={"talk_kb": 100})
    assert attempt.ended["outcome"] == "failed"
    assert attempt.ended["cause"] == "machine"
    said = f"StorageError: cannot write weights of step 1 to {attempt.folder}: No space left on device. Make"
    assert attempt.ended["error"].startswith(said)
    assert attempt.steps == [1]  # its log has no room either, which is no reason to fail
    ballast.unlink()
    again = run(model=FITS, attempt=2, reported=1)
    assert again.ended["outcome"] == "complete"
    assert again.started["pid"] == attempt.started["pid"]


@pytest.mark.parametrize("framework", ["lightning", "keras"])
def test_a_frameworks_own_error_on_a_full_disk_is_the_disks(
    framework: str, disk: Path, request: pytest.FixtureRequest
) -> None:
    with_host = Host(str(ROOT), CPUS)
    request.addfinalizer(with_host.close)
    run = runner(with_host, SUBJECTS[framework], disk)

    def fills(message: Message) -> None:
        if message["kind"] == "report" and message["step"] == 1:
            fill(disk)

    attempt = run({2: Answer.STOP}, seen=fills)
    assert attempt.ended["outcome"] == "stopped"
    [failed] = attempt.of("checkpointed")
    assert "No space left on device" in failed["error"]
    assert (failed["step"], failed["path"]) == (0, None)
    ended = run(trial=1).ended
    assert (ended["outcome"], ended["cause"]) == ("failed", "machine")
    assert "No space left on device" in ended["error"]


def test_a_storage_that_turned_read_only_is_told_with_its_mend_and_keeps_what_it_has(
    run: Callable[..., Attempt], disk: Path
) -> None:
    first = run({2: Answer.STOP}, model=SUMS)
    assert _mount("-o", "remount,ro", str(disk)).returncode == 0
    resumed: dict[str, Any] = {"attempt": 2, "checkpoint": checkpoint_of(first), "step": 2, "reported": 2}
    attempt = run(model=SUMS, **resumed)
    assert attempt.steps == [3, 4, 5]
    assert attempt.ended["outcome"] == "complete"  # it keeps no weights: nothing of it was indispensable
    [failed] = attempt.of("checkpointed")
    assert "Read-only file system. Mount it writable, or name another storage" in failed["error"]

    other = run(trial=1, model=SUMS)
    assert (other.ended["outcome"], other.ended["cause"]) == ("failed", "machine")
    assert f"cannot make {disk}/tiny/trials/1: Read-only file system. Mount it" in other.ended["error"]
    assert _mount("-o", "remount,rw", str(disk)).returncode == 0
    assert run(trial=1, model=SUMS).ended["outcome"] == "complete"


def test_a_storage_that_vanishes_is_made_anew_and_costs_the_way_back_to_the_start(
    host: Host, tmp_path: Path
) -> None:
    run = runner(host, SUBJECTS["function"], tmp_path / "runs")

    def vanishes(message: Message) -> None:
        if message["kind"] == "report" and message["step"] == 2:
            shutil.rmtree(tmp_path / "runs")

    first = run({4: Answer.STOP}, seen=vanishes, model=SUMS)
    assert [message["step"] for message in first.of("checkpointed")] == [1, 2, 3, 4]
    shutil.rmtree(tmp_path / "runs")
    again = run(model=SUMS, attempt=2, checkpoint=checkpoint_of(first), step=4, reported=4)
    assert (again.started["resumed_step"], again.steps) == (0, [1, 2, 3, 4, 5])
    assert "is not there any more" in again.started["skipped"][0]
    assert [loss["loss"] for _, loss in again.curve] == [n * (n + 1) / 2 for n in range(1, 6)]


def test_check_tells_a_full_and_a_read_only_storage(disk: Path) -> None:
    ballast = fill(disk)
    assert probe(str(disk), "s") == f"{disk}: No space left on device"
    ballast.unlink()
    assert probe(str(disk), "s") is None
    assert _mount("-o", "remount,ro", str(disk)).returncode == 0
    assert probe(str(disk), "s") == f"{disk}: Read-only file system"


def test_a_limit_on_the_size_of_files_is_told_as_one(tmp_path: Path) -> None:
    folder = TrialFolder(str(tmp_path), "s", 0, tmp_path)
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (4096, hard))
    try:
        with pytest.raises(StorageError, match=r"File too large. Raise the limit .*ulimit -f"):
            folder.put("weights", 1, lambda into: (into / "w").write_bytes(os.urandom(8192)))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert list(folder.local.iterdir()) == []


# --- whole searches --------------------------------------------------------------------------


def test_a_search_says_in_its_ledger_which_checkpoint_it_really_went_on_from(
    root: Path,
) -> None:
    def plan() -> Search:
        return a_search("quadratic", 1, trainer=Trainer("function", SUMS), resources=Resources(parallel=1))

    def interrupts(event: Event) -> None:
        if event.kind == "reported" and event.data["step"] == 3:
            os.kill(os.getpid(), signal.SIGINT)

    first, watcher = Watcher(interrupts), Watcher()
    stopped = run_search(plan(), "local", view=first)
    assert stopped.signal == signal.SIGINT
    newest = stopped.history.trials[0].checkpoint
    assert newest is not None
    cut_off(Path(newest))

    outcome = run_search(plan(), "local", view=watcher)
    assert states(outcome) == {"COMPLETE": 1}
    (trial,) = outcome.history.trials.values()
    step = int(newest.rpartition("-")[2])
    assert trial.attempts[-1].resumed_step == step - 1
    assert [report.step for report in trial.reports] == [1, 2, 3, 4, 5]
    x = trial.params["model.x"]
    assert [report.metrics["loss"] - x for report in trial.reports] == pytest.approx([1, 3, 6, 10, 15])
    repeats = [event.data["step"] for event in watcher.events if event.data.get("repeat")]
    assert repeats == list(range(step, len(stopped.history.trials[0].reports) + 1))
    [started] = [event for event in watcher.events if event.kind == "started"]
    [why] = started.data["skipped"]
    assert why.startswith(f"{newest} is not whole: sum.txt has ")
    told = "\n".join(lines(explain("tiny", [*first.events, *watcher.events], 0, plan().to_plain())))
    assert f"from the checkpoint of step {step - 1}" in told
    assert f"  {why}\n" in told


def test_weights_that_were_damaged_before_they_were_published_are_told_with_the_mend(
    root: Path,
) -> None:
    said: list[str] = []

    class Damages(Watcher):
        def event(self, event: Event) -> None:
            if event.kind == "ended":
                cut_off(Path(event.data["weights"]))

        def say(self, text: str) -> None:
            said.append(text)

    search = a_search("quadratic", 1, trainer=Trainer("function", FITS), space={})
    outcome = run_search(search, "local", view=Damages())
    assert outcome.exit_code == 0
    assert outcome.history.published is not None
    error = outcome.history.published["error"]
    assert "is not whole: " in error
    assert "put its parameters into start_with" in error
    assert any(f"trial 0 is the best, but its model cannot be published: {error}" in line for line in said)


# --- files that were half written ------------------------------------------------------------


def test_a_search_file_that_is_cut_off_anywhere_is_read_or_is_a_fault_with_its_place(tmp_path: Path) -> None:
    whole = (ROOT / "search_spaces" / "quadratic.yaml").read_bytes()
    file, faulty = tmp_path / "cut.yaml", 0
    for size in range(len(whole)):
        file.write_bytes(whole[:size])
        try:
            load(file)
        except InputError as error:
            faulty += 1
            assert all(fault.line and fault.mend for fault in error.faults), size
    assert faulty > len(whole) / 2


def test_a_ledger_that_is_cut_off_anywhere_is_an_error_with_its_mend(tmp_path: Path) -> None:
    whole, cut = tmp_path / "whole.db", tmp_path / "cut.db"
    with closing(Ledger(f"sqlite:///{whole}")) as book:
        lease = book.lease("s")
        asked = {"params": {}, "trainer": "t", "source": "grid", "sampler": "grid", "pad": "y" * 500}
        lease.append([Event("opened"), *(Event("asked", n, None, asked) for n in range(60))])
        lease.release()
    size = whole.stat().st_size
    for kept in (10, 50, 100, 1000, 4096, size // 3, size // 2, size - 4096, size - 1):
        shutil.copy(whole, cut)
        os.truncate(cut, kept)
        with (
            pytest.raises(
                LedgerError, match=r"(not a database|malformed|cut off or garbled).*\. \w+"
            ) as told,
            closing(Ledger(f"sqlite:///{cut}")) as book,
        ):
            list(book.events("s"))
        assert str(cut) in str(told.value) or "event " in str(told.value), kept
        for litter in tmp_path.glob("cut.db-*"):
            litter.unlink()


def test_a_log_that_is_cut_off_or_gone_keeps_nothing_from_going_on(host: Host, tmp_path: Path) -> None:
    run = runner(host, SUBJECTS["function"], tmp_path)
    first = run({2: Answer.STOP}, model=SUMS)
    (first.folder / "log.txt").write_bytes("--- é".encode()[:5])
    resumed: dict[str, Any] = {"attempt": 2, "checkpoint": checkpoint_of(first), "step": 2, "reported": 2}
    assert run(model=SUMS, **resumed).ended["outcome"] == "complete"
    assert b"--- attempt 2" in (first.folder / "log.txt").read_bytes()
