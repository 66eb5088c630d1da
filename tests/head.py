"""A Ray cluster as `ray start` makes one, of one node, with a token: for tests that come from outside."""

from __future__ import annotations

import contextlib
import os
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Mapping
from pathlib import Path

import psutil

PATIENCE_S = 120.0


class Head:
    """The node; a context manager.

    Args:
        cpus: that it has.
        environment: what its processes, drivers of jobs too, see beside this process's environment.
        more: further options of `ray start`.
        token: a process that talks to several clusters has one for all: Ray reads it once.

    Attributes:
        token: that clients need, as `client` has it.
        jobs: the address of its job server.
        gcs: the address for drivers.
    """

    def __init__(
        self,
        cpus: int,
        environment: Mapping[str, str],
        more: Mapping[str, object] | None = None,
        token: str | None = None,
    ) -> None:
        self.token = token or secrets.token_hex(16)
        self.client = {"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN": self.token}
        self._environment = {**os.environ, **self.client, "RAY_USAGE_STATS_ENABLED": "0", **environment}
        port, dashboard, agent = _free_ports(3)
        self.jobs, self.gcs = f"http://127.0.0.1:{dashboard}", f"127.0.0.1:{port}"
        # Ray's sockets want a short path.
        self.folder = Path(tempfile.mkdtemp(prefix="rh-", dir="/tmp"))
        self._words = {
            "port": port,
            "node-ip-address": "127.0.0.1",
            "dashboard-host": "127.0.0.1",
            "dashboard-port": dashboard,
            "dashboard-agent-listen-port": agent,
            "num-cpus": cpus,
            "object-store-memory": 100 << 20,
            "temp-dir": self.folder,
            **(more or {}),
        }

    def __enter__(self) -> Head:
        self._log = (self.folder / "start.log").open("wb")
        options = [f"--{name}={value}" for name, value in self._words.items()]
        self._process = subprocess.Popen(
            [Path(sys.executable).with_name("ray"), "start", "--head", "--block", *options],
            env=self._environment,
            stdout=self._log,
            stderr=self._log,
            start_new_session=True,
        )
        deadline_s = time.monotonic() + PATIENCE_S
        while not self._answers():
            log = (self.folder / "start.log").read_text()
            assert time.monotonic() < deadline_s and self._process.poll() is None, log
            time.sleep(0.2)
        return self

    def __exit__(self, *_: object) -> None:
        self._process.send_signal(signal.SIGTERM)
        try:
            self._process.wait(30)
        except subprocess.TimeoutExpired:
            os.killpg(self._process.pid, signal.SIGKILL)
            self._process.wait()
        self._log.close()
        shutil.rmtree(self.folder, ignore_errors=True)

    def die(self) -> None:
        """As a machine that loses its power: everything on it ends at once, drivers of jobs too."""
        there = psutil.Process(self._process.pid)
        for each in [*there.children(recursive=True), there]:
            with contextlib.suppress(psutil.NoSuchProcess):
                each.kill()
        self._process.wait()

    def _answers(self) -> bool:
        """Whether it takes jobs: the agent of its node comes last."""
        ask = urllib.request.Request(
            f"{self.jobs}/api/jobs/", headers={"Authorization": f"Bearer {self.token}"}
        )
        agent = f"http://127.0.0.1:{self._words['dashboard-agent-listen-port']}/api/local_raylet_healthz"
        try:
            with urllib.request.urlopen(ask, timeout=5):
                pass
            with urllib.request.urlopen(agent, timeout=5):
                return True
        except urllib.error.HTTPError as error:
            return error.code == 401  # it is there, and wants the token
        except OSError:
            return False


def _free_ports(count: int) -> list[int]:
    held = [socket.socket() for _ in range(count)]
    for each in held:
        each.bind(("127.0.0.1", 0))
    ports = [each.getsockname()[1] for each in held]
    for each in held:
        each.close()
    return ports
