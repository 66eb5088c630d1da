"""Acts on a plan: opens the ledger, runs the engine, publishes the winner. Where the rooms meet."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from types import FrameType
from typing import TYPE_CHECKING, Any, Protocol

from automl import packing, spool, winner
from automl.engines.base import Engine
from automl.errors import ChangedSearch, Fault, LeaseLost, LedgerError
from automl.events import Event, State
from automl.heap import still
from automl.machine import person
from automl.nursery import Nursery
from automl.plan import (
    Plan,
    engine_for,
    git_commit,
    has_gpus,
    plan,
    resource_notes,
    versions,
)
from automl.reclaim import reclaimed
from automl.results import History, Trial, best_trials
from automl.search import Search
from automl.trackers import base as trackers
from automl.urls import mask_url
from automl.warmup import prepare, warm_up

if TYPE_CHECKING:
    from automl.ledger import Lease
    from automl.schema import Request

CATCH_UP_S = 60.0


class Planned(Protocol):
    """What is to be run."""

    @property
    def search(self) -> Search: ...


class View(Protocol):
    """Whoever watches a search: the terminal, a notebook, a test."""

    def begin(self, plan: Planned, history: History, slots: int) -> None:
        """The search is about to run, or runs already; `slots` is 0 where that is not known."""

    def event(self, event: Event) -> None:
        """An event was appended and is in the history already."""

    def say(self, text: str) -> None:
        """A line for the person in front of it."""

    def end(self) -> None:
        """Nothing more will come."""


class Silent:
    """Watches nothing."""

    def begin(self, plan: Planned, history: History, slots: int) -> None:
        return None

    def event(self, event: Event) -> None:
        return None

    def say(self, text: str) -> None:
        return None

    def end(self) -> None:
        return None


@dataclass(frozen=True)
class Outcome:
    """How a run ended, with all that is known of the search; `waiting` events are not in the ledger yet."""

    plan: Plan
    history: History
    state: str
    reason: str
    signal: int | None = None
    waiting: int = 0

    @property
    def exit_code(self) -> int:
        """0 with a COMPLETE trial, 1 without one, given up, or not all written, 130 and 143 for signals."""
        if self.signal is not None:
            return 128 + self.signal
        if self.waiting:
            return 1
        return 0 if self.state == "ENDED" and self.history.counts[State.COMPLETE] else 1

    @property
    def best(self) -> list[Trial]:
        directions = [objective.direction for objective in self.plan.search.objectives]
        return best_trials(self.history.trials.values(), directions)


def run(
    search: Search,
    engine: str | Engine = "ray",
    address: str | None = None,
    changed: bool = False,
    ledger: str | None = None,
    view: View | None = None,
    insecure: bool = False,
) -> Outcome:
    """Run a search to its end, or carry on one that was stopped.

    Args:
        search: what to run.
        engine: `ray`, `local`, or an engine that is set up already.
        address: a Ray cluster's.
        changed: carry on although objective, trainer or space differ from what the ledger has.
        ledger: a URL that goes before the search's own.
        view: told what happens.
        insecure: join a cluster although there is no token for it.

    Raises:
        InputError: everything that is wrong with the search, its trainers and surroundings.
        LeaseHeld: another driver runs it.
    """
    view = view or Silent()
    planned = plan(search, ledger)
    runs = engine if isinstance(engine, Engine) else engine_for(engine, planned.root, address, insecure)
    with contextlib.ExitStack() as stack:
        nursery = stack.enter_context(contextlib.closing(warm_up(planned, runs)))
        follower = _follower(planned)
        if follower:
            stack.callback(follower.close)
        stack.enter_context(contextlib.closing(runs))
        takes = prepare(planned, runs, nursery)
        from automl.ledger import Ledger  # SQLAlchemy with it, for which no worker shall wait

        book = Ledger(planned.ledger)
        stack.callback(book.close)
        waits = spool.place(planned.storage, planned.root, search.name)
        lease = stack.enter_context(book.lease(search.name, say=view.say, waits=waits))
        return _Driver(planned, runs, nursery, lease, takes, view, follower).drive(changed)


def _follower(planned: Plan) -> trackers.Follower | None:
    """What shows the search in MLflow; importing that takes long, so it begins before there is a search."""
    if planned.tracking_uri is None and not os.environ.get("AUTOML_OPTUNA_STORAGE"):
        return None
    follower = trackers.Follower()
    follower.start()
    return follower


class _Driver:
    """One driver's life: open, run, publish, close."""

    def __init__(
        self,
        planned: Plan,
        engine: Engine,
        nursery: Nursery,
        lease: Lease,
        takes: Mapping[str, Any],
        view: View,
        follower: trackers.Follower | None,
    ) -> None:
        self._plan, self._engine, self._lease, self._view = planned, engine, lease, view
        self._nursery = nursery
        self._takes = takes
        self._gpus = has_gpus(engine)
        self._follower = follower
        self._signal: int | None = None
        self._skippable = False

    def drive(self, changed: bool) -> Outcome:
        from automl.brain import Brain
        from automl.desk import Desk, Setting

        search = self._plan.search
        with still():
            events = list(self._lease.ledger.events(search.name))
            self.history = History(search.name, events)
            if not changed:
                self._refuse_changes()
            brain = Brain(search)
            brain.replay(events)
            del events
        self._append(Event("opened", data={**self._opening(), "strangers": brain.strangers}))
        self._reclaim()
        self._turn_away(brain.strangers)
        self._follow()
        setting = Setting(str(self._plan.root), self._plan.storage, self._takes, self._gpus)
        self._packing = winner.Packing(self._plan, self._takes, self._view.say, self._nursery.server)
        self._desk = Desk(
            search,
            brain,
            self.history,
            self._lease,
            setting,
            self._slots,
            self._view.event,
            self._pack_ahead,
            self._view.say,
        )
        self._lease.on_request = self._on_request
        for note in resource_notes(search, self._engine):
            self._view.say(note)
        self._view.begin(self._plan, self.history, self._slots())
        try:
            with self._signals():
                self._run_engine()
                return self._close()
        except LeaseLost:
            self._abandon()
            raise
        finally:
            self._packing.close()
            if self._follower:
                self._follower.close()
            self._view.end()

    def _run_engine(self) -> None:
        try:
            self._engine.run(self._desk)
        except KeyboardInterrupt:
            self._desk.stop("STOPPED", "SIGINT")
        except LeaseLost:
            raise
        except Exception as error:
            self._engine.close()
            self._give_up(error)
            raise
        # Before the last facts are written: what still runs must not speak any more.
        self._engine.close()
        # Packing the winner takes as much memory as what workers were forked off.
        self._nursery.close()

    def _abandon(self) -> None:
        """The search is another driver's: show nothing more of it, sweep nothing, train nothing."""
        if self._follower:
            self._follower.close()
        self._desk.abandon()
        self._engine.close()

    def _give_up(self, error: Exception) -> None:
        """The engine broke: what ran goes back to WAITING, and the ledger says why, if it still can."""
        with contextlib.suppress(LedgerError):
            self._desk.stop("FAILED", f"{type(error).__name__}: {error}")
            ending = self._desk.conclude()
            self._append(self._closed(ending.state, ending.reason))

    def _close(self) -> Outcome:
        ending = self._desk.conclude()
        if self._signal is None:
            self._unless_interrupted(self._publish)
        self._append(self._closed(ending.state, ending.reason))
        self._unless_interrupted(self._settle)
        waiting = self._lease.waiting
        if not waiting:
            self._unless_interrupted(self._catch_up)
        return Outcome(self._plan, self.history, ending.state, ending.reason, self._signal, waiting)

    def _closed(self, state: str, reason: str) -> Event:
        data = {"state": state, "reason": reason, "alive_s": self._desk.session_s}
        # What ended while the ledger is away is not swept yet, and may never be by this driver.
        return Event("closed", data={**data, "swept": False} if self._lease.away else data)

    def _unless_interrupted(self, act: Callable[[], None]) -> None:
        """Packing and catching up take a while and lose nothing: a signal skips what is left of them."""
        self._skippable = True
        try:
            act()
        except KeyboardInterrupt:
            self._view.say("skipped the rest; the same command does it later")
        finally:
            self._skippable = False

    # --- opening ---------------------------------------------------------------------------

    def _refuse_changes(self) -> None:
        if self.history.spec is None:
            return
        before = Search.from_plain(self.history.spec)
        if lines := before.identity_difference(self._plan.search):
            what = "the ledger has this name with " + "; ".join(lines)
            raise ChangedSearch(
                Fault("name", what, "Give it another name, or carry on all the same with --continue")
            )

    def _opening(self) -> dict[str, Any]:
        search = self._plan.search
        return {
            "spec": search.to_plain(),
            "text": search.text,
            "versions": versions(),
            "git": git_commit(self._plan.root),
            "host": socket.gethostname(),
            "pid": os.getpid(),
            "engine": self._engine.name,
            **self._whose(),
        }

    def _whose(self) -> dict[str, str]:
        """Whose driver this is, and where it is reached, if not on this machine."""
        address = os.environ.get("AUTOML_ADDRESS") or self._engine.address
        places = {"address": mask_url(address) if address else None, "job": os.environ.get("AUTOML_JOB")}
        return {"owner": person(), **{key: value for key, value in places.items() if value}}

    def _reclaim(self) -> None:
        """Attempts that an earlier driver took down with it: their trials go on."""
        for event in reclaimed(self.history):
            self._append(event)

    def _turn_away(self, strangers: Sequence[int]) -> None:
        """What waits but is no point of the changed search can never be trained in it."""
        error = "it is no point of the search as it was changed"
        for trial in self.history.of_state(State.WAITING):
            if trial.number in strangers:
                data = {"state": str(State.FAILED), "error": error, "reason": "changed"}
                self._append(Event("finished", trial.number, None, data))

    def _follow(self) -> None:
        if self._follower is None:
            return
        search = self._plan.search
        self._follower.follow(
            trackers.Plan(
                self._plan.ledger,
                search.name,
                str(self._plan.root),
                self._plan.tracking_uri,
                self._plan.experiment,
                search.tracking.register if search.tracking else None,
                [{"metric": o.metric, "direction": o.direction} for o in search.objectives],
                self._lease.fence,
            )
        )

    def _slots(self) -> int:
        wants = self._plan.search.resources
        least = packing.extremes(wants.gpus, self._gpus)[0]
        return wants.at_once(self._engine.capacity(wants.cpus, least).slots)

    # --- while it runs ---------------------------------------------------------------------

    def _append(self, event: Event) -> None:
        for written in self._lease.append([event]):
            self.history.apply(written)
            self._view.event(written)

    @contextlib.contextmanager
    def _signals(self) -> Iterator[None]:
        """Ctrl-C and SIGTERM once stop gracefully; a second Ctrl-C stops at once."""
        if threading.current_thread() is not threading.main_thread():
            yield
            return
        before = {each: signal.signal(each, self._on_signal) for each in (signal.SIGINT, signal.SIGTERM)}
        try:
            yield
        finally:
            for each, handler in before.items():
                signal.signal(each, handler)

    def _on_signal(self, number: int, _: FrameType | None) -> None:
        if self._skippable:
            self._signal, self._skippable = number, False
            raise KeyboardInterrupt
        if self._signal is not None:
            self._desk.cut()
            return
        self._signal = number
        self._desk.stop("STOPPED", signal.Signals(number).name)
        self._view.say("stopping: running trials write a checkpoint. Ctrl-C again stops at once")

    def _on_request(self, request: Request) -> None:
        """Somebody asks this driver to stop: as SIGTERM does, unless it is about to end anyway."""
        if request.kind == "stop" and not self._desk.stopping:
            self._signal = signal.SIGTERM
            self._desk.stop("STOPPED", f"stop, asked by {request.by}")
            self._view.say(
                f"{request.by} asks to stop: running trials write a checkpoint. Ctrl-C stops at once"
            )

    # --- closing ---------------------------------------------------------------------------

    def _pack_ahead(self, over: bool) -> None:
        """While the last trials train, start what will pack the winner; while the engine ends, pack it."""
        best = winner.unpublished(self._plan, self.history) if self._signal is None else None
        if best is None:
            return
        if over:
            self._packing.begin(best)
        else:
            self._packing.prepare(best)

    def _publish(self) -> None:
        """Have the winner built and verified; without one, or twice, nothing is done."""
        self._lease.check()
        best = winner.unpublished(self._plan, self.history)
        if best is not None:
            facts = self._packing.result(best)
            self._append(Event("published", best.number, None, facts))

    def _settle(self) -> None:
        """Give the ledger's database some time to come back, if it is away."""
        if self._lease.waiting:
            self._view.say(f"waiting up to {CATCH_UP_S:g} s for the ledger's database")
        if not self._lease.settle(CATCH_UP_S):
            self._desk.sweep_late()

    def _catch_up(self) -> None:
        if not self._follower:
            return
        behind = self._follower.finish(CATCH_UP_S)
        for message in self._follower.messages():
            if message.get("model"):
                self._append(Event("published", message.get("trial"), None, {"model": message["model"]}))
        if behind:
            many = "an unknown number of" if behind.events is None else str(behind.events)
            self._view.say(
                f"MLflow is {many} events behind ({behind.error or 'no answer yet'}). Nothing is lost: "
                "the same search command brings it up to date"
            )
