"""Where a trial's files lie, and how they get there whole. Owns every path below the storage.

A local folder or any fsspec URL. Folders are written beside and then renamed; on an object store,
which cannot rename, a manifest is written last and a folder without one does not exist. The manifest
tells a damaged folder from a whole one.
"""

from __future__ import annotations

import contextlib
import errno
import os
import re
import shutil
import tempfile
import uuid
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from automl import credentials
from automl.errors import BrokenFolder, StorageError
from automl.manifest import MANIFEST, flaw, listing, seal, to_disk
from automl.urls import mask_url

# How many folders of a kind are kept. The ledger hears of a checkpoint only after it was written: until
# then an attempt that is killed goes on from the one before.
_KEPT = {"checkpoint": 2}
# What somebody can do about a system's refusal.
_MENDS = {
    errno.ENOSPC: "Make room there, or name another storage",
    errno.EDQUOT: "Make room there, or name another storage",
    errno.EROFS: "Mount it writable, or name another storage",
    errno.EACCES: "Let this user write there, or name another storage",
    errno.EPERM: "Let this user write there, or name another storage",
    errno.EFBIG: "Raise the limit on the size of a file (ulimit -f)",
}
_MEND = "See that the storage is there and can be written"
_ERRNO = re.compile(r"errno (?:= )?(\d+)", re.IGNORECASE)
_HELD = re.compile(r"/trials/(\d+)/(\.?(?:checkpoint|weights)-[0-9a-f]+(?:-old)?)(?:/|$)")
# A framework's own exception is the disk's fault where not even so much can be written.
_ROOM_BYTES = 1 << 20
_PROBE_BYTES = 1 << 16


class TrialFolder:
    """`STORAGE/NAME/trials/N`: the log, the last checkpoint, the weights.

    Args:
        storage: local folder or fsspec URL.
        name: the search.
        trial: the trial's number.
        scratch: a local folder of this process, for what must be local first.

    Raises:
        StorageError: there can be no such folder.
    """

    def __init__(self, storage: str, name: str, trial: int, scratch: Path) -> None:
        self.url = trial_url(storage, name, trial)
        self.remote = is_remote(storage)
        self._scratch = scratch
        self.local = scratch / f"trial-{trial}" if self.remote else Path(self.url)
        try:
            self.local.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise StorageError(refusal(f"make {self.local}", error)) from error

    @property
    def log(self) -> Path:
        """The trial's log on this machine; `send_log` brings it to a remote storage."""
        return self.local / "log.txt"

    def send_log(self) -> None:
        if self.remote and self.log.exists():
            _filesystem(self.url).put_file(str(self.log), join(self.url, "log.txt"))

    def put(self, kind: str, step: int, write: Callable[[Path], object]) -> str:
        """`fill` and `keep` in one."""
        return self.keep(kind, step, self.fill(kind, step, write))

    def fill(self, kind: str, step: int, write: Callable[[Path], object]) -> Path:
        """Write a folder that is none yet.

        Args:
            kind: `checkpoint` or `weights`.
            step: the step that it holds.
            write: fills the local folder that it is given.

        Returns:
            That folder, for `keep`.

        Raises:
            StorageError: nothing was kept of it; what was there before still is.
        """
        beside = self.local / f".{kind}-{uuid.uuid4().hex[:8]}"
        with self._or_nothing(kind, step, beside):
            beside.mkdir(parents=True)  # the storage may have gone since, and come back
            _fill(beside, write)
        return beside

    def keep(self, kind: str, step: int, beside: Path) -> str:
        """Bring a filled folder to the storage, whole. Any thread may.

        Then forget the older ones of its kind, of checkpoints all but one.

        Returns:
            Where it lies: a path or URL.

        Raises:
            StorageError: as above.
        """
        with self._or_nothing(kind, step, beside):
            place = self._publish(beside, f"{kind}-{step:08d}")
        shutil.rmtree(beside, ignore_errors=True)
        with contextlib.suppress(Exception):  # what should go may stay: the next one takes it along
            forget(self.url, kind, keep=_kept(self.url, kind, place))
        return place

    @contextlib.contextmanager
    def _or_nothing(self, kind: str, step: int, beside: Path) -> Iterator[None]:
        """What cannot be written leaves nothing, and says what the system said."""
        try:
            yield
        except BaseException as error:
            shutil.rmtree(beside, ignore_errors=True)
            if not isinstance(error, OSError):
                raise
            act = f"write {kind} of step {step} to {mask_url(self.url)}"
            raise StorageError(refusal(act, error)) from error

    def _publish(self, beside: Path, name: str) -> str:
        place, names = join(self.url, name), seal(beside)
        if self.remote:
            _upload(beside, names, place)
            return place
        target, old = Path(place), beside.with_name(f"{beside.name}-old")
        if target.exists():
            target.rename(old)
        os.rename(beside, target)
        to_disk(target.parent)
        shutil.rmtree(old, ignore_errors=True)
        return place


