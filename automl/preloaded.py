"""The process behind a `Forkserver`. `python -m automl.preloaded automl.worker FRAMEWORK`.

It imports the framework, and then becomes a worker, by a fork, as often as the socket at its stdin asks.
It ends with that socket. What it forks shows the same command line.
"""

from __future__ import annotations

import contextlib
import gc
import json
import os
import signal
import socket
import subprocess
import sys
import traceback
from collections.abc import Sequence
from importlib import import_module
from pathlib import Path
from typing import Any, NoReturn

from automl.forkserver import MOST_BYTES
from automl.frameworks.base import framework

# These keep threads of OpenBLAS, which ends them before a fork and starts them again after it.
_FORK_SAFE = ("numpy", "scipy.linalg")
# jemalloc's own, in pyarrow, which pandas 3 imports: jemalloc prepares for a fork by itself.
_LOOKED_AFTER = ("jemalloc_bg_thd",)


def threads() -> list[str]:
    """The names of this process's threads, those of libraries included, that would not survive a fork."""
    found = []
    for each in Path("/proc/self/task").iterdir():
        with contextlib.suppress(OSError):  # it has just ended
            found.append((each / "comm").read_text().strip())
    return [name for name in found if name not in _LOOKED_AFTER]


class Preloaded:
    """What has been imported, and whether that can be forked: a lock that another thread holds at that
    moment would be held in the fork for ever.

    Args:
        program: a module with a `main`, run in each fork.
        name: of the framework.
    """

    def __init__(self, program: str, name: str) -> None:
        self._program = program
        for each in _FORK_SAFE:
            import_module(each)
        self._forks = False
        try:
            safe = len(threads())
            framework(name)
            import_module(program)
            now = threads()
            self._forks = len(now) <= safe
            print(f"{name}: {'' if self._forks else 'not '}forked, threads {now}", flush=True)
        except Exception:  # told, as a fault, by the worker that finds the same
            traceback.print_exc()
        # Counting references to it writes into every object; collecting garbage, here or in a fork, need
        # not look at these again.
        gc.collect()
        gc.freeze()

    def serve(self, line: socket.socket) -> None:
        """Fork whenever asked to, until nobody is there to ask."""
        while True:
            text, descriptors, _, _ = socket.recv_fds(line, MOST_BYTES, 3)
            if not text:
                return
            self._answer(json.loads(text), descriptors, line)
            for each in descriptors:
                os.close(each)

    def _answer(self, said: dict[str, Any], descriptors: Sequence[int], line: socket.socket) -> None:
        lifeline, log, birth = descriptors
        if said["program"] and not self._forks:
            return  # whoever asked starts it as well as this process could
        pid = os.fork() if self._forks else self._start(said, lifeline, log)
        if not pid:
            line.close()
            self._become(said, lifeline, log, birth)
        with contextlib.suppress(OSError):  # nobody wants it any more, as its guards will see
            os.write(birth, str(pid).encode())

    def _start(self, said: dict[str, Any], lifeline: int, log: int) -> int:
        """A process that imports everything anew."""
        return subprocess.Popen(
            [sys.executable, "-m", self._program],
            env={**os.environ, **said["environment"]},
            stdin=lifeline,
            stdout=log,
            stderr=log,
            start_new_session=True,
        ).pid

    def _become(self, said: dict[str, Any], lifeline: int, log: int, birth: int) -> NoReturn:
        try:
            os.setsid()
            signal.signal(signal.SIGCHLD, signal.SIG_DFL)
            for descriptor, ours in ((lifeline, 0), (log, 1), (log, 2)):
                os.dup2(descriptor, ours)
            for descriptor in (lifeline, log, birth):
                os.close(descriptor)
            os.environ.update(said["environment"])
            import_module(said["program"] or self._program).main(said["host"])
        except BaseException:
            sys.excepthook(*sys.exc_info())
        finally:
            os._exit(1)


def _bury(*_: object) -> None:
    """Nobody waits for a fork's status: its guards write it down."""
    with contextlib.suppress(ChildProcessError):
        while os.waitpid(-1, os.WNOHANG)[0]:
            pass


def main() -> None:
    """Serve the socket at stdin."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGCHLD, _bury)
    program, name = sys.argv[1:]
    with socket.socket(fileno=os.dup(0)) as line:
        Preloaded(program, name).serve(line)


if __name__ == "__main__":
    main()
