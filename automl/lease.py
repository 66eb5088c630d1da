"""The lease on a search: the right of one driver to write its events, behind a fence.

A lease is renewed by counting beats; no clock is compared with another, so that a clock which jumps
changes nothing. What an earlier driver left waiting on disk is handed in as the lease is taken.
"""

from __future__ import annotations

import contextlib
import os
import socket
import threading
import time
import uuid
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Protocol

import sqlalchemy as sa
from sqlalchemy.engine import Connection
from sqlalchemy.exc import IntegrityError, SQLAlchemyError

from automl import spool
from automl.database import Translated, clock
from automl.errors import LeaseHeld, LeaseLost
from automl.events import Event
from automl.machine import machine_id, process_started_s
from automl.schema import Holder, Request, events, holder, leases, renewed, requests, row, searches
from automl.spool import Row
from automl.writer import Writer

Say = Callable[[str], None]
# A heartbeat that hangs in its database keeps nobody from leaving for longer than this.
LEAVE_S = 5.0
# Whether somebody asks something of this driver is looked at so often.
HEED_S = 2.0

# Of every transaction, and made once: to build a statement takes as long as to execute it.
_HOLDER = sa.select(leases.c.token).where(leases.c.search_id == sa.bindparam("key")).with_for_update()
_INSERT = sa.insert(events)


class Book(Protocol):
    """The ledger, as a lease on one of its searches sees it."""

    url: str
    shown: str
    _engine: sa.Engine

    def events(self, name: str, after: int = 0) -> Iterator[Event]: ...


