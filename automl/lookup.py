"""Finds a search by its name, in the project's ledger or another. Writes nothing."""

from __future__ import annotations

import contextlib
import os
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from automl import results, spool, storage
from automl.errors import AutoMLError, Fault, InputError, LedgerAway, LedgerError
from automl.events import Event, iso
from automl.heap import still
from automl.ledger import Ledger
from automl.results import History, Outline
from automl.root import find_root
from automl.schema import Holder
from automl.urls import as_known, resolve_url


@dataclass(frozen=True)
class Found:
    """A search as its ledger has it.

    Args:
        name: its name.
        events: in order; all of them, but for an overview.
        history: their fold.
        alive: whether a driver runs it now.
        root: the project's folder, where relative paths start.
    """

    name: str
    events: tuple[Event, ...]
    history: History
    alive: bool
    root: Path

    @property
    def spec(self) -> dict[str, Any]:
        return dict(self.history.spec or {})

    def trial(self, number: int) -> Any:
        """A trial by number. Raises InputError with the numbers that there are."""
        trials = self.history.trials
        if number not in trials:
            there = f"Its trials are 0 to {len(trials) - 1}" if trials else "It has none yet"
            raise InputError(Fault(self.name, f"has no trial {number}", there))
        return trials[number]

    def folder(self, number: int) -> str:
        """Where a trial's files lie."""
        place = str(self.spec.get("storage") or "runs")
        if not storage.is_remote(place):
            place = str(self.root / storage.local_path(place))
        return storage.join(place, self.name, "trials", str(number))


def project_root(start: Path | None = None) -> Path:
    """The project's folder above `start` or the current directory."""
    return find_root(start or Path.cwd())


def ledger_url(given: str | None, root: Path) -> str:
    """The ledger to look into: the one given, AUTOML_LEDGER, or the project's own."""
    where = given or os.environ.get("AUTOML_LEDGER") or "sqlite:///automl.db"
    return resolve_url(as_known(where, "AUTOML_LEDGER"), root)


@contextlib.contextmanager
def opened(ledger: str | None = None) -> Iterator[Ledger]:
    """A ledger for reading; one that is not there is not made."""
    book = Ledger(ledger_url(ledger, project_root()), create=False)
    try:
        yield book
    finally:
        book.close()


def find(name: str, ledger: str | None = None) -> Found:
    """A search by name.

    Raises:
        NoSuchSearch: with the names that there are.
        LedgerError: there is no such ledger, or it cannot be read.
    """
    with opened(ledger) as book:
        return read(book, name)


def overview(name: str, ledger: str | None = None) -> Found:
    """A search by name, as far as a table of its trials needs it: of its reports the last of each trial.

    Raises:
        NoSuchSearch: with the names that there are.
        LedgerError: there is no such ledger, or it cannot be read.
    """
    with opened(ledger) as book:
        return read(book, name, book.overview)


def read(book: Ledger, name: str, events_of: Callable[[str], Iterable[Event]] | None = None) -> Found:
    """A search of an open ledger.

    Args:
        book: the ledger.
        name: the search.
        events_of: reads what is wanted of its events; None: all.

    Raises:
        NoSuchSearch: with the names that there are.
        LedgerError: its events cannot be read, or make no sense.
    """
    with _sense(name), still():
        events, alive = _with_driver(book, name, events_of or book.events)
        return Found(name, events, History(name, events), alive, project_root())


def _with_driver(
    book: Ledger, name: str, events_of: Callable[[str], Iterable[Event]]
) -> tuple[tuple[Event, ...], bool]:
    """Events, and whether a driver runs the search: one that ends or begins meanwhile is not taken for lost.

    A driver opens a search once it has the lease, and closes it before it lets go.
    """
    before = book.driver_alive(name)
    events = tuple(events_of(name))
    return events, before or book.driver_alive(name)


@contextlib.contextmanager
def _sense(name: str) -> Iterator[None]:
    """Events that cannot be understood are a fault of the ledger, not of this program."""
    try:
        yield
    except (LookupError, ValueError, TypeError, AttributeError, AssertionError) as error:
        said = f"{type(error).__name__}: {error}".strip(": ")
        mend = "Was it written by another version of automl, or edited? The other searches are not concerned"
        raise LedgerError(f"{name}: its events make no sense ({said}). {mend}") from error


@dataclass(frozen=True)
class Standing:
    """Where a search stands, from its last driver's first and last word alone.

    Args:
        name: its name.
        state, reason: as `automl show` says.
        closed: whether its last driver has closed it.
        alive: whether a driver holds its lease and lives.
        holder: who holds the lease, alive or not.
        opening: what the last driver said of itself when it began; empty before the first.
        n: the position of the last of those words.
    """

    name: str
    state: str
    reason: str | None
    closed: bool
    alive: bool
    holder: Holder | None
    opening: Mapping[str, Any]
    n: int


