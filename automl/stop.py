"""Asks the driver of a search to stop, waits until it has, and ends one by force. Starts nothing.

The request is a row of the ledger, so that it reaches a driver anywhere; `end` is the one place that
knows how a driver is ended which does not listen.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from typing import Any

import psutil

from automl import lookup
from automl.errors import InputError, LedgerAway
from automl.ledger import Ledger
from automl.lookup import Standing
from automl.machine import person
from automl.schema import Holder

Say = Callable[[str], None]
TIMEOUT_S = 60.0
LOOK_S = 0.25
# A driver that gets SIGTERM writes its last facts; after so long it gets SIGKILL.
TERM_S = 10.0


@dataclass(frozen=True)
class Stopped:
    """What came of asking a search to stop.

    Args:
        name: the search.
        state, reason: what it is now, as `automl show` says.
        running: whether a driver still runs it.
        asked: whether its driver was asked; one that is not there was not.
        forced: whether its driver was ended by force.
        driver: host, pid, owner, address and job of the driver, None where that is not known; empty
            where there is no driver.
    """

    name: str
    state: str
    reason: str | None
    running: bool
    asked: bool
    forced: bool
    driver: Mapping[str, Any]

    @property
    def exit_code(self) -> int:
        """0 when it is over, 1 when a driver still runs it, or died by itself."""
        return 1 if self.running or (self.state == "LOST" and not self.forced) else 0

    def plain(self) -> dict[str, Any]:
        """The documented shape of `automl stop NAME --json`."""
        return {"schema": 1, **asdict(self)}

    def __str__(self) -> str:
        why = f" ({self.reason})" if self.reason else ""
        return f"{self.name}: {self.state}{why}"


def stop(
    name: str,
    ledger: str | None = None,
    force: bool = False,
    timeout_s: float = TIMEOUT_S,
    say: Say = lambda text: None,
) -> Stopped:
    """Have the driver of a search stop: running trials write a checkpoint and wait for the next start.

    Args:
        name: the search.
        ledger: a URL other than the project's.
        force: end a driver that has not stopped by itself after `timeout_s`, where that can be done.
        timeout_s: how long to wait.
        say: told what this waits for, and what to do about a driver that goes on.

    Raises:
        NoSuchSearch: with the names that there are.
        LedgerError: there is no such ledger, it cannot be read, or an earlier version's driver runs it.
    """
    with lookup.opened(ledger) as book:
        before = lookup.standing(book, name)
        if before.holder is None or not before.alive:
            return _told(before)
        book.ask(name, "stop", person())
        say(f"{name}: its driver on {_place(before)} is asked to stop; waiting up to {timeout_s:g} s")
        now = _wait(book, before, timeout_s, say)
        if now is None and force:
            return _force(book, before, before.holder, say)
        if now is None:
            say(f"{name}: its driver goes on. automl stop {name} --force ends it")
        return _told(now or lookup.standing(book, name), asked=True)


def end(holder: Holder, opening: Mapping[str, Any], say: Say) -> bool:
    """End a driver by force. Another way to reach one is another line here.

    Args:
        holder: who holds the search's lease.
        opening: what the driver said of itself when it began: `address` and `job`, for one.
        say: told what to do about one that cannot be ended from here.

    Returns:
        Whether it has ended.
    """
    if opening.get("address") and opening.get("job"):
        return _stop_job(str(opening["address"]), str(opening["job"]), say)
    if holder.here and holder.pid != os.getpid():
        return _kill(holder, say)
    where = ", ".join(f"{key} {opening[key]}" for key in ("address", "job") if opening.get(key))
    say(
        f"it runs on {holder.host}, pid {holder.pid}{f' ({where})' if where else ''}, which cannot be ended "
        f"from here. Run there: kill {holder.pid}"
    )
    return False


def _told(now: Standing, asked: bool = False, forced: bool = False) -> Stopped:
    driver = _driver(now) if now.holder is not None else {}
    return Stopped(now.name, now.state, now.reason, now.alive and not now.closed, asked, forced, driver)


def _driver(now: Standing) -> dict[str, Any]:
    assert now.holder is not None
    said = {key: now.opening.get(key) for key in ("owner", "address", "job")}
    return {"host": now.holder.host, "pid": now.holder.pid, **said}


def _place(now: Standing) -> str:
    assert now.holder is not None
    return f"{now.holder.host}, pid {now.holder.pid},"


def _wait(book: Ledger, before: Standing, timeout_s: float, say: Say) -> Standing | None:
    """How the search stands once its driver has closed it, or is gone; None if neither comes in time."""
    until_s, away = time.monotonic() + timeout_s, False
    while True:
        try:
            now = lookup.standing(book, before.name)
            if _over(before, now):
                return now
        except LedgerAway as error:
            if not away:
                say(str(error))
            away = True
        if time.monotonic() >= until_s:
            return None
        time.sleep(LOOK_S)


def _over(before: Standing, now: Standing) -> bool:
    assert before.holder is not None
    gone = now.holder is None or now.holder.token != before.holder.token or not now.alive
    return gone or (now.closed and now.n > before.n)


def _force(book: Ledger, before: Standing, holder: Holder, say: Say) -> Stopped:
    ended = end(holder, before.opening, say)
    now = lookup.standing(book, before.name)
    if ended and now.state == "LOST":
        say(f"{before.name}: its driver was killed. The same search command carries on")
    return _told(now, asked=True, forced=ended)


def _stop_job(address: str, job: str, say: Say) -> bool:
    """Have the cluster end the job, and with it what starts a driver again."""
    from automl.engines.ray_jobs import Jobs

    try:
        jobs = Jobs(address)
        jobs.stop(job)
        until_s = time.monotonic() + TERM_S
        while jobs.lives(job):
            if time.monotonic() > until_s:
                say(f"job {job} at {address} goes on")
                return False
            time.sleep(LOOK_S)
    except InputError as error:
        say(str(error))
        return False
    return True


def _kill(holder: Holder, say: Say) -> bool:
    """SIGTERM, then SIGKILL, for this very process and no later one with its number."""
    try:
        process = psutil.Process(holder.pid)
        if not holder.alive_here:
            return True
        for sign in (process.terminate, process.kill):
            sign()
            until_s = time.monotonic() + TERM_S
            # Not `process.wait`: it may be a child of this process, whose end is for another to collect.
            while holder.alive_here and time.monotonic() < until_s:
                time.sleep(LOOK_S)
            if not holder.alive_here:
                return True
    except psutil.NoSuchProcess:
        return True
    except psutil.AccessDenied:
        say(f"pid {holder.pid} is another user's. Ask for it, or run: sudo kill {holder.pid}")
    return False
