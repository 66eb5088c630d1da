"""What a worker holds after a trial, and whether that is too much more than after its first.

Imports and warm caches come with the first trial and are no leak, so that is what later ones are
compared with. Knows no vendor: a framework counts its own GPU memory.
"""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Mapping
from pathlib import Path

import psutil

_MIB = 1 << 20
# For each figure: how much more is allowed, at least, and as a share of the first; and in words.
BOUNDS: dict[str, tuple[int, float, str]] = {
    "memory_bytes": (512 * _MIB, 0.5, "memory"),
    "gpu_bytes": (512 * _MIB, 0.5, "GPU memory"),
    "threads": (64, 0.0, "threads"),
    "files": (256, 0.0, "open files"),
    "processes": (16, 0.0, "child processes"),
}

# A process whose GPUs are in error runs nothing on them any more.
BROKEN = "broken"


def measure(gpu_bytes: int = 0) -> dict[str, int]:
    """What this process holds now, by the names of `BOUNDS`.

    Args:
        gpu_bytes: what its framework holds of a GPU.
    """
    held = {"gpu_bytes": gpu_bytes, "threads": threading.active_count()}
    process = psutil.Process()
    with contextlib.suppress(psutil.Error, OSError):
        memory = process.memory_info()  # its own pages; what it maps of files comes and goes
        held["memory_bytes"] = memory.rss - getattr(memory, "shared", 0)
        held["threads"] = process.num_threads()
        held["files"] = process.num_fds()
        held["processes"] = _children()
    return held


def outgrown(first: Mapping[str, int], now: Mapping[str, int]) -> str | None:
    """The figure that has grown past its bound, in words; None while none has.

    Args:
        first: what the worker held after its first trial.
        now: what it holds.
    """
    if now.get(BROKEN):
        return "its GPU is in error"
    for name, (least, share, words) in BOUNDS.items():
        before, after = first.get(name, 0), now.get(name, 0)
        if after - before > max(least, share * before):
            return f"{words} grew from {_shown(name, before)} to {_shown(name, after)}"
    return None


def _shown(name: str, value: int) -> str:
    return f"{value // _MIB} MiB" if name.endswith("_bytes") else str(value)


def _children() -> int:
    """The children of this process, without a look at every process of the machine (Linux only)."""
    lists = Path("/proc/self/task").glob("*/children")
    return sum(len(each.read_text().split()) for each in lists)