class Lease:
    """The right to write a search's events, renewed by heartbeat from a thread.

    Used as a context manager; leaving it gives the lease back.

    Args:
        ledger: where the search is.
        name: the search.
        period_s: without a heartbeat for so long, drivers elsewhere take over.
        before: who held it when this driver found that nobody does.
        waits: the file in which events wait while the database is away; None raises LedgerAway instead.
        say: told when the database goes away and comes back, from within `append` and `check`.

    Attributes:
        on_request: told what is asked of this driver, from within `append` and `check`. While it is None
            requests wait. Those to an earlier driver are not for this one.
    """

    def __init__(
        self,
        ledger: Book,
        name: str,
        period_s: float,
        before: Holder | None,
        waits: Path | None = None,
        say: Say = lambda text: None,
    ) -> None:
        self.ledger, self.name, self.period_s = ledger, name, period_s
        self.token = uuid.uuid4().hex
        self._lost = threading.Event()
        self._left = threading.Event()
        self._say, self._waits = say, waits
        self.on_request: Callable[[Request], None] | None = None
        self._requests: deque[Request] = deque()
        # Before it is taken: another thread of this process must not find a holder that nobody renews.
        renewed.add(self.token)
        try:
            self._begin(before)
        except BaseException:
            renewed.discard(self.token)
            raise
        header = spool.Header(name, ledger.shown, self.fence, self.token, socket.gethostname())
        self._writer = Writer(self._write, spool.Spool(waits, header) if waits else None, say)
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

    @property
    def away(self) -> bool:
        """Whether events wait on disk: another driver may have taken over without our knowing it."""
        return self._writer.away

    def append(self, events: Sequence[Event]) -> list[Event]:
        """Write events, all or none, behind the fence; while the database is away they wait on disk.

        Returns:
            The same events with their time and position.

        Raises:
            LeaseLost: another driver has taken over; nothing was written.
            LedgerError: the database refuses them.
        """
        now = time.time()
        numbered = [
            replace(event, n=self._n + offset, time_s=event.time_s or now)
            for offset, event in enumerate(events, start=1)
        ]
        self.check()
        interrupt = self._writer.put([row(event) for event in numbered])
        self._n += len(numbered)
        if interrupt:
            raise interrupt
        return numbered

    def check(self) -> None:
        """Say what became of the database, if anything did, and pass on what is asked of this driver.

        Raises:
            LeaseLost: another driver has taken over, as far as is known here.
        """
        self._writer.tell()
        if self._lost.is_set() or self._writer.closed:
            raise self._loss()
        while self._requests and self.on_request:
            self.on_request(self._requests.popleft())

    @property
    def waiting(self) -> int:
        """How many events wait on disk."""
        return self._writer.waiting

    def settle(self, timeout_s: float) -> int:
        """Wait until no event waits on disk; returns how many still do."""
        return self._writer.settle(timeout_s)

    def cut(self) -> None:
        """Wait for no disk any more; may be called from a signal's handler."""
        self._writer.cut()

    def release(self) -> None:
        """Give the lease back; harmless when it was lost, or when the database is away.

        One that could not be given back is free all the same: nobody renews it. Events that wait are
        handed in by the next driver here.
        """
        if self._writer.closed:
            return
        self._left.set()
        self._thread.join(min(self.period_s, LEAVE_S))
        renewed.discard(self.token)
        if self.waiting:
            self._say(
                f"{self.waiting} events wait in {self._waits} for the ledger. The same command hands them in"
            )
        self._writer.close(self._give_back)

    def _give_back(self) -> None:
        with contextlib.suppress(SQLAlchemyError, OSError), self.ledger._engine.begin() as db:
            db.execute(sa.update(leases).where(self._mine).values(token=None))

    @property
    def _mine(self) -> Any:
        return (leases.c.search_id == self._key) & (leases.c.token == self.token)

    # --- writing ---------------------------------------------------------------------------

    def _write(self, rows: Sequence[Row], again: bool) -> None:
        """One transaction; a second try looks at what is there, as a commit's answer may have been lost."""
        with Translated(self.ledger.url), self.ledger._engine.begin() as db:
            self._guard(db)
            missing = _missing(db, self._key, rows) if again else rows
            if missing is None:
                raise self._loss()
            _insert(db, self._key, missing)

    def _guard(self, db: Connection) -> None:
        if self._lost.is_set() or db.scalar(_HOLDER, {"key": self._key}) != self.token:
            raise self._loss()

    def _loss(self) -> LeaseLost:
        self._lost.set()
        return LeaseLost(
            f"{self.name}: another driver has taken this search over, as this one was not heard of for too "
            "long. This one stops; nothing is lost: look with automl ls"
        )

    # --- taking and keeping ----------------------------------------------------------------

    def _begin(self, before: Holder | None) -> None:
        """Take the lease, and with it what the driver before left waiting."""
        left = spool.find(self._waits) if self._waits else None
        with self.ledger._engine.begin() as db:
            self._key = _locked(db, self.name)
            held = holder(db, self._key, lock=True)
            if held and held.token and (before is None or held.token != before.token):
                raise LeaseHeld(refusal(self.name, held))
            why_not = self._hand_in(db, held, left) if left else None
            self.fence = self._take(db, held)
            self._n = _last(db, self._key)
        if left:
            self._tell_left(left, why_not)

    def _take(self, db: Connection, held: Holder | None) -> int:
        fence = (held.fence if held else 0) + 1
        values = {
            "fence": fence,
            "token": self.token,
            "host": socket.gethostname(),
            "machine": machine_id(),
            "pid": os.getpid(),
            "pid_started_s": process_started_s(os.getpid()),
            "beat": 0,
            "period_s": self.period_s,
            "beaten_s": clock(db),
        }
        if held:
            db.execute(sa.update(leases).where(leases.c.search_id == self._key).values(**values))
        else:
            db.execute(sa.insert(leases).values(search_id=self._key, **values))
        return fence

    def _hand_in(self, db: Connection, held: Holder | None, left: spool.Found) -> str | None:
        """Write what the driver before left waiting; the reason if it cannot be."""
        head = left.header
        if head is None:
            return "the file is damaged"
        try:
            missing = _missing(db, self._key, left.rows)
            if missing is None:
                return "the ledger has other events in their place"
            if missing and (held is None or (head.search, head.fence) != (self.name, held.fence)):
                return "another driver has gone on with the search, or they belong to another ledger"
            if missing and held and held.token not in (head.token, None):
                return "they belong to another ledger"
            with db.begin_nested():
                _insert(db, self._key, missing)
            return None
        except (IntegrityError, KeyError, TypeError) as error:
            return f"the ledger refuses them: {error}".partition("\n")[0]

    def _tell_left(self, left: spool.Found, why_not: str | None) -> None:
        try:
            if why_not is None:
                left.path.unlink(missing_ok=True)
                self._say(f"{len(left.rows)} events that waited in {left.path} are in the ledger now")
            else:
                aside = spool.put_aside(left.path)
                self._say(f"{aside}: events of an earlier driver are not handed in: {why_not}")
        except OSError as error:
            self._say(f"{left.path} cannot be removed: {error.strerror}")

    def _beat(self) -> None:
        due_s = time.monotonic() + self.period_s / 4
        while not self._left.wait(min(HEED_S, max(0.0, due_s - time.monotonic()))):
            try:
                if time.monotonic() >= due_s:
                    due_s = time.monotonic() + self.period_s / 4
                    if not self._renew():
                        self._lost.set()
                        return
                if self.on_request:
                    self._heed()
            except SQLAlchemyError:
                continue  # the database is away; this thread tries again

    def _renew(self) -> bool:
        with self.ledger._engine.begin() as db:
            beaten = {"beat": leases.c.beat + 1, "beaten_s": clock(db)}
            return db.execute(sa.update(leases).where(self._mine).values(**beaten)).rowcount > 0

    def _heed(self) -> None:
        """Take in what is asked of this driver; it is answered once it is on its way to whoever decides."""
        mine = (requests.c.search_id == self._key) & (requests.c.fence == self.fence)
        query = sa.select(requests.c.id, requests.c.kind, requests.c.asked_by)
        query = query.where(mine & requests.c.answered_s.is_(None)).order_by(requests.c.id)
        with self.ledger._engine.execution_options(reads=True).begin() as db:
            found = [Request(*each) for each in db.execute(query)]
        if not found:
            return
        with self.ledger._engine.begin() as db:
            these = requests.c.id.in_([request.id for request in found])
            db.execute(sa.update(requests).where(these).values(answered_s=clock(db)))
        self._requests.extend(found)


