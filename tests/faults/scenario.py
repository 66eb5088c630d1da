"""One round: a real search is killed again and again, started again as a user would, until it has ended."""

from __future__ import annotations

import json
import os
import random
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Protocol

from tests.faults.facts import Book
from tests.faults.files import WALK
from tests.faults.kill import belonging, kill, offspring, parent_of

PROJECT = Path(__file__).parents[1] / "project"
POLL_S = 0.02
# A search that gets no further for so long is stuck, whatever was killed.
STUCK_S = 180.0
# A tracker whose driver was killed ends by itself within 15 s; nothing else takes any time.
LEAVE_S = 25.0
AGAIN_S = 0.3
# Of all moments so many strike two at once, or do not wait for the last to be overcome.
TWO, BLIND = 0.2, 0.15
# Of all rounds so many keep their last kill for the end.
AT_END = 0.5
# A moment that finds no victim is tried again, for so long.
RETRY_S, GIVE_UP_S = 0.1, 3.0


class Service(Protocol):
    """A server that a round needs; it can be killed, and comes back."""

    def kill(self) -> tuple[int, float] | None:
        """End it; its process and when that was, or None if it was not there to be ended."""

    def start(self) -> None:
        """Bring it back; returns at once or once it answers."""


@dataclass(frozen=True)
class Stage:
    """Where rounds are played.

    Args:
        name: for the table.
        ledger: a fresh ledger's URL for a round in a folder.
        kinds: what is killed, with weights.
        engine: `local` or `ray`.
        address: the Ray cluster's.
        tracking: the MLflow server's URI, or None.
        services: those that may be killed, by kind.
        shown: how far MLflow is with a search, told by its own database.
        each: a round's kills, and trials: a budget that lasts for about so many kills.
        wait_s: between what number of seconds lies the next kill after a first new event.
        file: the search, with the words of a plan in braces.
        trainers: the modules that it needs.
        twin: whether the judge compares with the same search, left in peace: it has no other way to
            know what a trial must report.
        host_pids: Ray's actors, which do not say for which search they work.
        hosts_below: the process below which Ray's workers are.
    """

    name: str
    ledger: Callable[[Path], str]
    kinds: Mapping[str, float]
    engine: str = "local"
    address: str | None = None
    tracking: str | None = None
    services: Mapping[str, Service] = field(default_factory=dict)
    shown: Callable[[str], int] = lambda name: 0
    each: tuple[int, int] = (24, 40)
    wait_s: tuple[float, float] = (0.02, 1.0)
    file: str = WALK
    trainers: Sequence[str] = ("chaos",)
    twin: bool = False
    host_pids: Callable[[], Sequence[int]] = tuple
    hosts_below: int | None = None


@dataclass(frozen=True)
class Plan:
    """The search of a round.

    Args:
        name, seed: of the search; the seed also decides what is killed when.
        kills: so many, then it is left in peace.
        trials, steps, pause, every: the budget, and what a trial does.
        script: what is killed, in this order, two at once where two are named; without, chance decides.
    """

    name: str
    seed: int
    kills: int
    trials: int = 24
    steps: int = 20
    pause: float = 0.05
    every: int = 2
    sampler: str = "tpe"
    pruner: str = "none"
    parallel: int = 3
    script: tuple[tuple[str, ...], ...] = ()


@dataclass(frozen=True)
class Kill:
    """One process that was ended.

    Args:
        kind: what it was.
        pid: its process.
        time_s: when, seconds since the epoch.
        n: the ledger's last position that had been seen by then.
        shown: MLflow's cursor by then.
        together: whether another was ended at the same moment.
    """

    kind: str
    pid: int
    time_s: float
    n: int
    shown: int
    together: bool = False


@dataclass(frozen=True)
class Aim:
    """The next kill.

    Args:
        kinds: what, one or two at once.
        wait_s: so long after `from_s`.
        after: not before the ledger has more facts than this.
        from_s: on the monotonic clock.
        at_end: not before all trials have ended: while the driver closes the search.
    """

    kinds: tuple[str, ...]
    wait_s: float
    after: int
    from_s: float
    at_end: bool = False


class Stuck(Exception):
    """The search did not end."""


