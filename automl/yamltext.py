"""YAML text to plain data and back, with the place of everything. Has never heard of a search.

YAML 1.2: `1e-5` is a float, `1_000` an int, `on`, `off`, `yes`, `no` and dates are text. The nodes
are read by hand because a loader stops at the first duplicate key and forgets where things were.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.error import MarkedYAMLError, YAMLError
from ruamel.yaml.nodes import MappingNode, Node, ScalarNode, SequenceNode

from automl.errors import Fault
from automl.words import Spot, dotted, show

Place = tuple[int, int]  # line and column, from 1
_TAG = "tag:yaml.org,2002:"
_BRACKETS = re.compile(r"[][{}]")
MOST_VALUES = 100_000
MOST_CHARACTERS = 2_000_000
# Beyond this the parser takes a time that grows with the square of the depth, before it gives up.
MOST_BRACKETS = 1_000
WIDTH = 110
_BARE = re.compile(r"[A-Za-z_][\w.+-]*(?::/*[\w.+-]+)*(?:/[\w.+-]+)*", re.ASCII)
# What YAML 1.1 or 1.2 may take for something else than text.
_NOT_TEXT = frozenset({"null", "true", "false", "yes", "no", "on", "off", "y", "n"})
_BASES = {"0x": 16, "0o": 8, "0b": 2}


@dataclass
class Document:
    """One YAML text, read.

    Args:
        data: the plain data; None if nothing could be read.
        root: the node behind it, for places.
        faults: syntax, duplicate keys, tags, with line and column; no file.
    """

    data: Any = None
    root: Node | None = None
    faults: list[Fault] = field(default_factory=list)


def parse(text: str) -> Document:
    """All of a YAML text, and all its faults: a syntax error is one, each duplicate key is one."""
    document = Document()
    if fault := _out_of_bounds(text):
        document.faults.append(fault)
        return document
    try:
        _read(text, document)
    except MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        place = (mark.line + 1, mark.column + 1) if mark else (1, 1)
        what = " ".join(str(part) for part in (error.context, error.problem) if part)
        document.faults.append(_fault((), f"not YAML: {what}", "Mend the syntax here or just above", place))
    except RecursionError:
        document.faults.append(_fault((), "nested too deeply", "Write it flatter", (1, 1)))
    except (YAMLError, ValueError) as error:
        what = " ".join(str(error).split())
        document.faults.append(_fault((), f"not YAML: {show(what)}", "Write UTF-8 text", (1, 1)))
    return document


def _out_of_bounds(text: str) -> Fault | None:
    """What would take the parser very long, seen without parsing."""
    if len(text) > MOST_CHARACTERS:
        return _fault((), f"{len(text)} characters, more than {MOST_CHARACTERS}", "Write less", (1, 1))
    depth = 0
    for found in _BRACKETS.finditer(text):
        depth += 1 if found[0] in "[{" else -1
        if depth > MOST_BRACKETS:
            return _fault((), "nested too deeply", "Write it flatter", (1, 1))
    return None


def _read(text: str, document: Document) -> None:
    yaml = YAML(typ="safe", pure=True)
    yaml.allow_duplicate_keys = True
    document.root = yaml.compose(text)
    if document.root is None:
        return
    if _size(document.root, {}) > MOST_VALUES:
        what = f"its aliases unfold to more than {MOST_VALUES} values"
        document.faults.append(_fault((), what, "Write less", (1, 1)))
    else:
        document.data = _Builder(document.faults).build(document.root, ())


def _size(node: Node, known: dict[int, int]) -> int:
    """How many nodes a node holds once its aliases are unfolded; an alias inside itself counts once."""
    if id(node) not in known:
        known[id(node)] = 1
        if isinstance(node, MappingNode):
            known[id(node)] += sum(_size(item, known) for pair in node.value for item in pair)
        elif isinstance(node, SequenceNode):
            known[id(node)] += sum(_size(item, known) for item in node.value)
    return known[id(node)]


def dump(data: Mapping[str, Any]) -> str:
    """A mapping as YAML: one line for what fits in one, blocks for what does not.

    Args:
        data: JSON values all through. What is read back is the same, types included.
    """
    return "".join(f"{line}\n" for line in _lines(data, 0))


def _lines(data: Mapping[str, Any] | list[Any], indent: int) -> Iterator[str]:
    """The lines of a block."""
    items = data.items() if isinstance(data, Mapping) else ((None, item) for item in data)
    for key, value in items:
        head = " " * indent + ("-" if key is None else f"{_flow(key)}:")
        line = f"{head} {_flow(value)}"
        block = isinstance(value, Mapping | list) and value and key is not None
        if block and (len(line) > WIDTH or (indent == 0 and _holds_mapping(value))):
            yield head
            yield from _lines(value, indent + 2)
        else:
            yield line


def _holds_mapping(value: Mapping[str, Any] | list[Any]) -> bool:
    return any(
        isinstance(item, Mapping) for item in (value.values() if isinstance(value, Mapping) else value)
    )


def _flow(value: Any) -> str:
    """A value in one line: JSON, but for words that need no quotes."""
    if isinstance(value, Mapping):
        return "{" + ", ".join(f"{_flow(key)}: {_flow(item)}" for key, item in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(map(_flow, value)) + "]"
    if not isinstance(value, str):
        return json.dumps(value)
    if _BARE.fullmatch(value) and value.lower() not in _NOT_TEXT:
        return value
    quoted = json.dumps(value, ensure_ascii=False)
    return "".join(char if char.isprintable() else f"\\U{ord(char):08x}" for char in quoted)


def _fault(path: Spot, what: str, mend: str, place: Place) -> Fault:
    return Fault(dotted(path) or "file", what, mend, line=place[0], column=place[1])


def place_of(node: Node) -> Place:
    """Line and column of a node, from 1."""
    return node.start_mark.line + 1, node.start_mark.column + 1


@dataclass
class _Builder:
    """Nodes to data. An alias is built once; one inside itself is a fault."""

    faults: list[Fault]
    built: dict[int, Any] = field(default_factory=dict)
    open: set[int] = field(default_factory=set)

    def build(self, node: Node, path: Spot) -> Any:
        if id(node) in self.open:
            self.faults.append(
                _fault(path, "an alias of something that holds it", "Write it out", place_of(node))
            )
            return None
        if id(node) not in self.built:
            self.open.add(id(node))
            self.built[id(node)] = self._new(node, path)
            self.open.discard(id(node))
        return self.built[id(node)]

    def _new(self, node: Node, path: Spot) -> Any:
        self._look_at_tag(node, path)
        if isinstance(node, MappingNode):
            return self._mapping(node, path)
        if isinstance(node, SequenceNode):
            return [self.build(item, (*path, i)) for i, item in enumerate(node.value)]
        return self._scalar(node, path)

    def _mapping(self, node: MappingNode, path: Spot) -> dict[Any, Any]:
        data: dict[Any, Any] = {}
        for key, value in entries(node):
            if not isinstance(key, ScalarNode):
                self.faults.append(_fault(path, "a key that is no text", "Write a name", place_of(key)))
                continue
            name = key_of(key)
            at = (*path, name)
            self._look_at_tag(key, at)
            if name in data:
                what = f"given twice, first in line {_line_of(node, name)}"
                self.faults.append(_fault(at, what, "Remove one of them", place_of(key)))
                self.build(value, at)
            else:
                data[name] = self.build(value, at)
        for base in merged(node):
            self._look_at_tag(base, path)
            data = {**self._mapping(base, path), **data}
        return data

    def _scalar(self, node: Node, path: Spot) -> Any:
        tag = str(node.tag).removeprefix(_TAG)
        if tag in _SCALARS:
            try:
                return _SCALARS[tag](node.value)
            except ValueError:
                self.faults.append(_fault(path, f"{show(node.value)} is no {tag}", "Mend it", place_of(node)))
                return None
        return node.value

    def _look_at_tag(self, node: Node, path: Spot) -> None:
        """A tag says of what type a value is; one that is unknown here must not be read past."""
        tag = str(node.tag)
        if not tag.startswith(_TAG) or tag.removeprefix(_TAG) not in _TAGS[type(node)]:
            what = f"the tag {tag.replace(_TAG, '!!')} means nothing here"
            self.faults.append(_fault(path, what, "Remove it", place_of(node)))


def entries(node: MappingNode) -> Iterator[tuple[Node, Node]]:
    """A mapping's pairs of nodes, merges (`<<`) aside."""
    for key, value in node.value:
        if str(key.tag) != f"{_TAG}merge":
            yield key, value


