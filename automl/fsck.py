"""Compares the ledger, the storage and MLflow of one search, and mends the last two from the first.

The ledger is the only truth and only ever grows. Without `repair` nothing is written. Knows no MLflow:
that side is compared by a child process (trackers/audit).
"""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from automl import fsck_storage, lookup, storage
from automl import plan as plans
from automl.differences import LEDGER, MLFLOW, STORAGE, Difference
from automl.errors import InputError
from automl.events import Event
from automl.fsck_ledger import Books
from automl.ledger import Lease, Ledger
from automl.reclaim import buried, reclaimed
from automl.results import History, objectives_of
from automl.search import Search
from automl.trackers import base as trackers

_TIMEOUT = "MLFLOW_HTTP_REQUEST_TIMEOUT"


@dataclass
class Checkup:
    """What was compared, what differs now, and what was done about it.

    Attributes:
        name, state: the search's.
        trials, events: how many there are.
        compared: the parts that were looked at: `ledger`, `storage`, `MLflow`.
        differences: those that are there now; after a repair, those that are left.
        done: what a repair did, a line each.
        alive: a driver runs the search, and makes differences that pass.
    """

    name: str
    state: str = ""
    trials: int = 0
    events: int = 0
    compared: list[str] = field(default_factory=list)
    differences: list[Difference] = field(default_factory=list)
    done: list[str] = field(default_factory=list)
    alive: bool = False

    @property
    def ok(self) -> bool:
        """Whether everything agrees."""
        return not self.differences

    def plain(self) -> dict[str, Any]:
        """The documented shape of `automl fsck NAME --json`."""
        facts = {"schema": 1, "name": self.name, "state": self.state, "ok": self.ok}
        counts = {"driver_alive": self.alive, "trials": self.trials, "events": self.events}
        found = [difference.plain() for difference in self.differences]
        return {**facts, **counts, "compared": self.compared, "differences": found, "done": self.done}


def fsck(
    name: str,
    ledger: str | None = None,
    repair: bool = False,
    deep: bool = False,
    say: Callable[[str], None] = lambda text: None,
) -> Checkup:
    """Compare a search's ledger, storage and MLflow; mend the last two from the first if wanted.

    Args:
        name: the search.
        ledger: a URL other than the project's.
        repair: mend what differs; needs the search's lease, which a living driver has.
        deep: read every kept file and compare its digest; otherwise names and sizes only.
        say: told why this waits, if it does.

    Raises:
        NoSuchSearch: with the names that there are.
        LedgerError: there is no such ledger, or it cannot be read.
        LeaseHeld: to be repaired, and a driver lives.
    """
    with lookup.opened(ledger) as book:
        if not repair:
            return _Round(book, name, deep, book.driver_alive(name)).look()
        book.holder(name)  # a search that is not there is not made by taking its lease
        with book.lease(name, say=say, waits=lookup.waiting_file(book, name)) as lease:
            first = _Round(book, name, deep, alive=False, lease=lease).look()
            if first.ok:
                return first
            second = _Round(book, name, deep, alive=False).look()
            second.done = first.done
            return second