def refusal(act: str, error: OSError) -> str:
    """What could not be done, the system's own word for why, and what to do about it."""
    number = error.errno
    if number is None and (inside := _ERRNO.search(str(error))):  # shutil's and HDF5's own errors
        number = int(inside[1])
    why = os.strerror(number) if number else str(error)
    return f"cannot {act}: {why}. {_MENDS.get(number or 0, _MEND)}"


def _fill(folder: Path, write: Callable[[Path], object]) -> None:
    """Have a framework write; a full disk comes out as such, however the framework puts it."""
    try:
        write(folder)
    except OSError:
        raise
    except Exception as error:
        try:
            (folder / ".room").write_bytes(bytes(_ROOM_BYTES))
            to_disk(folder / ".room")
        except OSError as full:
            raise full from error
        raise


def _upload(folder: Path, names: Sequence[str], place: str) -> None:
    """The folder's files, and last its manifest; what lay there before is gone first."""
    files = _filesystem(place)
    try:
        remove(place)
        for name in names:
            files.put_file(str(folder / name), join(place, name))
        files.pipe_file(join(place, MANIFEST), (folder / MANIFEST).read_bytes())
    except OSError:
        raise
    except Exception as error:  # each fsspec backend raises its own vendor's exceptions
        raise OSError(f"{type(error).__name__}: {error}") from error


def _kept(url: str, kind: str, newest: str) -> list[str]:
    """The names of those that stay: the newest, and as many before it as the kind wants.

    A checkpoint of a later step than the newest is another driver's: this one may be the worker of a
    driver that slept while the trial went on elsewhere. It goes with the others when the trial ends.
    """
    names = [last_part(place) for place in folders(url, kind)]
    later = [name for name in names if name > last_part(newest) and kind == "checkpoint"]
    older = [name for name in names if name < last_part(newest)]
    before = _KEPT.get(kind, 1) - 1
    return [last_part(newest), *later, *(older[-before:] if before else [])]


def forget(url: str, kind: str, keep: Sequence[str] = ()) -> None:
    """Remove the folders of a kind below a trial's folder, and what a killed writer left of them.

    Args:
        url: the trial's folder.
        kind: `checkpoint` or `weights`.
        keep: names of folders that stay.
    """
    for place in folders(url, kind):
        if last_part(place) not in keep:
            remove(place)
    if not is_remote(url):
        for litter in Path(url).glob(f".{kind}-*"):
            shutil.rmtree(litter, ignore_errors=True)


def last_part(place: str) -> str:
    """The name of a folder or file at the end of a path or URL."""
    return place.rstrip("/").rpartition("/")[2]


def trial_url(storage: str, name: str, trial: int) -> str:
    """Where a trial's files lie: `STORAGE/NAME/trials/N`."""
    return join(storage if is_remote(storage) else local_path(storage), name, "trials", str(trial))


def join(*parts: str) -> str:
    """Path or URL parts with single slashes between them."""
    return "/".join([parts[0].rstrip("/"), *(part.strip("/") for part in parts[1:])])


