"""Shows a search, or a trial's log, while another process runs it: from the ledger alone, which it polls."""

from __future__ import annotations

import codecs
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from automl import lookup, storage
from automl.errors import AutoMLError, LedgerAway, NoLedger, NoSuchSearch
from automl.events import Event
from automl.ledger import Ledger
from automl.lookup import Found
from automl.results import History
from automl.run import View
from automl.search import Search

POLL_S = 0.5
# A driver elsewhere that falls silent may be one whose database was away: it is lost after so long.
LOST_S = 10.0
# One that was just sent to a cluster begins within so long.
BEGINS_S = 60.0


@dataclass(frozen=True)
class Seen:
    """As much of a plan as a view needs."""

    search: Search


class Follower:
    """The history of a search, kept up to date from its ledger.

    Args:
        book: the ledger.
        name: the search.
        say: told when the ledger cannot be read for a while.

    Raises:
        NoSuchSearch: with the names that there are.
    """

    def __init__(self, book: Ledger, name: str, say: Callable[[str], None]) -> None:
        self._book, self._say = book, say
        self.history = History(name)
        self.alive, self._silent_s, self._away = True, 0.0, False
        self._look()

    def events(self) -> Iterator[Event | None]:
        """Every event as it comes, the history having it already, until the search is closed or lost.

        None after each look, so that who iterates may do something else too.
        """
        while True:
            try:
                yield from self._new()
                self._away = False
                yield None
                if self.over:
                    return
                self._look()
            except LedgerAway as error:
                if not self._away:
                    self._say(f"{error}. Still looking")
                self._away = True
            time.sleep(POLL_S)

    @property
    def over(self) -> bool:
        """Whether its last driver has closed it, or is lost."""
        sessions = self.history.sessions
        return bool(sessions and sessions[-1].closed) or not self.alive

    def _new(self) -> Iterator[Event]:
        for event in self._book.events(self.history.name, self.history.n):
            self.history.apply(event)
            yield event

    def _look(self) -> None:
        """Whether a driver runs it; asked before the events that it may have written last are read."""
        holder = self._book.holder(self.history.name)
        if holder is not None and holder.alive:
            self._silent_s = 0.0
            return
        since_s = self._silent_s = self._silent_s or time.monotonic()
        # Here, and where the lease was given back, there is nothing to wait for.
        self.alive = holder is not None and not holder.here and time.monotonic() - since_s < LOST_S


def show(name: str, ledger: str | None, view: View) -> Found:
    """Feed a view with what happens to a search, until it is closed or its driver is lost.

    One that has not begun, as it was just sent to a cluster, is waited for.

    Args:
        name: the search.
        ledger: a URL other than the project's.
        view: the same as a driver's.

    Returns:
        The search as it is then.

    Raises:
        NoSuchSearch: with the names that there are.
    """
    _wait_for(name, ledger, view)
    with lookup.opened(ledger) as book:
        follower, begun = Follower(book, name, view.say), False
        try:
            for event in follower.events():
                if begun and event is not None:
                    view.event(event)
                elif event is None and not begun and follower.history.spec and not follower.over:
                    view.begin(Seen(Search.from_plain(follower.history.spec)), follower.history, 0)
                    begun = True
        finally:
            view.end()
        return lookup.read(book, name, book.overview)


def _wait_for(name: str, ledger: str | None, view: View) -> None:
    """Until the ledger has a search of that name. Into a file of this machine no cluster writes any."""
    shared = not lookup.ledger_url(ledger, lookup.project_root()).startswith("sqlite")
    until_s, told = time.monotonic() + (BEGINS_S if shared else 0.0), False
    while True:
        try:
            with lookup.opened(ledger) as book:
                begun = next(book.events(name), None) is not None
            if begun or time.monotonic() >= until_s:
                return
        except (NoSuchSearch, NoLedger) as error:
            if time.monotonic() >= until_s:
                raise
            if not told:
                view.say(f"{error} Waiting up to {BEGINS_S:g} s for its driver")
            told = True
        time.sleep(POLL_S)


def log(name: str, number: int, ledger: str | None, write: Callable[[str], None]) -> None:
    """Pass on what a trial writes, until it has ended or nobody trains it.

    Args:
        name: the search.
        number: the trial's.
        ledger: a URL other than the project's.
        write: given the text as it comes.

    Raises:
        InputError: no such search or trial.
        AutoMLError: there is no log, with the reason.
    """
    found = lookup.find(name, ledger)
    found.trial(number)
    tail = _Tail(storage.join(found.folder(number), "log.txt"), write)
    with lookup.opened(ledger) as book:
        follower = Follower(book, name, lambda text: None)
        for event in follower.events():
            if event is None:
                over = follower.history.trials[number].state.final
                tail.look()
                if over:
                    break
    if not tail.found:
        lookup.log_text(found, number)  # which says why there is none


class _Tail:
    """The end of a file that grows."""

    def __init__(self, place: str, write: Callable[[str], None]) -> None:
        self._place, self._write = place, write
        self._decode = codecs.getincrementaldecoder("utf-8")("replace").decode
        self._at = 0
        self.found = False

    def look(self) -> None:
        try:
            more = storage.read(self._place, self._at)
        except FileNotFoundError:
            return
        except (OSError, ImportError, ValueError) as error:
            raise AutoMLError(f"{self._place} cannot be read: {error}") from error
        self.found = True
        self._at += len(more)
        if more:
            self._write(self._decode(more))
