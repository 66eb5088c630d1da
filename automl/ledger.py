"""The append-only table of events, in SQL, and the lease on a search. The only door to SQL.

Knows no engine, no sampler and no tracker. SQLite in WAL mode or PostgreSQL, through SQLAlchemy.
"""

from __future__ import annotations

import json
import os
import socket
import threading
import time
import uuid
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import psutil
import sqlalchemy as sa
from sqlalchemy.engine import Connection, make_url
from sqlalchemy.exc import ArgumentError, IntegrityError, NoSuchModuleError, SQLAlchemyError

from automl.errors import Fault, LeaseHeld, LeaseLost, LedgerError, NoSuchSearch
from automl.events import Event

SCHEMA = 1
LEASE_S = 30.0

_meta = sa.MetaData()
_schema = sa.Table("automl_schema", _meta, sa.Column("version", sa.Integer, primary_key=True))
_searches = sa.Table(
    "automl_searches",
    _meta,
    sa.Column("id", sa.Integer, primary_key=True),
    sa.Column("name", sa.String(100), nullable=False, unique=True),
    sa.Column("created_s", sa.Double, nullable=False),
)
_events = sa.Table(
    "automl_events",
    _meta,
    sa.Column("search_id", sa.ForeignKey("automl_searches.id"), primary_key=True),
    sa.Column("n", sa.BigInteger, primary_key=True, autoincrement=False),
    sa.Column("kind", sa.String(20), nullable=False),
    sa.Column("trial", sa.Integer),
    sa.Column("attempt", sa.Integer),
    sa.Column("time_s", sa.Double, nullable=False),
    sa.Column("data", sa.Text, nullable=False),
)
# A trial is asked once and ends once: the database itself holds that.
for _kind in ("asked", "finished"):
    _once = sa.text(f"kind = '{_kind}'")
    sa.Index(
        f"automl_{_kind}_once",
        _events.c.search_id,
        _events.c.trial,
        unique=True,
        sqlite_where=_once,
        postgresql_where=_once,
    )
_leases = sa.Table(
    "automl_leases",
    _meta,
    sa.Column("search_id", sa.ForeignKey("automl_searches.id"), primary_key=True),
    sa.Column("fence", sa.BigInteger, nullable=False),
    sa.Column("token", sa.String(40)),
    sa.Column("host", sa.String(255), nullable=False),
    sa.Column("machine", sa.String(255), nullable=False),
    sa.Column("pid", sa.Integer, nullable=False),
    sa.Column("pid_started_s", sa.Double, nullable=False),
    sa.Column("beat", sa.BigInteger, nullable=False),
    sa.Column("period_s", sa.Double, nullable=False),
)


@dataclass(frozen=True)
class Holder:
    """Who holds, or last held, the lease on a search; `token` is None once it was given back."""

    fence: int
    token: str | None
    host: str
    machine: str
    pid: int
    pid_started_s: float
    beat: int
    period_s: float

    @property
    def here(self) -> bool:
        return self.machine == machine_id()

    @property
    def alive_here(self) -> bool:
        """Whether its process still lives on this machine (same pid and start time)."""
        try:
            return abs(psutil.Process(self.pid).create_time() - self.pid_started_s) < 1.0
        except psutil.Error:
            return False


