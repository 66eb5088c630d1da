"""The tracker process: follows one search in the ledger and shows it, for ever trying again.

One JSON line on stdin says what to follow (see `Plan`), and may take its time; a later one,
`{"finish": true}`, that nothing will follow. JSON lines on stdout are for the driver:
`{"cursor": n}`, `{"end": n}`, `{"model": URI, "trial": n}`, `{"error": text or null}`. Exits 0 once it
was told to finish, or its driver is gone, and everything is shown; 1 when the driver is gone and it is
not; 3 when another driver has taken the search over.
"""

from __future__ import annotations

import contextlib
import ctypes
import hashlib
import json
import os
import select
import signal
import sys
import threading
import time
from collections.abc import Iterable, Iterator
from importlib import import_module
from typing import Any, TextIO

from automl import credentials, scratch
from automl.events import Event
from automl.trackers.base import SUPERSEDED, Message, Plan, Superseded, Tracker
from automl.urls import mask_url

# It looks again after so long at least and at most, and in between after so many times what the last look
# took: a call of MLflow costs milliseconds however little it says, and a later look says more in as many.
POLL_S, LATEST_S, REST = 0.5, 5.0, 20
RETRY_S = (0.5, 1.0, 2.0, 5.0, 10.0, 15.0)
LAST_RETRY_S = 1.0  # while the driver waits for the end
ORPHAN_S = 15.0  # an orphan's last attempt takes no longer than this
PR_SET_PDEATHSIG = 1
# Where there is not enough of the processor, trials go first, those too that Ray runs at its own 15: what is
# shown later is shown all the same. See `machine.share` as well, which its driver calls.
NICE = 19


class Inbox:
    """What the driver says, read by a thread."""

    def __init__(self, stream: TextIO) -> None:
        self.finishing = False
        self.orphaned = False
        self._news = threading.Event()
        self._stream = stream
        threading.Thread(target=self._read, name="stdin", daemon=True).start()

    def wait(self, timeout_s: float) -> None:
        """Returns at the next word of the driver, or after a while."""
        self._news.wait(timeout_s)
        self._news.clear()

    def orphan(self, *_: object) -> None:
        """The driver is gone: one last attempt, within a time that ends whatever happens."""
        if not self.orphaned:
            self.orphaned = True
            self._news.set()
            end = threading.Timer(ORPHAN_S, os._exit, [1])
            end.daemon = True
            end.start()

    def _read(self) -> None:
        for line in self._stream:
            self.finishing = self.finishing or "finish" in json.loads(line)
            self._news.set()
        self.orphan()


