"""What joins several parts of a search: conditions, points, policies. Knows no file and no position.

Each check names the parts that it needs and is left out where one of them is unsound, so that a
fault in one place hides none in another.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

from automl.errors import Fault
from automl.plain import Reading, Sketch
from automl.policies import Policy
from automl.resources import Resources
from automl.space import Choice, Float, Parameter, Space, holds
from automl.values import OWNED, RANKED, Objective, Trainer, owned_fault
from automl.words import Spot, dotted, show, unknown

PLACES = ("model", "data", "fit")


def join(reading: Reading) -> list[Fault]:
    """All faults that no part of a search has by itself."""
    faults: list[Fault] = []
    for needs, check in _CHECKS:
        if all(need in reading.parts for need in needs):
            faults += check(reading, *(reading.parts[need] for need in needs))
    return faults


def permitted(
    space: Space, name: str, trainers: Iterable[str], seen: frozenset[str] = frozenset()
) -> set[str]:
    """The trainers with which a parameter can be active, by its own and its conditions' conditions.

    Args:
        space: the space; its conditions may be in a circle.
        name: a parameter or a constant.
        trainers: the names of all trainers.
    """
    left = set(trainers)
    param = space.params.get(name)
    for key, wanted in ((param.when if param else None) or {}).items():
        if key == "trainer":
            left = {trainer for trainer in left if holds(wanted, trainer)}
        elif key not in seen:
            left &= permitted(space, key, left, seen | {name})
    return left


def _fault(path: Spot, what: str, mend: str, at: Spot = (), at_key: bool = False) -> Fault:
    return Fault(dotted(path), what, mend, spot=at or path, at_key=at_key)


def _objectives(reading: Reading, objectives: tuple[Objective | None, ...]) -> Iterator[Fault]:
    metrics: set[str] = set()
    for i, objective in enumerate(objectives):
        if objective is None:
            continue
        if objective.metric in metrics:
            what = f"{objective.metric} is an objective already"
            yield _fault(("objective", i, "metric"), what, "Remove one of them")
        metrics.add(objective.metric)


def _several(
    reading: Reading, objectives: tuple[Any, ...], sampler: Policy | None, pruner: Policy | None
) -> Iterator[Fault]:
    if len(objectives) < 2:
        return
    if pruner and pruner.name not in ("auto", "none"):
        what = f"{pruner.name} cannot prune a search of several objectives"
        yield _fault(("search", "pruner"), what, "Write pruner: none")
    if sampler and sampler.name == "cmaes":
        what = "cmaes cannot sample for several objectives"
        yield _fault(("search", "sampler"), what, "Write sampler: tpe or nsgaii")


def _names(reading: Reading, space: Space) -> Iterator[Fault]:
    names = [*space.params, *space.constants]
    for name in names:
        path, (place, _, rest) = ("space", name), name.partition(".")
        if name == "trainer":
            continue
        if place not in PLACES:
            what = f"{place} is not where a parameter can go"
            guess = unknown(place, PLACES)[1] if rest else f"Write model.{name}, data.{name} or fit.{name}"
            yield _fault(path, what, guess, at_key=True)
        elif not all(part.isidentifier() for part in rest.split(".")):
            what = f"{show(rest)} is no argument's name"
            yield _fault(path, what, f"Write {place}.NAME", at_key=True)
        for other in names:
            if name.startswith(f"{other}."):
                what = f"{other} is a parameter too, it cannot hold this one"
                yield _fault(path, what, "Keep one of them", at_key=True)


def _trainer_parameter(reading: Reading, space: Space, trainers: Mapping[str, Any]) -> Iterator[Fault]:
    path = ("space", "trainer")
    if "trainer" in space.params:
        mend = "Name the trainers under trainers; what is there is chosen from"
        yield _fault(path, "the choice of a trainer is made by itself", mend, at_key=True)
    value = space.constants.get("trainer")
    if "trainer" in space.constants and value not in trainers:
        yield _fault(path, *unknown(value, trainers, f"there is no trainer {show(value)}"))


def _fit(reading: Reading, space: Space, trainers: Mapping[str, Trainer | Sketch | None]) -> Iterator[Fault]:
    for name in (*space.params, *space.constants):
        place, _, rest = name.partition(".")
        mine = [(key, trainers[key]) for key in trainers if key in permitted(space, name, trainers)]
        sound = [(key, trainer) for key, trainer in mine if trainer is not None]
        if place == "fit":
            yield from _fit_argument(name, rest, sound)
        without = [key for key, trainer in sound if _has_no(place, trainer)]
        if without and len(without) == len(mine):
            what = f"the trainer has no {place} that could take it"
            yield _fault(
                ("space", name), what, f"Give the trainer {place}, or write model.{rest}", at_key=True
            )


def _has_no(place: str, trainer: Trainer | Sketch) -> bool:
    if place == "fit":
        return trainer.framework == "function"
    return place == "data" and trainer.data is None


def _fit_argument(name: str, rest: str, mine: list[tuple[str, Trainer | Sketch]]) -> Iterator[Fault]:
    argument = rest.partition(".")[0]
    owned = [trainer for _, trainer in mine if argument in OWNED.get(trainer.framework, {})]
    if owned:
        yield owned_fault(owned[0].framework, argument, dotted(("space", name)), ("space", name))
        return
    for key, trainer in mine:
        if _given(trainer.fit, rest.split(".")):
            what = f"{rest} is in fit of {key} as well"
            yield _fault(("space", name), what, "Keep one of them", at_key=True)


def _ranks(
    reading: Reading, resources: Resources | None, trainers: Mapping[str, Trainer | Sketch | None]
) -> Iterator[Fault]:
    """Of `auto` there is one, where the framework knows no others."""
    if resources is None or resources.ranks in ("auto", 1):
        return
    for key, trainer in trainers.items():
        if trainer is not None and trainer.framework not in RANKED:
            what = f"{key} is a {trainer.framework}, which trains in one process"
            yield _fault(("resources", "ranks"), what, f"Remove ranks, or use {' or '.join(RANKED)}")


def _given(fit: Any, parts: list[str]) -> bool:
    """Whether `fit` has a value where the parameter would go; a mapping on the way takes it in."""
    if not parts or not isinstance(fit, Mapping):
        return True
    return parts[0] in fit and _given(fit[parts[0]], parts[1:])


def _conditions(reading: Reading, space: Space, trainers: Mapping[str, Any]) -> Iterator[Fault]:
    known = (*space.params, *space.constants, *sorted(reading.broken), "trainer")
    for name, when in reading.conditions.items():
        for key, wanted in when.items():
            path = ("space", name, "when", key)
            if key == name:
                yield _fault(path, "a condition on itself", "Remove it", at_key=True)
            elif key not in known:
                yield _fault(path, *unknown(key, known, f"there is no parameter {key}"), at_key=True)
            elif key == "trainer":
                yield from _wanted(path, wanted, Choice(tuple(trainers)), "trainer")
            elif key in space.params:
                yield from _wanted(path, wanted, space.params[key], key)
    yield from _circles(reading.conditions)


def _wanted(path: Spot, wanted: Any, param: Parameter, name: str) -> Iterator[Fault]:
    if not isinstance(wanted, list) or (isinstance(param, Choice) and not param.misfit(wanted)):
        wanted, paths = [wanted], [path]
    else:
        paths = [(*path, i) for i in range(len(wanted))]
    for value, at in zip(wanted, paths, strict=True):
        why = param.misfit(value)
        if why and isinstance(param, Choice):
            options = [option for option in param.options if isinstance(option, str)]
            mend = unknown(value, options)[1] if options else f"Use one of {show(list(param.options))}"
            yield _fault(path, f"{name} is never {show(value)}", mend, at=at)
        elif why:
            yield _fault(path, f"{name} is never {show(value)}: {why}", "Give a value in its range", at=at)


def _circles(conditions: Mapping[str, Mapping[str, Any]]) -> Iterator[Fault]:
    seen: set[str] = set()
    for name in conditions:
        circle = _circle_from(conditions, name)
        if circle and not seen & set(circle):
            what = f"conditions in a circle: {' -> '.join([*circle, name])}"
            yield _fault(("space", name, "when"), what, "Remove one of the conditions")
        seen |= set(circle)


def _circle_from(conditions: Mapping[str, Mapping[str, Any]], start: str) -> list[str]:
    """The parameters from `start` over conditions back to it, without those on itself; or none."""
    stack = [[start]]
    while stack:
        trail = stack.pop()
        for key in conditions.get(trail[-1], {}):
            if key == start and len(trail) > 1:
                return trail
            if key not in trail:
                stack.append([*trail, key])
    return []


def _grid(reading: Reading, space: Space, sampler: Policy | None) -> Iterator[Fault]:
    if sampler is None or sampler.name != "grid":
        return
    for name, param in space.params.items():
        if param.when:
            yield _fault(
                ("space", name, "when"), "grid knows no conditions", "Remove when, or use sampler: tpe"
            )
        if isinstance(param, Float) and param.step is None and param.low < param.high:
            yield _fault(("space", name), "grid needs a step for a float", "Add step, or use sampler: tpe")


def _start_with(
    reading: Reading, space: Space, trainers: Mapping[str, Any], points: tuple[Mapping[str, Any], ...]
) -> Iterator[Fault]:
    params: dict[str, Parameter] = dict(space.params)
    if len(trainers) > 1 and "trainer" not in space.constants:
        params["trainer"] = Choice(tuple(trainers))
    rows = reading.parts.get("start_with_rows", range(len(points)))
    for row, point in zip(rows, points, strict=True):
        for name, value in point.items():
            fault = _point_fault(("start_with", row, name), value, params, reading, space)
            if fault:
                yield fault
            elif name in params and _surely_inactive(space, name, point):
                what = f"{name} does not exist in this point: its condition does not hold"
                yield _fault(("start_with", row, name), what, "Remove it from the point", at_key=True)


def _point_fault(
    path: Spot, value: Any, params: Mapping[str, Parameter], reading: Reading, space: Space
) -> Fault | None:
    name = str(path[-1])
    if name in space.constants:
        if Choice((space.constants[name],)).misfit(value) is None:
            return None
        return _fault(path, f"{name} is fixed to {show(space.constants[name])}", "Remove it from the point")
    if name in reading.broken:
        return None
    if name not in params:
        return _fault(path, *unknown(name, params, f"there is no parameter {name}"), at_key=True)
    why = params[name].misfit(value)
    return _fault(path, f"outside the space: {why}", "Give a value of the space") if why else None


def _surely_inactive(
    space: Space, name: str, point: Mapping[str, Any], seen: frozenset[str] = frozenset()
) -> bool:
    """Whether what the point itself says rules the parameter out; what it leaves out may be anything."""
    param = space.params.get(name)
    for key, wanted in ((param.when if param else None) or {}).items():
        if key in point and not holds(wanted, point[key]):
            return True
        if key not in seen and _surely_inactive(space, key, point, seen | {name}):
            return True
    return False


_CHECKS: tuple[tuple[tuple[str, ...], Callable[..., Iterator[Fault]]], ...] = (
    (("objectives",), _objectives),
    (("objectives", "sampler", "pruner"), _several),
    (("space",), _names),
    (("space", "trainers"), _trainer_parameter),
    (("space", "trainers"), _fit),
    (("resources", "trainers"), _ranks),
    (("space", "trainers"), _conditions),
    (("space", "sampler"), _grid),
    (("space", "trainers", "start_with"), _start_with),
)
