"""Arrays, tables and plain values as files of a folder, and back as maps of those files. No pickles.

All arrays lie in one file, each as an .npy of its own that begins at a page: one file to open and one
map to make, however many there are. Tables are Arrow files; the rest is JSON. Knows neither what is
kept nor where.
"""

from __future__ import annotations

import contextlib
import json
import math
import mmap
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, BinaryIO

from automl.errors import AutoMLError
from automl.manifest import to_disk

_ARRAYS, _TREE = "arrays.bin", "tree.json"
_SCHEMA = 1
_PAGE, _CHUNK_BYTES = mmap.PAGESIZE, 1 << 24
_PLAIN = (bool, int, float, str, type(None))
_MEND = "Return numpy arrays, pyarrow Tables and JSON values, in dicts, lists and tuples"


@dataclass(frozen=True)
class Made:
    """What a function returned, taken apart.

    Args:
        tree: JSON: where what stands.
        arrays, tables: by their numbers in the tree.
    """

    tree: Any
    arrays: list[Any] = field(default_factory=list)
    tables: list[Any] = field(default_factory=list)

    @property
    def size_bytes(self) -> int:
        """What the files will take on the disk, a little more at most."""
        pages = sum(array.nbytes + 2 * _PAGE for array in self.arrays)
        return pages + sum(table.nbytes + 16 * _PAGE for table in self.tables)


def take_apart(value: Any) -> Made:
    """Take apart what a function returned.

    Raises:
        AutoMLError: something in it is neither an array, nor a table, nor a plain value.
    """
    made = Made(None)
    return Made(_node(value, "it", made), made.arrays, made.tables)


def _node(value: Any, where: str, made: Made) -> dict[str, Any]:
    import numpy as np

    kind = type(value)
    if kind in _PLAIN:
        return {"value": value}
    if kind in (tuple, list):
        items = [_node(item, f"{where}[{n}]", made) for n, item in enumerate(value)]
        return {kind.__name__: items}
    if kind is dict:
        return {"dict": [_item(key, item, where, made) for key, item in value.items()]}
    if kind in (np.ndarray, np.memmap) or isinstance(value, np.generic):
        made.arrays.append(_array(np.asarray(value), where))
        return {"scalar" if isinstance(value, np.generic) else "array": len(made.arrays) - 1}
    if kind.__name__ == "Table" and kind.__module__.startswith("pyarrow"):
        made.tables.append(value)
        return {"table": len(made.tables) - 1}
    raise AutoMLError(
        f"{where} is of type {kind.__module__}.{kind.__qualname__}, which cannot be kept. {_MEND}"
    )


def _item(key: Any, item: Any, where: str, made: Made) -> list[Any]:
    if type(key) not in _PLAIN:
        raise AutoMLError(f"{where} has the key {key!r}, which cannot be kept. Take text or a number")
    return [key, _node(item, f"{where}[{key!r}]", made)]


def _array(array: Any, where: str) -> Any:
    import numpy as np

    known = np.lib.format.descr_to_dtype(np.lib.format.dtype_to_descr(array.dtype))
    if array.dtype.hasobject or known != array.dtype:
        mend = "Turn it into numbers, or text into fixed widths with .astype(str)"
        raise AutoMLError(
            f"{where} is an array of {array.dtype}, which cannot be kept without pickles. {mend}"
        )
    return array


def write(folder: Path, made: Made, facts: Mapping[str, Any]) -> None:
    """Write all of it, and bring it to the disk.

    Args:
        folder: empty.
        made: what to write.
        facts: JSON that says what it was made of.

    Raises:
        OSError: the disk is full, or the like.
    """
    if made.arrays:
        with (folder / _ARRAYS).open("wb") as file:
            for array in made.arrays:
                _write_array(file, array)
    for number, table in enumerate(made.tables):
        _write_table(folder / _table(number), table)
    sizes = {path.name: path.stat().st_size for path in folder.iterdir()}
    tree = {"schema": _SCHEMA, "tree": made.tree, "arrays": len(made.arrays), "files": sizes, "of": facts}
    (folder / _TREE).write_text(json.dumps(tree))
    for path in (*folder.iterdir(), folder):
        to_disk(path)