class Pursuit:
    """Brings every tracker to the ledger's end, again and again.

    Args:
        plan: what to follow.
        inbox: says when to look and when to end.
        out: takes messages.
    """

    def __init__(self, plan: Plan, inbox: Inbox, out: TextIO) -> None:
        self._plan, self._inbox, self._out = plan, inbox, out
        self._trackers: list[Tracker] | None = None
        self._ledger: Any = None
        self._end = -1
        self._error: str | None = None
        self._failures = 0

    def run(self) -> int:
        """Follows until the end; returns the exit status."""
        while True:
            # Asked before the attempt: what was appended before the driver said so is then shown.
            finishing, orphaned = self._inbox.finishing, self._inbox.orphaned
            begun_s = time.monotonic()
            try:
                shown = self._attempt()
            except Superseded as error:
                self._complain(str(error))
                return SUPERSEDED
            if shown and (finishing or orphaned):
                return 0
            if orphaned:
                return 1
            self._inbox.wait(self._pause_s(shown, time.monotonic() - begun_s))

    def _attempt(self) -> bool:
        try:
            self._look()
            for tracker in self._trackers or self._make():
                tracker.catch_up(self._read, self._say)
        except Superseded:
            raise
        except Exception as error:
            self._complain(readable(error, self._plan))
            return False
        self._complain(None)
        return True

    def _look(self) -> None:
        """Tells the driver where the ledger ends, before anything that may take long."""
        if self._ledger is None:
            from automl.ledger import Ledger

            self._ledger = Ledger(self._plan.ledger, create=False)
        self._behind_the_fence()
        for event in self._ledger.events(self._plan.name, after=max(0, self._end)):
            self._end = event.n
        self._say({"end": max(0, self._end)})

    def _behind_the_fence(self) -> None:
        """Raises Superseded when the search has another driver: two that show it would show it twice."""
        if self._plan.fence is not None and self._ledger.fence(self._plan.name) != self._plan.fence:
            raise Superseded("another driver has taken the search over, and shows it")

    def _make(self) -> list[Tracker]:
        made: list[Tracker] = []
        if self._plan.uri:
            from automl.trackers.mlflow import MLflowTracker

            made.append(MLflowTracker(self._plan, self._behind_the_fence))
        if storage := os.environ.get("AUTOML_OPTUNA_STORAGE"):
            from automl.trackers.optuna_rdb import OptunaMirror

            made.append(OptunaMirror(self._plan, storage))
        self._trackers = made
        return made

    def _read(self, after: int) -> Iterable[Event]:
        events: Iterable[Event] = self._ledger.events(self._plan.name, after=after)
        return events

    def _say(self, message: Message) -> None:
        with contextlib.suppress(BrokenPipeError):
            self._out.write(json.dumps(message) + "\n")
            self._out.flush()

    def _complain(self, error: str | None) -> None:
        self._failures = 0 if error is None else self._failures + 1
        if error != self._error:
            self._error = error
            self._say({"error": error})

    def _pause_s(self, shown: bool, took_s: float) -> float:
        if shown:
            return rest_s(took_s)
        if self._inbox.finishing:
            return LAST_RETRY_S
        return RETRY_S[min(self._failures, len(RETRY_S)) - 1]


def rest_s(took_s: float) -> float:
    """How long to leave MLflow in peace after a look that took so long."""
    return min(max(POLL_S, REST * took_s), LATEST_S)


def readable(error: BaseException, plan: Plan) -> str:
    """One line about an exception, without the passwords of the URLs that are in use."""
    lines = str(error).strip().splitlines() or [type(error).__name__]
    said = credentials.scrubbed(lines[0], plan.uri, plan.ledger)
    where = mask_url(plan.uri or plan.ledger)
    return f"{where}: {said}" if where not in said else said


@contextlib.contextmanager
def alone(plan: Plan) -> Iterator[None]:
    """Keeps a dead driver's tracker, on its last attempt, and its successor from writing at once."""
    key = hashlib.sha256(f"{plan.ledger} {plan.name}".encode()).hexdigest()[:24]
    with scratch.lock(f"tracker-{key}"):
        yield


def die_with_parent(inbox: Inbox) -> None:
    """A second sign, besides the end of stdin, that the driver is gone."""
    signal.signal(signal.SIGTERM, inbox.orphan)
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGTERM)


def warm() -> None:
    """Imports what will be needed while nobody has said yet what to follow. What fails here fails again."""
    with contextlib.suppress(Exception):
        import_module("automl.ledger")
        import_module("automl.trackers.mlflow")


def main() -> int:
    """The whole life of the process."""
    # Libraries print; the driver reads JSON. So stdout is kept for messages alone.
    out = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)
    os.nice(NICE)
    if not select.select([sys.stdin], [], [], 0)[0]:
        warm()
    line = sys.stdin.readline()
    if not line:
        return 0  # its driver has found that there is nothing to follow
    plan = Plan(**json.loads(line))
    inbox = Inbox(sys.stdin)
    die_with_parent(inbox)
    os.chdir(plan.root)
    with alone(plan):
        return Pursuit(plan, inbox, out).run()


if __name__ == "__main__":
    # Not sys.exit: threads of MLflow or of a hanging connection must not keep the process.
    code = main()
    sys.stderr.flush()
    os._exit(code)
