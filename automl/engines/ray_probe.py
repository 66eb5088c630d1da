"""Whether nodes see what this machine writes into a storage, and the other way round. Imports Ray.

One small task is pinned to every node. It takes no CPUs, so that a busy cluster answers too.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Mapping
from contextlib import ExitStack
from typing import Any

import ray
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

from automl import storage

# A node may have to start a process first, and import this package.
ANSWER_S = 60.0
# So long Ray may take to say of a node that has died that it is not there.
DEATH_S = 10.0
_SILENT = f"does not answer within {ANSWER_S:g} s"

Node = Mapping[str, Any]  # as `ray.nodes` has it


class Inquiry:
    """Nodes that were asked whether they share a storage with this machine. `close` it.

    Args:
        place: a storage, as the nodes will be told of it; left as it was.
        nodes: who is asked.

    Raises:
        OSError, ValueError, ImportError: this machine itself cannot write there.
    """

    def __init__(self, place: str, nodes: Collection[Node]) -> None:
        self._stack = ExitStack()
        self._until_s = time.monotonic() + ANSWER_S
        try:
            name = self._stack.enter_context(storage.passing(place))
            self._letter = self._stack.enter_context(storage.letter(place, name))
        except BaseException:
            self.close()
            raise
        self._open = {self._ask(node["NodeID"]): node["NodeID"] for node in nodes}

    def answers(self, timeout_s: float | None = None) -> dict[str, str | None]:
        """What came in since the last call, by the node's id: None where it shares, or what is wrong.

        Args:
            timeout_s: how long to wait for all of it; None as long as a node may take.
        """
        if not self._open:
            return {}
        left_s = max(0.0, self._until_s - time.monotonic())
        wait_s = left_s if timeout_s is None else timeout_s
        come, missing = ray.wait(list(self._open), num_returns=len(self._open), timeout=wait_s)
        said = {self._open.pop(answer): answer for answer in come}
        found = {node: self._said(answer, node) for node, answer in said.items()}
        if time.monotonic() >= self._until_s:
            found |= {self._open.pop(answer): _SILENT for answer in missing}
        return found

    @property
    def over(self) -> bool:
        return not self._open

    def close(self) -> None:
        self._stack.close()

    def _ask(self, node: str) -> ray.ObjectRef:
        pinned = NodeAffinitySchedulingStrategy(node_id=node, soft=False)
        task = ray.remote(storage.answer).options(num_cpus=0, max_retries=0, scheduling_strategy=pinned)
        return task.remote(self._letter, node)

    def _said(self, answer: ray.ObjectRef, node: str) -> str | None:
        try:
            wrong = ray.get(answer, timeout=ANSWER_S)
        except ray.exceptions.RayError as error:
            return f"cannot be asked: {str(error).strip().splitlines()[-1]}"
        if wrong:
            return f"does not see what this machine wrote: {wrong}"
        if wrong := storage.unanswered(self._letter, node):
            return f"wrote there, and this machine does not see it: {wrong}"
        return None


def blind_nodes(place: str, nodes: Mapping[str, Node]) -> dict[str, str]:
    """Those of the nodes that do not share the storage with this machine.

    One that dies meanwhile is none of them: Ray needs a moment to notice.

    Args:
        place: a storage, as the nodes will be told of it.
        nodes: who is asked, by their ids.

    Returns:
        what is wrong, by the node's host.

    Raises:
        OSError, ValueError, ImportError: this machine itself cannot write there.
    """
    inquiry = Inquiry(place, nodes.values())
    try:
        wrong = {node: said for node, said in inquiry.answers().items() if said}
    finally:
        inquiry.close()
    until_s = time.monotonic() + DEATH_S
    while wrong and time.monotonic() < until_s and any("cannot be asked" in said for said in wrong.values()):
        time.sleep(0.5)
        wrong = {node: said for node, said in wrong.items() if node in living()}
    return {host(nodes[node]): said for node, said in wrong.items()}


def living() -> dict[str, Node]:
    """The cluster's nodes by their ids."""
    return {node["NodeID"]: node for node in ray.nodes() if node["Alive"]}


def host(node: Node) -> str:
    """Its name and address; one machine may be several nodes."""
    name, where = str(node["NodeManagerHostname"]), str(node["NodeManagerAddress"])
    return f"{name} ({where}, {node['NodeID'][:8]})"


class Newcomers:
    """Nodes that come while a search runs are asked before they are used.

    Args:
        place: the search's storage, as the nodes are told of it.
        known: the ids of nodes that were asked already.
        say: told of a node that does not share it.

    Attributes:
        blind: ids of nodes that do not share the storage, or did not answer.
    """

    def __init__(self, place: str, known: Collection[str], say: Callable[[str], None]) -> None:
        self._place, self._say = place, say
        self._sound = set(known)
        self._asked: dict[str, Inquiry] = {}
        self.blind: set[str] = set()

    def sound(self, nodes: Mapping[str, Node]) -> set[str]:
        """Those that share the storage. Who of the living was not asked yet is asked now; returns at once."""
        for node in nodes.keys() - self._sound - self.blind - self._asked.keys():
            self._asked[node] = Inquiry(self._place, [nodes[node]])
        for node, inquiry in list(self._asked.items()):
            if node not in nodes:
                self._asked.pop(node).close()
            elif said := inquiry.answers(0):
                self._asked.pop(node).close()
                self._hear(nodes[node], said[node])
        return self._sound & nodes.keys()

    def close(self) -> None:
        for inquiry in self._asked.values():
            inquiry.close()

    def _hear(self, node: Node, wrong: str | None) -> None:
        if wrong is None:
            self._sound.add(node["NodeID"])
            return
        self.blind.add(node["NodeID"])
        self._say(f"node {host(node)} gets no trials: it {wrong}")
