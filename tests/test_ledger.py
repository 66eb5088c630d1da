"""The ledger and its lease: one contract, run over SQLite and over a real PostgreSQL server."""

from __future__ import annotations

import math
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from importlib import metadata
from pathlib import Path

import pytest
import sqlalchemy as sa
from sqlalchemy.engine import make_url
from sqlalchemy.exc import SQLAlchemyError

from automl import database
from automl.errors import LeaseHeld, LeaseLost, LedgerError, NoSuchSearch
from automl.events import Event
from automl.ledger import PAGE, Lease, Ledger, probe
from automl.machine import machine_id, process_started_s
from automl.schema import SCHEMA

HARD = {
    "nan": math.nan,
    "inf": [math.inf, -math.inf],
    "text": "Grüße 🦆 \x00 \ud800 \\u0000 'quoted' \"twice\"",
    "nested": {"deep": [1, 1.0, True, None, {"": []}]},
    "exact": [0.1, 1e-308, 2**63, -0.0],
}

Open = Callable[..., Ledger]
Spawn = Callable[..., subprocess.Popen[str]]


@pytest.fixture
def open_ledger(url: str) -> Iterator[Open]:
    """Opens the test's ledger as often as it likes; all are closed at the end."""
    opened: list[Ledger] = []

    def open_one(**more: bool) -> Ledger:
        opened.append(Ledger(url, **more))
        return opened[-1]

    yield open_one
    for ledger in opened:
        ledger.close()


@pytest.fixture
def ledger(open_ledger: Open) -> Ledger:
    return open_ledger()


@pytest.fixture
def spawn() -> Iterator[Spawn]:
    """Starts Python children that print a line once they are where the test wants them."""
    children: list[subprocess.Popen[str]] = []

    def start(program: str, *words: str) -> subprocess.Popen[str]:
        pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
        child = subprocess.Popen([sys.executable, "-c", program, *words], **pipes)  # type: ignore[call-overload]
        children.append(child)
        return child  # type: ignore[no-any-return]

    yield start
    for child in children:
        child.kill()
        child.communicate()


DRIVER = """
import sys
from automl.errors import LedgerError
from automl.events import Event
from automl.ledger import Ledger
ledger = Ledger(sys.argv[1])
try:
    lease = ledger.lease("s", period_s=float(sys.argv[2]))
except LedgerError as error:
    print(type(error).__name__, error, flush=True)
    sys.exit()
print("held", flush=True)
for line in sys.stdin:
    try:
        lease.append([Event("opened", data={"from": "child"})])
        print("written", flush=True)
    except LedgerError as error:
        print(type(error).__name__, flush=True)
"""


def said(child: subprocess.Popen[str]) -> str:
    assert child.stdout is not None
    return child.stdout.readline().strip()


def tell(child: subprocess.Popen[str]) -> str:
    assert child.stdin is not None
    child.stdin.write("\n")
    child.stdin.flush()
    return said(child)


def alter(url: str, **values: object) -> None:
    """Make the lease look as if it were held by someone else."""
    engine = sa.create_engine(make_url(url))
    with closing(engine.raw_connection()) as raw:
        cursor = raw.cursor()
        for column, value in values.items():
            mark = "?" if url.startswith("sqlite") else "%s"
            cursor.execute(f"UPDATE automl_leases SET {column} = {mark}", (value,))
        raw.commit()
    engine.dispose()


def abandon(lease: Lease) -> None:
    """Stop the heartbeat without giving the lease back, as a death does."""
    lease._left.set()
    lease._thread.join()


# --- events --------------------------------------------------------------------------------


