"""Data prepared once on a node: by how many processes, for which arguments, and shared by whom."""

from __future__ import annotations

import json
import mmap
import os
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

import automl
from automl import data, once, shelf
from automl.engines.base import Message, Task
from automl.engines.local import Local
from automl.errors import AutoMLError
from automl.host import Host
from automl.run import run
from tests.test_watch import a_task, drive

ROOT = Path(__file__).parent / "project"
REPO = ROOT.parents[1]

CALL = """
import json, sys
from trainers.shared import numbers
found = numbers(**json.loads(sys.argv[1]))
first = float(found["x"][0, 0])
found["x"][:] = 7
print(json.dumps([first, list(found["names"])]))
"""


@pytest.fixture(autouse=True)
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where this test's preparations lie; nothing of another's is open."""
    monkeypatch.setenv("AUTOML_DATA", str(tmp_path / "kept"))
    monkeypatch.setenv("MARKS", str(tmp_path))
    monkeypatch.setattr(data, "_open", type(data._open)())
    monkeypatch.setattr(data, "_told", set())
    return tmp_path / "kept"


def caller(root: Path = ROOT, **given: Any) -> subprocess.Popen[str]:
    """A process that calls `numbers`, and writes into what it gets."""
    command = [sys.executable, "-c", CALL, json.dumps(given)]
    environment = {**os.environ, "PYTHONPATH": f"{root}:{REPO}"}
    pipe = subprocess.PIPE
    return subprocess.Popen(command, cwd=root, env=environment, stdout=pipe, stderr=pipe, text=True)


def heard(process: subprocess.Popen[str]) -> tuple[Any, str]:
    out, log = process.communicate(timeout=60)
    assert process.returncode == 0, log
    return json.loads(out), log


def marks(folder: Path, what: str = "prepared") -> int:
    """How often it was done."""
    file = folder / what
    return len(file.read_text().split()) if file.exists() else 0


def kept(place: Path) -> list[Path]:
    return sorted(path for path in place.iterdir() if path.is_dir() and not path.name.startswith("."))


# --- one preparation ------------------------------------------------------------------------------


def test_several_processes_that_call_at_once_have_it_prepared_once_and_get_the_same(
    tmp_path: Path, place: Path
) -> None:
    found = [heard(each) for each in [caller(sleep_s=1.0) for _ in range(4)]]
    assert marks(tmp_path) == 1
    assert len({str(value) for value, _ in found}) == 1
    assert found[0][0][1] == ["a", "b", "c"]
    waited = [log for _, log in found if "which prepares trainers.shared:numbers" in log]
    assert all(log.count("waits for process") == 1 for log in waited)
    assert sum("trainers.shared:numbers prepared" in log for _, log in found) == 1
    assert [path.name for path in place.iterdir()] == [kept(place)[0].name]
    assert place.stat().st_mode & 0o777 == 0o700


def test_a_preparer_that_is_killed_frees_the_lock_and_leaves_nothing_half(tmp_path: Path) -> None:
    killed = caller(sleep_s=1.0, kill=True)
    while not marks(tmp_path):
        time.sleep(0.02)
    waiting = caller(sleep_s=1.0, kill=True)
    assert killed.wait(60) == -9
    value, _ = heard(waiting)
    assert marks(tmp_path) == 2
    assert heard(caller(sleep_s=1.0, kill=True))[0] == value
    assert marks(tmp_path) == 2


def test_what_one_process_writes_into_it_no_other_sees(tmp_path: Path) -> None:
    first, second = heard(caller())[0], heard(caller())[0]
    assert first == second and first[0] != 7


def test_changed_code_prepares_anew_and_takes_the_place_of_what_was(tmp_path: Path, place: Path) -> None:
    root = Path(shutil.copytree(ROOT, tmp_path / "copy"))
    heard(caller(root))
    [before] = kept(place)
    heard(caller(root))
    assert marks(tmp_path) == 1
    source = root / "trainers" / "shared.py"
    source.write_text(source.read_text().replace("% 3", "% 2"))
    heard(caller(root))
    assert marks(tmp_path) == 2
    [after] = kept(place)
    assert after != before


def test_other_arguments_and_other_files_behind_them_prepare_anew(
    tmp_path: Path, place: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    counted = counting()
    file, folder = tmp_path / "set.csv", tmp_path / "sets"
    for given in ("no file", str(file), str(folder)):
        counted(given), counted(given)
    assert counted.calls == 3  # type: ignore[attr-defined]
    file.write_text("1,2")
    folder.mkdir()
    counted(str(file)), counted(str(file)), counted(str(folder))
    assert counted.calls == 5  # type: ignore[attr-defined]
    (folder / "a.csv").write_text("1")
    counted(str(folder)), counted(path=str(folder), size=2), counted(str(folder), size=3)
    assert counted.calls == 7  # type: ignore[attr-defined]
    assert len(kept(place)) == 4  # what was made of files that have changed is gone
    counted(str(tmp_path), size=4), counted(str(tmp_path), size=4)
    assert counted.calls == 8  # type: ignore[attr-defined]  # what is kept lies below it, and does not count
    assert "sized prepares anew: its code, or a file" in capfd.readouterr().err


calls: list[str] = []


@automl.prepared
def sized(path: str, size: int = 2) -> dict[str, Any]:
    calls.append(path)
    return {"x": np.arange(size)}


def counting() -> Callable[..., Any]:
    """`sized`, and how often it was computed from here on."""
    calls.clear()

    class Counted:
        def __call__(self, *args: Any, **kwargs: Any) -> Any:
            return sized(*args, **kwargs)

        @property
        def calls(self) -> int:
            return len(calls)

    return Counted()


# --- what comes back ------------------------------------------------------------------------------


@automl.prepared
def all_kinds() -> Any:
    table = pa.table({"a": [1, 2, 3], "b": ["x", None, "z"]})
    return {
        "floats": np.arange(6.0).reshape(2, 3),
        "columns": np.asfortranarray(np.arange(6).reshape(2, 3)),
        "strided": np.arange(20)[::2],
        "none": np.zeros((0, 3), np.float32),
        "one": np.array(4),
        "scalar": np.float32(2.5),
        "text": np.array(["ab", "c"]),
        "days": np.array(["2026-01-01"], dtype="datetime64[D]"),
        "record": np.array([(1, 2.0)], dtype=[("n", "i4"), ("v", "f8")]),
        "table": table,
        7: [(1, None), "a", True, {"deep": np.ones(1)}],
    }


def test_arrays_tables_and_values_come_back_as_they_were(tmp_path: Path, place: Path) -> None:
    made, again = all_kinds(), all_kinds()
    plain = all_kinds.__wrapped__()  # type: ignore[attr-defined]
    for found in (made, again):
        assert list(found) == list(plain)
        for name in ("floats", "columns", "strided", "none", "one", "text", "days", "record"):
            assert found[name].dtype == plain[name].dtype and np.array_equal(found[name], plain[name])
        assert found["scalar"] == np.float32(2.5) and isinstance(found["scalar"], np.float32)
        assert found["table"].equals(plain["table"])
        assert found[7][:3] == [(1, None), "a", True] and found[7][3]["deep"][0] == 1
    assert made["columns"].flags.f_contiguous
    suffixes = {path.suffix for path in kept(place)[0].iterdir()}
    assert suffixes == {".bin", ".arrow", ".json"}


def test_arrays_are_maps_of_a_file_and_a_table_takes_no_memory_of_its_own(tmp_path: Path) -> None:
    found = all_kinds()
    assert isinstance(found["floats"].base, mmap.mmap)
    before = pa.total_allocated_bytes()
    data._open.clear()
    assert all_kinds()["table"]["a"].to_pylist() == [1, 2, 3]
    assert pa.total_allocated_bytes() == before


def test_two_calls_of_a_process_do_not_see_what_the_other_wrote(tmp_path: Path) -> None:
    first, second = all_kinds(), all_kinds()
    first["floats"][:] = -1
    assert second["floats"][0].tolist() == all_kinds()["floats"][0].tolist() == [0.0, 1.0, 2.0]


def test_the_files_stay_open_when_they_are_removed(tmp_path: Path, place: Path) -> None:
    counted = counting()
    counted("a")
    shutil.rmtree(place)
    assert counted("a")["x"].tolist() == [0, 1]
    assert counted.calls == 1  # type: ignore[attr-defined]


@automl.prepared
def odd(kind: str) -> Any:
    values = {"set": {1}, "object": np.array([None]), "key": {(1, 2): 3}}
    return {"inner": [values[kind]]}


@pytest.mark.parametrize(
    ("kind", "words"),
    [
        ("set", r"it\['inner'\]\[0\] is of type builtins.set.*Return numpy arrays"),
        ("object", r"array of object, which cannot be kept without pickles. Turn it into numbers"),
        ("key", r"has the key \(1, 2\).*Take text or a number"),
    ],
)
def test_what_cannot_be_kept_is_told_with_its_place_and_the_mend(kind: str, words: str) -> None:
    with pytest.raises(AutoMLError, match=words):
        odd(kind)


def test_an_argument_that_json_cannot_hold_and_a_closure_are_refused() -> None:
    with pytest.raises(AutoMLError, match=r"test_data:sized: path is of type object\. Give text"):
        sized(object())  # type: ignore[arg-type]
    around = 3
    with pytest.raises(AutoMLError, match=r"reads around of the function around it\. Make"):

        @automl.prepared
        def inner() -> int:
            return around


# --- when something is wrong ----------------------------------------------------------------------


@pytest.mark.parametrize("harm", ["cut", "gone", "garbled"])
def test_damaged_files_are_noticed_and_prepared_anew(
    place: Path, harm: str, capfd: pytest.CaptureFixture[str]
) -> None:
    counted = counting()
    counted("a")
    [folder] = kept(place)
    if harm == "cut":
        os.truncate(folder / "arrays.bin", 100)
    elif harm == "gone":
        (folder / "arrays.bin").unlink()
    else:
        (folder / "tree.json").write_text("{")
    data._open.clear()
    assert counted("a")["x"].tolist() == [0, 1]
    assert counted.calls == 2  # type: ignore[attr-defined]
    assert "is damaged: " in capfd.readouterr().err


def test_where_nothing_can_be_written_it_is_computed_each_time_and_told_once(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setenv("AUTOML_DATA", str(tmp_path / "file" / "kept"))
    counted = counting()
    assert [counted("a")["x"].tolist() for _ in range(2)] == [[0, 1], [0, 1]]
    assert counted.calls == 2  # type: ignore[attr-defined]
    said = capfd.readouterr().err
    assert said.count("test_data:sized prepares cannot be kept") == 1
    assert "Make room there, or have AUTOML_DATA name another folder" in said


def test_a_full_disk_leaves_the_arrays_in_memory_and_no_half_of_them(place: Path) -> None:
    program = (
        "import resource, signal; signal.signal(signal.SIGXFSZ, signal.SIG_IGN);"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (4096, 4096));"
        "from tests.test_data import sized; print(sized('a', 100000)['x'].sum())"
    )
    environment = {**os.environ, "PYTHONPATH": str(REPO)}
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=REPO, env=environment, capture_output=True, text=True
    )
    assert done.stdout.split() == [str(sum(range(100000)))], done.stderr
    assert "cannot be kept" in done.stderr and "File too large" in done.stderr
    assert kept(place) == [] and not list(place.glob(".*"))


def test_what_nobody_used_for_two_weeks_and_what_is_over_the_limit_goes(
    place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sized("old")
    [old] = kept(place)
    os.utime(old, (time.time() - 15 * 86400,) * 2)
    sized("b", 10_000)
    assert old not in kept(place)
    [second] = kept(place)
    os.utime(second, (time.time() - 60,) * 2)
    monkeypatch.setenv("AUTOML_DATA_BYTES", "100000")
    sized("c", 10_000)
    assert second not in kept(place) and len(kept(place)) == 1
    monkeypatch.setenv("AUTOML_DATA_BYTES", "2 GB")
    with pytest.raises(AutoMLError, match=r"AUTOML_DATA_BYTES is '2 GB'. Give a whole number of bytes"):
        sized("d")


def test_without_a_place_of_ones_own_it_is_the_cache_or_else_the_temporary_folder(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.delenv("AUTOML_DATA")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    assert shelf.place() == tmp_path / "cache" / "automl" / "data"
    (tmp_path / "file").touch()
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    assert shelf.place() == tmp_path / f"automl-data-{os.getuid()}"
    assert shelf.place().stat().st_mode & 0o777 == 0o700


# --- signs of life --------------------------------------------------------------------------------


@pytest.fixture
def pulses(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    given: list[float] = []
    monkeypatch.setattr(once, "_pulse", lambda: given.append(time.monotonic()))
    monkeypatch.setattr(once, "SIGN_S", 0.1)
    return given


HANGS = """
import time
from automl import once