class Ledger:
    """Events of many searches behind one SQLAlchemy URL.

    Args:
        url: `sqlite:////absolute/path.db` or `postgresql+psycopg://...`.
        create: make the tables, and an SQLite file, that are not there yet; a reader does not.

    Raises:
        LedgerError: it cannot be opened, or a newer version of this package wrote it.
    """

    def __init__(self, url: str, create: bool = True) -> None:
        self.url = url
        self.shown = masked(url)
        with self._translated():
            self._engine = _engine(url)
            self._reader = self._engine.execution_options(reads=True)
            if not create and not _exists(self._engine):
                raise LedgerError(
                    f"there is no ledger at {self.shown} yet. A first search makes it: automl search FILE"
                )
            self._prepare()

    def close(self) -> None:
        self._engine.dispose()

    def searches(self) -> list[str]:
        """Names in the order of their creation."""
        with self._translated(), self._reader.begin() as db:
            return list(db.scalars(sa.select(_searches.c.name).order_by(_searches.c.id)))

    def events(self, name: str, after: int = 0) -> Iterator[Event]:
        """The events of a search in order, from after position `after`.

        Raises:
            NoSuchSearch: with the names that there are.
        """
        with self._translated(), self._reader.begin() as db:
            key = self._key(db, name)
            rows = db.execute(
                sa.select(_events)
                .where(_events.c.search_id == key, _events.c.n > after)
                .order_by(_events.c.n)
            ).all()
        for row in rows:
            yield Event(row.kind, row.trial, row.attempt, json.loads(row.data), row.time_s, row.n)

    def holder(self, name: str) -> Holder | None:
        """Who holds the lease, alive or not; None if nobody does."""
        with self._translated(), self._reader.begin() as db:
            held = _holder(db, self._key(db, name))
        return held if held and held.token else None

    def driver_alive(self, name: str, wait: bool = False) -> bool:
        """Whether a driver holds the lease and, as far as can be seen from here, lives.

        Args:
            wait: for a holder on another machine, watch one lease period for a heartbeat.
        """
        held = self.holder(name)
        if held is None:
            return False
        return held.alive_here if held.here else (not wait or self._beats(name, held))

    def lease(
        self, name: str, period_s: float = LEASE_S, say: Callable[[str], None] = lambda text: None
    ) -> Lease:
        """Become the one driver of a search, creating it if need be.

        Args:
            name: the search.
            period_s: a holder elsewhere is dead after so long without a heartbeat.
            say: told why this waits, if it does.

        Raises:
            LeaseHeld: another driver lives; names its host and pid.
        """
        with self._translated():
            self._create(name)
            held = self.holder(name)
            if held is not None:
                self._await_death(name, held, say)
            return Lease(self, name, period_s, held)

    def _await_death(self, name: str, held: Holder, say: Callable[[str], None]) -> None:
        if held.here:
            beats = held.alive_here
        else:
            say(
                f"{name} is held by {held.host}, pid {held.pid}; "
                f"waiting {held.period_s:g} s for its heartbeat before taking over"
            )
            beats = self._beats(name, held)
        if beats:
            raise LeaseHeld(
                f"{name} is run by another driver: host {held.host}, pid {held.pid}. "
                f"Wait for it to end, or stop it there with: kill {held.pid}"
            )

    def _beats(self, name: str, held: Holder) -> bool:
        deadline = time.monotonic() + held.period_s
        while time.monotonic() < deadline:
            time.sleep(min(0.5, held.period_s / 4))
            now = self.holder(name)
            if now is None or now.token != held.token:
                return now is not None
            if now.beat != held.beat:
                return True
        return False

    def _create(self, name: str) -> None:
        try:
            with self._engine.begin() as db:
                if db.scalar(sa.select(_searches.c.id).where(_searches.c.name == name)) is None:
                    db.execute(sa.insert(_searches).values(name=name, created_s=time.time()))
        except IntegrityError:
            return  # another driver has just created it: the lease decides which goes on

    def _key(self, db: Connection, name: str) -> int:
        key = db.scalar(sa.select(_searches.c.id).where(_searches.c.name == name))
        if key is None:
            known = list(db.scalars(sa.select(_searches.c.name).order_by(_searches.c.id)))
            raise NoSuchSearch(_unknown(name, known, self.shown))
        return key

    def _prepare(self) -> None:
        with self._engine.begin() as db:
            _meta.create_all(db)
            version = db.scalar(sa.select(sa.func.max(_schema.c.version)))
            if version is None:
                db.execute(sa.insert(_schema).values(version=SCHEMA))
            elif version > SCHEMA:
                raise LedgerError(
                    f"{self.shown} is a ledger of schema {version}, this automl knows up to {SCHEMA}. "
                    "Install a newer automl"
                )

    def _translated(self) -> _Translated:
        return _Translated(self.shown)