def test_events_come_back_in_order_and_exactly(ledger: Ledger) -> None:
    events = [
        Event("opened", data={"spec": HARD}),
        Event("asked", 0, None, {"params": HARD}),
        Event("started", 0, 1, {"pid": 7}, time_s=1_700_000_000.123456),
    ]
    with ledger.lease("s") as lease:
        written = lease.append(events)
    read = list(ledger.events("s"))
    assert [event.n for event in read] == [1, 2, 3]
    assert repr(read) == repr(written)  # repr, because NaN differs from itself
    assert [(e.kind, e.trial, e.attempt) for e in read] == [(e.kind, e.trial, e.attempt) for e in events]
    assert repr(read[0].data["spec"]) == repr(HARD)
    assert read[2].time_s == 1_700_000_000.123456
    assert read[0].time_s == pytest.approx(time.time(), abs=60)


def test_positions_are_consecutive_over_drivers_and_pages(ledger: Ledger) -> None:
    for size in (1, 2, PAGE):
        with ledger.lease("s") as lease:
            lease.append([Event("opened", data={"i": i}) for i in range(size)])
            assert lease.n == len(list(ledger.events("s")))
    assert [event.n for event in ledger.events("s")] == list(range(1, PAGE + 4))
    assert [event.n for event in ledger.events("s", after=PAGE + 1)] == [PAGE + 2, PAGE + 3]
    assert list(ledger.events("s", after=PAGE + 3)) == []


def test_searches_do_not_mix(ledger: Ledger) -> None:
    with ledger.lease("a") as a, ledger.lease("b") as b:
        a.append([Event("asked", 0)])
        b.append([Event("asked", 0), Event("asked", 1)])
    assert ledger.searches() == ["a", "b"]
    assert (len(list(ledger.events("a"))), len(list(ledger.events("b")))) == (1, 2)


@pytest.mark.parametrize("kind", ["asked", "finished"])
def test_a_trial_is_asked_once_and_ends_once(ledger: Ledger, kind: str) -> None:
    event = Event(kind, 3, None, {"state": "COMPLETE"})  # type: ignore[arg-type]
    with ledger.lease("s") as lease:
        lease.append([event])
        with pytest.raises(LedgerError):
            lease.append([event])
        lease.append([Event("reported", 3, 1, {"step": 1}), Event("reported", 3, 1, {"step": 1})])
    assert [e.kind for e in ledger.events("s")] == [kind, "reported", "reported"]


def test_an_append_is_all_or_nothing_and_the_next_one_follows_on(ledger: Ledger) -> None:
    with ledger.lease("s") as lease:
        lease.append([Event("asked", 0)])
        with pytest.raises(LedgerError):
            lease.append([Event("asked", 1), Event("started", 1, 1), Event("asked", 0)])
        assert lease.n == 1
        lease.append([Event("asked", 1)])
    assert [(e.kind, e.trial, e.n) for e in ledger.events("s")] == [("asked", 0, 1), ("asked", 1, 2)]


def test_an_event_that_is_no_json_writes_nothing(ledger: Ledger) -> None:
    with ledger.lease("s") as lease:
        with pytest.raises(TypeError):
            lease.append([Event("asked", 0), Event("asked", 1, data={"params": {1, 2}})])
        lease.append([Event("asked", 0)])
    assert len(list(ledger.events("s"))) == 1


def test_an_unknown_search_is_named_with_those_there_are(ledger: Ledger) -> None:
    ledger.lease("digits").release()
    ledger.lease("other").release()
    with pytest.raises(NoSuchSearch, match=r"digist: no search of that name.*mean digits\?.*digits, other"):
        ledger.events("digist")
    with pytest.raises(NoSuchSearch):
        ledger.holder("digist")


def test_readers_go_on_while_a_driver_writes(url: str, ledger: Ledger) -> None:
    faults: list[BaseException] = []
    done = threading.Event()

    def read() -> None:
        try:
            while not done.is_set():
                with closing(Ledger(url, create=False)) as mine:
                    found = [event.n for event in mine.events("s")]
                assert found == list(range(1, len(found) + 1))
        except BaseException as error:
            faults.append(error)

    with ledger.lease("s") as lease:
        readers = [threading.Thread(target=read) for _ in range(2)]
        for reader in readers:
            reader.start()
        for number in range(100):
            lease.append([Event("asked", number), Event("started", number, 1)])
        done.set()
        for reader in readers:
            reader.join()
    assert not faults
    assert len(list(ledger.events("s"))) == 200


