"""Searches are found in ledgers that are whole, of another version, or damaged in part."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import closing
from dataclasses import replace
from typing import Any

import pytest
import sqlalchemy as sa

from automl import lookup, results, tables
from automl.errors import LedgerError, NoSuchSearch
from automl.events import Event
from automl.ledger import Ledger
from automl.results import History, Trial
from automl.schema import SCHEMA

ASKED = {"params": {"x": 0.5}, "trainer": "trainer", "source": "sampler", "sampler": "random"}


@pytest.fixture
def three(url: str) -> str:
    """A ledger of three searches with a trial each."""
    with closing(Ledger(url)) as ledger:
        for name in ("first", "second", "third"):
            with ledger.lease(name) as lease:
                lease.append([Event("opened", data={"spec": {}}), Event("asked", 0, data=ASKED)])
    return url


def spoil(url: str, statement: str) -> None:
    engine = sa.create_engine(url)
    with engine.begin() as db:
        db.execute(sa.text(statement))
    engine.dispose()


SECOND = "search_id = (SELECT id FROM automl_searches WHERE name = 'second')"
DAMAGE = {
    "half a text": "data = '{\"params\": {'",
    "a kind of the future": "kind = 'dreamt'",
    "a key that is gone": "data = '{}'",
    "a trial that nobody asked for": "kind = 'started', trial = 7, attempt = 1",
}


@pytest.mark.parametrize("damage", DAMAGE)
def test_a_search_that_cannot_be_read_keeps_nobody_from_seeing_the_others(
    damage: str, three: str, capsys: pytest.CaptureFixture[str]
) -> None:
    spoil(three, f"UPDATE automl_events SET {DAMAGE[damage]} WHERE n = 2 AND {SECOND}")
    found = lookup.listing(three)
    assert [(each["name"], each["state"]) for each in found] == [
        ("first", "LOST"),
        ("second", "UNREADABLE"),
        ("third", "LOST"),
    ]
    why = (
        "event 2 of the ledger is cut off"
        if damage == "half a text"
        else "second: its events make no sense ("
    )
    assert found[1]["reason"].startswith(why)
    assert found[0].keys() == found[1].keys()
    tables.searches(found)
    assert "UNREADABLE" in capsys.readouterr().out
    with pytest.raises(LedgerError, match=r"another version of automl|Restore a copy of it"):
        lookup.find("second", three)
    assert lookup.find("third", three).history.trials.keys() == {0}
    with pytest.raises(NoSuchSearch):
        lookup.find("fourth", three)


def test_a_ledger_of_a_newer_version_is_refused_by_readers_with_both_versions(three: str) -> None:
    spoil(three, "UPDATE automl_schema SET version = 99")
    for read in (lambda: lookup.listing(three), lambda: lookup.find("first", three)):
        with pytest.raises(LedgerError, match=rf"schema 99, .* knows up to {SCHEMA}\. Install automl "):
            read()


def asked(number: int) -> Event:
    return Event("asked", number, data={**ASKED, "params": {"x": number / 10}})


def reported(number: int, attempt: int, step: int, repeat: bool = False, time_s: float = 0.0) -> Event:
    data = {"step": step, "metrics": {"loss": 1 / step}, "prune": False, "repeat": repeat}
    return Event("reported", number, attempt, data, time_s)


def finished(number: int) -> list[Event]:
    over = {"state": "COMPLETE", "values": [number / 10], "step": 3}
    return [Event("ended", number, 1, {"outcome": "complete"}), Event("finished", number, data=over)]


SPEC = {"objective": {"metric": "loss", "direction": "minimize"}}
LIVES = [
    # A driver that died; what it heard last was not the last it wrote: its clock was set back.
    Event("opened", data={"spec": SPEC}, time_s=100.0),
    asked(0),
    asked(1),
    Event("started", 0, 1, {"node": "a"}, 101.0),
    Event("started", 1, 1, {"node": "a"}, 102.0),
    *[reported(0, 1, step, time_s=103.0) for step in (1, 2, 3)],
    reported(1, 1, 1, time_s=190.0),
    reported(1, 1, 2, time_s=110.0),
    Event("checkpointed", 1, 1, {"step": 1, "path": "there"}, 120.0),
    *finished(0),
    # The next one gives its trial back, and repeats a step of it.
    Event("opened", data={"spec": SPEC}, time_s=1000.0),
    Event("ended", 1, 1, {"outcome": "lost", "error": "its driver died", "again": True}, 1001.0),
    Event("started", 1, 2, {"node": "b"}, 1002.0),
    reported(1, 2, 2, repeat=True),
    asked(2),
]


def timed(events: Sequence[Event]) -> list[Event]:
    """Those without a time right after the one before."""
    last_s = 0.0
    return [replace(event, time_s=(last_s := event.time_s or last_s)) for event in events]


def printed(found: lookup.Found, capsys: pytest.CaptureFixture[str]) -> str:
    tables.search(found.history, found.alive)
    return capsys.readouterr().out


def test_an_overview_prints_what_all_events_say(url: str, capsys: pytest.CaptureFixture[str]) -> None:
    with closing(Ledger(url)) as ledger:
        with ledger.lease("lives") as lease:
            lease.append(timed(LIVES))
        events = ledger.overview("lives")
    whole = printed(lookup.find("lives", url), capsys)
    assert printed(lookup.overview("lives", url), capsys) == whole
    assert "1\tRUNNING\ttrainer\t-\t2\t2\t1m 28s" in whole  # to 190 s, when it was last heard of
    assert [event.data["step"] for event in events if event.kind == "reported"] == [3, 1, 2]
    (listed,) = lookup.listing(url)
    assert (listed["counts"]["RUNNING"], listed["best"]["number"]) == (1, 0)


def test_a_trial_whose_last_report_was_a_repetition_is_shown_at_the_one_that_counted(url: str) -> None:
    again = Event("ended", 0, 1, {"outcome": "lost", "again": True})
    lives = [asked(0), Event("started", 0, 1), reported(0, 1, 1), reported(0, 1, 2), again]
    lives += [Event("started", 0, 2), reported(0, 2, 2, repeat=True), asked(1), Event("started", 1, 1)]
    with closing(Ledger(url)) as ledger, ledger.lease("lives") as lease:
        lease.append([Event("opened", data={"spec": SPEC}), *lives, reported(1, 1, 1)])
        found = [
            (event.trial, event.data["step"]) for event in ledger.overview("lives") if "step" in event.data
        ]
    assert found == [(0, 2), (1, 1)]
    assert lookup.overview("lives", url).history.trials[0].reports[-1].attempt == 1


def listed(url: str) -> dict[str, Any]:
    """The one search of a ledger in a list, but for its age and whose it is."""
    (found,) = lookup.listing(url)
    known = results.headline(History("lives"), False)
    return {name: value for name, value in found.items() if name in known}


def told(url: str) -> dict[str, Any]:
    """The same from all its events."""
    found = lookup.find("lives", url)
    return {n: v for n, v in results.headline(found.history, found.alive).items() if n != "schema"}


def test_a_line_of_a_list_says_what_all_events_say(url: str) -> None:
    with closing(Ledger(url)) as ledger, ledger.lease("lives") as lease:
        for event in timed(LIVES):
            lease.append([event])
            assert listed(url) == told(url)
        lease.append([Event("published", 0, data={"path": "here"}), *finished(1)])
        assert listed(url) == told(url)
        assert (listed(url)["best"]["model"], listed(url)["best"]["params"]) == ("here", {"x": 0.0})
        # A changed search, in which the best so far has no place.
        lease.append([Event("opened", data={"spec": SPEC, "strangers": [0]})])
        assert listed(url) == told(url)
        assert listed(url)["best"]["number"] == 1


def test_a_line_of_a_list_has_the_front_with_its_parameters(url: str) -> None:
    directions = {"loss": "minimize", "accuracy": "maximize"}
    spec = {"objective": [{"metric": metric, "direction": way} for metric, way in directions.items()]}
    with closing(Ledger(url)) as ledger, ledger.lease("lives") as lease:
        lease.append([Event("opened", data={"spec": spec})])
        for number, values in enumerate([[0.1, 0.5], [0.2, 0.6], [0.2, 0.5], [0.3, 0.9]]):
            over = {"state": "COMPLETE", "values": values, "step": 1}
            lease.append([asked(number), Event("started", number, 1), Event("finished", number, data=over)])
    assert [best["params"] for best in listed(url)["best"]] == [{"x": 0.0}, {"x": 0.1}, {"x": 0.3}]
    assert listed(url) == told(url)


def test_a_list_of_searches_reads_of_a_finished_trial_only_that(url: str) -> None:
    with closing(Ledger(url)) as ledger:
        with ledger.lease("lives") as lease:
            lease.append(LIVES[:-5])
        read = [(event.kind, event.trial) for event in ledger.outline("lives")]
    assert read == [("opened", None), ("asked", 1), ("started", 1), ("finished", 0)]


def test_a_long_table_has_the_best_and_the_newest() -> None:
    trials = [Trial(n, {}, "trainer", "sampler", "random", 0.0, values=[abs(n - 50.0)]) for n in range(200)]
    trials.append(Trial(200, {}, "trainer", "sampler", "random", 0.0))
    for maximize, kept in ((False, {*range(46, 55), *range(171, 201)}), (True, set(range(162, 201)))):
        chosen = [trial.number for trial in tables.best_and_newest(trials, maximize, [7], 40)]
        assert chosen == sorted({7, *kept})


@pytest.mark.parametrize("moment", ["ends", "begins"])
def test_a_driver_that_ends_or_begins_while_a_search_is_read_is_not_lost(url: str, moment: str) -> None:
    with closing(Ledger(url)) as book:
        opened = Event("opened", data={"spec": {}})
        leases = [] if moment == "begins" else [book.lease("first")]
        for lease in leases:
            lease.append([opened])

        def reading(name: str) -> list[Event]:
            if moment == "begins":
                leases.append(book.lease("first"))
                leases[0].append([opened])
                return list(book.events(name))
            events = list(book.events(name))
            leases[0].append([Event("closed", data={"state": "ENDED", "reason": "budget.trials"})])
            leases[0].release()
            return events

        if moment == "begins":
            with book.lease("first"):
                """The search has to be known."""
        found = lookup.read(book, "first", reading)
        assert found.history.state(found.alive) == ("RUNNING", None)
        for lease in leases:
            lease.release()
        found = lookup.read(book, "first")
        state = "ENDED" if moment == "ends" else "LOST"
        assert found.history.state(found.alive)[0] == state


@pytest.mark.parametrize("moment", ["ends", "begins"])
def test_nor_is_one_that_is_looked_at_in_short(
    url: str, moment: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened, closed = (
        Event("opened", data={"spec": {}}),
        Event("closed", data={"state": "ENDED", "reason": None}),
    )
    with closing(Ledger(url)) as book:
        lease = book.lease("first")
        if moment == "begins":
            lease.release()
        else:
            lease.append([opened])
        read, kinds = Ledger.last, []

        def reading(ledger: Ledger, name: str, kind: str) -> Event | None:
            """The driver acts once the first word is read, or before it."""
            nonlocal lease
            kinds.append(kind)
            if kinds == ["opened"] and moment == "begins":
                lease = book.lease("first")
                lease.append([opened])
            found = read(ledger, name, kind)
            if kinds == ["opened", "closed"] and moment == "ends":
                lease.append([closed])
                lease.release()
            return found

        monkeypatch.setattr(Ledger, "last", reading)
        assert lookup.standing(book, "first").state == "RUNNING"
        if moment == "begins":
            lease.release()
        kinds.clear()
        monkeypatch.setattr(Ledger, "last", read)
        assert lookup.standing(book, "first").state == ("ENDED" if moment == "ends" else "LOST")
