"""What a written folder holds, in sizes and digests, so that a damaged one is seen. Local files only.

`MANIFEST.json` lies in the folder itself: `{"schema": 1, "files": {"a/b": {"bytes": 3, "blake2b": "..."}}}`.
"""

from __future__ import annotations

import errno
import hashlib
import json
import os
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

MANIFEST = "MANIFEST.json"
_READ_BYTES = 1 << 20
_AT_ONCE = 8


def seal(folder: Path) -> list[str]:
    """Write the folder's manifest and bring all of it to the disk, so that a rename makes it whole.

    Returns:
        The files' paths below the folder, the manifest not among them.
    """
    names = files_of(folder)
    facts = {name: _facts(folder / name) for name in names}
    (folder / MANIFEST).write_text(json.dumps({"schema": 1, "files": facts}))
    # All at once: a file system that keeps a journal writes it once for all of them, else once for each.
    with ThreadPoolExecutor(_AT_ONCE) as threads:
        list(threads.map(to_disk, [folder, *folder.rglob("*")]))
    return names


def files_of(folder: Path) -> list[str]:
    """The paths of a folder's files below it, the manifest not among them."""
    found = (str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())
    return sorted(name for name in found if name != MANIFEST)


def flaw(folder: Path) -> str | None:
    """What is wrong with a folder that was sealed; None for a whole one.

    One without a manifest is of an earlier version, which wrote none: it is taken as it is.
    """
    try:
        text = (folder / MANIFEST).read_text()
    except FileNotFoundError:
        return None if folder.is_dir() else "it is not there any more"
    try:
        listed = listing(text)
    except ValueError as error:
        return str(error)
    for name, facts in listed.items():
        if wrong := _wrong(folder / name, facts):
            return f"{name} {wrong}"
    return None


def listing(text: str | bytes) -> dict[str, Mapping[str, Any]]:
    """The files of a manifest with what is known of each; nothing is, where an earlier version wrote it.

    Raises:
        ValueError: the text is no manifest.
    """
    try:
        plain = json.loads(text)
        if isinstance(plain, list):
            return {str(name): {} for name in plain}
        return {str(name): dict(facts) for name, facts in plain["files"].items()}
    except (ValueError, KeyError, TypeError, AttributeError):
        raise ValueError(f"{MANIFEST} is cut off or garbled") from None


def to_disk(path: Path) -> None:
    """Have a file's contents, or a folder's entries, on the disk when this returns."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    except OSError as error:
        # Some mounted object stores know no such thing for a folder.
        if error.errno not in (errno.EINVAL, errno.ENOTSUP) or not path.is_dir():
            raise
    finally:
        os.close(handle)


def _facts(file: Path) -> dict[str, Any]:
    return {"bytes": file.stat().st_size, "blake2b": _digest(file)}


def _wrong(file: Path, facts: Mapping[str, Any]) -> str | None:
    if not file.is_file():
        return "is missing"
    size = file.stat().st_size
    if "bytes" in facts and size != facts["bytes"]:
        return f"has {size} bytes, {facts['bytes']} were written"
    if "blake2b" in facts and _digest(file) != facts["blake2b"]:
        return "has other contents than were written"
    return None


def _digest(file: Path) -> str:
    digest = hashlib.blake2b(digest_size=16)
    with file.open("rb") as stream:
        while block := stream.read(_READ_BYTES):
            digest.update(block)
    return digest.hexdigest()
