"""The append-only tables of events, in SQL. With database, schema and lease the only door to SQL.

Knows no engine, no sampler and no tracker. SQLite in WAL mode or PostgreSQL, through SQLAlchemy.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from importlib import metadata
from itertools import pairwise
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection
from sqlalchemy.exc import IntegrityError

from automl import schema
from automl.database import Translated, clock, connect, exists
from automl.database import probe as probe
from automl.database import probe_other as probe_other
from automl.errors import Fault, LeaseHeld, LedgerError, NoLedger, NoSuchSearch
from automl.events import Event
from automl.lease import Lease as Lease
from automl.lease import refusal
from automl.schema import Holder
from automl.urls import mask_url
from automl.words import near

LEASE_S = 30.0
# So many events are read at once: memory stays small, and no reader holds a lock for long.
PAGE = 1000
# The kinds of which a trial has very many, and the others of a trial that end when it is finished.
_OFTEN = ("reported", "checkpointed")
_OF_TRIALS = ("asked", "started", "ended")
_REPEATED = '"repeat":true'


class Ledger:
    """Events of many searches behind one SQLAlchemy URL.

    Args:
        url: `sqlite:////absolute/path.db` or `postgresql+psycopg://...`.
        create: make the tables, and an SQLite file, that are not there yet, and bring older tables up to
            date; a reader does neither.

    Raises:
        LedgerError: it cannot be opened, or a newer version of this package wrote it.
    """

    def __init__(self, url: str, create: bool = True) -> None:
        self.url = url
        self.shown = mask_url(url)
        self._schema = schema.SCHEMA
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
            return list(db.scalars(sa.select(schema.searches.c.name).order_by(schema.searches.c.id)))

    def events(self, name: str, after: int = 0, tolerant: bool = False) -> Iterator[Event]:
        """The events of a search in order, from after position `after`.

        Args:
            name: the search.
            after: the position before the first.
            tolerant: data that cannot be read stands under `garbled` in place of raising ValueError.

        Raises:
            NoSuchSearch: with the names that there are.
        """
        with self._translated(), self._reader.begin() as db:
            key = self._key(db, name)
        return self._pages(key, after, tolerant)

    def _pages(self, key: int, after: int, tolerant: bool) -> Iterator[Event]:
        query = (
            sa.select(schema.events)
            .where(schema.events.c.search_id == key)
            .order_by(schema.events.c.n)
            .limit(PAGE)
        )
        while True:
            with self._translated(), self._reader.begin() as db:
                rows = db.execute(query.where(schema.events.c.n > after)).all()
            yield from [schema.event(row, tolerant) for row in rows] if tolerant else schema.page(rows)
            if len(rows) < PAGE:
                return
            after = rows[-1].n

    def overview(self, name: str) -> list[Event]:
        """What a table of a search's trials needs of its events, in order: all but reports and checkpoints.

        Of the reports the last one of each trial that counted; of a driver before the last one also
        what was heard last of it, whatever that was.

        Args:
            name: the search.

        Raises:
            NoSuchSearch: with the names that there are.
        """
        table = schema.events.c
        with self._translated(), self._reader.begin() as db:
            key = self._key(db, name)
            now = db.scalar(sa.select(sa.func.max(table.n)).where(table.search_id == key)) or 0
            # The same in each query, while a driver goes on.
            mine = (table.search_id == key) & (table.n <= now)
            found = _paged(db, sa.select(schema.events).where(mine & table.kind.not_in(_OFTEN)))
            begun = sorted(event.n for event in found if event.kind == "opened")
            found += schema.page([*_last_reports(db, key, mine), *_last_heard(db, mine, begun)])
        by_n = {event.n: event for event in found}
        return [by_n[n] for n in sorted(by_n)]

    def outline(self, name: str) -> list[Event]:
        """What a line about a search needs of its events, in order: of a trial that is finished only that.

        Args:
            name: the search.

        Raises:
            NoSuchSearch: with the names that there are.
        """
        table = schema.events.c
        with self._translated(), self._reader.begin() as db:
            mine = table.search_id == self._key(db, name)
            finished = sa.select(table.trial).where(mine & schema.ONCE["finished"] & table.trial.is_not(None))
            wanted = table.kind.not_in(_OF_TRIALS) | table.trial.not_in(finished)
            query = sa.select(schema.events).where(mine & table.kind.not_in(_OFTEN) & wanted)
            return _paged(db, query.order_by(table.n))

    def asked(self, name: str, trials: Sequence[int]) -> list[Event]:
        """How some trials of a search began, in no order."""
        table = schema.events.c
        rows: list[sa.Row[Any]] = []
        with self._translated(), self._reader.begin() as db:
            mine = (table.search_id == self._key(db, name)) & schema.ONCE["asked"]
            for first in range(0, len(trials), PAGE):
                these = table.trial.in_(trials[first : first + PAGE])
                rows += db.execute(sa.select(schema.events).where(mine & these)).all()
        return schema.page(rows)

    def last(self, name: str, kind: str) -> Event | None:
        """The last event of a kind, None where there is none."""
        with self._translated(), self._reader.begin() as db:
            mine = (schema.events.c.search_id == self._key(db, name)) & (schema.events.c.kind == kind)
            query = sa.select(schema.events).where(mine).order_by(schema.events.c.n.desc()).limit(1)
            row = db.execute(query).one_or_none()
        return None if row is None else schema.event(row)

    def holder(self, name: str) -> Holder | None:
        """Who holds the lease, alive or not; None if nobody does."""
        with self._translated(), self._reader.begin() as db:
            held = schema.holder(db, self._key(db, name), version=self._schema)
        return held if held and held.token else None

    def fence(self, name: str) -> int:
        """How often the lease was taken: whoever saw a smaller number belongs to a driver of the past."""
        with self._translated(), self._reader.begin() as db:
            held = schema.holder(db, self._key(db, name), version=self._schema)
        return held.fence if held else 0

    def driver_alive(self, name: str, wait: bool = False) -> bool:
        """Whether a driver holds the lease and, as far as can be seen from here, lives.

        On this machine its process is looked at. Elsewhere it is lost once it was silent for longer than
        its lease's period, by the database's own clock.

        Args:
            wait: for a holder on another machine, watch one lease period for a heartbeat.
        """
        held = self.holder(name)
        if held is None:
            return False
        return self._beats(name, held) if wait and not held.here else held.alive

    def ask(self, name: str, kind: str, by: str) -> int | None:
        """Ask something of the driver of a search; it hears that within a few seconds.

        Args:
            name: the search.
            kind: what: `stop`.
            by: who asks, such as user@host.

        Returns:
            The request's number; None where nobody holds the lease, so that nobody would hear it.

        Raises:
            NoSuchSearch: with the names that there are.
            LedgerError: the ledger is of an earlier version, whose drivers hear nothing.
        """
        with self._translated(), self._engine.begin() as db:
            key = self._key(db, name)
            held = schema.holder(db, key, version=self._schema)
            if held is None or held.token is None:
                return None
            if self._schema < schema.SCHEMA:
                raise LedgerError(
                    f"{self.shown}: the driver of {name} is an earlier automl, which hears no requests. "
                    f"End it on {held.host} with: kill {held.pid}"
                )
            asked = {"kind": kind, "asked_by": by, "asked_s": clock(db), "fence": held.fence}
            added = sa.insert(schema.requests).values(search_id=key, **asked).returning(schema.requests.c.id)
            return int(db.execute(added).scalar_one())

    def lease(
        self,
        name: str,
        period_s: float = LEASE_S,
        say: Callable[[str], None] = lambda text: None,
        waits: Path | None = None,
    ) -> Lease:
        """Become the one driver of a search, creating it if need be.

        Args:
            name: the search.
            period_s: a holder elsewhere is dead after so long without a heartbeat.
            say: told why this waits, if it does, and when the database goes away and comes back.
            waits: the file in which events wait while the database is away; without one an append fails.

        Raises:
            LeaseHeld: another driver lives; names its host and pid.
        """
        with self._translated():
            self._upgrade()
            self._create(name)
            held = self.holder(name)
            if held is not None:
                self._await_death(name, held, say)
            return Lease(self, name, period_s, held, waits, say)

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
            raise LeaseHeld(refusal(name, self.holder(name) or held))

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
                if db.scalar(sa.select(schema.searches.c.id).where(schema.searches.c.name == name)) is None:
                    db.execute(sa.insert(schema.searches).values(name=name, created_s=time.time()))
        except IntegrityError:
            return  # another driver has just created it: the lease decides which goes on

    def _key(self, db: Connection, name: str) -> int:
        key = db.scalar(sa.select(schema.searches.c.id).where(schema.searches.c.name == name))
        if key is None:
            known = list(db.scalars(sa.select(schema.searches.c.name).order_by(schema.searches.c.id)))
            raise NoSuchSearch(_unknown(name, known, self.shown))
        return key

    def _open(self, create: bool) -> None:
        found = None
        if exists(self._engine):
            with self._reader.begin() as db:
                found = self._found(db)
        if found is None and not create:
            raise NoLedger(
                f"there is no ledger at {self.shown} yet. A first search makes it: automl search FILE"
            )
        if found is None:
            self._prepare()
            return
        self._schema = self._known(*found)
        if create:
            self._upgrade()

    def _found(self, db: Connection) -> tuple[int, str | None] | None:
        """The newest schema that wrote here, and which automl that was; None where nothing did."""
        if not sa.inspect(db).has_table(schema.versions.name):
            return None
        # Whatever columns there are: a later schema may have others, an earlier one has fewer.
        rows = [row._mapping for row in db.execute(sa.text(f"SELECT * FROM {schema.versions.name}"))]
        newest = max(rows, key=lambda row: int(row["version"]), default=None)
        return None if newest is None else (int(newest["version"]), newest.get("written_by"))

    def _known(self, version: int, written_by: str | None) -> int:
        """The version, if this automl knows it."""
        if version <= schema.SCHEMA:
            return version
        writer = f"automl {written_by}" if written_by else "a later automl"
        needed = f"automl {written_by} or later" if written_by else "a newer automl"
        raise LedgerError(
            f"{self.shown} is a ledger of schema {version}, made by {writer}; this automl "
            f"({_version() or 'not installed'}) knows up to {schema.SCHEMA}. "
            f"Install {needed}, or name another ledger"
        )

    def _prepare(self) -> None:
        with self._engine.begin() as db:
            _queue_up(db)
            if (found := self._found(db)) is not None:
                self._schema = self._known(*found)  # another first driver was faster
                return
            schema.meta.create_all(db)
            db.execute(sa.insert(schema.versions).values(version=schema.SCHEMA, written_by=_version()))

    def _upgrade(self) -> None:
        """Bring older tables up to date, whole or not at all; of two drivers one does, the other waits."""
        if self._schema == schema.SCHEMA:
            return
        from automl import migrations

        with self._engine.begin() as db:
            _queue_up(db)
            found = self._found(db)
            assert found is not None
            if (version := self._known(*found)) < schema.SCHEMA:
                migrations.upgrade(db, version)
                newest = {"version": schema.SCHEMA, "written_by": _version()}
                db.execute(sa.update(schema.versions).values(**newest))
        self._schema = schema.SCHEMA

    def _translated(self) -> Translated:
        return Translated(self.url)


def _queue_up(db: Connection) -> None:
    """Two that change tables at once: SQLite's writers queue up, PostgreSQL's need to be told."""
    if db.dialect.name == "postgresql":
        db.execute(sa.select(sa.func.pg_advisory_xact_lock(sa.func.hashtext(schema.versions.name))))


def _version() -> str | None:
    """The version of this package; None where it runs without being installed."""
    try:
        return metadata.version("automl")
    except metadata.PackageNotFoundError:
        return None


def _paged(db: Connection, query: sa.Select[Any]) -> list[Event]:
    """The events that a query finds; a page at a time is in memory twice, as text and as data."""
    return [event for rows in db.execute(query).partitions(PAGE) for event in schema.page(rows)]


def _last_reports(db: Connection, key: int, mine: sa.ColumnElement[bool]) -> list[sa.Row[Any]]:
    """The last report of each trial that counted."""
    table = schema.events.c
    reported = mine & (table.kind == "reported")
    # To look into each report takes longer than all the rest, and hardly any trial ends with a repetition.
    found = _newest(db, key, reported)
    if any(_REPEATED in data for *_, data in found):
        found = _newest(db, key, reported & table.data.not_like(f"%{_REPEATED}%"))
    return found


def _newest(db: Connection, key: int, which: sa.ColumnElement[bool]) -> list[sa.Row[Any]]:
    """Of each trial of a search the newest of some events."""
    table = schema.events.c
    newest = sa.select(sa.func.max(table.n)).where(which).group_by(table.trial)
    # Without a word about other positions: SQLite would look at all of them, not at these.
    query = sa.select(schema.events).where((table.search_id == key) & table.n.in_(newest))
    return list(db.execute(query).all())


def _last_heard(db: Connection, mine: sa.ColumnElement[bool], begun: Sequence[int]) -> list[sa.Row[Any]]:
    """Of each driver but the last one, the event with the latest time; they began at these positions."""
    table = schema.events.c
    latest = sa.select(schema.events).order_by(table.time_s.desc(), table.n.desc()).limit(1)
    spans = [mine & (table.n >= first) & (table.n < after) for first, after in pairwise(begun)]
    return [row for span in spans for row in db.execute(latest.where(span))]


def _unknown(name: str, known: Sequence[str], shown: str) -> Fault:
    there = f"It has {', '.join(known[-10:])}" if known else "It has none yet"
    guess = near(name, known)
    mend = f"Did you mean {guess}? {there}" if guess else there
    return Fault(name, f"no search of that name in the ledger {shown}", mend)
