"""Plain callables that leave things behind: processes, memory, closed streams."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import time
from typing import Any

_KEPT: list[Any] = []


def family(trial: Any, x: float, mark: int, steps: int = 2, sleep: float = 0.0) -> None:
    """Trains beside data loader processes and beside two that made sessions of their own.

    Args:
        x: `loss` is its square.
        mark: a number that the command lines carry.
        steps, sleep: how many, and seconds that each takes.
    """
    from torch.utils.data import DataLoader

    command = ["sleep", f"600.{mark}"]
    subprocess.Popen(command, start_new_session=True)
    subprocess.Popen(command, start_new_session=True, env={})
    batches = iter(DataLoader(list(range(1000)), num_workers=2))
    for step in range(1, steps + 1):
        next(batches)
        trial.report({"loss": x**2}, step=step)
        time.sleep(sleep)


def leaks(trial: Any, x: float, megabytes: int = 50) -> None:
    """Keeps so much for ever; reports what its process holds as `resident`."""
    _KEPT.append(os.urandom(1) * (megabytes << 20))
    with open("/proc/self/statm") as file:
        resident = int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    trial.report({"loss": x**2, "resident": resident, "pid": os.getpid()}, step=1)


def starts_threads(trial: Any, x: float, count: int = 40) -> None:
    """Leaves threads that wait for ever."""
    for _ in range(count):
        threading.Thread(target=threading.Event().wait, daemon=True).start()
    trial.report({"loss": x**2, "pid": os.getpid()}, step=1)


def closes_streams(trial: Any, x: float, how: str = "objects") -> None:
    """Closes stdout and stderr, as objects or as descriptors, or breaks them, and then fails."""
    print("before", flush=True)
    if how == "objects":
        sys.stdout.close()
        sys.stderr.close()
    elif how == "descriptors":
        os.close(1)
        os.close(2)
    else:
        sys.stdout = sys.stderr = None  # type: ignore[assignment]
    raise RuntimeError("boom")


def stuck(trial: Any, x: float, steps: int = 1) -> None:
    """Reports, then waits for a lock that nobody gives back, beside a child that waits too."""
    child = subprocess.Popen(["sleep", "600"], start_new_session=True)
    for step in range(1, steps + 1):
        trial.report({"loss": x**2, "child": child.pid}, step=step)
    lock = threading.Lock()
    lock.acquire()
    lock.acquire()


def slow_step(trial: Any, x: float, sleep: float = 0.2, count: int = 20) -> None:
    """Reports once, after many small waits; says in between that it lives."""
    for _ in range(count):
        time.sleep(sleep)
        trial.pulse()
    trial.report({"loss": x**2}, step=1)


def never_ready(trial: Any, x: float, sleep: float = 0.05) -> None:
    """Reports for ever."""
    while True:
        trial.report({"loss": x**2})
        time.sleep(sleep)
