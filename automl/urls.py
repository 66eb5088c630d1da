"""URLs as far as they can be judged without connecting, and how they are shown. Connects to nothing."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from automl.errors import Fault
from automl.words import mask_url as mask_url
from automl.words import near, unknown

LEDGER_DIALECTS = ("sqlite", "postgresql")
TRACKING_SCHEMES = (
    "http",
    "https",
    "sqlite",
    "postgresql",
    "mysql",
    "mssql",
    "databricks",
    "databricks-uc",
    "uc",
)


def without_password(url: str) -> str:
    """The URL without its password, and without whatever else is secret in it."""
    masked = mask_url(url).replace(":***@", "@")
    head, mark, query = masked.partition("?")
    kept = "&".join(each for each in re.split("[&;]", query) if not each.endswith("=***"))
    return head + (mark + kept if kept else "")


def as_known(url: str, variable: str) -> str:
    """The URL as the environment has it, password included, if that is the same place; else as it is."""
    known = os.environ.get(variable)
    return known if known and without_password(known) == url else url


def ledger_fault(url: str, where: str = "ledger") -> Fault | None:
    """What is visibly wrong with a ledger's URL: SQLite or PostgreSQL, with a place to keep it."""
    scheme, mark, _ = url.partition("://")
    if not mark:
        return Fault(where, "not a database URL", "Write sqlite:///automl.db")
    if scheme.partition("+")[0] not in LEDGER_DIALECTS:
        return _scheme_fault(where, scheme, LEDGER_DIALECTS)
    return _sqlite_fault(where, url)


def tracking_fault(url: str, where: str = "tracking.uri") -> Fault | None:
    """What is visibly wrong with an MLflow tracking URI."""
    scheme, mark, _ = url.partition("://")
    if url == "databricks":
        return None
    if not mark or scheme == "file":
        what = "not a tracking server's or a database's URL"
        return Fault(where, what, "Write sqlite:///mlflow.db or http://HOST:5000")
    if scheme.partition("+")[0] not in TRACKING_SCHEMES:
        return _scheme_fault(where, scheme, TRACKING_SCHEMES)
    return _sqlite_fault(where, url)


def storage_fault(url: str, where: str = "storage") -> Fault | None:
    """What is visibly wrong with a storage URL: too few slashes, or a place that only one process has."""
    if url.startswith("memory://"):
        what = "memory:// lives in one process, a search in several"
        return Fault(where, what, "Name a folder: runs, or an object store: s3://BUCKET/runs")
    if _has_password(url):
        # The ledger says where every checkpoint lies: the storage's URL is written down, whole.
        mend = "Leave it to the environment, such as AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY"
        return Fault(where, f"{mask_url(url)} has a password in it", mend)
    found = re.match(r"([a-z][a-z0-9+]+):/(?!/)(.*)", url)
    if found is None:
        return None
    return Fault(where, f"one slash after {found[1]}:", f"Write {found[1]}://...")


_NO_PASSWORD = re.compile(r"(://[^/?#\s:@]*):@")
# Where a URL of a search file stands, and where its password may live instead.
PASSWORDS: Mapping[tuple[str, ...], str] = {
    ("ledger",): "Leave it to PGPASSWORD, ~/.pgpass or AUTOML_LEDGER_PASSWORD_FILE",
    ("tracking", "uri"): "Leave it to MLFLOW_TRACKING_USERNAME with MLFLOW_TRACKING_PASSWORD or "
    "AUTOML_TRACKING_PASSWORD_FILE",
}


def password_faults(data: Mapping[str, Any]) -> list[Fault]:
    """Passwords in the URLs of a search file: a file is copied, committed and sent along.

    Args:
        data: the file as plain data.
    """
    found = []
    for path, mend in PASSWORDS.items():
        value: Any = data
        for key in path:
            value = value.get(key) if isinstance(value, Mapping) else None
        if isinstance(value, str) and _has_password(value):
            what = f"{mask_url(value)} has a password in it"
            found.append(Fault(".".join(path), what, mend, spot=path))
    return found


def _has_password(url: str) -> bool:
    bare = _NO_PASSWORD.sub(r"\1@", url)
    return mask_url(bare) != bare


def _scheme_fault(where: str, scheme: str, valid: Sequence[str]) -> Fault:
    guess = near(scheme.partition("+")[0], valid)
    _, mend = unknown(guess or scheme, valid)
    return Fault(where, f"{scheme}:// is none that can be used here", mend)


def _sqlite_fault(where: str, url: str) -> Fault | None:
    if not url.startswith("sqlite"):
        return None
    path = sqlite_path(url)
    if path is None:
        rest = url.partition("://")[2].strip("/") or "automl.db"
        return Fault(where, f"{url} needs three slashes", f"Write sqlite:///{rest}")
    if path in ("", ":memory:"):
        return Fault(where, f"{url} keeps nothing once the process ends", "Name a file: sqlite:///automl.db")
    return None


def sqlite_path(url: str) -> str | None:
    """The file of a SQLite URL (empty for none named); None for any other URL."""
    found = re.match(r"sqlite(?:\+\w+)?:///([^?#]*)", url)
    return found[1] if found else None


def resolve_url(url: str, root: Path) -> str:
    """The URL with a relative path or SQLite file made absolute from the project's root.

    Args:
        url: `sqlite:///automl.db`, `runs`, `s3://bucket/runs`, `http://host:5000`...
        root: the project's root.
    """
    path = sqlite_path(url)
    if path is not None:
        if path in ("", ":memory:") or path.startswith("file:"):
            return url
        head, tail = url[: url.index(":///") + 4], url[url.index(":///") + 4 + len(path) :]
        return f"{head}{(root / Path(path).expanduser()).resolve()}{tail}"
    if "://" in url:
        return url
    return str((root / Path(url).expanduser()).resolve())
