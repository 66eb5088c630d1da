"""Data that is prepared once on a node, and then shared by all its processes: `automl.prepared`.

Knows no trial and no framework: it works in a notebook as well.
"""

from __future__ import annotations

import contextlib
import functools
import hashlib
import inspect
import json
import os
import shutil
import sys
import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ParamSpec, TypeVar

from automl import arrays, once, shelf, sources
from automl.errors import AutoMLError

P = ParamSpec("P")
T = TypeVar("T")

_SCHEMA = 1
# Of a folder among the arguments so many files are looked at, each time.
_FILES_MOST = 100_000
# So many preparations stay open in a process.
_OPEN_MOST = 16

_open: OrderedDict[str, arrays.Opened] = OrderedDict()
_opening = threading.Lock()
_told: set[str] = set()


def prepared(function: Callable[P, T]) -> Callable[P, T]:
    """Have what a function returns computed once on this node, and shared by all its processes.

    The first call computes it and writes it into the folder that `shelf.place` names; calls that come
    meanwhile, in any process, wait. Every call then gets the same files as memory maps: one copy in
    the memory of the node. Each call has maps of its own, so that what is written into an array stays
    with whoever wrote it. The files stay open in a process, between the trials of a worker too.

    It is computed anew for other arguments, for other files behind arguments that name a file or a
    folder (their sizes and times count), and when the text of the function's module changes, or of a
    module of the project that it imports. A folder that it writes into is no argument to give: its
    files would have changed. Where the prepared files cannot be written, it is computed each time.

    Args:
        function: of a module, with arguments that JSON can hold. It returns numpy arrays, pyarrow
            Tables and JSON values, in dicts, lists and tuples. Random numbers that it draws without a
            seed of its own are the same each time, and the caller's go on as if it had drawn none.

    Returns:
        A function of the same arguments.

    Raises:
        AutoMLError: it reads variables of a function around it; or, in a call, an argument or what it
            returns cannot be kept.
    """
    known = _Known.of(function)

    @functools.wraps(function)
    def call(*args: P.args, **kwargs: P.kwargs) -> T:
        given = _arguments(known, inspect.signature(function), args, kwargs)
        result: T = _value(known.preparation(given), lambda: function(*args, **kwargs))
        return result

    return call


@dataclass(frozen=True)
class _Known:
    """What is known of a decorated function: where its code begins, its address, a hash of its code."""

    root: str
    address: str
    code: str

    @staticmethod
    def of(function: Callable[..., Any]) -> _Known:
        address = f"{function.__module__}:{function.__qualname__}"
        if not inspect.isfunction(function):
            raise AutoMLError(f"automl.prepared: {function!r} is no function. Put it above a plain def")
        if names := ", ".join(function.__code__.co_freevars):
            what = f"automl.prepared: {address} reads {names} of the function around it"
            raise AutoMLError(f"{what}. Make what it needs an argument")
        root, module = _origin(function)
        if module is None:
            try:
                text = inspect.getsource(function)
            except OSError:
                what = f"automl.prepared: the source of {address} cannot be read"
                raise AutoMLError(f"{what}. Put it into a file") from None
            return _Known(root, address, hashlib.sha256(text.encode()).hexdigest()[: sources.HASH_LENGTH])
        # Now, not at the first call: what this process runs is the text as it is at the import.
        return _Known(root, address, sources.code_hash([module], Path(root)))

    def preparation(self, given: Mapping[str, Any]) -> _Preparation:
        asked = {"schema": _SCHEMA, "root": self.root, "function": self.address, "arguments": given}
        made_of = {"code": self.code, "files": _files(given, Path(self.root))}
        name = "".join(c if c.isalnum() else "-" for c in self.address.rpartition(".")[2])[-40:]
        kin = f"{name}-{_digest(asked)}"
        return _Preparation(self.address, kin, f"{kin}-{_digest(made_of)}", {**asked, **made_of})


