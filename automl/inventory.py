"""What lies in the storage of one search: a listing in as few requests as can be, and whole or not.

Knows no ledger: what should lie there is for others to say.
"""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

from automl import manifest, storage
from automl.errors import StorageError
from automl.manifest import MANIFEST

# By the trial folder's name: what lies in it, and for an object store whether it has its manifest.
Inventory = dict[str, dict[str, bool]]


def trials(place: str, name: str) -> Inventory:
    """What lies in the folders of a search's trials.

    Args:
        place: the storage, a local folder or fsspec URL.
        name: the search.

    Raises:
        StorageError: the storage cannot be read.
    """
    url = storage.join(place, name, "trials")
    try:
        return _remote(url) if storage.is_remote(place) else _local(storage.local_path(url))
    except FileNotFoundError:
        return {}
    except Exception as error:  # each fsspec backend raises its own vendor's exceptions
        raise StorageError(f"cannot list {url}: {error}") from error


def _local(folder: str) -> Inventory:
    with os.scandir(folder) as entries:
        numbers = [entry.name for entry in entries if entry.is_dir()]
    return {number: dict.fromkeys(os.listdir(f"{folder}/{number}"), True) for number in numbers}


def _remote(url: str) -> Inventory:
    found: Inventory = {}
    for path in storage.sizes(url):
        number, _, rest = path.partition("/")
        name, _, inner = rest.partition("/")
        folder = found.setdefault(number, {})
        folder[name] = folder.get(name, False) or not inner or inner == MANIFEST
    return found


def exists(place: str) -> bool:
    """Whether there is a folder, or on an object store anything below it."""
    if not storage.is_remote(place):
        return Path(place).is_dir()
    return bool(storage.sizes(place))


def flaw(place: str, deep: bool = False) -> str | None:
    """What is wrong with a folder that was written; None for a whole one.

    Args:
        place: a path or URL.
        deep: read every file and compare its digest; otherwise names and sizes only.
    """
    try:
        if deep:
            with tempfile.TemporaryDirectory(prefix="automl-fsck-") as scratch:
                storage.fetch(place, Path(scratch))
            return None
        return _shallow_flaw(place)
    except StorageError as error:
        return str(error)
    except Exception as error:  # each fsspec backend raises its own vendor's exceptions
        return f"it cannot be read: {error}"


def _shallow_flaw(place: str) -> str | None:
    sizes = storage.sizes(place)
    if not sizes:
        return "it is not there"
    if MANIFEST not in sizes:
        # A local folder of an earlier version has none: it is taken as it is.
        return f"it has no {MANIFEST}" if storage.is_remote(place) else None
    try:
        listed = manifest.listing(storage.read(storage.join(place, MANIFEST)))
    except ValueError as error:
        return str(error)
    for name, facts in listed.items():
        if name not in sizes:
            return f"{name} is missing"
        if sizes[name] != facts.get("bytes", sizes[name]):
            return f"{name} has {sizes[name]} bytes, {facts['bytes']} were written"
    return None
