"""Where preparations of data lie on a node, and which of them go. Knows nothing of what is in them.

A folder that a process has open may be removed all the same: on Linux its files live until they are closed.
"""

from __future__ import annotations

import contextlib
import errno
import os
import shutil
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from automl.errors import AutoMLError

PLACE, LIMIT = "AUTOML_DATA", "AUTOML_DATA_BYTES"
# What nobody has used for so long goes; what was used within the last hour is not taken for its room.
UNUSED_S, IN_USE_S = 14 * 86400.0, 3600.0
# What a killed writer left is as old as this when it goes; no writer takes so long.
LITTER_S = 86400.0
_NEW = ".new"
_NETWORK = frozenset(
    {"nfs", "nfs4", "cifs", "smb3", "smbfs", "lustre", "ceph", "glusterfs", "gpfs", "beegfs"}
)


def place() -> Path:
    """This user's folder on this node; made where it is not there, for nobody else to look into.

    `AUTOML_DATA`; else `automl/data` of the user's cache folder, unless that lies on another machine or
    cannot be written; else a folder of the temporary one.

    Raises:
        OSError: none of them can be used.
    """
    if given := os.environ.get(PLACE):
        return _own(Path(given).expanduser().absolute())
    with contextlib.suppress(OSError, RuntimeError):  # RuntimeError: a user without a home
        cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
        if not _remote(cache):
            return _private(_own(cache / "automl" / "data"))
    return _private(_own(Path(tempfile.gettempdir(), f"automl-data-{os.getuid()}")))


def _own(folder: Path) -> Path:
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    if folder.stat().st_uid != os.getuid():
        raise PermissionError(errno.EACCES, "it is another user's", str(folder))
    return folder


def _private(folder: Path) -> Path:
    """Nobody else's, and one that can be written: a place that nobody named may be any other instead."""
    if folder.is_symlink() or not os.access(folder, os.W_OK):
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(folder))
    if folder.stat().st_mode & 0o077:
        folder.chmod(0o700)
    return folder


def _remote(path: Path) -> bool:
    """Whether it lies on a file system of the network (Linux; elsewhere not known)."""
    try:
        mounts = [line.split()[1:3] for line in Path("/proc/self/mounts").read_text().splitlines()]
    except OSError:
        return False
    above = [(len(at), kind) for at, kind in mounts if path.resolve().is_relative_to(at)]
    return max(above, default=(0, ""))[1] in _NETWORK


def beside(folder: Path) -> Path:
    """An empty folder to write into before it becomes `folder`; what a killed writer left there is gone."""
    new = folder.with_name(f".{folder.name}{_NEW}")
    shutil.rmtree(new, ignore_errors=True)
    new.mkdir(mode=0o700)
    return new


def use(folder: Path) -> None:
    """Note that it was used just now."""
    with contextlib.suppress(OSError):
        os.utime(folder)


def make_room(shelf: Path, wanted_bytes: int) -> None:
    """Remove what was used longest ago, but not lately, until the disk has room.

    Raises:
        OSError: it has none all the same.
    """
    for _, folder in _by_use(shelf, IN_USE_S):
        if shutil.disk_usage(shelf).free > wanted_bytes:
            return
        _remove(folder)
    free_bytes = shutil.disk_usage(shelf).free
    if free_bytes <= wanted_bytes:
        what = f"{wanted_bytes} bytes are needed, {free_bytes} are free"
        raise OSError(errno.ENOSPC, f"{os.strerror(errno.ENOSPC)}: {what}", str(shelf))


def tidy(newest: Path, kin: str, limit_bytes: int | None) -> None:
    """Remove what a new preparation has made needless.

    That is: what was made of the same arguments by other code or from other files; what nobody has used
    for two weeks; and, beyond `AUTOML_DATA_BYTES`, what was used longest ago. The newest stays.

    Args:
        newest: the folder of the new one.
        kin: what the names of the folders of the same function and arguments begin with.
        limit_bytes: see `limit`.
    """
    shelf = newest.parent
    for litter in shelf.glob(f".*{_NEW}"):
        if _age_s(litter) > LITTER_S:
            _remove(litter)
    for folder in list(_folders(shelf)):
        if folder != newest and folder.name.startswith(f"{kin}-"):
            _remove(folder)
    for age_s, folder in _by_use(shelf):
        if age_s > UNUSED_S and folder != newest:
            _remove(folder)
    if limit_bytes is None:
        return
    total_bytes = sum(_size(folder) for _, folder in _by_use(shelf))
    for _, folder in _by_use(shelf):
        if total_bytes > limit_bytes and folder != newest:
            total_bytes -= _size(folder)
            _remove(folder)


def limit() -> int | None:
    """The bytes that all preparations may take, as `AUTOML_DATA_BYTES` says; None without it.

    Raises:
        AutoMLError: it is no number.
    """
    said = os.environ.get(LIMIT)
    if not said:
        return None
    if not said.isdigit():
        raise AutoMLError(f"{LIMIT} is {said!r}. Give a whole number of bytes, such as 50000000000")
    return int(said)


def _by_use(shelf: Path, unused_s: float = 0.0) -> list[tuple[float, Path]]:
    """The age of each preparation's last use, and the preparation; the oldest first."""
    ages = [(_age_s(folder), folder) for folder in _folders(shelf)]
    return sorted((each for each in ages if each[0] >= unused_s), reverse=True)


def _folders(shelf: Path) -> Iterator[Path]:
    return (path for path in shelf.iterdir() if path.is_dir() and not path.name.startswith("."))


def _age_s(path: Path) -> float:
    try:
        return max(0.0, time.time() - path.stat().st_mtime)
    except OSError:  # another process has just removed it
        return 0.0


def _size(folder: Path) -> int:
    with contextlib.suppress(OSError):
        return sum(path.stat().st_size for path in folder.iterdir())
    return 0


def _remove(folder: Path) -> None:
    """Out of sight first: nobody sees half of it."""
    gone = folder.with_name(f".{folder.name.strip('.')}-{os.getpid()}{_NEW}")
    with contextlib.suppress(OSError):
        folder.rename(gone)
    shutil.rmtree(gone, ignore_errors=True)