given = []
once._pulse, once.SIGN_S = lambda: given.append(1), 0.1
with once.at_work():
    time.sleep(0.3)
    given.clear()
    time.sleep(1.0)
print(len(given))
"""


def test_a_process_that_computes_gives_signs_of_life_and_one_that_hangs_gives_none(
    pulses: list[float],
) -> None:
    with once.at_work():
        until_s = time.monotonic() + 1.0
        while time.monotonic() < until_s:
            sum(range(1000))
    assert pulses
    # In a process of its own: this one may have a Ray, whose processes are never quite idle.
    done = subprocess.run([sys.executable, "-c", HANGS], capture_output=True, text=True, timeout=60)
    assert done.stdout.split() == ["0"], done.stderr


def test_a_process_that_waits_gives_signs_of_life_and_says_for_whom(
    pulses: list[float], tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    holds = threading.Event()

    def hold() -> None:
        with once.locked(tmp_path / "lock", "counts"):
            holds.set()
            while len(pulses) < 3:
                time.sleep(0.01)

    holder = threading.Thread(target=hold)
    holder.start()
    holds.wait()
    with once.locked(tmp_path / "lock", "counts") as mine:
        assert mine and len(pulses) >= 3
    holder.join()
    assert capfd.readouterr().err == f"--- waits for process {os.getpid()}, which counts\n"


# --- trials ---------------------------------------------------------------------------------------


@pytest.fixture
def host() -> Iterator[Host]:
    host = Host(str(ROOT), 1)
    yield host
    host.close()


def shared_task(folder: Path, trial: int, **more: Any) -> Task:
    task = a_task(folder, "train", trial, **more)
    return Task(**{**task.to_plain(), "model": "trainers.shared:train"})


def report(messages: list[Message]) -> dict[str, float]:
    assert messages[-1]["outcome"] == "complete", messages[-1]
    return next(dict(each["metrics"]) for each in messages if each["kind"] == "report")


def test_trials_of_a_worker_open_it_once_and_find_it_as_it_was(
    host: Host, tmp_path: Path, place: Path
) -> None:
    first = report(drive(host, shared_task(tmp_path, 0)))
    shutil.rmtree(place)  # whoever opened it again would have to prepare it again
    later = [report(drive(host, shared_task(tmp_path, n))) for n in (1, 2)]
    assert marks(tmp_path) == 1
    assert {each["pid"] for each in later} == {first["pid"]}
    assert {each["total"] for each in later} == {first["total"]} and first["first"] != -1
    # Whether a trial was the one that prepared it makes no difference to what it draws.
    assert {(each["drawn"], each["after"]) for each in later} == {(first["drawn"], first["after"])}


def test_a_long_preparation_is_no_hang(host: Host, tmp_path: Path) -> None:
    task = shared_task(tmp_path, 0, silence_s=1.5, model_sleep_s=4.0)
    assert drive(host, task)[-1]["outcome"] == "complete"


def lightning_search(folder: Path, data: str) -> automl.Search:
    return automl.Search(
        name="prepared",
        objective=automl.Objective("val_loss", "minimize"),
        trainer=automl.Trainer(
            "lightning",
            "trainers.tiny_lightning:TinyNet",
            f"trainers.shared_lightning:{data}",
            {"max_epochs": 1},
        ),
        space={
            "model.lr": automl.Float(0.01, 0.1),
            "data.batch_size": automl.Choice([16, 32]),
        },
        budget=automl.Budget(trials=4),
        search={"sampler": "random", "pruner": "none"},
        storage=str(folder / "runs"),
        ledger=f"sqlite:///{folder}/ledger.db",
        tracking=False,
    )


def ran(search: automl.Search) -> list[Any]:
    outcome = run(search, engine=Local(str(ROOT), cpus=2))
    return list(outcome.history.trials.values())


def test_prepare_data_is_called_once_for_two_workers_and_all_trials_of_a_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(ROOT)
    trials = ran(lightning_search(tmp_path, "Marked"))
    assert [trial.state for trial in trials] == ["COMPLETE"] * 4
    assert len({trial.attempts[0].pid for trial in trials}) == 2
    assert marks(tmp_path) == 1


def prepares(host: Host, folder: Path, trial: int, data: str, again: str = "", **given: Any) -> list[Message]:
    arguments = {"data": given, "fit": {"max_epochs": 1}}
    task = a_task(folder, "none", trial, framework="lightning")
    names = {"model": "trainers.tiny_lightning:TinyNet", "data": f"trainers.shared_lightning:{data}"}
    objective = {"metric": "val_loss", "direction": "minimize", "value": "last"}
    facts = {**task.to_plain(), **names, "arguments": arguments, "objectives": (objective,)}
    return drive(host, Task(**{**facts, "run": f"{os.getpid()}{again}"}))


def test_a_prepare_data_that_fails_is_called_again_and_one_that_sets_attributes_in_every_trial(
    host: Host, tmp_path: Path
) -> None:
    failed = prepares(host, tmp_path, 0, "Marked", fails=True)[-1]
    assert failed["error"] == "OSError: the server is away"
    for trial in (1, 2):
        assert prepares(host, tmp_path, trial, "Marked", fails=True)[-1]["outcome"] == "complete"
    assert marks(tmp_path) == 2
    prepares(host, tmp_path, 5, "Marked", fails=True, again="another run")
    assert marks(tmp_path) == 3
    for trial in (3, 4):
        assert prepares(host, tmp_path, trial, "Careless")[-1]["outcome"] == "complete"
    assert marks(tmp_path) == 5
    log = (tmp_path / "tiny" / "trials" / "3" / "log.txt").read_text()
    assert "Careless prepare_data sets seen: it is called in every trial. Set them in setup" in log


# --- Keras ----------------------------------------------------------------------------------------


def test_keras_is_handed_large_arrays_in_batches_and_judges_the_same(tmp_path: Path) -> None:
    """Keras itself makes a tensor of all of them."""
    import keras

    from automl.frameworks import keras_feed
    from automl.frameworks.keras import Fed

    rows = keras_feed.LARGE_BYTES // 8 // 1024 + 100
    x = large_rows(rows)["x"]
    y = (np.arange(rows) % 3).astype("int64")
    fed = Fed(((x[:64], y[:64]), (x, y)), {"epochs": 1, "validation_batch_size": 1000}, seed=1)
    feed = fed.fit["validation_data"]
    assert isinstance(feed, keras_feed.Feed) and isinstance(x.base, mmap.mmap)
    assert np.shares_memory(feed._arrays[0], x) and np.shares_memory(fed.train[0], x)
    assert feed[0][0].dtype == np.float32

    small = Fed(((x[:64], y[:64]), (x[:64], y[:64])), {"epochs": 1}, seed=1)
    assert isinstance(small.fit["validation_data"], tuple)

    keras.utils.set_random_seed(1)
    model = keras.Sequential([keras.Input((1024,)), keras.layers.Dense(3)])
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(optimizer="sgd", loss=loss, metrics=["accuracy"])
    judged = model.evaluate(feed, verbose=0)
    assert judged == model.evaluate(x, y, batch_size=1000, verbose=0)


@automl.prepared
def large_rows(rows: int) -> dict[str, np.ndarray]:
    return {"x": np.random.default_rng(0).random((rows, 1024))}
