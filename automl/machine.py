"""Which machine and process this is, and whether another process still lives. Knows no ledger."""

from __future__ import annotations

import contextlib
import getpass
import os
import socket
from pathlib import Path

import psutil


def process_started_s(pid: int) -> float | None:
    """When a process of this machine started; None if it is gone, or dead and only not yet buried.

    On Linux in seconds since the machine started, which no change of its clock can shift.
    """
    try:
        state, *fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        return None if state in "ZX" else int(fields[18]) / os.sysconf("SC_CLK_TCK")
    except OSError:
        pass
    try:
        process = psutil.Process(pid)
        return None if process.status() == psutil.STATUS_ZOMBIE else process.create_time()
    except psutil.Error:
        return None


def machine_id() -> str:
    """Names this machine and process space: a pid means something only within it."""
    try:
        boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
        return f"{socket.gethostname()} {boot} {os.readlink('/proc/self/ns/pid')}"
    except OSError:
        return socket.gethostname()


def person() -> str:
    """Whose process this is: AUTOML_OWNER, else user@host."""
    if owner := os.environ.get("AUTOML_OWNER"):
        return owner
    try:
        user = getpass.getuser()
    except (KeyError, OSError):  # a user without a name, as in many containers
        user = str(os.getuid())
    return f"{user}@{socket.gethostname()}"


# Nearly all of a busy processor is left to others.
LAST = 19


def share(nice: int, pid: int | None = None) -> None:
    """How much of a busy processor a process leaves to others: 19 nearly all, 0 none.

    For one that leads a session of its own: Linux shares the processor among sessions first, and looks at
    the niceness of processes only within one (sched(7), autogroup). Elsewhere this does nothing.

    Args:
        nice: from 0 to 19.
        pid: of the process, one of this user's; None for this one.
    """
    with contextlib.suppress(OSError):
        Path(f"/proc/{pid or 'self'}/autogroup").write_text(str(nice))


def shared(pid: int | None = None) -> int:
    """What `share` was told of a process, as there; 0 where that is not known."""
    try:
        return int(Path(f"/proc/{pid or 'self'}/autogroup").read_text().split()[-1])
    except (OSError, ValueError, IndexError):
        return 0
