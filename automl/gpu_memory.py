"""How much of a GPU's memory a process may have, and how much it has had. Arithmetic and nvidia-smi.

A process holds more of a device than its framework allocates: the context, its kernels and libraries.
That comes out of its share as well. Knows no framework and no trial.
"""

from __future__ import annotations

import os
import subprocess
from dataclasses import dataclass

MIB = 1 << 20
# What a context takes, where nobody can say it; and kept free of every share for it.
CONTEXT_BYTES = 512 * MIB
_PATIENCE_S = 10.0


@dataclass(frozen=True)
class Use:
    """What a trial has had of its GPU.

    Args:
        peak_bytes: the most that its framework held at once.
        held_bytes: what its framework holds of the device now.
        total_bytes: the device's memory.
    """

    peak_bytes: int
    held_bytes: int
    total_bytes: int

    def beside_bytes(self, process_bytes: int | None) -> int:
        """What the process holds beside its framework: the context, mostly.

        Args:
            process_bytes: what the process holds now in all; None where nobody says it.
        """
        return max(CONTEXT_BYTES, (process_bytes or 0) - self.held_bytes)

    def facts(self, beside_bytes: int) -> dict[str, int]:
        """For the ledger: what the whole process had at its peak, and what the device has."""
        return {"gpu_peak_bytes": self.peak_bytes + beside_bytes, "gpu_total_bytes": self.total_bytes}


def limit_bytes(total_bytes: int, gpus: float) -> int | None:
    """What a framework may allocate on a device of which its trial has a share; None for all of it.

    Args:
        total_bytes: the device's memory.
        gpus: the share; 1 or more is no share.
    """
    if not 0 < gpus < 1:
        return None
    share = int(total_bytes * gpus)
    return max(share - CONTEXT_BYTES, share // 2)


def total_bytes(device: str) -> int | None:
    """A device's memory, as nvidia-smi says it; None where there is none to ask.

    Args:
        device: an index or a UUID, as CUDA_VISIBLE_DEVICES names it.
    """
    said = _ask("--query-gpu=memory.total", "-i", device)
    return int(said[0]) * MIB if said and said[0].strip().isdigit() else None


def limits_bytes(devices: list[str], gpus: float) -> list[int | None]:
    """`limit_bytes` of each device; None too where its memory is not known."""
    totals = [total_bytes(device) for device in devices] if 0 < gpus < 1 else [None] * len(devices)
    return [None if total is None else limit_bytes(total, gpus) for total in totals]


def process_bytes(pid: int | None = None) -> int | None:
    """What a process holds of all GPUs together, as nvidia-smi says it.

    Args:
        pid: this process where left out.

    Returns:
        None where it does not say: in a container it often knows the processes by other numbers.
    """
    mine = str(os.getpid() if pid is None else pid)
    rows = [
        [cell.strip() for cell in line.split(",")] for line in _ask("--query-compute-apps=pid,used_memory")
    ]
    found = [int(row[1]) for row in rows if len(row) == 2 and row[0] == mine and row[1].isdigit()]
    return sum(found) * MIB if found else None


def visible() -> list[str]:
    """The devices that this process was given, as CUDA_VISIBLE_DEVICES names them."""
    return [each.strip() for each in os.environ.get("CUDA_VISIBLE_DEVICES", "").split(",") if each.strip()]


def _ask(*words: str) -> list[str]:
    command = ["nvidia-smi", *words, "--format=csv,noheader,nounits"]
    try:
        asked = subprocess.run(command, capture_output=True, text=True, timeout=_PATIENCE_S)
    except (OSError, subprocess.TimeoutExpired):
        return []
    return asked.stdout.splitlines() if asked.returncode == 0 else []