def _write_array(file: BinaryIO, array: Any) -> None:
    import numpy as np

    header = np.lib.format.header_data_from_array_1_0(array)
    file.write(bytes(-file.tell() % _PAGE))
    np.lib.format.write_array_header_2_0(file, header)
    rows = array.T if header["fortran_order"] else array
    if not rows.ndim:
        file.write(rows.tobytes())
        return
    many = max(1, _CHUNK_BYTES // max(1, rows.nbytes // max(1, len(rows))))
    for first in range(0, len(rows), many):
        file.write(rows[first : first + many].tobytes())


def _table(number: int) -> str:
    return f"table-{number}.arrow"


def _write_table(path: Path, table: Any) -> None:
    import pyarrow as pa

    with pa.OSFile(str(path), "wb") as sink, pa.ipc.new_file(sink, table.schema) as writer:
        writer.write_table(table)


class Damaged(Exception):
    """The files are not what was written."""


class Opened:
    """The files of a folder, open: they stay readable when the folder is removed.

    Raises:
        FileNotFoundError: there is no such folder.
        Damaged: it is not whole.
    """

    def __init__(self, folder: Path) -> None:
        tree, self.folder = _listed(folder), folder
        self._tree, self._headers, self._file = tree["tree"], [], -1
        if tree["arrays"]:
            with (folder / _ARRAYS).open("rb") as file:
                self._headers = [_header(file) for _ in range(tree["arrays"])]
                self._file = os.dup(file.fileno())
        self._tables = [_read_table(folder / name) for name in tree["files"] if name.endswith(".arrow")]

    def __del__(self) -> None:
        with contextlib.suppress(OSError, AttributeError):
            os.close(self._file)

    def value(self) -> Any:
        """All of it, its arrays as maps of its own: what is written into them is nobody else's."""
        arrays = []
        if self._headers:
            pages = mmap.mmap(self._file, 0, access=mmap.ACCESS_COPY)
            arrays = [header(pages) for header in self._headers]
        return _put_together(self._tree, arrays, self._tables)


def _listed(folder: Path) -> dict[str, Any]:
    try:
        tree: dict[str, Any] = json.loads((folder / _TREE).read_text())
        for name, size in tree["files"].items():
            if (now := (folder / name).stat().st_size) != size:
                raise Damaged(f"{name} has {now} bytes, {size} were written")
    except (ValueError, KeyError, TypeError, AttributeError):
        raise Damaged(f"{_TREE} is cut off or garbled") from None
    except FileNotFoundError as error:
        if folder.is_dir():
            raise Damaged(f"{Path(str(error.filename)).name} is missing") from None
        raise
    return tree


def _header(file: BinaryIO) -> Callable[[mmap.mmap], Any]:
    """The next array of the file: how to find it in a map of all of it."""
    import numpy as np

    file.seek(-file.tell() % _PAGE, os.SEEK_CUR)
    try:
        np.lib.format.read_magic(file)
        shape, fortran, dtype = np.lib.format.read_array_header_2_0(file)
    except ValueError as error:
        raise Damaged(f"{_ARRAYS}: {error}") from None
    offset = file.tell()
    file.seek(math.prod(shape) * dtype.itemsize, os.SEEK_CUR)
    order: Any = "F" if fortran else "C"
    return lambda pages: np.ndarray(shape, dtype, buffer=pages, offset=offset, order=order)


def _read_table(path: Path) -> Any:
    import pyarrow as pa

    try:
        return pa.ipc.open_file(pa.memory_map(str(path))).read_all()
    except pa.ArrowInvalid as error:
        raise Damaged(f"{path.name}: {error}") from None


def _put_together(node: Mapping[str, Any], arrays: list[Any], tables: list[Any]) -> Any:
    [(kind, held)] = node.items()
    if kind == "value":
        return held
    if kind == "dict":
        return {key: _put_together(item, arrays, tables) for key, item in held}
    if kind in ("list", "tuple"):
        items = [_put_together(item, arrays, tables) for item in held]
        return items if kind == "list" else tuple(items)
    if kind == "table":
        return tables[held]
    return arrays[held][()] if kind == "scalar" else arrays[held]