@dataclass(frozen=True)
class _Preparation:
    """One call's result, by name; `kin` is what the names of the same call with other code begin with."""

    address: str
    kin: str
    name: str
    facts: Mapping[str, Any]


def _origin(function: Callable[..., Any]) -> tuple[str, str | None]:
    """The folder in which the imports of the function's code begin, and its module from there.

    No module for the cell of a notebook, which has no file. Of an installed package the module alone
    counts, since everything lies beside it.
    """
    file = getattr(sys.modules.get(function.__module__), "__file__", None)
    if file is None:
        return os.getcwd(), None
    path, parts = Path(file).resolve(), function.__module__.split(".")
    ends = path.parent if path.name == "__init__.py" else path.with_suffix("")
    installed = {"site-packages", "dist-packages"} & set(path.parts)
    if list(ends.parts[-len(parts) :]) == parts and not installed:
        return str(ends.parents[len(parts) - 1]), function.__module__
    return str(path.parent), path.stem


def _arguments(
    known: _Known, signature: inspect.Signature, args: tuple[Any, ...], kwargs: Mapping[str, Any]
) -> dict[str, Any]:
    """The arguments of a call as JSON, defaults included."""
    bound = signature.bind(*args, **kwargs)
    bound.apply_defaults()
    return {name: _plain(value, f"{known.address}: {name}") for name, value in bound.arguments.items()}


def _plain(value: Any, where: str) -> Any:
    if value is None or type(value) in (bool, int, float, str):
        return value
    if isinstance(value, os.PathLike):
        return os.fsdecode(value)
    if isinstance(value, list | tuple):
        return [_plain(item, where) for item in value]
    if isinstance(value, Mapping) and all(type(key) is str for key in value):
        return {key: _plain(item, where) for key, item in value.items()}
    what = f"automl.prepared: {where} is of type {type(value).__qualname__}"
    raise AutoMLError(
        f"{what}. Give text, numbers, true, false and null, in lists and mappings with text keys"
    )


def _files(value: Any, root: Path) -> list[Any]:
    """The size and the time of every file that an argument names, from here or from the root on."""
    if isinstance(value, str):
        found = dict.fromkeys(place for place in _places(value, root) if place.exists())
        return [[str(place), *_facts(place)] for place in found]
    items = value.values() if isinstance(value, Mapping) else value if isinstance(value, list) else ()
    return [fact for item in items for fact in _files(item, root)]


def _places(text: str, root: Path) -> Iterator[Path]:
    if text and len(text) < 1024 and "\0" not in text:
        with contextlib.suppress(OSError, RuntimeError):
            path = Path(text).expanduser()
            yield from (Path.cwd() / path, root / path)


def _facts(place: Path) -> list[Any]:
    """Sizes and times: of a file its own, of a folder those of all files below it, as one number."""
    if not place.is_dir():
        return _times(place)
    digest = hashlib.sha256()
    for path in sorted(_below(place)):
        digest.update(f"{path}\0{_times(path)}\n".encode("utf-8", "surrogateescape"))
    return [digest.hexdigest()]


def _below(folder: Path) -> Iterator[Path]:
    """The files below a folder; what lies among them of preparations says nothing of the data."""
    kept: Path | None = None
    with contextlib.suppress(OSError):
        kept = shelf.place()
    walked = (Path(above, name) for above, _, names in os.walk(folder) for name in names)
    found = (path for path in walked if kept is None or kept not in path.parents)
    return (path for path, _ in zip(found, range(_FILES_MOST), strict=False))


def _times(path: Path) -> list[int]:
    try:
        found = path.stat()
    except OSError:  # a link to nowhere
        return []
    return [found.st_size, found.st_mtime_ns]


def _digest(facts: Any) -> str:
    return hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()[:16]


