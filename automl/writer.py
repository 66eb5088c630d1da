"""Hands rows on from a thread of its own, and to a spool while that fails. Knows no SQL and no event.

Whoever appends waits for the ledger's database a few seconds and never again while it is away: rows go
to the spool, in order, and this thread tries until they are where they belong.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from functools import partial

from automl.errors import LedgerAway, LedgerError
from automl.spool import Row, Spool

Say = Callable[[str], None]
Write = Callable[[Sequence[Row], bool], None]

# A database that does not answer for so long counts as away.
PATIENCE_S = 5.0
RETRY_S = 1.0
# So many rows go into one transaction when what waited is handed in.
CHUNK = 500


class _Job:
    """What the thread is asked to do, and what came of it."""

    def __init__(self, act: Callable[[], None]) -> None:
        self.act, self.done = act, False
        self.error: BaseException | None = None


class Writer:
    """Writes rows in order, behind whoever appends them.

    Args:
        write: puts rows where they belong, all or none, be they none at all. Raises LedgerAway where the
            same may succeed later; then it is told that it was tried before, and has to take rows that
            are there already, and alike, as written.
        spool: where rows wait; None waits with them, and raises what `write` raises.
        say: told when `write` begins to fail and when it succeeds again, by the thread that appends.
    """

    def __init__(self, write: Write, spool: Spool | None, say: Say) -> None:
        self._write, self._spool, self._say = write, spool, say
        self._state = threading.Condition()
        self._job: _Job | None = None
        self._away = self._stopped = self._cut = False
        self._fault: LedgerError | None = None
        self._news: list[str] = []
        self._thread = threading.Thread(target=self._live, name="automl-writer", daemon=True)
        self._thread.start()

    @property
    def away(self) -> bool:
        """Whether rows wait in the spool."""
        return self._away

    @property
    def closed(self) -> bool:
        return self._stopped

    def put(self, rows: Sequence[Row]) -> KeyboardInterrupt | None:
        """Write rows, or keep them in the spool.

        Returns:
            An interrupt that came in between, for the caller to raise: the rows are kept all the same.

        Raises:
            LedgerError: nothing was kept of them.
        """
        interrupt: KeyboardInterrupt | None = None
        again = False
        while True:
            self.tell()
            if not self._away:
                job = _Job(partial(self._write, rows, again))
                try:
                    self._wait(job, self._patience_s)
                except KeyboardInterrupt as error:
                    interrupt = error
                    self._wait(job, PATIENCE_S)
                if job.done and job.error is None:
                    return interrupt
                self._leave(job)
                again = True
            if self._keep(rows):
                self.tell()
                return interrupt

    def tell(self) -> None:
        """Pass on what the thread has found out.

        Raises:
            LedgerError: what waits can never be written.
        """
        with self._state:
            news, self._news = self._news, []
        for text in news:
            self._say(text)
        if self._fault is not None:
            raise self._fault

    def cut(self) -> None:
        """Do not wait for a disk any more; may be called by a signal's handler."""
        self._cut = True

    def settle(self, timeout_s: float) -> int:
        """Wait until nothing waits; returns how many rows still do."""
        with self._state:
            self._state.wait_for(lambda: not self._away or self._fault is not None, timeout_s)
        self.tell()
        return self.waiting

    @property
    def waiting(self) -> int:
        """How many rows wait in the spool."""
        with self._state:
            return len(self._spool) if self._spool is not None and self._away else 0

    def close(self, last: Callable[[], None]) -> None:
        """End the thread; before, `last` is done if the database is there. A spool stays where it is."""
        if not self._away and self._fault is None:
            self._wait(_Job(last), 2 * PATIENCE_S)
        with self._state:
            self._stopped = True
            self._state.notify_all()
        self._thread.join(PATIENCE_S)
        if self._spool is not None and not self._thread.is_alive():
            self._spool.close()

    @property
    def _patience_s(self) -> float | None:
        return None if self._spool is None else PATIENCE_S

    def _wait(self, job: _Job, timeout_s: float | None) -> None:
        """Have the thread do a job, and wait for it for a while."""
        with self._state:
            if not job.done:
                self._job = job
                self._state.notify_all()
                self._state.wait_for(lambda: job.done, timeout_s)

    def _leave(self, job: _Job) -> None:
        """The database is away, unless it refuses for good."""
        error = job.error
        if error is not None and (self._spool is None or not isinstance(error, LedgerAway)):
            raise error
        assert self._spool is not None
        why = str(error) if error else f"its database has not answered for {PATIENCE_S:g} s"
        with self._state:
            self._away = True
            self._news.append(f"the ledger is away ({why}). Trials go on; events wait in {self._spool.path}")
            self._state.notify_all()

    def _keep(self, rows: Sequence[Row]) -> bool:
        """Put rows into the spool. False if the database is back before the spool's disk is."""
        assert self._spool is not None
        said = False
        while True:
            with self._state:
                if not self._away:
                    return False
                try:
                    self._spool.add(rows)
                    return True
                except OSError as error:
                    what = f"nor can events wait in {self._spool.path}: {error.strerror or error}"
                if self._cut:
                    raise LedgerAway(f"the ledger is away, {what}. What was not written is trained again")
                if not said:
                    self._news.append(
                        f"the ledger is away, {what}. Reports wait until one of the two is back"
                    )
                    said = True
                self._state.wait(RETRY_S / 2)
            self.tell()

    # --- the thread ------------------------------------------------------------------------

    def _live(self) -> None:
        while not self._stopped:
            with self._state:
                self._state.wait_for(lambda: self._stopped or self._job is not None or self._waits)
                job = self._job
            if job is not None:
                self._work(job)
            elif not self._stopped and not self._hand_in():
                with self._state:
                    self._state.wait_for(lambda: self._stopped, RETRY_S)

    @property
    def _waits(self) -> bool:
        return self._away and self._fault is None

    def _work(self, job: _Job) -> None:
        try:
            job.act()
        except BaseException as error:
            job.error = error
        with self._state:
            job.done = True
            if self._job is job:
                self._job = None
            self._state.notify_all()

    def _hand_in(self) -> bool:
        """Write what has waited longest. False if it has to wait on."""
        assert self._spool is not None
        try:
            rows, appends = self._spool.oldest(CHUNK)
            self._write(rows, True)
        except (LedgerAway, OSError):
            return False  # the database, or the spool's own disk, is still away
        except Exception as error:
            kind = type(error) if isinstance(error, LedgerError) else LedgerError
            with self._state:
                where = self._spool.refuse()
                self._fault = kind(f"{error}. What waited for the ledger is kept in {where}")
                self._state.notify_all()
            return True
        with self._state:
            self._spool.drop(appends)
            if not len(self._spool):
                self._away = False
                self._news.append("the ledger is back, and has everything that waited")
                self._state.notify_all()
        return True