def merged(node: MappingNode) -> Iterator[MappingNode]:
    for key, value in node.value:
        if str(key.tag) == f"{_TAG}merge":
            nodes = value.value if isinstance(value, SequenceNode) else [value]
            yield from (item for item in nodes if isinstance(item, MappingNode))


def key_of(node: Node) -> Any:
    """A key as data: text as a rule, what YAML makes of it otherwise."""
    tag = str(node.tag).removeprefix(_TAG)
    try:
        return _SCALARS[tag](node.value) if tag in _SCALARS else node.value
    except ValueError:
        return node.value


def _line_of(node: MappingNode, name: Any) -> int:
    return next(place_of(key)[0] for key, _ in entries(node) if key_of(key) == name)


def _int(text: str) -> int:
    digits = text.replace("_", "").lower()
    sign = -1 if digits.startswith("-") else 1
    digits = digits.lstrip("+-")
    return sign * int(digits[2:] if digits[:2] in _BASES else digits, _BASES.get(digits[:2], 10))


def _float(text: str) -> float:
    digits = text.replace("_", "").lower()
    special = re.fullmatch(r"([-+]?)\.?(inf|nan)", digits)
    if special:
        value = math.inf if special[2] == "inf" else math.nan
        return -value if special[1] == "-" else value
    return float(digits)


def _bool(text: str) -> bool:
    if text.lower() not in ("true", "false"):
        raise ValueError(text)
    return text.lower() == "true"


_SCALARS: Mapping[str, Callable[[str], Any]] = {
    "null": lambda text: None,
    "bool": _bool,
    "int": _int,
    "float": _float,
    "str": str,
    "timestamp": str,
}
_TAGS: Mapping[type[Node], frozenset[str]] = {
    MappingNode: frozenset({"map"}),
    SequenceNode: frozenset({"seq"}),
    ScalarNode: frozenset({*_SCALARS, "value"}),  # a lone `=` is a value to YAML 1.1; text here
}
