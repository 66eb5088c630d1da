"""What a driver that died left behind in the ledger, and the facts that set it right.

A pure function of the history: whoever holds the lease appends what it returns.
"""

from __future__ import annotations

from automl.events import Event, State
from automl.results import History

DIED = "its driver died"


def reclaimed(history: History, time_s: float = 0.0) -> list[Event]:
    """The ends of attempts that an earlier driver took down with it: their trials go on.

    Args:
        history: the search.
        time_s: when they are said to have ended; 0 for the time at which they are appended.
    """
    data = {"outcome": "lost", "error": DIED, "again": True}
    return [
        Event("ended", trial.number, len(trial.attempts), dict(data), time_s)
        for trial in history.of_state(State.RUNNING)
    ]


def buried(history: History) -> list[Event]:
    """The end of a driver that died before it could write it.

    The time is the last at which it was heard of, so that being dead costs the search no `budget.time`.
    """
    if not history.sessions or history.sessions[-1].closed:
        return []
    last_s = history.sessions[-1].last_s
    return [Event("closed", data={"state": "LOST", "reason": DIED}, time_s=last_s)]