class _Translated:
    """Turns the database's exceptions into LedgerError at one place, passwords masked."""

    def __init__(self, shown: str) -> None:
        self._shown = shown

    def __enter__(self) -> None:
        return None

    def __exit__(self, kind: Any, error: BaseException | None, trace: Any) -> None:
        if isinstance(error, SQLAlchemyError | ImportError | OSError):
            first = str(getattr(error, "orig", None) or error).strip().splitlines()[0]
            raise LedgerError(f"ledger {self._shown}: {first}") from error


class Lease:
    """The right to write a search's events, renewed by heartbeat from a thread.

    Used as a context manager; leaving it gives the lease back.
    """

    def __init__(self, ledger: Ledger, name: str, period_s: float, before: Holder | None) -> None:
        self.ledger, self.name, self.period_s = ledger, name, period_s
        self.token = uuid.uuid4().hex
        self._lost = threading.Event()
        self._left = threading.Event()
        with ledger._engine.begin() as db:
            self._key = ledger._key(db, name)
            self._take(db, before)
            self._n = (
                db.scalar(sa.select(sa.func.max(_events.c.n)).where(_events.c.search_id == self._key)) or 0
            )
        self._thread = threading.Thread(target=self._beat, name="automl-lease", daemon=True)
        self._thread.start()

    def __enter__(self) -> Lease:
        return self

    def __exit__(self, *_: object) -> None:
        self.release()

    @property
    def n(self) -> int:
        """The position of the last event written."""
        return self._n

    def append(self, events: Sequence[Event]) -> list[Event]:
        """Write events, all or none, behind the fence.

        Returns:
            The same events with their time and position.

        Raises:
            LeaseLost: another driver has taken over; nothing was written.
        """
        now = time.time()
        numbered = [
            replace(event, n=self._n + offset, time_s=event.time_s or now)
            for offset, event in enumerate(events, start=1)
        ]
        with self.ledger._translated(), self.ledger._engine.begin() as db:
            self._guard(db)
            db.execute(sa.insert(_events), [_row(self._key, event) for event in numbered])
        self._n += len(numbered)
        return numbered

    def release(self) -> None:
        """Give the lease back; harmless when it was lost."""
        self._left.set()
        self._thread.join()
        with self.ledger._translated(), self.ledger._engine.begin() as db:
            mine = (_leases.c.search_id == self._key) & (_leases.c.token == self.token)
            db.execute(sa.update(_leases).where(mine).values(token=None))

    def _guard(self, db: Connection) -> None:
        lease = sa.select(_leases.c.token).where(_leases.c.search_id == self._key).with_for_update()
        if self._lost.is_set() or db.scalar(lease) != self.token:
            self._lost.set()
            raise LeaseLost(f"{self.name}: another driver has taken this search over")

    def _take(self, db: Connection, before: Holder | None) -> None:
        held = _holder(db, self._key, lock=True)
        if held and held.token and (before is None or held.token != before.token):
            raise LeaseHeld(f"{self.name} was just taken by host {held.host}, pid {held.pid}")
        values = {
            "fence": (held.fence if held else 0) + 1,
            "token": self.token,
            "host": socket.gethostname(),
            "machine": machine_id(),
            "pid": os.getpid(),
            "pid_started_s": psutil.Process().create_time(),
            "beat": 0,
            "period_s": self.period_s,
        }
        if held:
            db.execute(sa.update(_leases).where(_leases.c.search_id == self._key).values(**values))
        else:
            db.execute(sa.insert(_leases).values(search_id=self._key, **values))

    def _beat(self) -> None:
        mine = (_leases.c.search_id == self._key) & (_leases.c.token == self.token)
        while not self._left.wait(self.period_s / 4):
            try:
                with self.ledger._engine.begin() as db:
                    done = db.execute(sa.update(_leases).where(mine).values(beat=_leases.c.beat + 1))
                if done.rowcount == 0:
                    self._lost.set()
                    return
            except SQLAlchemyError:
                continue  # the database is away: the next append says so, this thread tries again


