"""Workers that were started before anybody needs one, for whichever host of this machine asks first.

While a driver still checks its file and starts Ray, its workers import their framework already. A host
in this process takes one by a call; one in another process, a Ray actor, over a Unix socket, by which
it is given the worker's socket and the pipe that keeps it alive: from then on the worker is that
process's, and ends with it. It ends with this one too, whose children its guards are.
Knows no trial and no Ray.
"""

from __future__ import annotations

import contextlib
import json
import shutil
import socket
import threading
from collections.abc import Mapping, Sequence
from typing import Any, Protocol

from automl import ranks as several
from automl import scratch
from automl.bodies import Body
from automl.forkserver import FORKS, Forkserver
from automl.process import WorkerProcess, shared_environment

_ASK_S = 5.0


class Source(Protocol):
    """Where a host may find a worker that is warm already."""

    def take(
        self, framework: str, ranks: int = 1, gpus: float = 0, devices: str = ""
    ) -> WorkerProcess | None:
        """A worker that from now on is the caller's; None where there is none left.

        Args:
            framework: what it trains with.
            ranks: in how many processes or replicas.
            gpus: what it may use.
            devices: those that it may see, as CUDA_VISIBLE_DEVICES has them.
        """


class Nursery:
    """Starts workers and gives them away.

    Args:
        root: the project's folder.
        cpus: of each worker.
        ranks: in how many processes or replicas it trains, by framework; one where nothing is said.
    """

    def __init__(self, root: str, cpus: float, ranks: Mapping[str, int] | None = None) -> None:
        self._root, self._cpus, self._ranks = root, cpus, dict(ranks or {})
        self._place = scratch.make()
        self._idle: list[WorkerProcess] = []
        self._given: list[Body] = []
        self._servers: dict[str, Forkserver] = {}
        self._warm: dict[str, Sequence[str]] = {}
        self._lock = threading.Lock()
        self._listener = socket.socket(socket.AF_UNIX)
        self.address = str(self._place / "n")
        self._listener.bind(self.address)
        self._listener.listen(64)
        self._closed = False
        self._thread = threading.Thread(target=self._serve, name="automl-nursery", daemon=True)
        self._thread.start()

    def preload(self, addresses: Mapping[str, Sequence[str]]) -> None:
        """Begin to import the frameworks of which one import serves all workers; call it once, first.

        Args:
            addresses: of models and data, by framework, which each worker will import.
        """
        self._warm = dict(addresses)
        for framework in self._warm:
            ranks = self._ranks.get(framework, 1)
            if framework in FORKS and several.program(framework, ranks) == several.ALONE:
                environment = shared_environment(several.threads_each(self._cpus, framework, ranks))
                log = self._place / f"{framework}.log"
                self._servers[framework] = Forkserver(framework, self._root, environment, log)

    def grow(self, frameworks: Sequence[str]) -> None:
        """Start a worker without a GPU for each of the frameworks.

        Args:
            frameworks: of those that were preloaded; one may be named several times.
        """
        for framework in frameworks:
            worker = self._start(framework, self._ranks.get(framework, 1))
            with self._lock:
                self._idle.append(worker)

    def server(self, framework: str) -> Forkserver | None:
        """The process that has imported a framework, if there is one."""
        return None if self._closed else self._servers.get(framework)

    def put_first(self, workers: Sequence[WorkerProcess]) -> None:
        """Give workers that this process started, and that are idle, to whoever asks next."""
        with self._lock:
            self._idle = [*workers, *self._idle]

    def take(
        self, framework: str, ranks: int = 1, gpus: float = 0, devices: str = ""
    ) -> WorkerProcess | None:
        """See `Source`."""
        with self._lock:
            fits = (each for each in self._idle if (each.framework, each.ranks) == (framework, ranks))
            if not gpus and (found := next(fits, None)):
                self._idle.remove(found)
                return found
            alone = several.program(framework, ranks) == several.ALONE
            if alone and framework in self._servers and not self._closed:
                return self._start(framework, ranks, gpus, devices)
        return None

    def close(self) -> None:
        """End the workers that nobody took. May be called twice."""
        if self._closed:
            return
        self._closed = True
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self._thread.join(_ASK_S)
        with self._lock:
            left, self._idle = self._idle, []
        for worker in left:
            worker.leave()
        for server in self._servers.values():
            server.close()
        for worker in left:
            worker.kill()
        shutil.rmtree(self._place, ignore_errors=True)

    def _start(self, framework: str, ranks: int, gpus: float = 0, devices: str = "") -> WorkerProcess:
        server, size = self._servers.get(framework), (self._cpus, gpus, devices)
        warm = self._warm[framework]
        return WorkerProcess.spawn(framework, *size, self._root, self._place, ranks, warm, server)

    def _serve(self) -> None:
        while True:
            try:
                caller = self._listener.accept()[0]
            except OSError:
                return  # closed
            with caller, contextlib.suppress(OSError, ValueError):
                caller.settimeout(_ASK_S)
                self._hand_over(caller, json.loads(caller.recv(4096)))

    def _hand_over(self, caller: socket.socket, wanted: Mapping[str, Any]) -> None:
        for ended in [body for body in self._given if not body.alive()]:
            ended.bury()
            self._given.remove(ended)
        worker = self.take(**wanted)
        if worker is None:
            caller.sendall(b"{}")
            return
        said, descriptors = worker.hand_over()
        try:
            socket.send_fds(caller, [json.dumps(said).encode()], descriptors)
            caller.recv(1)  # it has them: only now this side's may go
        finally:
            self._given.append(worker.forget())


class Elsewhere:
    """The nursery of another process of this machine.

    Args:
        address: of its socket. Where that is no socket of this machine, there is no worker either.
    """

    def __init__(self, address: str) -> None:
        self._address = address

    def take(
        self, framework: str, ranks: int = 1, gpus: float = 0, devices: str = ""
    ) -> WorkerProcess | None:
        """See `Source`."""
        wanted = {"framework": framework, "ranks": ranks, "gpus": gpus, "devices": devices}
        with contextlib.suppress(OSError), socket.socket(socket.AF_UNIX) as line:
            line.settimeout(_ASK_S)
            line.connect(self._address)
            line.sendall(json.dumps(wanted).encode())
            text, descriptors, _, _ = socket.recv_fds(line, 1 << 16, 3)
            line.sendall(b"!")
            said: dict[str, Any] = json.loads(text or b"{}")
            return WorkerProcess.taken(said, descriptors) if said else None
        return None
