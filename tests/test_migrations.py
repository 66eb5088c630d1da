"""Older ledgers are brought up to date by whoever writes, whole or not at all; readers leave them alone."""

from __future__ import annotations

import shutil
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import replace
from importlib import metadata
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from sqlalchemy.engine import Connection
from typer.testing import CliRunner

from automl import migrations
from automl.cli import app
from automl.errors import LedgerError
from automl.events import Event
from automl.ledger import Ledger
from automl.machine import machine_id
from automl.schema import SCHEMA, meta

HERE = Path(__file__).parent
GOLDEN = sorted((HERE / "golden").glob("*/*.sql"))

Spawn = Callable[..., subprocess.Popen[str]]


@pytest.fixture
def spawn() -> Iterator[Spawn]:
    """Starts Python programs, and kills with the test whoever is left of them."""
    children: list[subprocess.Popen[str]] = []

    def start(program: str, *words: str) -> subprocess.Popen[str]:
        pipes: dict[str, Any] = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
        children.append(subprocess.Popen([sys.executable, "-c", program, *words], **pipes))
        return children[-1]

    yield start
    for child in children:
        child.kill()
        child.communicate()


def engine_of(url: str) -> sa.Engine:
    return sa.create_engine(url, isolation_level="AUTOCOMMIT")


def tables(url: str) -> dict[str, Any]:
    """All that a database says of the tables, columns, keys and indexes in it."""
    engine = engine_of(url)
    with engine.connect() as db:
        found = sa.inspect(db)
        shown = {name: _table(found, name) for name in sorted(found.get_table_names())}
        shown["indexes"] = _indexes(db)
    engine.dispose()
    return shown


def _table(found: sa.Inspector, name: str) -> dict[str, Any]:
    columns = [{**column, "type": repr(column["type"])} for column in found.get_columns(name)]
    keys = [found.get_pk_constraint(name), found.get_foreign_keys(name), found.get_unique_constraints(name)]
    return {"columns": columns, "keys": keys}


def _indexes(db: Connection) -> list[str]:
    """Indexes in the database's own words: what they hold only for a part of the rows is among these."""
    words = "SELECT sql FROM sqlite_master WHERE type = 'index' AND sql IS NOT NULL"
    if db.dialect.name == "postgresql":
        words = "SELECT indexdef FROM pg_indexes WHERE schemaname = 'public'"
    return sorted(" ".join(str(sql).split()) for (sql,) in db.execute(sa.text(words)))


def version(url: str) -> Any:
    engine = engine_of(url)
    with engine.connect() as db:
        rows = db.execute(sa.text("SELECT * FROM automl_schema")).all()
    engine.dispose()
    return [tuple(row) for row in rows]


def write_first(url: str, searches: int = 1) -> None:
    """A ledger of schema 1 with a search or more, 100 events each, whose driver on another machine died."""
    engine = sa.create_engine(url)
    with engine.begin() as db:
        _first_tables(db)
        db.execute(sa.text("INSERT INTO automl_schema VALUES (1)"))
        for key in range(1, searches + 1):
            db.execute(sa.text(f"INSERT INTO automl_searches VALUES ({key}, 's{key}', 1.5)"))
            for n in range(1, 101):
                event = f"INSERT INTO automl_events VALUES ({key}, {n}, 'opened', NULL, NULL, {n}, '[]')"
                db.execute(sa.text(event))
            lease = f"({key}, 3, 'a token', 'gpu-box', 'another', 4711, 1.0, 7, 0.2)"
            db.execute(sa.text(f"INSERT INTO automl_leases VALUES {lease}"))
    engine.dispose()


def _first_tables(db: Connection) -> None:
    from alembic.migration import MigrationContext
    from alembic.operations import Operations

    from automl.migrations.versions import v1_first

    with Operations.context(MigrationContext.configure(db)):
        v1_first.upgrade()


def golden(script: Path, folder: Path) -> str:
    """A golden ledger as a file; its URL."""
    text = script.read_text().replace("@ROOT@", str(folder)).replace("@MACHINE@", machine_id())
    with closing(sqlite3.connect(folder / "automl.db")) as db:
        db.executescript(text)
    return f"sqlite:///{folder}/automl.db"


def dump(file: Path) -> list[str]:
    """Everything in an SQLite file."""
    with closing(sqlite3.connect(file)) as db:
        return list(db.iterdump())


# --- the same tables -----------------------------------------------------------------------


def test_the_first_schema_is_that_of_the_first_golden_ledgers(tmp_path: Path, sqlite: str) -> None:
    write_first(sqlite)
    assert tables(golden(HERE / "golden/first/finished.sql", tmp_path)) == tables(sqlite)


def test_a_migrated_ledger_has_the_tables_of_a_fresh_one(url: str, tmp_path: Path) -> None:
    write_first(url)
    with closing(Ledger(url)):
        migrated = tables(url)
    assert version(url) == [(SCHEMA, metadata.version("automl"))]
    engine = sa.create_engine(url)
    with engine.begin() as db:
        meta.drop_all(db)
    engine.dispose()
    with closing(Ledger(url)):
        fresh = tables(url)
    assert migrated == fresh
    assert version(url) == [(SCHEMA, metadata.version("automl"))]
    assert not [name for name in fresh if "alembic" in name]


def test_from_nothing_all_steps_together_give_the_newest_schema_too(url: str) -> None:
    engine = sa.create_engine(url)
    with engine.begin() as db:
        migrations.upgrade(db, None)
    stepwise = tables(url)
    with engine.begin() as db:
        meta.drop_all(db)
        meta.create_all(db)
    engine.dispose()
    assert stepwise == tables(url)


