"""Runs a command and watches all its processes from outside: wall clock, processor, memory. Linux only.

Orphans come to this process (it is their subreaper), so every descendant is found by its parents,
also those of a daemon. They are looked at once a second: the processor seconds of a process are the
last ones seen, so up to a second of each is lost, in favour of whoever starts many. The memory is the
sum of all proportional shares (PSS), of which the highest is kept. To add it up takes some milliseconds
for each process, hence every three seconds only; `watching_s` says what watching has cost in all.
"""

from __future__ import annotations

import ctypes
import os
import resource
import signal
import subprocess
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

LOOK_S = 1.0
LOOKS_A_MEMORY = 3  # of which one also adds up the memory
LEAVE_S = 10.0
_SUBREAPER = 36  # PR_SET_CHILD_SUBREAPER
_TICKS = os.sysconf("SC_CLK_TCK")
_PAGE_BYTES = os.sysconf("SC_PAGE_SIZE")


@dataclass(frozen=True)
class Seen:
    """What a command took.

    Args:
        begun_s, ended_s: on the monotonic clock.
        cpu_s: processor seconds of all its processes.
        memory_bytes: at most, of all together.
        code: its exit status; None if it was killed for taking too long.
        watching_s: processor seconds that watching it took.
    """

    begun_s: float
    ended_s: float
    cpu_s: float
    memory_bytes: int
    code: int | None
    watching_s: float = 0.0


def watch(command: Sequence[str], folder: Path, env: Mapping[str, str], log: Path, timeout_s: float) -> Seen:
    """Run a command in a folder to its end, then see its processes off."""
    ctypes.CDLL(None).prctl(_SUBREAPER, 1, 0, 0, 0)
    used: dict[tuple[int, int], float] = {}
    before_s, mine_s, memory = _reaped_s(), time.process_time(), 0
    with log.open("wb") as out:
        begun_s = time.monotonic()
        process = subprocess.Popen(
            command, cwd=folder, env=dict(env), stdin=subprocess.DEVNULL, stdout=out, stderr=out
        )
        code, due_s, looks = None, begun_s, 0
        try:
            while code is None and time.monotonic() < begun_s + timeout_s:
                pids = _look(used)
                if looks % LOOKS_A_MEMORY == 0:
                    memory = max(memory, sum(map(_memory_bytes, pids)))
                looks += 1
                due_s = max(due_s + LOOK_S, time.monotonic())
                with suppress(subprocess.TimeoutExpired):
                    code = process.wait(due_s - time.monotonic())
            ended_s = time.monotonic()
        finally:
            _see_off(process, used)
    cpu_s = max(sum(used.values()), _reaped_s() - before_s)
    return Seen(begun_s, ended_s, cpu_s, memory, code, time.process_time() - mine_s)


def _look(used: dict[tuple[int, int], float]) -> list[int]:
    """Note the processor seconds of every descendant; their pids."""
    found = list(descendants())
    used.update({(pid, born): cpu_s for pid, born, cpu_s in found})
    return [pid for pid, _, _ in found]


def descendants() -> Iterator[tuple[int, int, float]]:
    """Every living process below this one: its pid, when it was born, its processor seconds."""
    stats = {}
    for name in os.listdir("/proc"):
        if name.isdigit():
            with suppress(OSError):
                # After the last bracket, for a program's name may hold blanks and brackets.
                fields = Path(f"/proc/{name}/stat").read_text().rpartition(")")[2].split()
                stats[int(name)] = fields
    children: dict[int, list[int]] = {}
    for pid, fields in stats.items():
        children.setdefault(int(fields[1]), []).append(pid)
    todo = [os.getpid()]
    while todo:
        for pid in children.get(todo.pop(), []):
            todo.append(pid)
            fields = stats[pid]
            if fields[0] != "Z":
                yield pid, int(fields[19]), (int(fields[11]) + int(fields[12])) / _TICKS


def _memory_bytes(pid: int) -> int:
    """The proportional share of a process; all that is resident where that cannot be read."""
    with suppress(OSError):
        for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
            if line.startswith("Pss:"):
                return int(line.split()[1]) * 1024
    with suppress(OSError):
        return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * _PAGE_BYTES
    return 0


def _reaped_s() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def _see_off(process: subprocess.Popen[bytes], used: dict[tuple[int, int], float]) -> None:
    """Wait for what the command left behind, then end it."""
    deadline_s = time.monotonic() + (LEAVE_S if process.returncode is not None else 0)
    while left := _look(used):
        if time.monotonic() > deadline_s:
            for pid in left:
                with suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
        _reap(process)
        time.sleep(0.1)
    process.wait()
    _reap(process)


def _reap(process: subprocess.Popen[bytes]) -> None:
    """Take leave of the orphans that have ended; the command's own status is its `Popen`'s to take."""
    for name in os.listdir("/proc"):
        if not name.isdigit() or int(name) == process.pid:
            continue
        with suppress(ChildProcessError):
            os.waitpid(int(name), os.WNOHANG)
    process.poll()