def test_an_open_read_keeps_neither_the_heartbeat_nor_an_append_waiting(ledger: Ledger) -> None:
    with ledger.lease("s", period_s=0.2) as lease:
        lease.append([Event("opened") for _ in range(PAGE + 1)])
        reading = ledger.events("s")
        next(reading)
        beat = _held(ledger).beat
        lease.append([Event("opened")])
        _until(lambda: _held(ledger).beat >= beat + 2)
        assert len(list(reading)) == PAGE + 1  # the rest, and what was appended meanwhile


# --- the lease -----------------------------------------------------------------------------


def _held(ledger: Ledger):  # type: ignore[no-untyped-def]
    held = ledger.holder("s")
    assert held is not None
    return held


def _until(true: Callable[[], bool], seconds: float = 20.0) -> None:
    deadline = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.02)


def test_a_second_driver_is_refused_with_host_and_pid(ledger: Ledger, open_ledger: Open) -> None:
    with (
        ledger.lease("s"),
        pytest.raises(LeaseHeld, match=rf"host {socket.gethostname()}, pid {os.getpid()}\b"),
    ):
        open_ledger().lease("s")


def test_a_driver_in_another_process_is_refused_too(url: str, ledger: Ledger, spawn: Spawn) -> None:
    with ledger.lease("s"):
        answer = said(spawn(DRIVER, url, "30"))
    assert answer.startswith("LeaseHeld")
    assert str(os.getpid()) in answer


def test_a_released_lease_is_free(ledger: Ledger) -> None:
    with ledger.lease("s") as first:
        assert ledger.driver_alive("s")
    assert ledger.holder("s") is None
    assert not ledger.driver_alive("s")
    with ledger.lease("s") as second:
        assert _held(ledger).fence == 2
        with pytest.raises(LeaseLost):
            first.append([Event("opened")])
        second.append([Event("opened")])
    first.release()


def test_a_driver_that_was_killed_loses_the_lease_at_once(url: str, ledger: Ledger, spawn: Spawn) -> None:
    child = spawn(DRIVER, url, "3600")
    assert said(child) == "held"
    assert ledger.driver_alive("s")
    child.send_signal(signal.SIGKILL)
    _until(lambda: not ledger.driver_alive("s"))  # although nobody has reaped it yet
    messages: list[str] = []
    with ledger.lease("s", say=messages.append) as lease:
        lease.append([Event("opened")])
    assert messages == []


def test_a_pid_that_another_process_has_now_is_no_driver(url: str, ledger: Ledger, spawn: Spawn) -> None:
    child = spawn(DRIVER, url, "3600")
    assert said(child) == "held"
    alter(url, pid_started_s=_held(ledger).pid_started_s - 100)
    assert not ledger.driver_alive("s")
    ledger.lease("s").release()


def test_a_lease_that_this_process_gave_up_without_the_database_is_free(ledger: Ledger) -> None:
    lease = ledger.lease("s", period_s=3600)
    ledger._engine.dispose()
    engine, ledger._engine = ledger._engine, sa.create_engine("postgresql+psycopg://nobody@127.0.0.1:1/none")
    lease.release()
    ledger._engine = engine
    assert ledger.holder("s") is not None
    ledger.lease("s").release()


def test_a_driver_on_another_machine_that_beats_is_refused(url: str, ledger: Ledger) -> None:
    messages: list[str] = []
    with ledger.lease("s", period_s=1.0):
        alter(url, machine="another one", host="gpu-box", pid=4711)
        assert ledger.driver_alive("s", wait=True)
        with pytest.raises(LeaseHeld, match="host gpu-box, pid 4711"):
            ledger.lease("s", say=messages.append)
    assert len(messages) == 1


