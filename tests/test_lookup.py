"""Searches are found in ledgers that are whole, of another version, or damaged in part."""

from __future__ import annotations

from contextlib import closing

import pytest
import sqlalchemy as sa

from automl import lookup, tables
from automl.errors import LedgerError, NoSuchSearch
from automl.events import Event
from automl.ledger import Ledger

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
        with pytest.raises(LedgerError, match=r"schema 99, this automl knows up to 1\. Install a newer"):
            read()
