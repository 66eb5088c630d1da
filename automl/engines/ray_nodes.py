"""The nodes of a Ray cluster as they come and go, and what a search may use of them. Imports Ray."""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Mapping, Sequence

import ray

from automl.engines.base import Capacity, Desk
from automl.engines.ray_growth import Growth, grows
from automl.engines.ray_probe import Newcomers, Node, blind_nodes, living
from automl.resources import Kind

LOOK_S = 5.0
# On a cluster that has just begun, its autoscaler has told of itself after so long.
FIRST_S = 10.0
_TYPED = "accelerator_type:"
_OWN = ("CPU", "GPU", "memory", "object_store_memory")
_NONE: Mapping[str, float] = {}


class Nodes:
    """Those that count for one search. Looked at anew every few seconds, not between two trials.

    Args:
        alone: this machine is all there ever is.

    """

    def __init__(self, alone: bool) -> None:
        self._alone, self._wanted_s = alone, float("-inf")
        self._kind = Kind()
        self._known: Mapping[str, Mapping[str, float]] = {}
        self._looked_s = float("-inf")
        self._place, self._met = "", set[str]()
        self._newcomers: Newcomers | None = None
        self._growth: Growth | None = None
        self._grows: bool | None = False if alone else None
        self._drained: set[str] = set()

    def blind(self, storage: str) -> Mapping[str, str]:
        """The nodes that count and do not share a storage; from now on those that come are asked too."""
        asked = {name: node for name, node in living().items() if _is_of(node, self._kind)}
        self._met, self._place = set(asked), storage
        return blind_nodes(storage, asked)

    def narrow(self, kind: Kind) -> Mapping[str, str]:
        """From now on only nodes of this kind count; what no node has, by the key of `resources`."""
        self._kind, self._looked_s = kind, float("-inf")
        nodes = list(living().values())
        if any(_is_of(node, kind) for node in nodes) or self.grow(FIRST_S):
            return {}
        return _lacking(nodes, kind)

    def grow(self, patience_s: float = 0.0) -> bool:
        """Whether the cluster adds nodes by itself, as far as that is known within a time."""
        if self._grows is None:
            self._grows = grows(patience_s)
        return bool(self._grows)

    def capacity(self, cpus: float, gpus: float) -> Capacity:
        nodes = self._look().values()
        slots = sum(_slots(node, cpus, gpus, self._kind.amounts) for node in nodes)
        every = [(node.get("CPU", 0.0), node.get("GPU", 0.0)) for node in nodes]
        return Capacity(
            slots,
            sum(c for c, _ in every),
            sum(g for _, g in every),
            max((c for c, _ in every), default=0.0),
            max((g for _, g in every), default=0.0),
        )

    def avoidable(self, bad: Sequence[str], cpus: float, gpus: float) -> list[str]:
        """What an attempt must keep off: nodes that do not share the storage, and the bad ones that fit it.

        Bad ones are avoided only where others are left. One that was not asked yet does not count, but is not
        avoided: a slot is started anew for an attempt that is kept off other nodes than the one before.
        """
        there = self._look()
        fit = {name for name, has in there.items() if _slots(has, cpus, gpus, self._kind.amounts)}
        known = fit.intersection(bad)
        blind = self._newcomers.blind if self._newcomers else set()
        return sorted(blind | (known if known != fit else set()))

    @property
    def leaving(self) -> set[str]:
        """Ids of nodes whose attempts go on elsewhere.

        Ray drains them, before a preemption or to scale down; or they joined and do not share the storage.
        """
        return self._drained | (self._newcomers.blind if self._newcomers else set())

    def begin(self, say: Callable[[str], None]) -> None:
        """A search runs from now on: nodes that come are asked whether they share its storage."""
        if self._place:
            self._newcomers = Newcomers(self._place, self._met, say)

    def want_for(self, desk: Desk) -> None:
        """A cluster that grows by itself is told of the places that a search could use and it lacks.

        Called with every report; looks as seldom as `_look` does.
        """
        if self._alone or time.monotonic() - self._wanted_s < LOOK_S:
            return
        self._wanted_s = time.monotonic()
        if not self.grow():
            return
        self._growth = self._growth or Growth(desk.cpus, desk.gpus, self._kind)
        self._growth.want(desk.wanted - self.capacity(desk.cpus, desk.gpus).slots)

    def end(self) -> None:
        """The search has ended: nothing more is asked, and nothing more wanted."""
        if self._newcomers:
            self._newcomers.close()
        if self._growth:
            self._growth.want(0)
        self._newcomers = self._growth = None

    def _look(self) -> Mapping[str, Mapping[str, float]]:
        """What each node has that may be used."""
        if time.monotonic() - self._looked_s > LOOK_S:
            self._drained = set(ray._private.state.state.get_draining_nodes())
            there = {name: node for name, node in living().items() if name not in self._drained}
            fit = {name: node for name, node in there.items() if _is_of(node, self._kind)}
            sound: Collection[str] = self._newcomers.sound(fit) if self._newcomers else fit
            self._known = {name: node["Resources"] for name, node in fit.items() if name in sound}
            self._looked_s = time.monotonic()
        return self._known


def _is_of(node: Node, kind: Kind) -> bool:
    labels, has = node.get("Labels", {}), node["Resources"]
    labelled = all(labels.get(name) == value for name, value in kind.labels.items())
    return labelled and all(has.get(name, 0.0) >= amount for name, amount in kind.amounts.items())


def _lacking(nodes: Sequence[Node], kind: Kind) -> dict[str, str]:
    """Which keys of `resources` no node meets, with what the nodes have; all of them where only together."""
    asked = {f"labels.{name}": Kind(labels={name: value}) for name, value in kind.labels.items()}
    for name, amount in kind.amounts.items():
        typed = name.startswith(_TYPED)
        asked["accelerator" if typed else f"custom.{name}"] = Kind({name: amount})
    alone = [key for key, part in asked.items() if not any(_is_of(node, part) for node in nodes)]
    what = "no node has it" if alone else "no node has all of it together"
    return dict.fromkeys(alone or asked, f"{what}; there are {_shown(nodes)}")


def _shown(nodes: Sequence[Node]) -> str:
    """Accelerators, custom resources and labels of all nodes, Ray's own aside."""
    found = set()
    for node in nodes:
        for name, amount in node["Resources"].items():
            if name.startswith(_TYPED):
                found.add(name.removeprefix(_TYPED))
            elif name not in _OWN and not name.startswith("node:"):
                found.add(f"{name}: {amount:g}")
        labels = node.get("Labels", {}).items()
        found |= {f"{name}: {value}" for name, value in labels if not name.startswith("ray.io/node-")}
    return ", ".join(sorted(found)) or "no accelerators, custom resources or labels"


def _slots(node: Mapping[str, float], cpus: float, gpus: float, more: Mapping[str, float] = _NONE) -> int:
    fits = [int((node.get(name, 0.0) + 1e-9) // amount) for name, amount in more.items()]
    if cpus:
        fits.append(int((node.get("CPU", 0.0) + 1e-9) // cpus))
    if gpus:
        count = int(node.get("GPU", 0.0))
        fits.append(count * int(1 / gpus) if gpus < 1 else int(count // gpus))
    return min(fits) if fits else 0