def test_a_driver_on_another_machine_that_is_silent_is_waited_out(url: str, ledger: Ledger) -> None:
    abandoned = ledger.lease("s", period_s=0.5)
    abandon(abandoned)
    alter(url, machine="another one", host="gpu-box", pid=4711)
    messages: list[str] = []
    begun = time.monotonic()
    with ledger.lease("s", say=messages.append) as lease:
        assert time.monotonic() - begun >= 0.5
        lease.append([Event("opened")])
        with pytest.raises(LeaseLost):
            abandoned.append([Event("opened")])
    assert "held by gpu-box, pid 4711; waiting 0.5 s" in messages[0]
    assert len(list(ledger.events("s"))) == 1


def test_a_paused_driver_that_lost_its_lease_writes_nothing(url: str, ledger: Ledger, spawn: Spawn) -> None:
    child = spawn(DRIVER, url, "0.5")
    assert said(child) == "held"
    assert tell(child) == "written"
    child.send_signal(signal.SIGSTOP)
    alter(url, machine="another one")
    with ledger.lease("s") as lease:
        lease.append([Event("opened", data={"from": "here"})])
        child.send_signal(signal.SIGCONT)
        assert tell(child) == "LeaseLost"
        assert tell(child) == "LeaseLost"
        lease.append([Event("opened", data={"from": "here"})])
    assert [event.data["from"] for event in ledger.events("s")] == ["child", "here", "here"]


def test_of_two_processes_that_race_for_a_new_ledger_one_wins(url: str, spawn: Spawn) -> None:
    children = [spawn(DRIVER, url, "30") for _ in range(2)]
    answers = sorted(said(child).split()[0] for child in children)
    assert answers == ["LeaseHeld", "held"]


def test_of_many_threads_that_race_for_a_lease_one_wins(ledger: Ledger, open_ledger: Open) -> None:
    ledger.lease("s").release()
    ledgers = [open_ledger() for _ in range(6)]
    outcomes: list[object] = []
    together = threading.Barrier(len(ledgers))

    def race(mine: Ledger) -> None:
        together.wait()
        try:
            outcomes.append(mine.lease("s"))
        except LedgerError as error:
            outcomes.append(error)

    threads = [threading.Thread(target=race, args=(mine,)) for mine in ledgers]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    winners = [outcome for outcome in outcomes if isinstance(outcome, Lease)]
    assert len(winners) == 1
    assert [type(o) for o in outcomes if o not in winners] == [LeaseHeld] * 5
    winners[0].release()


def test_a_process_is_known_by_its_start() -> None:
    assert process_started_s(os.getpid()) == process_started_s(os.getpid())
    child = subprocess.Popen([sys.executable, "-c", "pass"])
    os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOWAIT)
    assert process_started_s(child.pid) is None  # dead, not yet reaped
    child.wait()
    assert process_started_s(child.pid) is None
    assert socket.gethostname() in machine_id()


# --- opening -------------------------------------------------------------------------------


def test_a_newer_schema_is_refused_with_both_versions(url: str, ledger: Ledger, open_ledger: Open) -> None:
    with ledger._engine.begin() as db:
        db.execute(sa.text("UPDATE automl_schema SET version = 99, written_by = '7.1'"))
    ours = metadata.version("automl")
    said = rf"schema 99, made by automl 7\.1; this automl \({ours}\) knows up to {SCHEMA}\. "
    for create in (True, False):
        with pytest.raises(LedgerError, match=said + r"Install automl 7\.1 or later, or name another ledger"):
            open_ledger(create=create)


def test_a_reader_makes_no_tables(url: str, open_ledger: Open) -> None:
    with pytest.raises(LedgerError, match=r"no ledger at .* yet"):
        open_ledger(create=False)
    assert probe(url) is None
    with pytest.raises(LedgerError, match=r"no ledger at .* yet"):
        open_ledger(create=False)
    open_ledger()
    assert open_ledger(create=False).searches() == []