def is_remote(storage: str) -> bool:
    """Whether the storage is an fsspec URL of something else than local files."""
    return "://" in storage and not storage.startswith(("file://", "local://"))


def local_path(storage: str) -> str:
    """A local storage as a plain path: `file:///x` becomes `/x`."""
    return re.sub(r"^(file|local)://", "", storage)


def folders(url: str, kind: str) -> list[str]:
    """The whole folders of a kind below a trial's folder, oldest step first."""
    if not is_remote(url):
        found = sorted(Path(url).glob(f"{kind}-[0-9]*"))
        return [str(path) for path in found if path.is_dir()]
    files = _filesystem(url)
    if not files.exists(url):
        return []
    found_names = sorted(Path(entry).name for entry in files.ls(url, detail=False, refresh=True))
    places = [join(url, name) for name in found_names if re.fullmatch(rf"{kind}-\d+", name)]
    return [place for place in places if files.exists(join(place, MANIFEST))]


def held(storage: str, name: str) -> Iterator[tuple[int, str]]:
    """Every checkpoint and every weights that a search has in a storage, whole or not, by trial."""
    top = join(storage if is_remote(storage) else local_path(storage), name, "trials")
    if is_remote(storage):
        files = _filesystem(top)
        found = files.find(top) if files.exists(top) else []
    else:
        found = [str(path) for path in Path(top).glob("*/*-*")]
    seen = {match.groups() for path in found if (match := _HELD.search(path))}
    for number, folder in sorted(seen):
        yield int(number), join(top, number, folder)


def step_of(place: str) -> int:
    """The step that a folder holds, from its name."""
    return int(last_part(place).rpartition("-")[2])


def fetch(place: str, scratch: Path) -> Path:
    """A folder of the storage as a local one; a local folder is returned as it is.

    Raises:
        BrokenFolder: it is not there, or is not what was written.
        StorageError: the storage cannot be read now.
    """
    local = _download(place, scratch) if is_remote(place) else Path(place)
    try:
        wrong = flaw(local)
    except OSError as error:
        wrong = f"it cannot be read: {error.strerror or error}"
    if wrong is None:
        return local
    if is_remote(place):
        shutil.rmtree(local, ignore_errors=True)
    raise BrokenFolder(f"{mask_url(place)} is not whole: {wrong}")


def _download(place: str, scratch: Path) -> Path:
    try:
        scratch.mkdir(parents=True, exist_ok=True)
        target = Path(tempfile.mkdtemp(dir=scratch))
    except OSError as error:
        raise StorageError(refusal(f"write to {scratch}", error)) from error
    try:
        files = _filesystem(place)
        text = files.cat_file(join(place, MANIFEST))
        (target / MANIFEST).write_bytes(text)
        for name in listing(text):
            (target / name).parent.mkdir(parents=True, exist_ok=True)
            files.get_file(join(place, name), str(target / name))
    except Exception as error:  # each fsspec backend raises its own vendor's exceptions
        shutil.rmtree(target, ignore_errors=True)
        if isinstance(error, FileNotFoundError):
            raise BrokenFolder(f"{mask_url(place)} is not whole, or not there any more: {error}") from error
        if isinstance(error, ValueError):
            raise BrokenFolder(f"{mask_url(place)} is not whole: {error}") from error
        raise StorageError(f"cannot read {mask_url(place)}: {error}. {_MEND}") from error
    return target


def read(place: str, start: int = 0) -> bytes:
    """A file's contents from a byte on, the local one's or the URL's; none where it is shorter.

    Raises:
        FileNotFoundError, OSError, ImportError, ValueError: as fsspec has them.
    """
    import fsspec

    with fsspec.open(place, "rb") as file:
        if start:
            file.seek(start)
        return bytes(file.read())


def sizes(place: str) -> dict[str, int]:
    """The files below a folder by their path from there, with their bytes; none where there is none."""
    if is_remote(place):
        files = _filesystem(place)
        root = files._strip_protocol(place).rstrip("/")
        found = files.find(root, detail=True, refresh=True)
        return {path[len(root) + 1 :]: facts["size"] or 0 for path, facts in found.items()}
    below = Path(local_path(place))
    paths = (Path(folder, name) for folder, _, names in os.walk(below) for name in names)
    return {str(path.relative_to(below)): path.stat().st_size for path in paths}


