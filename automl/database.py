"""Opens SQLite and PostgreSQL through SQLAlchemy, and says what is wrong with one. Knows no event."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import URL, Connection, make_url
from sqlalchemy.exc import ArgumentError, DBAPIError, NoSuchModuleError, SQLAlchemyError
from sqlalchemy.exc import TimeoutError as PoolTimeout

from automl import credentials
from automl.errors import InputError, LedgerAway, LedgerError
from automl.urls import mask_url

CONNECT_S = 10
BUSY_S = 30
VENDOR_ERRORS = (SQLAlchemyError, ImportError, OSError)
# A server that is gone without a word, its machine or the network off, is given up after about this.
SILENT_S = 30
PAUSED_S = 10
# What SQLite may be cured of: NOMEM, BUSY, LOCKED, READONLY, IOERR, FULL, CANTOPEN, PROTOCOL.
_SQLITE_PASSING = frozenset({7, 5, 6, 8, 10, 13, 14, 15})
# How the SQLSTATE begins: connection, read-only, rolled back, resources, not ready, operator, I/O.
_POSTGRES_PASSING = ("08", "25006", "40", "53", "55", "57", "58")

_POSTGRES_ARGS = {
    "connect_timeout": CONNECT_S,
    "keepalives_idle": SILENT_S // 3,
    "keepalives_interval": SILENT_S // 6,
    "keepalives_count": 4,
    "tcp_user_timeout": SILENT_S * 1000,
}
# Seconds since the epoch by the database's own clock, the same for whoever asks, from wherever.
_CLOCK = {
    "sqlite": "((julianday('now') - 2440587.5) * 86400.0)",
    "postgresql": "CAST(extract(epoch FROM clock_timestamp()) AS double precision)",
}


def clock(db: Connection) -> sa.ColumnElement[float]:
    """The database's own clock, for a statement on this connection."""
    return sa.literal_column(_CLOCK[db.dialect.name], sa.Double)


def connect(url: str) -> sa.Engine:
    """A pool of connections; nothing is opened yet.

    Connections with the execution option `reads` begin without the lock that writers take.

    Raises:
        LedgerError: the URL is none of a database.
    """
    engine = _ledgers(url)
    if engine.dialect.name == "sqlite":
        sa.event.listen(engine, "connect", _sqlite_pragmas)
        sa.event.listen(engine, "begin", _sqlite_begin)
    else:
        sa.event.listen(engine, "connect", _postgres_limits)
    return engine


def exists(engine: sa.Engine) -> bool:
    """Whether there is a file, or a server is meant, which can only be asked."""
    file = engine.url.database if engine.dialect.name == "sqlite" else None
    return file is None or Path(file).exists()


def probe(url: str) -> str | None:
    """Whether a ledger's database could be used, without making or changing it; None, or what is wrong."""
    return _probe(url, _ledgers)


def probe_other(url: str) -> str | None:
    """The same of a database that is no ledger: the ledger's password is none of its business."""
    return _probe(url, _engine)


def _probe(url: str, make: Callable[[str], sa.Engine]) -> str | None:
    try:
        engine = make(url)
    except LedgerError as error:
        return str(error)
    try:
        if not exists(engine):
            folder = Path(engine.url.database or ".").absolute().parent
            return None if os.access(folder, os.W_OK) else f"{folder} is not there or cannot be written"
        with engine.connect() as db:
            db.execute(sa.text("PRAGMA schema_version" if engine.dialect.name == "sqlite" else "SELECT 1"))
        return None
    except LedgerError as error:
        return str(error)
    except VENDOR_ERRORS as error:
        return one_line(error, url)
    finally:
        engine.dispose()


def one_line(error: BaseException, *urls: str) -> str:
    """What the database said, on one line, without SQLAlchemy's words around it and without passwords."""
    lines = str(getattr(error, "orig", None) or error).strip().splitlines()
    return credentials.scrubbed(lines[0], *urls) if lines else type(error).__name__


def passing(error: BaseException) -> bool:
    """Whether what went wrong may be over after a while, without anybody mending the ledger itself."""
    if isinstance(error, OSError | PoolTimeout):
        return True
    if not isinstance(error, DBAPIError):
        return False
    cause = error.orig
    if (code := getattr(cause, "sqlite_errorcode", None)) is not None:
        return code & 0xFF in _SQLITE_PASSING
    if state := getattr(cause, "sqlstate", None):
        return bool(state.startswith(_POSTGRES_PASSING))
    # The driver itself speaks: no connection, or one that broke.
    return error.connection_invalidated or type(cause).__name__ in ("OperationalError", "InterfaceError")