def probe(url: str) -> str | None:
    """Whether a database could be used, without making it; None, or what is wrong."""
    try:
        engine = _engine(url)
    except LedgerError as error:
        return str(error)
    try:
        if not _exists(engine):
            folder = Path(engine.url.database or ".").absolute().parent
            return None if os.access(folder, os.W_OK) else f"{folder} is not there or cannot be written"
        with engine.execution_options(reads=True).begin() as db:
            db.execute(sa.text("SELECT 1"))
        return None
    except (SQLAlchemyError, ImportError, OSError) as error:
        return str(getattr(error, "orig", None) or error).strip().splitlines()[0]
    finally:
        engine.dispose()


def machine_id() -> str:
    """Names this machine and process space: a pid means something only within it."""
    try:
        boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
        return f"{socket.gethostname()} {boot} {os.readlink('/proc/self/ns/pid')}"
    except OSError:
        return socket.gethostname()


def masked(url: str) -> str:
    """The URL with its password hidden; text that is no URL is returned as it is."""
    try:
        return make_url(url).render_as_string(hide_password=True)
    except ArgumentError:
        return url


def _row(key: int, event: Event) -> dict[str, Any]:
    return {
        "search_id": key,
        "n": event.n,
        "kind": event.kind,
        "trial": event.trial,
        "attempt": event.attempt,
        "time_s": event.time_s,
        "data": json.dumps(dict(event.data), separators=(",", ":")),
    }


def _holder(db: Connection, key: int, lock: bool = False) -> Holder | None:
    query = sa.select(_leases).where(_leases.c.search_id == key)
    row = db.execute(query.with_for_update() if lock else query).one_or_none()
    if row is None:
        return None
    fields = {name: value for name, value in row._mapping.items() if name != "search_id"}
    return Holder(**fields)


def _unknown(name: str, known: Sequence[str], shown: str) -> Fault:
    there = f"It has {', '.join(known[-10:])}" if known else "It has none yet"
    return Fault(name, f"no search of that name in the ledger {shown}", there)


def _engine(url: str) -> sa.Engine:
    try:
        parsed = make_url(url)
    except ArgumentError as error:
        raise LedgerError(f"{url!r} is no database URL. Try sqlite:///automl.db") from error
    try:
        if parsed.get_backend_name() != "sqlite":
            return sa.create_engine(parsed, pool_pre_ping=True, connect_args={"connect_timeout": 10})
        engine = sa.create_engine(parsed, connect_args={"timeout": 30, "isolation_level": None})
    except (NoSuchModuleError, TypeError) as error:
        raise LedgerError(f"{masked(url)}: {error}. Try sqlite:///automl.db") from error
    sa.event.listen(engine, "connect", _sqlite_pragmas)
    sa.event.listen(engine, "begin", _sqlite_begin)
    return engine


def _sqlite_pragmas(connection: Any, _: Any) -> None:
    cursor = connection.cursor()
    cursor.execute("PRAGMA journal_mode=WAL")
    # In WAL mode NORMAL survives the death of any process; only a power cut may cost the last commits.
    cursor.execute("PRAGMA synchronous=NORMAL")
    cursor.close()


def _sqlite_begin(connection: Connection) -> None:
    # A writer takes the lock at once: one that first reads and then writes would fail with SQLITE_BUSY.
    reads = connection.get_execution_options().get("reads")
    connection.exec_driver_sql("BEGIN" if reads else "BEGIN IMMEDIATE")


def _exists(engine: sa.Engine) -> bool:
    file = engine.url.database if engine.url.get_backend_name() == "sqlite" else None
    return file is None or Path(file).exists()
