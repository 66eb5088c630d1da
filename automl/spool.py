"""Rows that wait on disk for the ledger while its database is away. Knows no SQL and no event.

A file of JSON lines: first what they follow on, then one line an append, so that an append waits whole
or not at all. The file is there only while something waits.
"""

from __future__ import annotations

import contextlib
import json
import os
from collections import deque
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from itertools import count
from pathlib import Path
from typing import Any

from automl import storage
from automl.errors import LedgerError

SCHEMA = 1
Row = dict[str, Any]


@dataclass(frozen=True)
class Header:
    """What waiting rows follow on.

    Args:
        search: its name.
        ledger: its URL, the password masked.
        fence, token: the lease of the driver that wrote them.
        host: where that driver ran.
    """

    search: str
    ledger: str
    fence: int
    token: str
    host: str


@dataclass(frozen=True)
class Found:
    """What an earlier driver left waiting: `header` is None where the file is no whole spool."""

    path: Path
    header: Header | None
    rows: Sequence[Row]


class Spool:
    """Keeps rows in order on disk.

    Args:
        path: the file; made with the first rows, removed when the last are handed on.
        header: its first line.
    """

    def __init__(self, path: Path, header: Header) -> None:
        self.path, self._header = path, header
        self._file: int | None = None
        self._size = 0
        # Of each append that waits: where its line begins, its bytes, its rows.
        self._lines: deque[tuple[int, int, int]] = deque()

    def __len__(self) -> int:
        """How many rows wait."""
        return sum(rows for _, _, rows in self._lines)

    def add(self, rows: Sequence[Row]) -> None:
        """Keep the rows of one append; they are on the disk when this returns.

        Raises:
            OSError: nothing was kept of them.
        """
        file = self._opened()
        head = b"" if self._size else _line({"schema": SCHEMA, **asdict(self._header)})
        line = _line(list(rows))
        try:
            os.ftruncate(file, self._size)  # what an append that failed has left
            _write(file, head + line, self._size)
            os.fsync(file)
        except OSError:
            with contextlib.suppress(OSError):
                os.ftruncate(file, self._size)
            raise
        self._lines.append((self._size + len(head), len(line), len(rows)))
        self._size += len(head) + len(line)

    def oldest(self, most: int) -> tuple[list[Row], int]:
        """The rows of the appends that have waited longest, and how many appends these are.

        Args:
            most: no further append is added to so many rows.
        """
        found: list[Row] = []
        lines = list(self._lines)
        for taken, (start, length, _) in enumerate(lines):
            if len(found) >= most:
                return found, taken
            assert self._file is not None
            found += json.loads(os.pread(self._file, length, start))
        return found, len(lines)

    def drop(self, appends: int) -> None:
        """The oldest appends are handed on; with the last of them the file goes.

        Where it cannot be removed it stays: what is in the ledger already is not written again.
        """
        for _ in range(appends):
            self._lines.popleft()
        if not self._lines and self._file is not None:
            with contextlib.suppress(OSError):
                self.path.unlink(missing_ok=True)
            self.close()

    def close(self) -> None:
        """Leave the file to the next driver."""
        if self._file is not None:
            os.close(self._file)
        self._file, self._size = None, 0

    def refuse(self) -> Path:
        """Put the file aside, as nobody will hand it in; returns where it lies."""
        self.close()
        self._lines.clear()
        try:
            return put_aside(self.path) if self.path.exists() else self.path
        except OSError:
            return self.path

    def _opened(self) -> int:
        if self._file is None:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            if self.path.exists():
                put_aside(self.path)
            self._file = os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o666)
            folder = os.open(self.path.parent, os.O_RDONLY | os.O_CLOEXEC)
            try:
                os.fsync(folder)
            finally:
                os.close(folder)
        return self._file


def place(where: str, root: Path, search: str) -> Path:
    """The file of a search: beside its trials where those are on a local disk, else in the project.

    Args:
        where: the search's storage, a folder below the root or any fsspec URL.
        root: the project's folder.
        search: its name.
    """
    folder = root / "runs" if storage.is_remote(where) else root / storage.local_path(where)
    return folder / search / "waiting.jsonl"


def find(path: Path) -> Found | None:
    """What an earlier driver left at a path; None where nothing waits.

    A last line that was cut off is left out: its append had not returned.

    Raises:
        LedgerError: it cannot be read, or a newer version of this package wrote it.
    """
    try:
        lines = path.read_bytes().split(b"\n")[:-1]
    except FileNotFoundError:
        return None
    except OSError as error:
        raise LedgerError(f"{path}, where events wait for the ledger, cannot be read: {error}") from error
    if not lines:
        path.unlink(missing_ok=True)  # its first append failed or was cut off
        return None
    try:
        head = json.loads(lines[0])
        schema = int(head.pop("schema", 0))
        if schema > SCHEMA:
            raise LedgerError(
                f"{path}, where events wait for the ledger, is of schema {schema}, this automl knows up to "
                f"{SCHEMA}. Install a newer automl"
            )
        rows = [row for line in lines[1:] for row in json.loads(line)]
        return Found(path, Header(**head), rows)
    except (ValueError, TypeError, AttributeError):
        return Found(path, None, [])


def put_aside(path: Path) -> Path:
    """Rename a file that is not to be handed in; nobody reads it by itself any more."""
    for number in count(1):
        aside = path.with_name(f"{path.name}.refused-{number}")
        if not aside.exists():
            path.rename(aside)
            return aside
    raise AssertionError("there is always a next number")


def _line(value: Any) -> bytes:
    return json.dumps(value, separators=(",", ":")).encode() + b"\n"


def _write(file: int, data: bytes, offset: int) -> None:
    while data:
        written = os.pwrite(file, data, offset)
        data, offset = data[written:], offset + written