def refusal(name: str, held: Holder) -> str:
    """What a second driver is told."""
    return (
        f"{name} is run by another driver: host {held.host}, pid {held.pid}. "
        f"Wait for it to end, or stop it with: automl stop {name}"
    )


def _locked(db: Connection, name: str) -> int:
    return int(
        db.execute(sa.select(searches.c.id).where(searches.c.name == name).with_for_update()).scalar_one()
    )


def _last(db: Connection, key: int) -> int:
    return db.scalar(sa.select(sa.func.max(events.c.n)).where(events.c.search_id == key)) or 0


def _missing(db: Connection, key: int, rows: Sequence[Row]) -> list[Row] | None:
    """Those of consecutive rows that the table has not yet; None if it has others there, or a gap."""
    if not rows:
        return []
    there = _from(db, key, rows[0]["n"])
    missing = [each for each in rows if each["n"] not in there]
    alike = all(there[each["n"]] == each for each in rows if each["n"] in there)
    follows = not missing or _last(db, key) == missing[0]["n"] - 1
    return missing if alike and follows else None


def _from(db: Connection, key: int, first: int) -> dict[int, Row]:
    query = sa.select(events).where((events.c.search_id == key) & (events.c.n >= first))
    rows = [dict(found._mapping) for found in db.execute(query)]
    return {each["n"]: {name: value for name, value in each.items() if name != "search_id"} for each in rows}


def _insert(db: Connection, key: int, rows: Sequence[Row]) -> None:
    if rows:
        db.execute(_INSERT, [{"search_id": key, **each} for each in rows])