def _value(wanted: _Preparation, make: Callable[[], Any]) -> Any:
    opened = _opened(wanted.name)
    if opened is None:
        try:
            place = shelf.place() / wanted.name
        except OSError as error:
            return _uncached(wanted, error, make)
        opened = _found(place)
        if opened is None:
            return _prepare(wanted, place, make)
    shelf.use(opened.folder)
    return opened.value()


def _opened(name: str) -> arrays.Opened | None:
    with _opening:
        if name in _open:
            _open.move_to_end(name)
        return _open.get(name)


def _found(place: Path, told: bool = False) -> arrays.Opened | None:
    """What is there, whole, opened; None without it."""
    try:
        return _open_here(place)
    except arrays.Damaged as error:
        if told:
            once.say(f"{place} is damaged: {error}. It is prepared anew")
    except OSError:
        pass
    return None


def _open_here(place: Path) -> arrays.Opened:
    opened = arrays.Opened(place)
    with _opening:
        _open[place.name] = opened
        while len(_open) > _OPEN_MOST:
            _open.popitem(last=False)
    return opened


def _prepare(wanted: _Preparation, place: Path, make: Callable[[], Any]) -> Any:
    with contextlib.ExitStack() as stack:
        try:
            path, words = place.with_name(f"{wanted.name}.lock"), f"prepares {wanted.address}"
            stack.enter_context(once.locked(path, words, lambda: _found(place) is not None))
        except OSError as error:
            return _uncached(wanted, error, make)
        opened = _found(place, told=True)  # another process may have been at it
        return opened.value() if opened else _made(wanted, place, make)


def _made(wanted: _Preparation, place: Path, make: Callable[[], Any]) -> Any:
    begun_s, limit_bytes = time.monotonic(), shelf.limit()
    if any(each.is_dir() and each != place for each in place.parent.glob(f"{wanted.kin}-*")):
        once.say(f"{wanted.address} prepares anew: its code, or a file that an argument names, has changed")
    value = _computed(wanted, make)
    made = arrays.take_apart(value)
    try:
        with once.at_work():
            _write(wanted, place, made, limit_bytes)
        opened = _open_here(place)
    except (OSError, arrays.Damaged) as error:
        _tell(wanted, error)
        return value
    size_mb, seconds = made.size_bytes / 1e6, time.monotonic() - begun_s
    once.say(f"{wanted.address} prepared {size_mb:.0f} MB in {seconds:.1f} s, in {place}")
    return opened.value()


def _computed(wanted: _Preparation, make: Callable[[], Any]) -> Any:
    import numpy  # noqa: F401 - so that its generator is among those that are left as they were

    seed = int(_digest(wanted.facts)[:8], 16) >> 1
    with once.undisturbed(seed), once.at_work():
        return make()


def _write(wanted: _Preparation, place: Path, made: arrays.Made, limit_bytes: int | None) -> None:
    """Beside first, then renamed: it is there as a whole, or not at all."""
    shelf.make_room(place.parent, made.size_bytes)
    new = shelf.beside(place)
    try:
        arrays.write(new, made, wanted.facts)
        shutil.rmtree(place, ignore_errors=True)  # a damaged one
        new.rename(place)
    finally:
        shutil.rmtree(new, ignore_errors=True)
    shelf.tidy(place, wanted.kin, limit_bytes)


def _uncached(wanted: _Preparation, error: OSError, make: Callable[[], Any]) -> Any:
    _tell(wanted, error)
    return _computed(wanted, make)


def _tell(wanted: _Preparation, error: Exception) -> None:
    if wanted.name in _told:
        return
    _told.add(wanted.name)
    why = getattr(error, "strerror", None) or str(error)
    at = f" in {error.filename}" if isinstance(error, OSError) and error.filename else ""
    what = f"what {wanted.address} prepares cannot be kept{at}: {why}"
    mend = f"Make room there, or have {shelf.PLACE} name another folder"
    once.say(f"{what}. It stays in this process's memory, and is prepared each time. {mend}")