class Translated:
    """Turns the database's exceptions into LedgerError at one place, passwords masked.

    What may pass becomes LedgerAway.
    """

    def __init__(self, url: str) -> None:
        self._url, self._shown = url, mask_url(url)

    def __enter__(self) -> None:
        return None

    def __exit__(self, kind: Any, error: BaseException | None, trace: Any) -> None:
        if isinstance(error, VENDOR_ERRORS):
            said = one_line(error, self._url)
            which = LedgerAway if passing(error) else LedgerError
            raise which(f"ledger {self._shown}: {said}. {_mend(self._shown, said)}") from error


def _mend(shown: str, said: str) -> str:
    if not shown.startswith("sqlite"):
        return "Check that the server runs, and that the URL, its user and its database are right"
    if "malformed" in said:
        file = shown.partition("///")[2]
        return f"Restore a copy, or save what can be read: sqlite3 {file} .recover | sqlite3 saved.db"
    if "not a database" in said:
        return "Name another file, or move this one out of the way"
    if "locked" in said:
        return "Another process keeps it locked: end that one, then run the same command again"
    return "Check that its folder is there and can be written, and that its disk is not full"


def _ledgers(url: str) -> sa.Engine:
    """An engine that takes the ledger's password from its file, when it connects, where the URL has none."""
    engine = _engine(url)

    def give(dialect: Any, record: Any, words: list[Any], named: dict[str, Any]) -> None:
        try:
            password = None if named.get("password") else credentials.password_in(credentials.LEDGER_FILE)
        except InputError as error:  # the same may succeed once it is mended
            raise LedgerAway(str(error)) from error
        if password:
            named["password"] = password

    if engine.dialect.name == "postgresql":
        sa.event.listen(engine, "do_connect", give)
    return engine


def _engine(url: str) -> sa.Engine:
    try:
        parsed = _with_driver(make_url(url))
        # A server may have closed a connection that lay idle; a file closes none.
        remote = parsed.get_backend_name() != "sqlite"
        return sa.create_engine(parsed, pool_pre_ping=remote, connect_args=_connect_args(parsed))
    except (ArgumentError, ValueError) as error:
        # Without a scheme nobody can tell where a password begins.
        shown = mask_url(url) if url.find("://") > 0 else url.rpartition("@")[2]
        raise LedgerError(f"{shown} is no database URL. Try sqlite:///automl.db") from error
    except (NoSuchModuleError, ImportError, TypeError) as error:
        raise LedgerError(f"{mask_url(url)}: {one_line(error, url)}. Try sqlite:///automl.db") from error


def _with_driver(url: URL) -> URL:
    """PostgreSQL by the driver that is installed with this package, unless another is named."""
    return url.set(drivername="postgresql+psycopg") if url.drivername == "postgresql" else url


def _connect_args(url: URL) -> dict[str, Any]:
    backend = url.get_backend_name()
    if backend == "sqlite":
        return {"timeout": BUSY_S, "isolation_level": None}
    if backend == "postgresql":
        return {key: value for key, value in _POSTGRES_ARGS.items() if key not in url.query}
    return {}


def _sqlite_pragmas(connection: Any, _: Any) -> None:
    cursor = connection.cursor()
    cursor.execute("PRAGMA journal_mode=WAL")
    # In WAL mode NORMAL survives the death of any process; only a power cut may cost the last commits.
    cursor.execute("PRAGMA synchronous=NORMAL")
    cursor.close()


def _postgres_limits(connection: Any, _: Any) -> None:
    # A process that is paused in the middle of a transaction would keep its locks from whoever takes over.
    with connection.cursor() as cursor:
        cursor.execute(f"SET idle_in_transaction_session_timeout = {int(PAUSED_S * 1000)}")
    connection.commit()


def _sqlite_begin(connection: Connection) -> None:
    # A writer takes the lock at once: one that first reads and then writes would fail with SQLITE_BUSY.
    reads = connection.get_execution_options().get("reads")
    connection.exec_driver_sql("BEGIN" if reads else "BEGIN IMMEDIATE")
