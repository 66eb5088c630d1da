"""What of a project travels to a cluster: a zip of its folder, as .gitignore has it, without secrets.

Reads files and writes one; sends nothing. Knows no Ray.
"""

from __future__ import annotations

import fnmatch
import hashlib
import os
import re
import zipfile
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from pathspec import GitIgnoreSpec

from automl.errors import Fault

MIB = 1 << 20
FILE_BYTES, TOTAL_BYTES = 10 * MIB, 100 * MIB
# Never sent, whatever .gitignore says: what version control, Python and searches themselves leave behind.
LEFT = (
    ".git/",
    "__pycache__/",
    ".venv/",
    "*.pyc",
    "/runs/",
    "/mlruns/",
    "/mlartifacts/",
    "/*.db",
    "/*.db-wal",
    "/*.db-shm",
)
# Files that are secrets by their names, as git-secrets and gitleaks know them.
SECRET_NAMES = (
    ".env",
    ".env.*",
    "*.pem",
    "*.key",
    "*.p12",
    "*.pfx",
    "*.jks",
    "*.kdbx",
    "id_rsa*",
    "id_dsa*",
    "id_ecdsa*",
    "id_ed25519*",
    ".netrc",
    ".pgpass",
    ".pypirc",
    ".htpasswd",
    "auth_token",
    "credentials",
    "credentials.json",
    "kubeconfig",
)
_NO_SECRETS = ("*.example", "*.sample", "*.template", "*.pub")
_SECRET_TEXTS = {
    "a private key": re.compile(rb"-----BEGIN (?:[A-Z]+ )*PRIVATE KEY-----"),
    "an AWS access key": re.compile(rb"\b(?:AKIA|ASIA)[0-9A-Z]{16}\b"),
    "a GitHub token": re.compile(rb"\bgh[pousr]_[A-Za-z0-9]{36,}\b"),
    "a Slack token": re.compile(rb"\bxox[abpr]-[A-Za-z0-9-]{10,}"),
}
# Code and prose show such URLs as examples; in settings they are meant.
_PASSWORD = re.compile(rb"\b[a-z][a-z0-9+]+://[^\s:/@'\"]+:[^\s:/@'\"{}<>$*]+@[\w.-]+")
_SETTINGS = (".yaml", ".yml", ".json", ".toml", ".ini", ".cfg", ".conf", ".sh")
_LOOKED_AT_BYTES = MIB
_WHEN = (1980, 1, 1, 0, 0, 0)  # the same files are the same zip


@dataclass(frozen=True)
class Bundle:
    """A packed project.

    Args:
        path: of the zip.
        digest: of the names, modes and contents; the same for the same files.
        files: how many.
    """

    path: Path
    digest: str
    files: int


def files(root: Path) -> list[Path]:
    """The files that would travel, relative to the project's root, in order.

    .gitignore files are obeyed wherever they lie, as git does; links to files are followed, links to
    folders are not.
    """
    return sorted(_walk(root, Path(), [("", GitIgnoreSpec.from_lines(LEFT))]))


def faults(root: Path, names: Iterable[Path]) -> list[Fault]:
    """What must not travel, by name: secrets, and files that are too large.

    Args:
        root: the project's folder.
        names: relative to it, as `files` found them.
    """
    found, total = [], 0
    for name in names:
        size = (root / name).stat().st_size
        total += size
        if secret := secret_in(root / name):
            mend = "Take it out of the project, or name it in .gitignore; a cluster's secrets are its own"
            found.append(Fault(str(name), f"is {secret}, and would be sent", mend))
        elif size > FILE_BYTES:
            what = f"has {size / MIB:.1f} MiB, more than the {FILE_BYTES // MIB} that one file may have"
            mend = "Name it in .gitignore, and put data where all nodes see them"
            found.append(Fault(str(name), what, mend))
    if total > TOTAL_BYTES and not found:
        what = f"its files have {total / MIB:.0f} MiB together, more than {TOTAL_BYTES // MIB}"
        found.append(Fault(str(root.name), what, "Name what no trainer needs in .gitignore"))
    return found


def secret_in(file: Path) -> str | None:
    """What secret a file is, or holds near its beginning; None if it looks like none."""
    if any(fnmatch.fnmatch(file.name, each) for each in _NO_SECRETS):
        return None
    if any(fnmatch.fnmatch(file.name, each) for each in SECRET_NAMES):
        return "a secret by its name"
    with file.open("rb") as stream:
        text = stream.read(_LOOKED_AT_BYTES)
    if b"\0" in text[:1024]:
        return None
    return next((what for what, pattern in _secret_texts(file) if pattern.search(text)), None)


def _secret_texts(file: Path) -> Iterator[tuple[str, re.Pattern[bytes]]]:
    yield from _SECRET_TEXTS.items()
    if file.suffix in _SETTINGS:
        yield "a URL with a password", _PASSWORD


def pack(root: Path, names: Iterable[Path], out: Path) -> Bundle:
    """Write the zip.

    Args:
        root: the project's folder.
        names: relative to it.
        out: the file to write.
    """
    digest, count = hashlib.sha256(), 0
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        for name in names:
            content = (root / name).read_bytes()
            mode = 0o755 if os.access(root / name, os.X_OK) else 0o644
            entry = zipfile.ZipInfo(name.as_posix(), _WHEN)
            entry.external_attr, entry.compress_type = mode << 16, zipfile.ZIP_DEFLATED
            archive.writestr(entry, content)
            digest.update(f"{name.as_posix()}\0{mode}\0{len(content)}\0".encode() + content)
            count += 1
    return Bundle(out, digest.hexdigest(), count)


def _walk(root: Path, folder: Path, specs: list[tuple[str, GitIgnoreSpec]]) -> Iterator[Path]:
    ignore = root / folder / ".gitignore"
    if ignore.is_file():
        below = "" if folder == Path() else f"{folder.as_posix()}/"
        specs = [*specs, (below, GitIgnoreSpec.from_lines(ignore.read_text(errors="replace").splitlines()))]
    with os.scandir(root / folder) as found:
        entries = sorted(found, key=lambda entry: entry.name)
    for entry in entries:
        name = folder / entry.name
        if entry.is_dir(follow_symlinks=False):
            if not _ignored(f"{name.as_posix()}/", specs):
                yield from _walk(root, name, specs)
        elif entry.is_file() and not _ignored(name.as_posix(), specs):
            yield name


def _ignored(name: str, specs: list[tuple[str, GitIgnoreSpec]]) -> bool:
    """The last pattern that matches decides, and one of a deeper folder comes later."""
    ignored = False
    for below, spec in specs:
        said = spec.check_file(name.removeprefix(below)).include
        if said is not None:
            ignored = said
    return ignored
