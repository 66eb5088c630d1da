"""A trial's files: whole or absent, on a local disk and behind an fsspec URL."""

from __future__ import annotations

import json
import shutil
import uuid
from collections.abc import Callable
from pathlib import Path

import fsspec
import pytest

from automl import storage
from automl.errors import BrokenFolder, StorageError
from automl.storage import TrialFolder, fetch, folders, probe, remove

Folder = Callable[..., TrialFolder]


@pytest.fixture(params=["path", "file", "memory", "s3"])
def place(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """A storage: a plain folder, the same as a URL, or a remote one that cannot rename."""
    if request.param == "s3":
        return str(request.getfixturevalue("s3"))
    names = {"path": f"{tmp_path}/runs", "file": f"file://{tmp_path}/runs"}
    return names.get(request.param, f"memory://{uuid.uuid4().hex}/runs")


@pytest.fixture
def folder(place: str, tmp_path: Path) -> TrialFolder:
    return TrialFolder(place, "digits", 7, tmp_path / "scratch")


def writing(text: str) -> Callable[[Path], None]:
    def write(into: Path) -> None:
        (into / "deep").mkdir()
        (into / "deep" / "weights.bin").write_text(text)
        (into / "step.txt").write_text(text)

    return write


def text_of(place: str, tmp_path: Path) -> str:
    local = fetch(place, tmp_path)
    assert (local / "step.txt").read_text() == (local / "deep" / "weights.bin").read_text()
    return (local / "step.txt").read_text()


def names(folder: TrialFolder, kind: str) -> list[str]:
    return [place.rpartition("/")[2] for place in folders(folder.url, kind)]


def test_what_was_put_can_be_fetched(folder: TrialFolder, tmp_path: Path) -> None:
    written = folder.put("checkpoint", 3, writing("three"))
    assert text_of(written, tmp_path) == "three"
    assert names(folder, "checkpoint") == ["checkpoint-00000003"]


def test_weights_forget_the_older_ones_and_checkpoints_all_but_one(folder: TrialFolder) -> None:
    for step in (1, 2, 10):
        folder.put("weights", step, writing("w"))
        folder.put("checkpoint", step, writing("c"))
    assert names(folder, "weights") == ["weights-00000010"]
    assert names(folder, "checkpoint") == ["checkpoint-00000002", "checkpoint-00000010"]


def test_a_checkpoint_of_a_later_step_stays_until_it_is_passed(folder: TrialFolder) -> None:
    for step in (3, 9):
        folder.put("checkpoint", step, writing("first attempt"))
    folder.put("checkpoint", 6, writing("second attempt, from 3"))
    assert names(folder, "checkpoint") == [f"checkpoint-0000000{step}" for step in (3, 6, 9)]
    folder.put("checkpoint", 10, writing("second attempt"))
    assert names(folder, "checkpoint") == ["checkpoint-00000009", "checkpoint-00000010"]


def test_the_same_step_twice_is_the_later_one(folder: TrialFolder, tmp_path: Path) -> None:
    folder.put("weights", 3, lambda into: (into / "only-once").touch())
    written = folder.put("weights", 3, writing("again"))
    assert text_of(written, tmp_path) == "again"
    assert not (fetch(written, tmp_path) / "only-once").exists()


@pytest.mark.parametrize("error", [OSError("disk full"), RuntimeError("no tensor")])
def test_a_write_that_fails_leaves_what_was_there(
    folder: TrialFolder, tmp_path: Path, error: Exception
) -> None:
    written = folder.put("checkpoint", 3, writing("three"))

    def fails(into: Path) -> None:
        writing("half")(into)
        raise error

    with pytest.raises(StorageError if isinstance(error, OSError) else RuntimeError):
        folder.put("checkpoint", 4, fails)
    assert text_of(written, tmp_path) == "three"
    assert names(folder, "checkpoint") == ["checkpoint-00000003"]
    assert [path.name for path in folder.local.glob(".*")] == []


def test_what_a_killed_writer_left_goes_with_the_next_write(tmp_path: Path) -> None:
    folder = TrialFolder(str(tmp_path), "digits", 7, tmp_path)
    (folder.local / ".checkpoint-0badcafe").mkdir()
    folder.put("checkpoint", 1, writing("one"))
    assert [path.name for path in folder.local.iterdir()] == ["checkpoint-00000001"]


def test_a_storage_written_with_superfluous_slashes_keeps_what_was_put(tmp_path: Path) -> None:
    folder = TrialFolder(f"{tmp_path}//runs/./", "digits", 7, tmp_path)
    written = folder.put("weights", 1, writing("one"))
    assert text_of(written, tmp_path) == "one"


def test_a_remote_folder_without_its_manifest_does_not_exist(tmp_path: Path) -> None:
    place = f"memory://{uuid.uuid4().hex}"
    folder = TrialFolder(place, "digits", 7, tmp_path)
    written = folder.put("checkpoint", 3, writing("three"))
    fsspec.filesystem("memory").rm(f"{written}/MANIFEST.json")
    assert folders(folder.url, "checkpoint") == []
    with pytest.raises(StorageError):
        fetch(written, tmp_path)


def test_an_upload_that_breaks_off_leaves_the_older_checkpoint(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = TrialFolder(f"memory://{uuid.uuid4().hex}", "digits", 7, tmp_path)
    folder.put("checkpoint", 3, writing("three"))
    memory = type(fsspec.filesystem("memory"))

    def breaks(*_: object) -> None:
        raise ConnectionError("away")

    monkeypatch.setattr(memory, "pipe_file", breaks)
    with pytest.raises(StorageError, match=r"cannot write checkpoint of step 4 .*: away"):
        folder.put("checkpoint", 4, writing("four"))
    monkeypatch.undo()
    assert names(folder, "checkpoint") == ["checkpoint-00000003"]


DAMAGE: dict[str, tuple[Callable[[Path], object], str]] = {
    "a bit turned": (lambda folder: (folder / "step.txt").write_text("4hree"), "step.txt has other contents"),
    "cut off": (
        lambda folder: (folder / "deep" / "weights.bin").write_text("t"),
        "weights.bin has 1 bytes, 5 were written",
    ),
    "a file gone": (lambda folder: (folder / "deep" / "weights.bin").unlink(), "weights.bin is missing"),
    "a manifest cut off": (
        lambda folder: (folder / "MANIFEST.json").write_text('{"schema": 1, "fi'),
        "MANIFEST.json is cut off or garbled",
    ),
    "an empty manifest": (
        lambda folder: (folder / "MANIFEST.json").write_text(""),
        "MANIFEST.json is cut off or garbled",
    ),
    "all gone": (lambda folder: shutil.rmtree(folder), "it is not there any more"),
}


@pytest.mark.parametrize("damage", list(DAMAGE))
def test_a_folder_that_is_not_what_was_written_is_not_read(tmp_path: Path, damage: str) -> None:
    folder = TrialFolder(str(tmp_path), "digits", 7, tmp_path)
    written = Path(folder.put("checkpoint", 3, writing("three")))
    act, told = DAMAGE[damage]
    act(written)
    with pytest.raises(BrokenFolder, match="is not whole") as broken:
        fetch(str(written), tmp_path)
    assert told in str(broken.value)


def test_a_remote_file_that_is_not_what_was_written_is_not_read(tmp_path: Path) -> None:
    folder = TrialFolder(f"memory://{uuid.uuid4().hex}", "digits", 7, tmp_path)
    written = folder.put("checkpoint", 3, writing("three"))
    scratch = tmp_path / "fetched"
    files = fsspec.filesystem("memory")
    files.pipe_file(f"{written}/step.txt", b"thre")
    with pytest.raises(BrokenFolder, match=r"step.txt has 4 bytes, 5 were written"):
        fetch(written, scratch)
    files.rm(f"{written}/step.txt")
    with pytest.raises(BrokenFolder):
        fetch(written, scratch)
    assert list(scratch.iterdir()) == []


def test_a_remote_storage_that_is_away_is_not_a_broken_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = TrialFolder(f"memory://{uuid.uuid4().hex}", "digits", 7, tmp_path)
    written = folder.put("checkpoint", 3, writing("three"))

    def breaks(*_: object) -> None:
        raise ConnectionError("away")

    monkeypatch.setattr(type(fsspec.filesystem("memory")), "cat_file", breaks)
    with pytest.raises(StorageError, match=r"cannot read .*: away") as away:
        fetch(written, tmp_path)
    assert not isinstance(away.value, BrokenFolder)


def test_folders_of_a_version_without_digests_are_read_as_they_are(
    folder: TrialFolder, tmp_path: Path
) -> None:
    written = folder.put("checkpoint", 3, writing("three"))
    if folder.remote:
        names = json.dumps(["deep/weights.bin", "step.txt"]).encode()
        fsspec.filesystem("memory").pipe_file(f"{written}/MANIFEST.json", names)
    else:
        (Path(written) / "MANIFEST.json").unlink()
    assert text_of(written, tmp_path) == "three"


def test_a_storage_that_has_gone_in_between_is_made_anew(tmp_path: Path) -> None:
    folder = TrialFolder(f"{tmp_path}/runs", "digits", 7, tmp_path)
    folder.put("checkpoint", 3, writing("three"))
    shutil.rmtree(tmp_path / "runs")
    assert text_of(folder.put("checkpoint", 4, writing("four")), tmp_path) == "four"


def test_a_missing_folder_is_an_error(folder: TrialFolder, tmp_path: Path) -> None:
    with pytest.raises(StorageError):
        fetch(storage.join(folder.url, "checkpoint-00000001"), tmp_path)
    assert folders(folder.url, "checkpoint") == []


def test_forgetting_is_complete_and_may_be_repeated(folder: TrialFolder) -> None:
    written = folder.put("checkpoint", 1, writing("one"))
    folder.put("checkpoint", 2, writing("two"))
    folder.put("weights", 2, writing("two"))
    for _ in range(2):
        storage.forget(folder.url, "checkpoint")
        remove(written)
    assert (names(folder, "checkpoint"), names(folder, "weights")) == ([], ["weights-00000002"])


def test_the_log_reaches_the_storage(folder: TrialFolder, place: str) -> None:
    folder.log.write_text("hello")
    folder.send_log()
    url = storage.join(place, "digits", "trials", "7", "log.txt")
    assert fsspec.open(url, "rt").open().read() == "hello"


def test_a_storage_that_can_be_written_is_fine_and_stays_empty(place: str, tmp_path: Path) -> None:
    before = sorted(tmp_path.rglob("*"))
    assert probe(place, "digits") is None
    assert sorted(tmp_path.rglob("*")) == before
    if place.startswith("memory://"):
        assert fsspec.filesystem("memory").find(place) == []


def test_a_storage_that_cannot_be_written_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    assert f"{tmp_path}/file is no folder" in (probe(f"{tmp_path}/file/runs", "digits") or "")
    assert "ValueError: Protocol not known" in (probe("nowhere://x", "digits") or "")
    with pytest.raises(StorageError, match=r"cannot make .*/7: Not a directory"):
        TrialFolder(f"{tmp_path}/file", "digits", 7, tmp_path)