def test_a_reader_and_a_probe_make_no_file(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/none.db"
    with pytest.raises(LedgerError, match="automl search FILE"):
        Ledger(url, create=False)
    assert probe(url) is None
    assert list(tmp_path.iterdir()) == []


def test_a_probe_leaves_an_existing_file_as_it_is(tmp_path: Path) -> None:
    file = tmp_path / "mlflow.db"
    with closing(sa.create_engine(f"sqlite:///{file}").raw_connection()) as raw:
        raw.cursor().execute("CREATE TABLE runs (id INTEGER)")
        raw.commit()
    before = file.read_bytes()
    assert probe(f"sqlite:///{file}") is None
    assert file.read_bytes() == before
    assert [path.name for path in tmp_path.iterdir()] == ["mlflow.db"]


def test_a_file_that_is_no_database_is_named_with_a_mend(tmp_path: Path) -> None:
    file = tmp_path / "notes.txt"
    file.write_text("some notes, and enough of them to be longer than a header of SQLite\n" * 20)
    with pytest.raises(LedgerError) as caught:
        Ledger(f"sqlite:///{file}")
    mend = "Name another file, or move this one out of the way"
    assert str(caught.value) == f"ledger sqlite:///{file}: file is not a database. {mend}"
    assert "not a database" in (probe(f"sqlite:///{file}") or "")
    assert file.read_text().startswith("some notes")


def test_a_folder_that_is_not_there_is_named(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/none/automl.db"
    with pytest.raises(LedgerError, match=r"unable to open database file\. Check that its folder is there"):
        Ledger(url)
    assert f"{tmp_path}/none is not there" in (probe(url) or "")


SECRETS = [
    "postgresql+psycopg://ann:s3cret@127.0.0.1:1/automl",
    "postgresql://ann:s3cret@127.0.0.1:1/automl",
    "postgresql://ann:s3cret@127.0.0.1:no-port/automl",
    "postgresql+psycopg://ann:s3cret@127.0.0.1:1/automl?sslpassword=s3cret",
    "postgresql+psycopg://ann:s3cret@127.0.0.1:1/automl?nonsense=1",
    "postgresql+nothing://ann:s3cret@127.0.0.1/automl",
    "oracle://ann:s3cret@127.0.0.1/automl",
    "mysql://ann:s3cret@127.0.0.1/automl",
    "://ann:s3cret@127.0.0.1",
    "ann:s3cret@127.0.0.1/automl",
]


@pytest.mark.parametrize("url", SECRETS)
def test_what_cannot_be_reached_is_said_on_one_line_without_the_password(url: str) -> None:
    with pytest.raises(LedgerError) as caught:
        Ledger(url)
    wrong = probe(url)
    assert wrong
    for text in (str(caught.value), wrong):
        assert "s3cret" not in text
        assert "\n" not in text
        assert "sqlalche.me" not in text


def test_a_server_that_never_answers_is_given_up() -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        port = silent.getsockname()[1]
        url = f"postgresql://ann:s3cret@127.0.0.1:{port}/automl?connect_timeout=2"
        with pytest.raises(LedgerError, match="Check that the server runs"):
            Ledger(url)


def test_a_probe_of_a_running_server_finds_nothing_wrong(postgres: str) -> None:
    assert probe(postgres) is None
    missing = make_url(postgres).set(database="missing", password="s3cret")
    wrong = probe(missing.render_as_string(hide_password=False))
    assert 'database "missing" does not exist' in (wrong or "")


def test_a_driver_that_is_paused_within_a_transaction_keeps_nobody_out(
    postgres: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(database, "PAUSED_S", 0.3)
    with closing(Ledger(postgres)) as paused, closing(Ledger(postgres)) as other:
        paused.lease("s").release()
        with pytest.raises(SQLAlchemyError), paused._engine.begin() as db:
            db.execute(sa.text("SELECT * FROM automl_leases FOR UPDATE"))
            with other.lease("s") as lease:  # waits for the row until the server ends what is paused
                assert [event.n for event in lease.append([Event("opened")])] == [1]
            db.execute(sa.text("SELECT 1"))
