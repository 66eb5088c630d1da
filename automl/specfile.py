"""A search file, with what `--set` overrides in it, to a Search. Has never heard of Ray or Optuna.

What is wrong is found by the values themselves (`plain`, `checks`), for files and Python alike; here
a fault gets its line and column.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ruamel.yaml.nodes import MappingNode, Node, ScalarNode, SequenceNode

from automl.errors import Fault
from automl.overrides import SET, Override, apply
from automl.search import Search, build, examine
from automl.urls import password_faults
from automl.words import Spot, dotted, settle, show
from automl.yamltext import Place, entries, key_of, merged, parse, place_of

SUFFIXES = (".yaml", ".yml")


@dataclass(frozen=True)
class Positions:
    """Where everything lies in a search file and in the overrides.

    Args:
        file: the path as the user gave it.
        root: the file's node; None where there is none.
        overrides: what `--set` put over it, in order.
        text: the file as it is; empty if it could not be read.
    """

    file: str
    root: Node | None = None
    overrides: Sequence[Override] = ()
    text: str = ""

    def locate(self, fault: Fault) -> Fault:
        """The fault with file, line and column; one that has a line, or another file, as it is.

        Args:
            fault: `spot` says the place, or `where` does: a dotted path into the file.
        """
        if fault.file or fault.line:
            return fault if fault.file else fault.at(self.file, fault.line, fault.column)
        path = fault.spot or self._path_of(fault.where)
        for number, override in reversed(list(enumerate(self.overrides, start=1))):
            if path[: len(override.path)] == override.path:
                return fault.at(SET, number, 1 if fault.at_key else override.value_column)
        place, whole = self._walk(path, fault.at_key)
        for number, override in reversed(list(enumerate(self.overrides, start=1))):
            if not whole and path and override.path[: len(path)] == path:
                return fault.at(SET, number, 1)
        return fault.at(self.file, *place)

    def sort(self, faults: Iterable[Fault]) -> tuple[Fault, ...]:
        """The faults with their positions, each once, in the order of the file, overrides last."""
        located = dict.fromkeys(self.locate(fault) for fault in faults)
        return tuple(sorted(located, key=lambda fault: (fault.file == SET, fault.line, fault.column)))

    def _walk(self, path: Spot, at_key: bool) -> tuple[Place, bool]:
        """The place of a path, or of the deepest thing above it that exists, and whether it exists."""
        place, node = (1, 1), self.root
        for step in path:
            key, value = _child(node, step)
            if value is None:
                return place, False
            place, node = place_of(key if key is not None else value), value
        inline = isinstance(node, ScalarNode) or getattr(node, "flow_style", False)
        if path and node is not None and inline and not at_key:
            place = place_of(node)
        return place, True

    def _path_of(self, where: str) -> Spot:
        """A dotted path in keys: the longest key first, because names have dots in them."""
        path: list[str | int] = []
        node, rest = self.root, where
        while rest:
            parts = rest.split(".")
            heads = (".".join(parts[:n]) for n in range(len(parts), 0, -1))
            found = next(((head, node_) for head in heads if (node_ := _child(node, head)[1])), None)
            if found is None:
                return self._overridden(where) or (*path, rest)
            head, node = found
            path.append(int(head) if head.isdecimal() else head)
            rest = rest[len(head) + 1 :]
        return tuple(path)

    def _overridden(self, where: str) -> Spot | None:
        """The path of the last override that gave a place which the file has not."""
        paths = [override.path for override in self.overrides if override.path]
        return next((path for path in reversed(paths) if f"{where}.".startswith(f"{dotted(path)}.")), None)


def _child(node: Node | None, step: str | int) -> tuple[Node | None, Node | None]:
    """The key's node and the value's node one step down; None where there is none."""
    if isinstance(node, SequenceNode) and str(step).isdecimal() and int(step) < len(node.value):
        return None, node.value[int(step)]
    if isinstance(node, MappingNode):
        for key, value in entries(node):
            if key_of(key) == step:
                return key, value
        for part in merged(node):
            found = _child(part, step)
            if found[1] is not None:
                return found
    return None, None


@dataclass(frozen=True)
class Loaded:
    """A search file, read.

    Args:
        search: None if there are faults.
        faults: located, in the order of the file.
        positions: for faults that are found later; `with_faults` adds them.
        data: the file as plain data, overrides applied; None where it is no mapping.
    """

    search: Search | None
    faults: tuple[Fault, ...]
    positions: Positions
    data: Mapping[str, Any] | None = None

    def with_faults(self, faults: Iterable[Fault]) -> tuple[Fault, ...]:
        """All faults, the later ones (signatures, environment) among the first, in file order."""
        return self.positions.sort([*self.faults, *faults])


def load(path: str | Path, overrides: Sequence[str] = ()) -> Search:
    """The search in a file.

    Args:
        path: the YAML file.
        overrides: `KEY=VALUE` each, as `--set` takes them.

    Raises:
        InputError: with all faults of the file, each with line and column.
    """
    loaded = read(path, overrides)
    settle(loaded.faults)
    assert loaded.search is not None, "what has no fault is a search"
    return loaded.search


def read(path: str | Path, overrides: Sequence[str] = ()) -> Loaded:
    """The search in a file, or all that is wrong with it. Arguments as for `load`; raises nothing."""
    text, fault = _text(Path(path))
    if fault:
        return Loaded(None, (fault.at(str(path), fault.line or 1, fault.column or 1),), Positions(str(path)))
    document = parse(text)
    bare = Positions(str(path), document.root, (), text)
    if not isinstance(document.data, dict):
        what = f"{'empty' if document.data is None else show(document.data)}, not a mapping"
        found = document.faults or [Fault("file", what, "Write name: ..., objective: ... and so on")]
        return Loaded(None, bare.sort(found), bare)
    data, applied, faults = apply(document.data, overrides)
    positions = Positions(str(path), document.root, applied, text)
    reading = examine(data)
    found = [*document.faults, *faults, *reading.faults, *password_faults(data)]
    search = None if found else build(reading, positions)
    return Loaded(search, positions.sort(found), positions, data)


def _text(path: Path) -> tuple[str, Fault | None]:
    try:
        return path.read_bytes().decode("utf-8-sig"), None
    except OSError as error:
        return "", Fault("file", f"cannot be read: {error.strerror or error}", _other_files(path))
    except UnicodeDecodeError as error:
        before = error.object[: error.start]
        line, column = before.count(b"\n") + 1, error.start - (before.rfind(b"\n") + 1) + 1
        fault = Fault(
            "file", f"byte 0x{error.object[error.start]:02x} is not UTF-8", "Save the file as UTF-8"
        )
        return "", fault.at(str(path), line, column)


def _other_files(path: Path) -> str:
    folder = path if path.is_dir() else path.parent
    try:
        names = sorted(str(file) for file in folder.iterdir() if file.suffix in SUFFIXES)
    except OSError:
        return f"There is no folder {folder}"
    return f"There is: {', '.join(names[:10])}" if names else f"No YAML file is in {folder}"
