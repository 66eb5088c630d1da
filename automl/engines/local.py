"""The local engine: hosts in this process, no Ray. For a laptop, for tests and for a debugger."""

from __future__ import annotations

import os
import select
import shutil
import subprocess
from collections import Counter
from collections.abc import Iterable, Sequence

from automl import packing
from automl.engines.base import Answer, Capacity, Desk, Engine, Task, Warm
from automl.host import Host


class Local(Engine):
    """Runs trials on this machine.

    Args:
        root: the project's folder.
        cpus: how many CPUs to use; those of this process by default.
        gpus: the GPUs to use, as CUDA_VISIBLE_DEVICES names them; those that are visible by default.
    """

    name = "local"

    def __init__(self, root: str, cpus: int | None = None, gpus: Sequence[str] | None = None) -> None:
        self._root = root
        self._cpus = cpus or len(os.sched_getaffinity(0))
        self._gpus = list(gpus) if gpus is not None else visible_gpus()
        self._hosts: dict[int, Host] = {}
        self._seats: dict[int, tuple[float, list[str]]] = {}  # of each host: its share of each device
        self._running: dict[int, Task] = {}
        self._stopped = False
        self._nursery: Warm | None = None

    def start(self) -> None:
        """Nothing to bring up: a host starts with its first task."""

    def capacity(self, cpus: float, gpus: float) -> Capacity:
        fits = [int(self._cpus // cpus)] if cpus else []
        if gpus:
            fits.append(slots_on_gpus(len(self._gpus), gpus))
        slots = min(fits) if fits else self._cpus
        return Capacity(slots, self._cpus, len(self._gpus), self._cpus, len(self._gpus))

    def foresee(self, cpus: float, gpus: float) -> int:
        return self.capacity(cpus, gpus).slots

    def welcome(self, nursery: Warm) -> None:
        self._nursery = nursery

    def run(self, desk: Desk) -> None:
        while not desk.done:
            self._feed(desk)
            if desk.stopping and not self._stopped:
                self._stopped = True
                for slot in self._running:
                    self._hosts[slot].stop()
            self._listen(desk, timeout_s=0.2)
            desk.tick()

    def close(self) -> None:
        for host in self._hosts.values():
            host.leave()
        for host in self._hosts.values():
            host.close()
        self._hosts.clear()
        self._seats.clear()
        self._running.clear()

    def _feed(self, desk: Desk) -> None:
        while len(self._running) < desk.slots and (task := desk.next_task(self._fits)) is not None:
            gpus = task.resources["gpus"]
            slot = self._warm(gpus)
            if slot is None:
                slot = self._new(task.resources["cpus"], gpus)
            self._hosts[slot].start(task)
            self._running[slot] = task

    def _fits(self, task: Task) -> bool:
        gpus = task.resources["gpus"]
        return self._warm(gpus) is not None or self._free(gpus) is not None

    def _warm(self, gpus: float) -> int | None:
        """The first idle slot with just such a share, whose worker may be warm."""
        idle = (slot for slot in sorted(self._hosts) if slot not in self._running)
        return next((slot for slot in idle if self._seats[slot][0] == gpus), None)

    def _free(self, gpus: float) -> list[str] | None:
        return packing.choose(self._gpus, self._taken(self._running), gpus)

    def _taken(self, slots: Iterable[int]) -> Counter[str]:
        taken: Counter[str] = Counter()
        for gpus, devices in (self._seats[slot] for slot in slots):
            taken.update(dict.fromkeys(devices, min(gpus, 1.0)))
        return taken

    def _new(self, cpus: float, gpus: float) -> int:
        """A slot with a share of devices that have room; idle hosts that hold it leave."""
        devices = self._free(gpus)
        assert devices is not None, "the desk was told what fits"
        for slot in [slot for slot in self._hosts if slot not in self._running]:
            taken = self._taken(self._hosts)
            full = [device for device in devices if taken[device] + min(gpus, 1.0) > 1 + 1e-9]
            if set(full) & set(self._seats[slot][1]):
                del self._seats[slot]
                self._hosts.pop(slot).close()
        slot = next(n for n in range(len(self._hosts) + 1) if n not in self._hosts)
        self._hosts[slot], self._seats[slot] = (
            Host(self._root, cpus, gpus, devices, self._nursery),
            (gpus, devices),
        )
        return slot

    def _listen(self, desk: Desk, timeout_s: float) -> None:
        waiting = [self._hosts[slot].fileno() for slot in self._running]
        waiting += [desk.bell] if desk.hungry else []  # it may have rung since
        if not waiting:
            return
        select.select(waiting, [], [], timeout_s)
        # Those with nothing to say are polled as well, which notices the dead and the overdue.
        for slot in list(self._running):
            self._hear(desk, slot)

    def _hear(self, desk: Desk, slot: int) -> None:
        host = self._hosts[slot]
        while slot in self._running and (message := host.poll(0.0)) is not None:
            task = self._running[slot]
            if message["kind"] == "ended":
                del self._running[slot]
            answer = desk.hear(task, message)
            if message["kind"] == "report":
                host.answer(answer)
                if answer is Answer.STOP:
                    host.stop()


def visible_gpus() -> list[str]:
    """The GPUs of this machine that this process may use, as CUDA_VISIBLE_DEVICES names them."""
    named = os.environ.get("CUDA_VISIBLE_DEVICES")
    if named is not None:
        return [each.strip() for each in named.split(",") if each.strip() not in ("", "-1")]
    if not shutil.which("nvidia-smi"):
        return []
    asked = subprocess.run(["nvidia-smi", "-L"], capture_output=True, text=True, timeout=30)
    count = sum(line.startswith("GPU ") for line in asked.stdout.splitlines())
    return [str(n) for n in range(count)]


def slots_on_gpus(count: int, gpus: float) -> int:
    """How many trials of `gpus` each fit on `count` GPUs; a fraction never spans two of them."""
    return count * int(1 / gpus) if gpus < 1 else count // int(gpus)