def remove(place: str) -> None:
    """Remove a folder; one that is gone already is fine."""
    if not is_remote(place):
        shutil.rmtree(place, ignore_errors=True)
        return
    files = _filesystem(place)
    manifest = join(place, MANIFEST)
    if files.exists(manifest):
        files.rm(manifest)  # first: without it the folder does not exist, however far this gets
    if files.exists(place):
        files.rm(place, recursive=True)


def probe(storage: str, name: str) -> str | None:
    """Whether the storage can be written; None, or what is wrong. Leaves nothing behind."""
    folder = Path(local_path(storage)).absolute()
    try:
        if is_remote(storage):
            files = _filesystem(storage)
            file = join(storage, f".{name}-{uuid.uuid4().hex[:8]}")
            files.pipe_file(file, b"")
            files.rm(file)
            return None
        while not folder.exists():
            folder = folder.parent
        if not folder.is_dir():
            return f"{folder} is no folder"
        with tempfile.TemporaryFile(dir=folder) as ballast:
            ballast.write(bytes(_PROBE_BYTES))
            ballast.flush()  # a full disk takes an empty file
            return None
    except OSError as error:
        what = error.strerror or str(error)
        return credentials.scrubbed(what if is_remote(storage) else f"{folder}: {what}", storage)
    except Exception as error:  # each fsspec backend raises its own vendor's exceptions
        return credentials.scrubbed(f"{type(error).__name__}: {error}", storage)


@contextlib.contextmanager
def passing(storage: str) -> Iterator[str]:
    """A name to write under as if it were a search's; the storage is as it was afterwards."""
    name = f".check-{uuid.uuid4().hex[:8]}"
    folder = Path(local_path(storage)).absolute()
    made = [] if is_remote(storage) else [each for each in (folder, *folder.parents) if not each.exists()]
    try:
        yield name
    finally:
        if is_remote(storage):
            files, place = _filesystem(storage), join(storage, name)
            with contextlib.suppress(Exception):  # what was written there was never said to be kept
                files.rm(place, recursive=True)
        else:
            shutil.rmtree(folder / name, ignore_errors=True)
        with contextlib.suppress(OSError):  # others may have begun to use it
            for each in made:
                each.rmdir()


@contextlib.contextmanager
def letter(storage: str, name: str) -> Iterator[str]:
    """A file that whoever shares this storage can read, and answer by one beside it."""
    place = join(storage if is_remote(storage) else local_path(storage), name, "letter")
    if not is_remote(storage):
        Path(place).parent.mkdir(parents=True)
    _write(place, uuid.uuid4().hex.encode())
    yield place


def answer(letter: str, who: str) -> str | None:
    """Read a letter and write beside it what it says; None, or what is wrong."""
    try:
        _write(f"{letter}-{who}", read(letter))
    except Exception as error:  # each fsspec backend raises its own vendor's exceptions
        return _reason(error)
    return None


def unanswered(letter: str, who: str) -> str | None:
    """What is wrong with an answer; None where it says what the letter says."""
    try:
        same = read(f"{letter}-{who}") == read(letter)
    except Exception as error:  # each fsspec backend raises its own vendor's exceptions
        return _reason(error)
    return None if same else "it is not what was written"


def _write(place: str, content: bytes) -> None:
    if is_remote(place):
        _filesystem(place).pipe_file(place, content)
    else:
        Path(place).write_bytes(content)


def _reason(error: Exception) -> str:
    if isinstance(error, OSError) and error.strerror:
        return mask_url(error.strerror)
    return mask_url(f"{type(error).__name__}: {error}")


def _filesystem(url: str):  # type: ignore[no-untyped-def]  # fsspec has no types
    import fsspec

    # A listing that is kept would be of before another process wrote or removed something.
    return fsspec.core.url_to_fs(url, use_listings_cache=False)[0]
