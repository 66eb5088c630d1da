"""`check --deep`: every trainer is built and trains one batch, once per branch of its conditions.

Plans the branches and runs them through the same Host and worker as a search. A checkpoint and weights
go to the search's own storage, are read back and removed. Starts no Ray, leaves nothing behind.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from automl import project
from automl.engines.base import Message, Task
from automl.errors import Fault
from automl.host import Host
from automl.plan import Plan
from automl.rehearse import Unkept
from automl.search import Search
from automl.space import Choice, Parameter, Space, holds
from automl.storage import passing
from automl.tables import pairs

BRANCH_S = 300.0
BRANCHES = 200
UNPUBLISHED = "its winner could not be published"


def deep_faults(planned: Plan, host: Host, signatures: Mapping[str, Any]) -> list[Fault]:
    """What goes wrong when each trainer trains one batch.

    Args:
        planned: the search and its places.
        host: its workers train; warm from the plain check.
        signatures: of the trainers, from the plain check.
    """
    takes = project.taken(signatures)
    faults = []
    with passing(planned.storage) as name:
        for number, (params, marks) in enumerate(branches(planned.search)):
            task = _task(planned, params, takes, number, name)
            ended = _train(host, task)
            if wrong := _wrong(planned, ended):
                faults.append(_fault(planned, task, marks, wrong, ended))
    return faults


def branches(search: Search) -> Iterator[tuple[dict[str, Any], dict[str, Any]]]:
    """One point for each branch of the conditions.

    Yields:
        the point's parameters, and those of them that tell the branch from the others.
    """
    space = search.full_space
    turns = {key for parameter in space.params.values() for key in parameter.when or {}}
    turns |= {"trainer"} & space.params.keys()
    order = [name for name, _ in space.ordered()]
    for count, point in enumerate(_points(space, order, turns, dict(space.constants))):
        if count == BRANCHES:
            return
        yield point, {name: point[name] for name in order if name in turns and name in point}


def _points(
    space: Space, names: Sequence[str], turns: set[str], values: dict[str, Any]
) -> Iterator[dict[str, Any]]:
    if not names:
        yield values
        return
    name, rest = names[0], names[1:]
    if not space.active(name, values):
        yield from _points(space, rest, turns, values)
        return
    options = _ways(space, name) if name in turns else [_one(space.params[name])]
    for option in options:
        yield from _points(space, rest, turns, {**values, name: option})


def _ways(space: Space, name: str) -> list[Any]:
    """Values of a parameter, one for each set of conditions that they fulfil; every trainer."""
    parameter = space.params[name]
    wanted = [p.when[name] for p in space.params.values() if p.when and name in p.when]
    if isinstance(parameter, Choice):
        candidates = list(parameter.options)
        if name == "trainer":
            return candidates
    else:
        named = [value for each in wanted for value in (each if isinstance(each, list) else [each])]
        inside = [value for value in named if parameter.misfit(value) is None]
        candidates = [parameter.low, parameter.high, *inside]
    by_branch: dict[tuple[bool, ...], Any] = {}
    for candidate in candidates:
        by_branch.setdefault(tuple(holds(each, candidate) for each in wanted), candidate)
    return list(by_branch.values())


def _one(parameter: Parameter) -> Any:
    return parameter.options[0] if isinstance(parameter, Choice) else parameter.low


def _task(
    planned: Plan, params: Mapping[str, Any], takes: Mapping[str, Any], number: int, files: str
) -> Task:
    search = planned.search
    name, arguments = search.arguments(params, takes)
    trainer = search.trainers[name]
    return Task(
        search=files,
        trial=number,
        attempt=1,
        seed=search.seed,
        trainer=name,
        framework=trainer.framework,
        model=str(trainer.model),
        data=str(trainer.data) if trainer.data else None,
        arguments=arguments,
        objectives=tuple(
            {"metric": o.metric, "direction": o.direction, "value": o.value} for o in search.objectives
        ),
        resources=search.resources.on_cpu(trainer.framework),
        root=str(planned.root),
        storage=planned.storage,
        deep=True,
    )


def _train(host: Host, task: Task) -> Message:
    host.start(task)
    deadline = time.monotonic() + BRANCH_S
    while time.monotonic() < deadline:
        message = host.poll(0.5)
        if message is not None and message["kind"] == "ended":
            return message
    host.stop()
    while (message := host.poll(0.5)) is None or message["kind"] != "ended":
        continue
    return {**message, "outcome": "failed", "error": f"one batch took longer than {BRANCH_S:g} s"}


def _wrong(planned: Plan, ended: Message) -> str | None:
    search = planned.search
    if ended["outcome"] in ("failed", "stopped"):
        return str(ended.get("error") or ended["outcome"]).removeprefix(f"{Unkept.__name__}: ")
    reports = ended.get("reports") or []
    seen = sorted({name for report in reports for name in report})
    missing = [o.metric for o in search.objectives if o.metric not in seen]
    if not missing and ended.get("mute") and planned.tracking_uri:
        return f"{UNPUBLISHED}: {ended['mute']}"
    if not missing:
        return None
    told = f"it reported {', '.join(seen)}" if seen else "it reported nothing"
    return f"never reported the objective {', '.join(missing)}; {told}"


def _fault(planned: Plan, task: Task, marks: Mapping[str, Any], wrong: str, ended: Message) -> Fault:
    several = len(planned.search.trainers) > 1 or task.trainer != "trainer"
    where = f"trainers.{task.trainer}" if several else "trainer"
    shown = {name: value for name, value in marks.items() if name != "trainer"}
    branch = f"with {pairs(shown)}: " if shown else ""
    place = _place(str(ended.get("trace") or ""), str(planned.root))
    mend = f"Look at {place}" if place else f"Look at {task.model}"
    if "never reported" in wrong:
        mend = f"Report it in {task.model}, or name another metric"
    if wrong.startswith(UNPUBLISHED):
        mend = f"Write forward in {task.model}: what a published model predicts; or tracking: false"
    return Fault(where, f"{branch}{wrong}", mend)


def _place(trace: str, root: str) -> str | None:
    """The last line of the project's own code in a traceback, as file:line."""
    found = None
    for line in trace.splitlines():
        text = line.strip()
        if text.startswith(f'File "{root}{os.sep}'):
            path, _, rest = text.removeprefix('File "').partition('", line ')
            found = f"{os.path.relpath(path, root)}:{rest.partition(',')[0]}"
    return found