class Round:
    """Plays one search on a stage.

    Args:
        stage: where.
        plan: which search.
        folder: an empty folder; the project, the logs and the evidence lie there.
    """

    def __init__(self, stage: Stage, plan: Plan, folder: Path) -> None:
        self.stage, self.plan, self.folder = stage, plan, folder
        self.root = folder / "project"
        self.url = stage.ledger(folder)
        self.book = Book(self.url, plan.name)
        self.kills: list[Kill] = []
        self.starts = self.settled = 0
        self.shown: list[tuple[float, int]] = []
        self._random = random.Random(plan.seed)
        self._driver: subprocess.Popen[bytes] | None = None
        self._due: dict[str, float] = {}
        self._moved_s = time.monotonic()
        self._script = list(plan.script)
        self._aim, self._retry_s = self._next(), 0.0
        self._write_project()

    def play(self) -> None:
        """Until the search's own command has ended well; raises Stuck where it never does."""
        try:
            self._start()
            while not self._over():
                self._tend()
                self._look()
                if len(self.kills) < self.plan.kills:
                    self._maybe_kill()
                time.sleep(POLL_S)
        finally:
            self._end()

    def settle(self) -> None:
        """The same command once more, undisturbed, as one does when it said that MLflow is behind."""
        self.settled += 1
        self._start()
        try:
            while self._driver and self._driver.poll() is None:
                time.sleep(POLL_S)
        finally:
            self._end()

    def left_alive(self) -> list[str]:
        """Processes of the search that are still there, once each had its time to leave."""
        deadline = time.monotonic() + LEAVE_S
        while (left := [*belonging(self.root), *self.stage.host_pids()]) and time.monotonic() < deadline:
            time.sleep(0.2)
        return [str(each) for each in left]

    def left_lying(self) -> list[str]:
        """What only a running search may leave on its disk: checkpoints, half-written folders, events."""
        place = self.root / "runs" / self.plan.name
        found = [*place.glob("trials/*/checkpoint-*"), *place.glob("trials/*/.*"), *place.glob("waiting*")]
        return [str(path.relative_to(place)) for path in sorted(found)]

    # --- the driver --------------------------------------------------------------------------

    def _write_project(self) -> None:
        trainers = self.root / "trainers"
        trainers.mkdir(parents=True)
        for name in ("__init__", *self.stage.trainers):
            shutil.copy(PROJECT / "trainers" / f"{name}.py", trainers)
        tracking = f"{{uri: '{self.stage.tracking}'}}" if self.stage.tracking else "false"
        words = {**asdict(self.plan), "ledger": f"'{self.url}'", "tracking": tracking}
        (self.root / "search.yaml").write_text(self.stage.file.format(**words))

    def _start(self) -> None:
        command = [sys.executable, "-m", "automl", "search", "search.yaml", "--engine", self.stage.engine]
        if self.stage.address:
            command += ["--address", self.stage.address]
        hidden = ("AUTOML_", "MLFLOW_", "RAY_ADDRESS", "PYTEST_")
        environment = {key: value for key, value in os.environ.items() if not key.startswith(hidden)}
        self.starts += 1
        with (self.folder / "driver.log").open("ab") as log:
            log.write(f"--- start {self.starts}\n".encode())
            log.flush()
            self._driver = subprocess.Popen(
                command,
                cwd=self.root,
                env={**environment, "PYTHONPATH": str(PROJECT.parents[1])},
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )

    def _over(self) -> bool:
        """Whether the command ended well; one that was killed, or gave up, is started again."""
        assert self._driver
        code = self._driver.poll()
        if code == 0 and not self._due:
            self._look()
            return True
        if code is not None and "driver" not in self._due:
            self._due["driver"] = time.monotonic() + (0.0 if code == -9 else AGAIN_S)
        if time.monotonic() - self._moved_s > STUCK_S:
            raise Stuck(f"no event for {STUCK_S:g} s after {self.starts} starts, last exit code {code}")
        return False

    def _tend(self) -> None:
        """Bring back what is due."""
        for kind, due_s in list(self._due.items()):
            if time.monotonic() >= due_s:
                del self._due[kind]
                if kind == "driver":
                    self._start()
                else:
                    self.stage.services[kind].start()

    def _look(self) -> None:
        before = len(self.book.facts)
        if len(self.book.look()) > before:
            self._moved_s = time.monotonic()
        cursor = self.stage.shown(self.plan.name)
        if not self.shown or cursor != self.shown[-1][1]:
            self.shown.append((time.time(), cursor))

    def _end(self) -> None:
        if self._driver and self._driver.poll() is None:
            os.kill(self._driver.pid, 15)
            try:
                self._driver.wait(30)
            except subprocess.TimeoutExpired:
                self._driver.kill()
        for kind in list(self._due):
            if kind != "driver":
                self.stage.services[kind].start()
        self._due.clear()
        lines = [json.dumps(asdict(each)) for each in self.kills]
        (self.folder / "kills.jsonl").write_text("\n".join(lines) + "\n")

    # --- the kills ---------------------------------------------------------------------------

    def _maybe_kill(self) -> None:
        """Strike when the moment has come; one that finds no victim for long is given up."""
        now, aim = time.monotonic(), self._aim
        if len(self.book.facts) <= aim.after or (aim.at_end and not self._all_ended()):
            self._aim = replace(aim, from_s=now)
            return
        if now < max(aim.from_s + aim.wait_s, self._retry_s):
            return
        if struck := self._strike(aim.kinds):
            self.kills += struck
        if struck or (not self.plan.script and now > aim.from_s + aim.wait_s + GIVE_UP_S):
            self._aim = self._next()
        self._retry_s = time.monotonic() + RETRY_S

    def _next(self) -> Aim:
        """Mostly some time after the first new fact, at times whatever the search is about just then."""
        aim = Aim(self._chosen(), self._random.uniform(0.0, 2.5), -1, time.monotonic())
        if len(self.kills) == self.plan.kills - 1 and self._random.random() < AT_END:
            return replace(aim, wait_s=self._random.uniform(0.0, 0.5), at_end=True)
        if self._random.random() < BLIND:
            return aim
        return replace(aim, wait_s=self._random.uniform(*self.stage.wait_s), after=len(self.book.facts))

    def _chosen(self) -> tuple[str, ...]:
        if self._script:
            return self._script.pop(0)
        kinds = list(self.stage.kinds)
        two = len(kinds) > 1 and self._random.random() < TWO
        chosen: list[str] = []
        while len(chosen) < 1 + two:
            kind = self._random.choices(kinds, list(self.stage.kinds.values()))[0]
            if kind not in chosen:
                chosen.append(kind)
        return tuple(chosen)

    def _all_ended(self) -> bool:
        return sum(fact.kind == "finished" for fact in self.book.facts) >= self.plan.trials

    def _strike(self, kinds: Sequence[str]) -> list[Kill]:
        struck = [(kind, *hit) for kind in kinds if (hit := self._hit(kind))]
        n = self.book.facts[-1].n if self.book.facts else 0
        shown = self.shown[-1][1] if self.shown else 0
        return [Kill(kind, pid, at_s, n, shown, len(struck) > 1) for kind, pid, at_s in struck]

    def _hit(self, kind: str) -> tuple[int, float] | None:
        if kind in self.stage.services:
            hit = None if kind in self._due else self.stage.services[kind].kill()
            if hit is not None:
                self._due[kind] = time.monotonic() + self._random.choice([0.0, 0.5, 3.0])
            return hit
        victims = self._victims(kind)
        if not victims:
            return None
        victim = self._random.choice(victims)
        at_s = kill(victim)
        return None if at_s is None else (victim, at_s)

    def _victims(self, kind: str) -> Sequence[int]:
        assert self._driver
        if kind == "driver":
            return [self._driver.pid] if self._driver.poll() is None else []
        if kind == "tracker":
            return offspring(self._driver.pid, "automl.trackers")
        if kind == "actor":
            return self.stage.host_pids()
        found = offspring(self.stage.hosts_below or self._driver.pid, "automl.worker")
        guards = [parent for pid in found if (parent := parent_of(pid)) in found]
        return guards if kind == "guard" else [pid for pid in found if pid not in guards]
