"""The ledger against its own rules: positions, legal moves, attempts, steps. A pure fold over events.

An event that breaks the table of legal moves is noted and left out, so that what follows it can still
be judged. Knows no database and no vendor.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from typing import get_args

from automl.differences import LEDGER, Difference
from automl.events import FINAL, MOVES, Event, Kind, State
from automl.reclaim import reclaimed
from automl.results import History, Trial, best_trials, objectives_of

OUTCOMES = frozenset({"complete", "pruned", "failed", "stopped", "lost"})
# Their adapters report each epoch once, in order; a plain callable may give any step.
ASCENDING = frozenset({"lightning", "keras"})
RESTORE = "It stays as it is: the ledger is append-only. Restore the ledger from a backup"


class Illegal(Exception):
    """An event that cannot have happened where it stands."""


class Books:
    """The events of a search, judged one by one.

    Args:
        name: the search.
        events: all of them, in order.

    Attributes:
        history: the fold of the legal ones.
        differences: what was found so far.
    """

    def __init__(self, name: str, events: Iterable[Event] = ()) -> None:
        self.history = History(name)
        self.differences: list[Difference] = []
        self._n = 0
        self._missing: set[int] = set()
        for _ in self.legal(events):
            pass

    def legal(self, events: Iterable[Event]) -> Iterator[Event]:
        """Folds events in, and passes on those that are legal."""
        for event in events:
            self._check_position(event)
            try:
                self._check_data(event)
                getattr(self, f"_{event.kind}", self._unknown)(event)
                self.history.apply(event)
            except Illegal as error:
                self._note(event, str(error))
            except (ValueError, LookupError, TypeError, AttributeError, AssertionError) as error:
                said = str(error) or type(error).__name__
                self._note(event, f"{event.kind} lacks what it should say ({type(error).__name__}: {said})")
            else:
                yield event

    def conclude(self, alive: bool) -> list[Difference]:
        """All differences, those that only the end shows included.

        Args:
            alive: whether a driver runs the search: then what runs is in order.
        """
        found = list(self.differences)
        if not alive:
            found += self._left_running() + self._not_published()
        return found

    # --- after the last event ----------------------------------------------------------------

    def _left_running(self) -> list[Difference]:
        """Attempts that a dead driver left. Where the trial's events are broken, nothing is added to them."""
        last_s = self.history.sessions[-1].last_s if self.history.sessions else 0.0
        broken = {difference.trial for difference in self.differences}
        found = []
        for event in reclaimed(self.history, last_s):
            sound = event.trial not in broken
            mend = "The next start takes it up again, and so does --repair" if sound else RESTORE
            what = f"attempt {event.attempt} is RUNNING and no driver lives"
            mends = (event,) if sound else ()
            found.append(Difference(LEDGER, what, mend, event.trial, mendable=sound, append=mends))
        return found

    def _not_published(self) -> list[Difference]:
        """The best trial's model, once a driver has come to its end and packed it."""
        closed = self.history.sessions[-1].closed if self.history.sessions else None
        directions = [objective["direction"] for objective in objectives_of(self.history)]
        front = best_trials(self.history.trials.values(), directions) if directions else []
        if not closed or closed.get("state") != "ENDED" or not front:
            return []
        best, published = front[0].number, (self.history.published or {}).get("trial")
        if published == best:
            return []
        what = "nothing is published" if published is None else f"trial {published} is published"
        mend = "The same search command publishes it"
        return [Difference(LEDGER, f"{what}, and trial {best} is the best", mend, best)]

    # --- positions ---------------------------------------------------------------------------

    def _check_position(self, event: Event) -> None:
        first, last = self._n + 1, event.n - 1
        if last >= first:
            many = f"position {first} is" if first == last else f"positions {first} to {last} are"
            self._note(event, f"{many} missing before it")
        self._n = event.n

    def _note(self, event: Event, what: str) -> None:
        self.differences.append(Difference(LEDGER, what, RESTORE, event.trial, event.n))

    def _check_data(self, event: Event) -> None:
        if "garbled" in event.data:
            raise Illegal(f"{event.kind}, and its data is no JSON: {event.data['garbled'][:40]!r}")

    # --- one method a kind: raises for what cannot have happened, notes what should not -------

    def _unknown(self, event: Event) -> None:
        assert event.kind not in get_args(Kind), f"{event.kind} has no rule"
        raise Illegal(f"{event.kind} is no kind of event that this automl knows")

    def _opened(self, event: Event) -> None:
        return None

    def _closed(self, event: Event) -> None:
        if not self.history.sessions:
            raise Illegal("closed, and no driver had opened the search")
        if self.history.sessions[-1].closed:
            raise Illegal("closed, and its driver had closed already")

    def _asked(self, event: Event) -> None:
        count = len(self.history.trials)
        if event.trial is None or event.trial in self.history.trials:
            raise Illegal("asked a second time")
        self._missing |= set(range(count, event.trial)) - set(self.history.trials)
        if event.trial > count and event.trial - 1 in self._missing:
            self._note(event, f"asked, and trial {event.trial - 1} was not")

    def _started(self, event: Event) -> None:
        trial = self._moves(event, State.RUNNING)
        self._in_session(event)
        count = len(trial.attempts)
        if event.attempt != count + 1:
            self._note(event, f"attempt {event.attempt} started after {count or 'no'} earlier")

    def _reported(self, event: Event) -> None:
        trial = self._runs(event)
        step, repeat = event.data["step"], event.data.get("repeat")
        if not isinstance(step, int) or step < 1:
            raise Illegal(f"step {step!r}, and steps count from 1")
        if repeat:
            return
        if step in trial.steps:
            raise Illegal(f"step {step} counts a second time")
        last = trial.reports[-1].step if trial.reports else 0
        if step < last and trial.attempts[-1].framework in ASCENDING:
            self._note(event, f"step {step} was reported after step {last}")

    def _checkpointed(self, event: Event) -> None:
        trial = self._known(event)
        if trial.state in FINAL:
            raise Illegal(f"a checkpoint of a trial that is {trial.state}")

    def _ended(self, event: Event) -> None:
        trial = self._runs(event)
        if event.data["outcome"] not in OUTCOMES:
            raise Illegal(f"{event.data['outcome']!r} is no outcome")
        if trial.attempts[-1].outcome is not None and not event.data.get("again"):
            raise Illegal(f"attempt {event.attempt} ended a second time")

    def _finished(self, event: Event) -> None:
        state = State(event.data["state"])
        if state not in FINAL:
            raise Illegal(f"finished as {state}, which is no end")
        trial = self._moves(event, state)
        if trial.attempts and trial.attempts[-1].outcome is None:
            self._note(event, f"{state}, and attempt {trial.attempts[-1].number} had not ended")
        if state is State.COMPLETE:
            self._check_values(event)

    def _check_values(self, event: Event) -> None:
        values, many = event.data.get("values"), len(objectives_of(self.history))
        if not values or len(values) != many:
            self._note(event, f"COMPLETE with the values {values}, and the search has {many} objectives")
        elif not all(math.isfinite(value) for value in values):
            self._note(event, f"COMPLETE with the values {values}, which are no numbers")

    def _published(self, event: Event) -> None:
        trial = self._known(event)
        if trial.state is not State.COMPLETE:
            raise Illegal(f"published, and it is {trial.state}")

    # --- what several kinds share ------------------------------------------------------------

    def _known(self, event: Event) -> Trial:
        if event.trial is None or event.trial not in self.history.trials:
            raise Illegal(f"{event.kind}, and no such trial was asked")
        return self.history.trials[event.trial]

    def _moves(self, event: Event, new: State) -> Trial:
        trial = self._known(event)
        if new not in MOVES[trial.state]:
            raise Illegal(f"{event.kind}: a trial cannot go from {trial.state} to {new}")
        return trial

    def _runs(self, event: Event) -> Trial:
        """The trial of something that only a running attempt can say."""
        trial = self._known(event)
        if trial.state is not State.RUNNING:
            raise Illegal(f"{event.kind} while it is {trial.state}")
        if event.attempt != trial.attempts[-1].number:
            raise Illegal(f"{event.kind} by attempt {event.attempt}, and {trial.attempts[-1].number} runs")
        return trial

    def _in_session(self, event: Event) -> None:
        if not self.history.sessions or self.history.sessions[-1].closed:
            self._note(event, f"{event.kind} while no driver had opened the search")
