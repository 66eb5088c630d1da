"""The ledger's tables, and who holds a lease on a search. With ledger, lease and database the door to SQL."""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from automl.database import clock
from automl.errors import LedgerError
from automl.events import Event
from automl.machine import machine_id, process_started_s

# What changes from one to the next is in migrations/versions; a fresh ledger has the newest at once.
SCHEMA = 2
# The tokens of the leases that this process renews.
renewed: set[str] = set()

meta = sa.MetaData()
versions = sa.Table(
    "automl_schema",
    meta,
    sa.Column("version", sa.Integer, primary_key=True),
    sa.Column("written_by", sa.String(40)),  # the version of this package that made these tables
)
searches = sa.Table(
    "automl_searches",
    meta,
    sa.Column("id", sa.Integer, primary_key=True),
    sa.Column("name", sa.String(100), nullable=False, unique=True),
    sa.Column("created_s", sa.Double, nullable=False),
)
events = sa.Table(
    "automl_events",
    meta,
    sa.Column("search_id", sa.ForeignKey("automl_searches.id"), primary_key=True),
    sa.Column("n", sa.BigInteger, primary_key=True, autoincrement=False),
    sa.Column("kind", sa.String(20), nullable=False),
    sa.Column("trial", sa.Integer),
    sa.Column("attempt", sa.Integer),
    sa.Column("time_s", sa.Double, nullable=False),
    sa.Column("data", sa.Text, nullable=False),
)
# A trial is asked once and ends once: the database itself holds that. Both databases take the same words;
# an index of SQLAlchemy's would load PostgreSQL's whole dialect, also where nobody has a PostgreSQL. A query
# that says `ONCE` in these very words, not with a parameter, can use the index.
ONCE = {kind: sa.text(f"kind = '{kind}'") for kind in ("asked", "finished")}
for _kind, _once in ONCE.items():
    _index = f"CREATE UNIQUE INDEX automl_{_kind}_once ON automl_events (search_id, trial) WHERE {_once}"
    sa.event.listen(events, "after_create", sa.DDL(_index))
leases = sa.Table(
    "automl_leases",
    meta,
    sa.Column("search_id", sa.ForeignKey("automl_searches.id"), primary_key=True),
    sa.Column("fence", sa.BigInteger, nullable=False),
    sa.Column("token", sa.String(40)),
    sa.Column("host", sa.String(255), nullable=False),
    sa.Column("machine", sa.String(255), nullable=False),
    sa.Column("pid", sa.Integer, nullable=False),
    sa.Column("pid_started_s", sa.Double, nullable=False),
    sa.Column("beat", sa.BigInteger, nullable=False),
    sa.Column("period_s", sa.Double, nullable=False),
    sa.Column("beaten_s", sa.Double),  # when it was renewed last, by the database's clock
)
requests = sa.Table(
    "automl_requests",
    meta,
    sa.Column("id", sa.Integer, primary_key=True),
    sa.Column("search_id", sa.ForeignKey("automl_searches.id"), nullable=False),
    sa.Column("fence", sa.BigInteger, nullable=False),  # for the driver that had this lease, and no other
    sa.Column("kind", sa.String(20), nullable=False),
    sa.Column("asked_s", sa.Double, nullable=False),
    sa.Column("asked_by", sa.String(255), nullable=False),
    sa.Column("answered_s", sa.Double),
    sa.Index("automl_requests_search", "search_id"),
)


@dataclass(frozen=True)
class Holder:
    """Who holds, or last held, the lease on a search; `token` is None once it was given back.

    `silent_s` is for how long it was not renewed, by the database's clock alone; None where an earlier
    version holds it, which does not say.
    """

    fence: int
    token: str | None
    host: str
    machine: str
    pid: int
    pid_started_s: float
    beat: int
    period_s: float
    silent_s: float | None = None

    @property
    def here(self) -> bool:
        return self.machine == machine_id()

    @property
    def alive_here(self) -> bool:
        """Whether its process still lives on this machine (same pid and start time), and renews it."""
        if self.pid == os.getpid():
            return self.token in renewed
        started_s = process_started_s(self.pid)
        return started_s is not None and abs(started_s - self.pid_started_s) < 1.0

    @property
    def alive(self) -> bool:
        """Whether it lives as far as can be told at once: here by its process, elsewhere by its silence."""
        if self.here:
            return self.alive_here
        return self.silent_s is None or self.silent_s <= self.period_s


@dataclass(frozen=True)
class Request:
    """What somebody asks of the driver of a search.

    Args:
        id: its place among all of the ledger.
        kind: `stop`: end gracefully.
        by: who asks, such as user@host.
    """

    id: int
    kind: str
    by: str


def row(event: Event) -> dict[str, Any]:
    """An event as the table has it, but for its search."""
    return {
        "n": event.n,
        "kind": event.kind,
        "trial": event.trial,
        "attempt": event.attempt,
        "time_s": event.time_s,
        "data": json.dumps(dict(event.data), separators=(",", ":")),
    }


def event(found: Any, tolerant: bool = False) -> Event:
    """A row of the table as the event that it holds; `tolerant` keeps data that is no JSON as text."""
    try:
        data = json.loads(found.data)
    except ValueError:
        if not tolerant:
            what = f"event {found.n} of the ledger is cut off or garbled"
            raise LedgerError(f"{what}. Restore a copy of it; automl fsck says what else is wrong") from None
        data = {"garbled": str(found.data)}
    return Event(found.kind, found.trial, found.attempt, data, found.time_s, found.n)


def page(found: Sequence[Any]) -> list[Event]:
    """Rows of the table as events: their data read as one JSON text, which is much faster than each alone."""
    try:
        data = json.loads(f"[{','.join([data for *_, data in found])}]")
    except ValueError:
        data = []
    if len(data) != len(found):
        return [event(each) for each in found]  # which says what cannot be read
    return [
        Event(kind, trial, attempt, mine, time_s, n)
        for (_, n, kind, trial, attempt, time_s, _), mine in zip(found, data, strict=True)
    ]


def holder(db: Connection, key: int, lock: bool = False, version: int = SCHEMA) -> Holder | None:
    """Who holds, or last held, the lease on a search; `version` is the schema of the tables."""
    columns = [column for column in leases.c if column.name not in ("search_id", "beaten_s")]
    silent_s = clock(db) - leases.c.beaten_s if version > 1 else sa.null()
    query = sa.select(*columns, silent_s.label("silent_s")).where(leases.c.search_id == key)
    found = db.execute(query.with_for_update() if lock else query).one_or_none()
    return None if found is None else Holder(**found._mapping)
