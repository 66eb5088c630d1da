"""The seam between the run and whatever trains: a desk that hands out tasks and hears messages.

An engine pulls: it asks the desk for tasks while it has room and brings back what workers say, all
from one thread. It knows neither Optuna, nor the ledger, nor why a trial ends.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from enum import StrEnum
from typing import Any, Protocol

from automl.resources import Kind

Message = dict[str, Any]


class Answer(StrEnum):
    """What a worker is told when it reports."""

    GO = "go"  # train on
    END = "end"  # the trial is over (pruned, or failed): leave, keep nothing
    FINISH = "finish"  # the target is reached: keep the weights, end complete
    STOP = "stop"  # the search is stopping: write a checkpoint, then leave


@dataclass(frozen=True)
class Task:
    """One attempt as plain data: all that a worker needs to know.

    Args:
        search, trial, attempt, seed: which one it is.
        trainer: the trainer's name in the search.
        framework, model, data: what to run, by address.
        arguments: keyword arguments under `model`, `data` and `fit`.
        objectives: mappings with metric, direction and value (`last` or `best`).
        resources: `cpus` and `gpus` of this attempt; those of another may differ. And `ranks`: in how
            many processes or replicas it trains.
        root: the project's folder, put on the worker's path.
        storage: a local folder or fsspec URL.
        checkpoint: the folder to go on from, or None.
        step: the step of that checkpoint, 0 without one.
        reported: the last step that any attempt reported, 0 at first.
        best, best_step: the best objective so far and its step, for `value: best`.
        floor: as many trials as `keep` says are COMPLETE and at least as good as this value: weights of
            a worse one would be removed as soon as it ends, and are not written. None keeps any.
        deep: a rehearsal for `check --deep`: one batch, and one more from its checkpoint.
        silence_s, trial_s: seconds without a sign of training, and at all, after which the attempt is
            taken for hung; None for any.
        micro: train each batch in so many parts, and let their gradients add up.
        run: names this driver's run of the search; empty for an attempt that belongs to none.
        avoid: nodes, by the engine's own names, that have just killed several attempts: not there, if
            there is another.
        judged: the steps at which the search may end it by what it reports; None: any. A value that is no
            number ends it at every step.
    """

    search: str
    trial: int
    attempt: int
    seed: int
    trainer: str
    framework: str
    model: str
    data: str | None
    arguments: Mapping[str, Mapping[str, Any]]
    objectives: tuple[Mapping[str, Any], ...]
    resources: Mapping[str, float]
    root: str
    storage: str
    checkpoint: str | None = None
    step: int = 0
    reported: int = 0
    best: float | None = None
    best_step: int = 0
    floor: float | None = None
    deep: bool = False
    silence_s: float | None = None
    trial_s: float | None = None
    micro: int = 1
    run: str = ""
    avoid: tuple[str, ...] = ()
    judged: tuple[int, ...] | None = None

    def to_plain(self) -> dict[str, Any]:
        return asdict(self)


@dataclass(frozen=True)
class Capacity:
    """What an engine can give: slots for trials at once, and what one node has at most."""

    slots: int
    cpus: float
    gpus: float
    node_cpus: float
    node_gpus: float
    names: Mapping[str, str] = field(default_factory=dict)


class Desk(Protocol):
    """What an engine asks of the run. All calls come from the engine's one thread."""

    cpus: float  # what each trial takes; how much of a GPU, its task says
    share: float  # of all that the engine has, the part that may be used; one trial always may

    @property
    def slots(self) -> int:
        """How many attempts may be there at once. One that was told to end, and has not yet, still is."""

    @property
    def wanted(self) -> int:
        """How many slots an engine that grows should have, all told."""

    @property
    def gpus(self) -> float:
        """The least that one of them takes."""

    def say(self, text: str) -> None:
        """Tell who watches something that is no fact of the search."""

    @property
    def ahead(self) -> int:
        """How many tasks may be taken before there is a place for them."""

    def next_task(self, fits: Callable[[Task], bool] = ...) -> Task | None:
        """An attempt to start now, or None (see `done` and `thinking` whether one may come yet).

        Args:
            fits: whether there is room for a task now, for an engine that does not wait for it by
                itself. One that does not fit is the next again.
        """

    def give_back(self, task: Task) -> None:
        """A task that was handed out and that nobody has begun."""

    @property
    def thinking(self) -> bool:
        """A slot is free, and what to try there is being thought of: ask again soon."""

    @property
    def hungry(self) -> bool:
        """The last call of `next_task` gave none because of that, be it known since then or not."""

    @property
    def more(self) -> bool:
        """More tasks will come, as far as is known now."""

    @property
    def bell(self) -> int:
        """A file descriptor that is readable once that is known."""

    def wait(self, timeout_s: float) -> None:
        """Until that is known, or so long; at once where nothing is thought of."""

    @property
    def done(self) -> bool:
        """Nothing more will come: nothing runs and nothing waits."""

    @property
    def stopping(self) -> bool:
        """Running attempts shall leave after a checkpoint."""

    def hear(self, task: Task, message: Message) -> Answer:
        """Take in what a worker said about its task; never raises for a trial's faults."""

    def tick(self) -> None:
        """Called at least once a second: budgets in time, signals, the live view."""


class Warm(Protocol):
    """Workers of this machine that were started before anybody needs one; see `automl.nursery`.

    Attributes:
        address: of the socket at which another process asks for one.
    """

    address: str

    def take(self, framework: str, ranks: int = 1, gpus: float = 0, devices: str = "") -> Any:
        """A worker that from now on is the caller's; None where there is none left."""


class Engine(ABC):
    """Runs attempts somewhere and yields their messages."""

    name: str
    # Of the cluster that trials run on; None for this machine.
    address: str | None = None

    @abstractmethod
    def start(self) -> None:
        """Bring up what it needs. Raises AutoMLError with a mend."""

    def foresee(self, cpus: float, gpus: float) -> int:
        """How many slots it will have on this machine, as far as that can be told before `start`."""
        return 0

    def welcome(self, nursery: Warm) -> None:  # noqa: B027 - not every engine has hosts
        """Hosts on this machine may find warm workers there."""

    def blind(self, storage: str) -> Mapping[str, str]:
        """The nodes that do not share a storage with this machine, and what is wrong, by their names."""
        return {}

    def narrow(self, kind: Kind) -> Mapping[str, str]:
        """From now on only nodes of this kind count. Called once, after `start`.

        Returns:
            where no node is of that kind: which keys of `resources` that are, and what there is instead.
        """
        keys = ["labels"] if kind.labels else []
        keys += ["accelerator" if ":" in name else "custom" for name in kind.amounts]
        return dict.fromkeys(keys, f"the {self.name} engine runs on this machine alone, which has none")

    @property
    def grows(self) -> bool:
        """Whether more than `capacity` comes by itself, once it is wanted."""
        return False

    @abstractmethod
    def capacity(self, cpus: float, gpus: float) -> Capacity:
        """What it can give to trials that take so much each."""

    @abstractmethod
    def run(self, desk: Desk) -> None:
        """Run until the desk is done."""

    @abstractmethod
    def close(self) -> None:
        """End every process that it started. May be called twice."""
