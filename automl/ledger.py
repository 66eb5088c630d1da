"""The append-only table of events, in SQL, and the lease on a search. With database.py the only door to SQL.

Knows no engine, no sampler and no tracker. SQLite in WAL mode or PostgreSQL, through SQLAlchemy.
"""

from __future__ import annotations

import contextlib
import json
import os
import socket
import threading
import time
import uuid
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection
from sqlalchemy.exc import IntegrityError, SQLAlchemyError

from automl.database import Translated, connect, exists
from automl.database import probe as probe
from automl.errors import Fault, LeaseHeld, LeaseLost, LedgerError, NoSuchSearch
from automl.events import Event
from automl.machine import machine_id, process_started_s
from automl.urls import mask_url
from automl.words import near

SCHEMA = 1
LEASE_S = 30.0
# So many events are read at once: memory stays small, and no reader holds a lock for long.
PAGE = 1000
# The tokens of the leases that this process renews.
_renewed: set[str] = set()

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
        """Whether its process still lives on this machine (same pid and start time), and renews it."""
        if self.pid == os.getpid():
            return self.token in _renewed
        started_s = process_started_s(self.pid)
        return started_s is not None and abs(started_s - self.pid_started_s) < 1.0


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
        self.shown = mask_url(url)
        with self._translated():
            self._engine = connect(url)
            self._reader = self._engine.execution_options(reads=True)
            try:
                self._open(create)
            except BaseException:
                self._engine.dispose()
                raise

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
        return self._pages(key, after)

    def _pages(self, key: int, after: int) -> Iterator[Event]:
        query = sa.select(_events).where(_events.c.search_id == key).order_by(_events.c.n).limit(PAGE)
        while True:
            with self._translated(), self._reader.begin() as db:
                rows = db.execute(query.where(_events.c.n > after)).all()
            for row in rows:
                yield Event(row.kind, row.trial, row.attempt, json.loads(row.data), row.time_s, row.n)
            if len(rows) < PAGE:
                return
            after = rows[-1].n

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
            raise LeaseHeld(_refusal(name, self.holder(name) or held))

    def _beats(self, name: str, held: Holder) -> bool:
        deadline = time.monotonic() + held.period_s
        while time.monotonic() < deadline:
            time.sleep(min(0.5, held.period_s / 8))
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

    def _key(self, db: Connection, name: str, lock: bool = False) -> int:
        query = sa.select(_searches.c.id).where(_searches.c.name == name)
        key = db.scalar(query.with_for_update() if lock else query)
        if key is None:
            known = list(db.scalars(sa.select(_searches.c.name).order_by(_searches.c.id)))
            raise NoSuchSearch(_unknown(name, known, self.shown))
        return key

    def _open(self, create: bool) -> None:
        version = self._version() if exists(self._engine) else None
        if version is None and not create:
            raise LedgerError(
                f"there is no ledger at {self.shown} yet. A first search makes it: automl search FILE"
            )
        if version is None:
            self._prepare()
        elif version > SCHEMA:
            raise LedgerError(
                f"{self.shown} is a ledger of schema {version}, this automl knows up to {SCHEMA}. "
                "Install a newer automl"
            )

    def _version(self) -> int | None:
        """The newest schema that wrote here; None where there are no tables yet."""
        with self._reader.begin() as db:
            if not sa.inspect(db).has_table(_schema.name):
                return None
            return db.scalar(sa.select(sa.func.max(_schema.c.version)))

    def _prepare(self) -> None:
        with self._engine.begin() as db:
            if db.dialect.name == "postgresql":
                # Two first drivers at once: SQLite's writers queue up, PostgreSQL's need to be told.
                db.execute(sa.select(sa.func.pg_advisory_xact_lock(sa.func.hashtext(_schema.name))))
            _meta.create_all(db)
            if db.scalar(sa.select(sa.func.max(_schema.c.version))) is None:
                db.execute(sa.insert(_schema).values(version=SCHEMA))

    def _translated(self) -> Translated:
        return Translated(self.shown)


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
            self._key = ledger._key(db, name, lock=True)
            self._take(db, before)
            self._n = (
                db.scalar(sa.select(sa.func.max(_events.c.n)).where(_events.c.search_id == self._key)) or 0
            )
        _renewed.add(self.token)
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
        """Give the lease back; harmless when it was lost, or when the database is away.

        One that could not be given back is free all the same: nobody renews it.
        """
        self._left.set()
        self._thread.join()
        _renewed.discard(self.token)
        mine = (_leases.c.search_id == self._key) & (_leases.c.token == self.token)
        with contextlib.suppress(SQLAlchemyError, OSError), self.ledger._engine.begin() as db:
            db.execute(sa.update(_leases).where(mine).values(token=None))

    def _guard(self, db: Connection) -> None:
        lease = sa.select(_leases.c.token).where(_leases.c.search_id == self._key).with_for_update()
        if self._lost.is_set() or db.scalar(lease) != self.token:
            self._lost.set()
            raise LeaseLost(f"{self.name}: another driver has taken this search over")

    def _take(self, db: Connection, before: Holder | None) -> None:
        held = _holder(db, self._key, lock=True)
        if held and held.token and (before is None or held.token != before.token):
            raise LeaseHeld(_refusal(self.name, held))
        values = {
            "fence": (held.fence if held else 0) + 1,
            "token": self.token,
            "host": socket.gethostname(),
            "machine": machine_id(),
            "pid": os.getpid(),
            "pid_started_s": process_started_s(os.getpid()),
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
    guess = near(name, known)
    mend = f"Did you mean {guess}? {there}" if guess else there
    return Fault(name, f"no search of that name in the ledger {shown}", mend)


def _refusal(name: str, held: Holder) -> str:
    return (
        f"{name} is run by another driver: host {held.host}, pid {held.pid}. "
        f"Wait for it to end, or stop it there with: kill {held.pid}"
    )
