"""The hash of a trainer's code, by reading it: nothing is imported. Knows addresses and files only."""

from __future__ import annotations

import ast
import hashlib
from collections.abc import Iterable, Iterator
from functools import lru_cache
from pathlib import Path

HASH_LENGTH = 16
# What a trainer asks of this package is no part of the trainer.
_OWN = "automl"


def code_hash(addresses: Iterable[str], root: Path) -> str:
    """A hash of the trainers' modules and of all of the project that they import.

    Comments and layout count: what is hashed is the text. Imports are followed as far as they are
    written out, and only to files under the root, those of this package not among them.

    Args:
        addresses: `package.module:Name` each.
        root: the project's root, where packages begin.

    Returns:
        16 hexadecimal digits; the same for the same files, wherever the root is.
    """
    files: dict[str, bytes] = {}
    todo = [address.partition(":")[0] for address in addresses]
    seen: set[str] = set()
    while todo:
        module = todo.pop()
        if module in seen or module.partition(".")[0] == _OWN:
            continue
        seen.add(module)
        for path in _files(module, root):
            key = path.relative_to(root).as_posix()
            if key not in files:
                files[key] = path.read_bytes()
                todo += _imports(files[key], path.relative_to(root))
    digest = hashlib.sha256()
    for key in sorted(files):
        digest.update(f"{key}\0{len(files[key])}\0".encode() + files[key])
    return digest.hexdigest()[:HASH_LENGTH]


def _files(module: str, root: Path) -> Iterator[Path]:
    """The module's file and the `__init__.py` of the packages above it, as far as they exist."""
    parts = module.split(".")
    for n in range(1, len(parts) + 1):
        package = root.joinpath(*parts[:n], "__init__.py")
        if package.is_file():
            yield package
    single = root.joinpath(*parts).with_suffix(".py")
    if single.is_file():
        yield single


@lru_cache(maxsize=1024)
def _imports(source: bytes, path: Path) -> list[str]:
    """All modules that the source at `path` (from the root on) names in its imports, wherever they stand."""
    try:
        tree = ast.parse(source)
    except (SyntaxError, ValueError):
        return []
    package = path.parent.parts
    found: list[str] = []
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            found += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            base = _absolute(node, package)
            found += [base, *(f"{base}.{alias.name}" for alias in node.names)] if base else []
    return found


def _absolute(node: ast.ImportFrom, package: tuple[str, ...]) -> str:
    """The module of `from module import ...`, dots in front of it resolved from the package."""
    if not node.level:
        return node.module or ""
    above = package[: len(package) - (node.level - 1)]
    return ".".join([*above, *([node.module] if node.module else [])])
