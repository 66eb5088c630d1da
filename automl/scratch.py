"""Private folders in the temporary directory, and what dead processes left: their folders, their workers.

Knows no trial. A folder says whose it is; what a host started carries the folder in its environment.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil

from automl import machine

# In the environment of a worker and of all that it starts: its socket, within its host's folder.
MARK = "AUTOML_SOCKET"
_OWNER = "owner.json"


def make(kind: str = "") -> Path:
    """A private folder (0700) of this process; sweeps first what dead processes left of theirs.

    A Unix socket's address has room for about 100 characters.
    """
    sweep()
    place = Path(tempfile.mkdtemp(prefix=f"automl-{kind}-" if kind else "automl-", dir=_parent()))
    pid = os.getpid()
    owner = {"pid": pid, "started_s": machine.process_started_s(pid), "machine": machine.machine_id()}
    beside = place / f"{_OWNER}.new"
    beside.write_text(json.dumps(owner))
    beside.rename(place / _OWNER)
    return place


@contextlib.contextmanager
def folder(kind: str) -> Iterator[Path]:
    """A folder to work in, which is gone afterwards, and swept where this process is killed.

    Args:
        kind: a word for its name.
    """
    place = make(kind)
    try:
        inner = place / "files"
        inner.mkdir()
        yield inner
    finally:
        shutil.rmtree(place, ignore_errors=True)


@contextlib.contextmanager
def lock(name: str) -> Iterator[None]:
    """What only one process of this user on this machine has at a time; the others wait.

    Its file is removed by whoever had it: who waited for that file sees so, and opens another.
    """
    path = lock_path(name)
    while (file := locked(path, fcntl.LOCK_EX)) is None:
        pass
    try:
        yield
    finally:
        path.unlink(missing_ok=True)
        os.close(file)


def lock_path(name: str) -> Path:
    """The file of a lock of this user's; `sweep` removes it while nobody has the lock."""
    return _parent() / f"automl-{name}-{os.getuid()}.lock"


def locked(path: Path, how: int) -> int | None:
    """The file, open and locked as `fcntl.flock` takes it; None where another has it or removed the file."""
    file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o600)
    with contextlib.suppress(BlockingIOError, FileNotFoundError):
        fcntl.flock(file, how)
        if os.path.samestat(os.fstat(file), path.stat()):
            return file
    os.close(file)
    return None


def sweep() -> None:
    """End the processes and remove the folders of this user's processes that are dead."""
    for place in _parent().glob("automl-*/"):
        if _orphaned(place):
            end_marked(place)
            shutil.rmtree(place, ignore_errors=True)
    for path in _parent().glob(f"automl-*-{os.getuid()}.lock"):
        with contextlib.suppress(OSError):
            if (file := locked(path, fcntl.LOCK_EX | fcntl.LOCK_NB)) is not None:
                path.unlink(missing_ok=True)
                os.close(file)


def end_marked(place: Path) -> None:
    """Kill this user's processes whose environment names a socket within the folder."""
    for process in _marked(place):
        with contextlib.suppress(psutil.Error):
            process.kill()


def _marked(place: Path) -> Iterator[psutil.Process]:
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error):
            mine = process.uids().real == os.getuid() and process.pid != os.getpid()
            if mine and process.environ().get(MARK, "").startswith(f"{place}{os.sep}"):
                yield process


def _orphaned(place: Path) -> bool:
    """Whether its owner was a process of this machine, and is dead. A folder of no owner is not ours."""
    try:
        if place.is_symlink() or place.stat().st_uid != os.getuid():
            return False
        owner: dict[str, Any] = json.loads((place / _OWNER).read_text())
        if owner["machine"] != machine.machine_id():
            return False
        return machine.process_started_s(owner["pid"]) != owner["started_s"]
    except (OSError, ValueError, KeyError, TypeError):
        return False


def _parent() -> Path:
    parent = tempfile.gettempdir()
    return Path(parent if len(parent) < 60 else "/tmp")
