"""One process that has imported a framework, from which workers are forked: one import for all of them.

Importing takes seconds of processor for each worker that does it alone, and the memory of what was
imported is shared as long as nobody writes into it. The process imports no code of the project, so a
worker forked off late still sees the files as they are then. A framework is preloaded only if that
leaves no thread behind but those that look after themselves when a process forks (`automl.preloaded`).
Knows no trial.

Source: the fork server of Python's `multiprocessing` with its preloading; Android's Zygote.
"""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

from automl import ranks

PROGRAM = "automl.preloaded"
# Those that may be imported before a fork. TensorFlow starts threads of its own, which no fork survives;
# a callable's own libraries nobody knows.
FORKS = ("lightning",)
# With the variables that make a worker, all else being that of this process.
MOST_BYTES = 1 << 16


class Forkserver:
    """Starts the process; forks from it.

    Args:
        framework: what it imports.
        root: the project's folder, in which it works.
        environment: of the process; of the workers too, but for what `fork` adds.
        log: its stdout and stderr.
    """

    def __init__(self, framework: str, root: str, environment: Mapping[str, str], log: Path) -> None:
        self.framework = framework
        # Of packets, so that a request is read whole.
        self._line, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with theirs, log.open("ab") as out:
            self._process = subprocess.Popen(
                [sys.executable, "-m", PROGRAM, ranks.ALONE, framework],
                cwd=root,
                env=dict(environment),
                stdin=theirs.fileno(),
                stdout=out,
                stderr=out,
                start_new_session=True,
            )

    @property
    def pid(self) -> int:
        return self._process.pid

    def fork(
        self, environment: Mapping[str, str], lifeline: int, log: int, program: str | None = None
    ) -> socket.socket:
        """Ask for a worker, which is there once the import is done.

        Args:
            environment: what its environment has beside the server's.
            lifeline: its stdin, a file descriptor: the pipe at whose other end its guards wait.
            log: its stdout and stderr, a file descriptor.
            program: another module with a `main`, in place of a worker's. It is forked or never born.

        Returns:
            where its pid, that of its upper guard, can be read as text; nothing if it never will be.

        Raises:
            OSError: the process is gone.
        """
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_STREAM)
        asked = {"environment": dict(environment), "host": os.getpid(), "program": program}
        said = json.dumps(asked).encode()
        with theirs:
            try:
                if len(said) > MOST_BYTES:
                    raise OSError(f"{len(said)} bytes of environment")
                socket.send_fds(self._line, [said], [lifeline, log, theirs.fileno()])
            except OSError:
                ours.close()
                raise
        return ours

    def close(self) -> None:
        """End the process, which holds nothing. Workers that were forked go on."""
        self._line.close()
        self._process.kill()
        self._process.wait()
