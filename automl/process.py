"""One worker process as its host sees it: its start, the socket to it, its end.

Knows no trial: what is said on the socket is the host's and the worker's affair.
"""

from __future__ import annotations

import contextlib
import json
import os
import select
import signal
import socket
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from automl import guard, scratch
from automl.engines.base import Message

# Guards that have not ended everything after so long are killed themselves, and swept after.
KILL_S = 10.0
# A worker gets neither: it opens no database and no tracking run.
_SECRETS = ("AUTOML_LEDGER", "AUTOML_OPTUNA_STORAGE", "PGPASSWORD")


class WorkerProcess:
    """A worker, the guards above it, and the socket to the worker.

    The guards end the worker and all that it started once `kill` closes the pipe to them, or this
    process is gone, which closes it as well.
    """

    def __init__(
        self, framework: str, cpus: float, gpus: float, devices: str, root: str, folder: Path
    ) -> None:
        self.framework, self.served = framework, 0
        self.first_held: dict[str, int] = {}  # after its first trial
        self._folder = Path(tempfile.mkdtemp(prefix="w-", dir=folder))
        self._address = str(self._folder / "s")
        self._listener: socket.socket | None = socket.socket(socket.AF_UNIX)
        self._listener.bind(self._address)
        self._listener.listen(1)
        self._link: socket.socket | None = None
        self._buffer, self._unsent = b"", b""
        said = {
            "framework": framework,
            "cpus": cpus,
            "gpus": gpus,
            "root": root,
            "scratch": str(self._folder),
        }
        self.log = self._folder / "worker.log"
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "automl.worker"],
                cwd=root,
                env=_environment(cpus, devices, self._address, said),
                stdin=subprocess.PIPE,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )

    @property
    def scratch(self) -> Path:
        """The worker's own folder."""
        return self._folder

    def fileno(self) -> int:
        """What to wait on: the listener until the worker has called, then the link; -1 once closed."""
        waiting = self._link or self._listener
        return waiting.fileno() if waiting else -1

    def send(self, said: Mapping[str, Any]) -> None:
        """Say something; kept until the worker has called. A dead worker is noticed by `receive`."""
        self._unsent += json.dumps(said).encode() + b"\n"
        if self._link:
            with contextlib.suppress(OSError):
                self._link.sendall(self._unsent)
            self._unsent = b""

    def receive(self, timeout_s: float) -> list[Message] | None:
        """What it said within the time; None once it is dead and all it said was read."""
        ready = bool(select.select([self], [], [], timeout_s)[0])
        if self._listener:
            if ready:
                self._accept()
                return []
            return None if self._process.poll() is not None else []
        if not ready:
            return []
        assert self._link
        try:
            chunk = self._link.recv(1 << 20)
        except OSError:
            chunk = b""
        if not chunk:
            return None
        *lines, self._buffer = (self._buffer + chunk).split(b"\n")
        return [json.loads(line) for line in lines]

    def dump(self) -> None:
        """Have it write the stacks of its threads into its stderr."""
        if self._process.poll() is None:
            self._process.send_signal(guard.DUMP_SIGNAL)

    def leave(self) -> None:
        """Begin to end it and everything that it started; `kill` waits for that."""
        assert self._process.stdin
        with contextlib.suppress(OSError):
            self._process.stdin.close()

    def kill(self) -> str:
        """End it and everything that it started; how the worker itself ended, in words."""
        self.leave()
        try:
            code = self._process.wait(KILL_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            code = self._process.wait()
        if not (self._folder / guard.SWEPT).exists():  # both guards were killed
            scratch.end_marked(self._folder)
        for each in (self._link, self._listener):
            if each:
                each.close()
        self._link = self._listener = None
        return _ending(code)

    def tail(self, characters: int = 300) -> str:
        """The end of what it said outside of trials."""
        with contextlib.suppress(OSError):
            return self.log.read_text(errors="replace")[-characters:].strip()
        return ""

    def died(self) -> str:
        """How it ended, for one that ended by itself."""
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(2)
        return self.kill()

    def _accept(self) -> None:
        assert self._listener
        self._link = self._listener.accept()[0]
        self._listener.close()
        self._listener = None
        if self._unsent:
            self.send_pending()

    def send_pending(self) -> None:
        pending, self._unsent = self._unsent, b""
        assert self._link
        with contextlib.suppress(OSError):
            self._link.sendall(pending)


def _ending(code: int) -> str:
    if code < 0:
        known = {each.value: each.name for each in signal.Signals}
        return f"killed by {known.get(-code, f'signal {-code}')}"
    return f"exit code {code}"


def _environment(cpus: float, devices: str, address: str, said: Mapping[str, Any]) -> dict[str, str]:
    env = {
        key: value
        for key, value in os.environ.items()
        if key not in _SECRETS and not key.startswith("MLFLOW_TRACKING")
    }
    threads = str(max(1, int(cpus)))
    for key in ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS", "NUMEXPR_NUM_THREADS"):
        env[key] = threads
    env |= {
        "CUDA_VISIBLE_DEVICES": devices,
        "PYTHONUNBUFFERED": "1",
        "TF_CPP_MIN_LOG_LEVEL": env.get("TF_CPP_MIN_LOG_LEVEL", "2"),
        "TF_FORCE_GPU_ALLOW_GROWTH": "true",
        "XLA_PYTHON_CLIENT_PREALLOCATE": "false",
        "AUTOML_SOCKET": address,
        "AUTOML_WORKER": json.dumps(said),
    }
    return env