class _Round:
    """One comparison of everything; with a lease, one that mends."""

    def __init__(self, book: Ledger, name: str, deep: bool, alive: bool, lease: Lease | None = None) -> None:
        self._book, self._name, self._deep, self._lease = book, name, deep, lease
        self._checkup = Checkup(name, alive=alive)

    def look(self) -> Checkup:
        with contextlib.closing(_Child()) as child:
            if self._tracked():
                child.start()
            self._compare(child)
        return self._checkup

    def _tracked(self) -> bool:
        try:
            opened = self._book.last(self._name, "opened")
        except ValueError:
            return False  # it is found to be garbled in a moment
        return opened is not None and (opened.data.get("spec") or {}).get("tracking") is not False

    def _compare(self, child: _Child) -> None:
        seen = self._checkup
        self._books = Books(self._name, self._book.events(self._name, tolerant=True))
        history = self._books.history
        seen.compared.append(LEDGER)
        self._look_for_waiting()
        self._take(self._books.conclude(seen.alive))
        planned = self._plan(history)
        if planned is not None:
            uri = self._tracking_uri(planned)
            if uri and not self._lease:
                child.send(self._order(planned, uri))
            seen.compared.append(STORAGE)
            setting = fsck_storage.Setting(planned.storage, seen.alive, self._deep)
            self._take(fsck_storage.compare(history, setting))
            if uri and self._lease:
                self._bury()
                child.send(self._order(planned, uri))
            if uri:
                seen.compared.append(MLFLOW)
                self._hear(child)
        seen.state = history.state(seen.alive)[0]
        seen.trials, seen.events = len(history.trials), history.n

    def _plan(self, history: History) -> plans.Plan | None:
        """Where storage and MLflow are, as the last driver had it."""
        if history.spec is None:
            return None
        try:
            return plans.plan(Search.from_plain(history.spec), self._book.url)
        except InputError as error:
            what = f"the search as its last driver wrote it cannot be read: {error.faults[0]}"
            self._checkup.differences.append(Difference(LEDGER, what, "Run the search once more"))
            return None

    def _look_for_waiting(self) -> None:
        """Events that a driver could not hand in, the ledger being away, before it died."""
        if self._checkup.alive or self._lease or self._books.history.spec is None:
            return
        waiting = lookup.waiting_file(self._book, self._name)
        if waiting is not None and waiting.exists():
            what = f"events of its last driver wait in {waiting}"
            mend = "The next start hands them in, and so does --repair"
            self._checkup.differences.append(Difference(LEDGER, what, mend, mendable=True))

    # --- mending ---------------------------------------------------------------------------

    def _take(self, found: Sequence[Difference]) -> None:
        self._checkup.differences += found
        if self._lease:
            for difference in found:
                self._mend(difference)

    def _mend(self, difference: Difference) -> None:
        for place in difference.remove:
            storage.remove(place)
            self._checkup.done.append(f"{difference.where}: removed {place}")
        self._append(difference.append, difference.where)

    def _append(self, events: Sequence[Event], where: str) -> None:
        if not events or not self._lease:
            return
        for event in self._books.legal(self._lease.append(events)):
            self._checkup.done.append(f"{where}: {_told(event)}")

    def _bury(self) -> None:
        """A driver that died is said to be dead: otherwise its runs in MLflow stay RUNNING."""
        self._append(buried(self._books.history), LEDGER)

    # --- MLflow ----------------------------------------------------------------------------

    def _tracking_uri(self, planned: plans.Plan) -> str | None:
        """None where nothing is tracked, or where the ledger does not know with which password."""
        uri = planned.tracking_uri
        if uri and "***" in uri:
            uri = os.environ.get("MLFLOW_TRACKING_URI")
            if not uri:
                shown = planned.tracking_uri
                what = f"could not be compared: the ledger keeps no passwords, and {shown} has one"
                self._checkup.differences.append(Difference(MLFLOW, what, "Set MLFLOW_TRACKING_URI"))
        return uri

    def _order(self, planned: plans.Plan, uri: str) -> dict[str, Any]:
        search, history = planned.search, self._books.history
        objectives = [{"metric": o["metric"], "direction": o["direction"]} for o in objectives_of(history)]
        register = search.tracking.register if search.tracking else None
        where = trackers.Plan(
            self._book.url, self._name, str(planned.root), uri, planned.experiment, register, objectives
        )
        last_s = history.sessions[-1].last_s
        tail = [] if self._checkup.alive else [*reclaimed(history, last_s), *buried(history)]
        return {
            "plan": asdict(where),
            "tail": [asdict(event) for event in tail],
            "repair": self._lease is not None,
        }

    def _hear(self, child: _Child) -> None:
        for message in child.messages():
            if "difference" in message:
                self._checkup.differences.append(Difference(**message["difference"]))
            elif "done" in message:
                self._checkup.done.append(message["done"])
            elif "model" in message:
                self._note_model(message["trial"], message["model"])
            elif "error" in message:
                what = f"could not be compared: {message['error']}"
                mend = "See that the server runs, and compare again"
                self._checkup.differences.append(Difference(MLFLOW, what, mend))

    def _note_model(self, trial: int, model: str) -> None:
        history = self._books.history
        if (history.published or {}).get("model") != model:
            last_s = history.sessions[-1].last_s
            self._append([Event("published", trial, None, {"model": model}, last_s)], LEDGER)


class _Child:
    """The process that compares MLflow: it imports that while the ledger is read, and is told later."""

    def __init__(self) -> None:
        self._process: subprocess.Popen[str] | None = None

    def start(self) -> None:
        environment = trackers.tracker_environment()
        if _TIMEOUT not in os.environ:
            environment[_TIMEOUT] = "60"  # its few requests are large
        self._process = trackers.spawn("automl.trackers.audit", environment)

    def send(self, order: dict[str, Any]) -> None:
        if self._process is None:
            self.start()
        assert self._process is not None and self._process.stdin is not None
        with contextlib.suppress(BrokenPipeError):
            self._process.stdin.write(json.dumps(order) + "\n")
            self._process.stdin.flush()

    def messages(self) -> Iterator[dict[str, Any]]:
        """What it says, up to its end; an end without a word is an error too."""
        assert self._process is not None and self._process.stdout is not None
        for line in self._process.stdout:
            message = json.loads(line)
            if "end" in message:
                return
            yield message
        yield {"error": f"the process that compares it ended with status {self._process.wait()}"}

    def close(self) -> None:
        """It has nothing to lose; one that nobody needed is ended."""
        if self._process is not None:
            self._process.kill()
            self._process.communicate()


def _told(event: Event) -> str:
    """What the ledger was told, in words."""
    if event.kind == "ended":
        return f"attempt {event.attempt} is lost, and the trial waits"
    if event.kind == "checkpointed":
        path = event.data["path"]
        return f"it goes on from {path}" if path else "it begins anew"
    if event.kind == "published":
        return (
            f"its model is {event.data['model']}" if event.data.get("model") else "it has no published model"
        )
    return "its driver died"