def standing(book: Ledger, name: str) -> Standing:
    """Where a search stands, read in a moment however long it is.

    Raises:
        NoSuchSearch: with the names that there are.
    """
    holder, alive = _holder(book, name)
    words = [event for kind in ("opened", "closed") if (event := book.last(name, kind))]
    words.sort(key=lambda event: event.n)
    if not alive:  # why twice: see _with_driver
        holder, alive = _holder(book, name)
    with _sense(name):
        history = History(name, [event for event in words if event.kind == "opened" or event is words[-1]])
        state, reason = history.state(alive)
    sessions = history.sessions
    opening = sessions[-1].data if sessions else {}
    closed = bool(sessions and sessions[-1].closed)
    return Standing(name, state, reason, closed, alive, holder, opening, history.n)


def _holder(book: Ledger, name: str) -> tuple[Holder | None, bool]:
    """Who holds the lease, and whether that driver lives now."""
    holder = book.holder(name)
    return holder, holder is not None and holder.alive


def waiting_file(book: Ledger, name: str) -> Path:
    """Where a driver's events wait for the ledger while that is away, if any do."""
    opened = book.last(name, "opened")
    spec = opened.data.get("spec", {}) if opened else {}
    return spool.place(str(spec.get("storage") or "runs"), project_root(), name)


def log_text(found: Found, number: int) -> str:
    """What a trial wrote to stdout and stderr.

    Raises:
        AutoMLError: there is no log, with the reason.
    """
    trial = found.trial(number)
    place = storage.join(found.folder(number), "log.txt")
    try:
        return storage.read(place).decode(errors="replace")
    except FileNotFoundError as error:
        why = "no attempt has begun" if not trial.attempts else f"it ran on {trial.attempts[-1].node}"
        raise AutoMLError(f"trial {number} of {found.name} has no log at {place}: {why}") from error
    except (OSError, ImportError, ValueError) as error:
        raise AutoMLError(f"{place} cannot be read: {error}") from error


def listing(ledger: str | None = None) -> list[dict[str, Any]]:
    """All searches of a ledger: name, state, reason, objectives, counts, best, created, age_s,
    and the owner and the cluster's address of the last driver, None where that did not say.

    One that cannot be read is UNREADABLE, with the reason; it keeps nobody from seeing the others.
    """
    with opened(ledger) as book:
        return [_readable(book, name) for name in book.searches()]


def _readable(book: Ledger, name: str) -> dict[str, Any]:
    try:
        with _sense(name), still():
            return _listed(book, name)
    except LedgerAway:
        raise
    except LedgerError as error:
        nothing = dict.fromkeys(("best", "created", "age_s", "owner", "address"))
        return {
            "name": name,
            "state": "UNREADABLE",
            "reason": str(error),
            "objectives": [],
            "counts": {},
            **nothing,
        }


def _listed(book: Ledger, name: str) -> dict[str, Any]:
    events, alive = _with_driver(book, name, book.outline)
    history = Outline(name, events)
    directions = [objective["direction"] for objective in results.objectives_of(history)]
    best = results.best_trials(history.trials.values(), directions)
    for event in book.asked(name, [trial.number for trial in best]):
        history.apply(event)
    shown = results.headline(history, alive)
    since_s = events[0].time_s if events else None
    del shown["schema"]
    age_s = None if since_s is None else round(max(0.0, time.time() - since_s), 3)
    opening = history.sessions[-1].data if history.sessions else {}
    whose = {key: opening.get(key) for key in ("owner", "address")}
    return {**shown, "created": iso(since_s), "age_s": age_s, **whose}


def tracking_uri(given: str | None = None) -> str:
    """Where the project's searches are shown: the URI given, else that of the newest search which
    names one, else MLFLOW_TRACKING_URI, else the project's own database."""
    root = project_root()
    named = given or _named_uri() or os.environ.get("MLFLOW_TRACKING_URI") or "sqlite:///mlflow.db"
    return resolve_url(named, root)


def _named_uri() -> str | None:
    with contextlib.suppress(AutoMLError), opened() as book:
        for name in reversed(book.searches()):
            with _sense(name):
                newest = book.last(name, "opened")
                tracking = (newest.data.get("spec") or {}).get("tracking") if newest else None
                uri = tracking.get("uri") if isinstance(tracking, dict) else None
            # The ledger keeps no passwords: such a URI has to come from the environment.
            return None if uri is None or "***" in uri else str(uri)
    return None


def ui_command(host: str, port: int) -> list[str]:
    """The command that shows a tracking database in a browser. Which one, with its password, is in
    `ui_environment`: other users of a machine see a command's words, not its environment."""
    return [sys.executable, "-P", "-m", "mlflow", "ui", "--host", host, "--port", str(port)]


def ui_environment(uri: str) -> dict[str, str]:
    """What `ui_command` needs in its environment."""
    return {"MLFLOW_BACKEND_STORE_URI": uri, "MLFLOW_DISABLE_TELEMETRY": "true"}
