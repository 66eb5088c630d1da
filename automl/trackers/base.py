"""The seam of the trackers, and the driver's end of the child process that they run in.

Knows no MLflow and no ledger: it starts `python -m automl.trackers`, asks it to finish,
and keeps what it says. Nothing here ever waits for a tracking server.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, Protocol

from automl import credentials, machine
from automl.errors import InputError
from automl.events import Event

Message = dict[str, Any]
Read = Callable[[int], Iterable[Event]]
Say = Callable[[Message], None]

# The exit status of a tracker process whose driver has lost the search to another.
SUPERSEDED = 3
# What a tracker process that died is waited with before the next begins; a long life starts them anew.
RESTARTS_S = (0.0, 1.0, 5.0, 15.0, 30.0)
LONG_LIFE_S = 60.0


class Superseded(Exception):
    """Another driver has taken the search over: its own tracker shows it from now on."""


class Tracker(Protocol):
    """A reader of the ledger with a cursor of its own, kept where it writes."""

    @property
    def cursor(self) -> int:
        """The position of the last event that is known to be shown; 0 before the first contact."""

    def catch_up(self, read: Read, say: Say) -> None:
        """Shows every event that is not shown yet. Safe to call again after any exception.

        Args:
            read: the events after a position, in order.
            say: takes messages for the driver.
        """


@dataclass(frozen=True)
class Plan:
    """What a tracker process needs to know.

    Args:
        ledger: the ledger's URL, SQLite path absolute, password included.
        name: the search.
        root: the project's root, absolute; MLflow's artifacts go below it if the server is a database.
        uri: MLflow's tracking URI, SQLite path absolute; None for no MLflow.
        experiment: the experiment's name; None is the search's name.
        register: the registered model's name, or None.
        objectives: `{"metric", "direction"}` each, in the order of the search.
        fence: of the driver's lease; a later one in the ledger means that another driver shows the
            search. None follows whoever drives.
    """

    ledger: str
    name: str
    root: str
    uri: str | None
    experiment: str | None = None
    register: str | None = None
    objectives: Sequence[Mapping[str, Any]] = field(default_factory=tuple)
    fence: int | None = None


@dataclass(frozen=True)
class Behind:
    """How far the tracker was behind when the driver could wait no longer.

    Args:
        events: not shown yet; None where the tracker never got as far as reading the ledger.
        error: the last thing that it complained about, passwords masked, or None.
    """

    events: int | None
    error: str | None


class Follower:
    """The driver's end of a tracker process: a thread that reads what the process says.

    The thread also starts the process, and starts it again should it die: PR_SET_PDEATHSIG looks
    at the thread that started a process, and this one lasts as long as the process is needed.

    Args:
        plan: what to follow, and where to show it; without it the process imports what it will need, and
            waits for `follow`.
    """

    def __init__(self, plan: Plan | None = None) -> None:
        self._plan, self._planned = plan, threading.Event()
        if plan is not None:
            self._planned.set()
        self._lock = threading.Lock()
        self._process: subprocess.Popen[str] | None = None
        self._messages: list[Message] = []
        self._cursor, self._end = 0, -1
        self._error: str | None = None
        self._closing = threading.Event()
        self._finishing = False
        self._caught_up = False
        self._thread = threading.Thread(target=self._watch, name="automl-tracker", daemon=True)

    @property
    def pid(self) -> int | None:
        """The process that tracks now, if there is one."""
        return self._process.pid if self._process else None

    @property
    def cursor(self) -> int:
        """The position of the last event that is shown, as far as the process has said."""
        return self._cursor

    @property
    def error(self) -> str | None:
        """What the process complains about now, passwords masked; None while all is well."""
        return self._error

    def start(self) -> None:
        """Begins to follow; returns at once."""
        self._thread.start()

    def follow(self, plan: Plan) -> None:
        """Says what to follow, once, to one that was started without a plan."""
        self._plan = plan
        self._planned.set()

    def messages(self) -> list[Message]:
        """What was said since the last call: `{"model": URI, "trial": n}` and `{"error": text}`."""
        with self._lock:
            said, self._messages = self._messages, []
        return said

    def finish(self, timeout_s: float = 60.0) -> Behind | None:
        """Waits until everything in the ledger is shown, then ends the process.

        Args:
            timeout_s: the longest that this waits.

        Returns:
            None if everything is shown, else how much is not and why.
        """
        deadline = time.monotonic() + timeout_s
        self._finishing = True
        self._share(self._process)
        while not self._send({"finish": True}) and time.monotonic() < deadline and self._thread.is_alive():
            self._thread.join(0.05)
        self._thread.join(max(0.0, deadline - time.monotonic()))
        self.close()
        if self._caught_up:
            return None
        return Behind(self._end - self._cursor if self._end >= 0 else None, self._error)

    def close(self) -> None:
        """Ends the process now; what it had not shown yet is shown by the next one."""
        self._closing.set()
        self._planned.set()
        with self._lock:
            process = self._process
        if process is not None and process.poll() is None:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
        if self._thread.is_alive():
            self._thread.join(5.0)

    def _watch(self) -> None:
        deaths = 0
        while not self._closing.wait(RESTARTS_S[min(deaths, len(RESTARTS_S) - 1)]):
            begun_s = time.monotonic()
            code = self._live()
            if code in (0, SUPERSEDED) or self._closing.is_set():
                self._caught_up = code == 0
                return
            self._note({"error": self._error or f"the tracker process ended with status {code}"})
            deaths = 1 if time.monotonic() - begun_s > LONG_LIFE_S else deaths + 1

    def _live(self) -> int:
        """One life of the process, from its start to its end; returns its exit status."""
        with self._lock:
            if self._closing.is_set():
                return -1
            try:
                environment = tracker_environment()
            except InputError as error:
                self._error = str(error)
                return -1
            process = self._process = spawn("automl.trackers", environment)
        self._share(process)
        assert process.stdin is not None and process.stdout is not None
        with process, contextlib.suppress(BrokenPipeError):
            self._planned.wait()
            if self._plan is None:
                return -1  # closed
            process.stdin.write(json.dumps(asdict(self._plan)) + "\n")
            process.stdin.flush()
            os.set_blocking(process.stdin.fileno(), False)
            if self._finishing:
                self._send({"finish": True})
            for line in process.stdout:
                self._note(json.loads(line))
        return process.wait()

    def _share(self, process: subprocess.Popen[str] | None) -> None:
        """Trials go first, until somebody waits for it."""
        if process is not None:
            machine.share(0 if self._finishing else machine.LAST, process.pid)

    def _note(self, message: Message) -> None:
        self._cursor = message.get("cursor", self._cursor)
        self._end = message.get("end", self._end)
        if "error" in message:
            self._error = message["error"]
        if message.get("error") or "model" in message:
            with self._lock:
                self._messages.append(message)

    def _send(self, message: Message) -> bool:
        process = self._process
        if process is None or process.stdin is None:
            return False
        try:
            os.write(process.stdin.fileno(), (json.dumps(message) + "\n").encode())
        except (OSError, ValueError):
            return False  # its pipe is full or closed: it looks by itself, and a dead one is started again
        return True


def spawn(module: str, environment: Mapping[str, str], cwd: str | None = None) -> subprocess.Popen[str]:
    """Starts `python -m module` with pipes, in a session of its own, away from a terminal's Ctrl-C.

    Without the current directory on its path: a project's own `mlflow.py` is none of its business.
    """
    return subprocess.Popen(
        [sys.executable, "-P", "-m", module],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        env=dict(environment),
        cwd=cwd,
        text=True,
        encoding="utf-8",
        start_new_session=True,
    )


def tracker_environment() -> dict[str, str]:
    """This environment, credentials included, with MLflow quiet and failing in seconds.

    MLflow's own retries are off: they repeat a POST whose answer was lost, which makes a run twice.
    The tracker's own retries first look at what is there.

    Raises:
        InputError: the file with the tracking server's password is not there, or others can read it.
    """
    password = credentials.password_in(credentials.TRACKING_FILE)
    login = {"MLFLOW_TRACKING_PASSWORD": password} if password else {}
    quiet = {
        "MLFLOW_DISABLE_TELEMETRY": "true",
        "MLFLOW_LOGGING_LEVEL": "ERROR",
        "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "0",
        "GIT_PYTHON_REFRESH": "quiet",
    }
    timeout = {"MLFLOW_HTTP_REQUEST_TIMEOUT": "10"}
    return {**timeout, **login, **os.environ, **quiet}