@pytest.mark.parametrize("script", GOLDEN, ids=lambda path: f"{path.parent.name}-{path.stem}")
def test_a_golden_ledger_is_migrated_with_every_event(script: Path, tmp_path: Path, sqlite: str) -> None:
    url, name = golden(script, tmp_path), script.stem
    with closing(Ledger(url, create=False)) as before:
        events, holder = list(before.events(name)), before.holder(name)
    with closing(Ledger(url)) as after, closing(Ledger(sqlite)):
        assert list(after.events(name)) == events
        held = after.holder(name)
        assert (held and replace(held, silent_s=None)) == (holder and replace(holder, silent_s=None))
        assert tables(url) == tables(sqlite)
        with after.lease(name) as lease:
            assert lease.append([Event("opened")])[0].n == events[-1].n + 1


# --- who migrates, and when ----------------------------------------------------------------


def test_readers_read_an_older_ledger_and_change_nothing(tmp_path: Path, monkeypatch: Any) -> None:
    golden(HERE / "golden/second/memory.sql", tmp_path)
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("AUTOML_LEDGER", raising=False)
    before = dump(tmp_path / "automl.db")
    for words in (["ls"], ["show", "memory"], ["why", "memory", "--trial", "0"], ["fsck", "memory"]):
        done = CliRunner().invoke(app, words, catch_exceptions=False)
        assert "memory" in done.stdout, done.stderr
    assert dump(tmp_path / "automl.db") == before


def test_a_reader_goes_on_while_a_driver_migrates(url: str) -> None:
    write_first(url)
    with closing(Ledger(url, create=False)) as reader:
        assert not reader.driver_alive("s1", wait=True)
        with closing(Ledger(url)), closing(Ledger(url, create=False)) as later:
            for each in (reader, later):
                assert len(list(each.events("s1"))) == 100
                held = each.holder("s1")
                assert held is not None
                assert (held.fence, held.silent_s) == (3, None)


def test_a_reader_that_takes_a_lease_migrates_first(url: str) -> None:
    write_first(url)
    with closing(Ledger(url, create=False)) as reader, reader.lease("s1") as lease:
        assert lease.append([Event("opened")])[0].n == 101
        assert version(url)[0][0] == SCHEMA


LOOK = """
import sys
from automl.events import Event
from automl.ledger import Ledger
with Ledger(sys.argv[1]).lease(sys.argv[2]) as lease:
    lease.append([Event("opened")])
print(lease.n, "alembic" in sys.modules, flush=True)
"""


def test_two_drivers_at_once_migrate_once_and_both_go_on(url: str, spawn: Spawn) -> None:
    write_first(url, searches=2)
    children = [spawn(LOOK, url, f"s{key}") for key in (1, 2)]
    said = [child.communicate()[0].split()[0] for child in children]
    assert said == ["101", "101"]
    assert version(url) == [(SCHEMA, metadata.version("automl"))]


def test_alembic_is_loaded_where_a_ledger_is_older_and_nowhere_else(url: str, spawn: Spawn) -> None:
    write_first(url)
    assert spawn(LOOK, url, "s1").communicate()[0].split() == ["101", "True"]
    assert spawn(LOOK, url, "s1").communicate()[0].split() == ["102", "False"]


def test_nobody_asks_a_driver_of_an_earlier_version_in_vain(url: str) -> None:
    write_first(url)
    with closing(Ledger(url, create=False)) as ledger:
        wrong = "s1 is an earlier automl, which hears no requests. End it on gpu-box with: kill 4711"
        with pytest.raises(LedgerError, match=wrong):
            ledger.ask("s1", "stop", "ann@desk")
    assert version(url) == [(1,)]


# --- interrupted ---------------------------------------------------------------------------

# Stops in the middle of a migration, once its first half has been done, until it is killed.
HALF = """
import sys
import sqlalchemy as sa
from automl import ledger
opened = ledger.connect
def connect(url):
    engine = opened(url)
    def halt(connection, cursor, statement, *_):
        if "ALTER TABLE automl_leases" in statement:
            print("halfway", flush=True)
            sys.stdin.read()
    sa.event.listen(engine, "after_cursor_execute", halt)
    return engine
ledger.connect = connect
ledger.Ledger(sys.argv[1])
"""


def test_a_migration_that_is_killed_halfway_has_changed_nothing_and_is_done_again(
    url: str, spawn: Spawn
) -> None:
    write_first(url)
    before = tables(url)
    child = spawn(HALF, url)
    assert child.stdout is not None
    assert child.stdout.readline() == "halfway\n"
    second = spawn(LOOK, url, "s1")  # waits for the first, and does it in its place
    child.send_signal(signal.SIGKILL)
    child.wait()
    assert second.communicate()[0].split() == ["101", "True"]
    assert version(url)[0][0] == SCHEMA
    with closing(Ledger(url)) as ledger:
        assert [event.n for event in ledger.events("s1")] == list(range(1, 102))
    assert set(before) < set(tables(url))


def test_a_copy_taken_while_a_migration_was_killed_is_the_old_ledger(
    sqlite: str, spawn: Spawn, tmp_path: Path
) -> None:
    write_first(sqlite)
    before = tables(sqlite)
    child = spawn(HALF, sqlite)
    assert child.stdout is not None
    child.stdout.readline()
    child.kill()
    child.wait()
    folder = tmp_path / "copy"
    folder.mkdir()
    for file in tmp_path.glob("ledger.db*"):
        shutil.copy(file, folder)
    copy = f"sqlite:///{folder}/ledger.db"
    assert (tables(copy), version(copy)) == (before, [(1,)])
