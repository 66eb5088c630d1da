"""What trainers take, and whether a search gives it. Imports no user code and no framework.

How a search with several trainers is read (CONTRACT.md: a parameter "goes to those whose signature
takes it; one that a trainer does not take needs a `when`"):

- A sampled parameter must be taken by every trainer with which it can be active. A sampler would
  otherwise learn from trials in which the value did nothing. So `model.lr` that both take needs no
  condition, and `model.dropout` that only `torch` takes needs `when: {trainer: torch}`. A condition
  on another parameter does, if that one exists with `torch` only.
- A constant cannot have a condition and teaches a sampler nothing: it goes to the trainers that
  take it, and one of them must.
"""

from __future__ import annotations

import contextlib
import inspect
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from automl.checks import permitted
from automl.errors import Fault
from automl.search import Search
from automl.space import Choice, Float, Int, Parameter, Space, holds, same
from automl.values import OWNED
from automl.words import Spot, dotted, near, plain, show, unknown

PLACES = ("model", "data", "fit")
_KINDS: Mapping[Any, str] = {
    inspect.Parameter.POSITIONAL_ONLY: "positional",
    inspect.Parameter.POSITIONAL_OR_KEYWORD: "any",
    inspect.Parameter.KEYWORD_ONLY: "keyword",
}
# What a class inherits from these takes anything and passes it on to `object`, which takes nothing.
_VENDORS = frozenset({"builtins", "keras", "lightning", "pytorch_lightning", "tensorflow", "torch"})


def signature(target: Any, framework: str | None = None) -> dict[str, Any]:
    """What a class or function takes, as plain data.

    Args:
        target: a class (its `__init__` is meant, without self), a function or method (without self).
        framework: with `function` the first parameter, the trial, is left out.

    Returns:
        `{"name": "ResNet.__init__", "parameters": [{"name", "required", "kind": any, keyword or
        positional, "default" where JSON holds it, "annotation": text}], "variadic": whether it
        takes `**kwargs`}`.
    """
    is_class = inspect.isclass(target)
    function = target.__init__ if is_class else target
    name = getattr(target, "__qualname__", type(target).__name__) + (".__init__" if is_class else "")
    if is_class and _inherits_init(target):
        return {"name": name, "parameters": [], "variadic": False}
    parameters = list(inspect.signature(function).parameters.values())
    if (is_class or (parameters and parameters[0].name == "self")) or framework == "function":
        parameters = parameters[1:]
    return {
        "name": name,
        "parameters": [_parameter(p) for p in parameters if p.kind in _KINDS],
        "variadic": any(p.kind is p.VAR_KEYWORD for p in parameters),
    }


def _inherits_init(target: type) -> bool:
    """Whether a user's class has no `__init__` of its own, only a vendor's."""
    owner = next((base for base in target.__mro__ if "__init__" in vars(base)), object)
    return owner is not target and owner.__module__.partition(".")[0] in _VENDORS


def _parameter(p: inspect.Parameter) -> dict[str, Any]:
    found: dict[str, Any] = {"name": p.name, "required": p.default is p.empty, "kind": _KINDS[p.kind]}
    if p.default is not p.empty:
        # Of a default that JSON cannot hold it is known that it exists, that is all.
        with contextlib.suppress(ValueError):
            found["default"] = plain(p.default)
    if p.annotation is not p.empty:
        found["annotation"] = (
            p.annotation if isinstance(p.annotation, str) else inspect.formatannotation(p.annotation)
        )
    return found


def offered(
    found: Mapping[str, Any], name: str, options: Sequence[Any], keys: Sequence[str] = ()
) -> dict[str, Any]:
    """A signature with the values that one of its arguments may have.

    Args:
        found: the signature; an argument that it has not is added, as one that need not be given.
        name: of the argument.
        options: JSON values; the argument's default is one as well.
        keys: of a mapping, where one may be given instead.
    """
    parameters = list(found["parameters"])
    mine = {"name": name, "required": False, "kind": "keyword"}
    mine = next((each for each in parameters if each["name"] == name), mine)
    more = {"options": list(options), **({"keys": list(keys)} if keys else {})}
    others = [each for each in parameters if each["name"] != name]
    return {**found, "parameters": [*others, {**mine, **more}]}


def taken(signatures: Mapping[str, Mapping[str, Any]]) -> dict[str, dict[str, Any]]:
    """For each trainer and place the names that it takes, as `Search.arguments` wants them.

    Args:
        signatures: by trainer: `model`, `data`, `fit`, each a signature or None.

    Returns:
        `{trainer: {"model": [names], ...}}`; None for a place that takes any name, an empty list
        for one that takes none.
    """
    return {
        trainer: {place: names(found.get(place)) for place in ("model", "data", "fit")}
        for trainer, found in signatures.items()
    }


def names(found: Mapping[str, Any] | None) -> list[str] | None:
    """The names that a signature takes by keyword; None for any, and an empty list without one."""
    if found is None:
        return []
    if found["variadic"]:
        return None
    return [p["name"] for p in found["parameters"] if p.get("kind") != "positional"]


def signature_faults(search: Search, signatures: Mapping[str, Mapping[str, Any]]) -> list[Fault]:
    """Where a search gives what its trainers do not take, or does not give what they need.

    Args:
        search: the search.
        signatures: by trainer: `error` (None, a text, or `{"part": "model" or "data", "text"}`), and
            `model`, `data`, `fit`, each as `signature` makes it, or None.
    """
    faults = [fault for name, found in signatures.items() for fault in _errors(search, name, found)]
    space = search.full_space
    for name in (*space.params, *space.constants):
        if name != "trainer":
            faults += _not_taken(search, name, signatures)
    for trainer, found in signatures.items():
        faults += [*_not_given(search, space, trainer, found), *_unknown_fit(search, trainer, found)]
        faults += _no_option(search, trainer, found)
    return faults


def _of(search: Search, trainer: str, *rest: str) -> Spot:
    """The path of a trainer's word in the file."""
    alone = list(search.trainers) == ["trainer"]
    return (*(("trainer",) if alone else ("trainers", trainer)), *rest)


def _fault(path: Spot, what: str, mend: str, at_key: bool = False) -> Fault:
    return Fault(dotted(path), what, mend, spot=path, at_key=at_key)


def _errors(search: Search, trainer: str, found: Mapping[str, Any]) -> Iterator[Fault]:
    error = found.get("error")
    if error:
        part, text = (error["part"], error["text"]) if isinstance(error, Mapping) else ("model", str(error))
        what, mark, mend = text.rstrip(".").removeprefix("InputError: ").partition(". ")
        address = getattr(search.trainers[trainer], part, None)
        what = what.removeprefix(f"{address}: ")
        yield _fault(_of(search, trainer, part), what, mend if mark else "Mend the module or the address")


def _not_taken(search: Search, name: str, signatures: Mapping[str, Mapping[str, Any]]) -> Iterator[Fault]:
    space = search.full_space
    place, _, rest = name.partition(".")
    argument = rest.partition(".")[0]
    able = permitted(space, name, search.trainers)
    known = {
        trainer: signatures[trainer].get(place)
        for trainer in search.trainers
        if trainer in able and trainer in signatures and not _unread(signatures[trainer], place)
    }
    takers = [trainer for trainer, found in known.items() if _takes(found, argument)]
    others = [trainer for trainer in known if trainer not in takers]
    if not others or (takers and name in space.constants):
        return
    if not takers and len(known) < len(able):
        return  # a trainer that could not be imported may be the one that takes it
    path = ("space", name)
    if takers:
        what = f"{', '.join(others)} does not take {argument}"
        wanted = takers[0] if len(takers) == 1 else f"[{', '.join(takers)}]"
        yield _fault(path, what, f"Add when: {{trainer: {wanted}}}", at_key=True)
    else:
        yield _fault(path, *_unknown_argument(argument, known), at_key=True)


def _unread(found: Mapping[str, Any], place: str) -> bool:
    """Whether nothing is known of a place, because something could not be imported."""
    return bool(found.get("error")) and found.get(place) is None


def _takes(found: Mapping[str, Any] | None, argument: str) -> bool:
    known = names(found)
    return known is None or argument in known


def _unknown_argument(argument: str, known: Mapping[str, Mapping[str, Any] | None]) -> tuple[str, str]:
    owners = [found for found in known.values() if found]
    if not owners:
        return f"nothing takes {argument}", "Remove it, or move it to model"
    options = [name for found in owners for name in names(found) or []]
    what = f"{argument} is no parameter of {' or '.join(dict.fromkeys(found['name'] for found in owners))}"
    return what, _mend(argument, options)


def _mend(argument: str, options: list[str]) -> str:
    guess = near(argument, options)
    if guess:
        return f"Did you mean {guess}?"
    shown = ", ".join(list(dict.fromkeys(options))[:20])
    return f"It takes: {shown}" if shown else "It takes nothing: remove it"


def _not_given(search: Search, space: Space, trainer: str, found: Mapping[str, Any]) -> Iterator[Fault]:
    for place in PLACES:
        for parameter in (found.get(place) or {"parameters": []})["parameters"]:
            if not parameter["required"] or parameter["name"] in _fit_words(search, trainer, place):
                continue
            yield from _needed(search, space, trainer, place, parameter, found[place]["name"])


def _fit_words(search: Search, trainer: str, place: str) -> set[str]:
    """The arguments of `fit` that need no parameter: the trainer's own, and what the house gives."""
    mine = search.trainers[trainer]
    return {*mine.fit, *OWNED.get(mine.framework, {})} if place == "fit" else set()


def _needed(
    search: Search, space: Space, trainer: str, place: str, parameter: Mapping[str, Any], owner: str
) -> Iterator[Fault]:
    argument = parameter["name"]
    if parameter.get("kind") == "positional":
        what = f"{argument} of {owner} cannot be given by its name"
        yield _fault(_of(search, trainer, place), what, "Remove the / from its signature")
        return
    whole = f"{place}.{argument}"
    givers = [n for n in (*space.params, *space.constants) if n == whole or n.startswith(f"{whole}.")]
    givers = [name for name in givers if trainer in permitted(space, name, search.trainers)]
    if not givers:
        what = f"{owner} needs {argument}, and nothing gives it"
        mend = f"Add {whole} to space, or give {argument} a default"
        yield _fault(_of(search, trainer, place), what, mend)
    elif len(givers) == 1 and not _always(space, givers[0], trainer):
        what = f"{owner} needs {argument}, and this does not give it in every branch"
        yield _fault(
            ("space", givers[0], "when"), what, f"Remove when, or give {argument} a default", at_key=True
        )


def _always(space: Space, name: str, trainer: str) -> bool:
    """Whether a parameter is active in all trials of a trainer."""
    if name in space.constants:
        return True
    for key, wanted in (space.params[name].when or {}).items():
        if key == "trainer":
            sure = holds(wanted, trainer)
        elif key in space.constants:
            sure = holds(wanted, space.constants[key])
        else:
            sure = _always(space, key, trainer) and _covers(wanted, space.params[key])
        if not sure:
            return False
    return True


def _covers(wanted: Any, param: Parameter) -> bool:
    """Whether a condition holds for every value of the parameter that it is on."""
    if isinstance(param, Choice):
        return all(holds(wanted, option) for option in param.options)
    if param.low == param.high:
        return holds(wanted, param.low)
    if isinstance(param, Int) and isinstance(wanted, list):
        values = range(param.low, param.high + 1, param.step or 1)
        return len(values) <= len(wanted) and all(holds(wanted, value) for value in values)
    return False


def _unknown_fit(search: Search, trainer: str, found: Mapping[str, Any]) -> Iterator[Fault]:
    fit = found.get("fit")
    known = names(fit)
    if fit is None or known is None:
        return
    mine = search.trainers[trainer]
    options = [name for name in known if name not in OWNED.get(mine.framework, {})]
    for argument in mine.fit:
        if argument not in known:
            what = f"{argument} is no parameter of {fit['name']}"
            yield _fault(_of(search, trainer, "fit", argument), what, _mend(argument, options), at_key=True)


def _no_option(search: Search, trainer: str, found: Mapping[str, Any]) -> Iterator[Fault]:
    """Values that an argument never has, where the file fixes them."""
    for place in PLACES:
        parameters = (found.get(place) or {"parameters": []})["parameters"]
        known = {each["name"]: each for each in parameters if "options" in each}
        given = [
            (path, name, value) for path, name, value in _values(search, trainer, place) if name in known
        ]
        for path, name, value in given:
            if wrong := _misfit(known[name], value):
                yield Fault(dotted(path), *wrong, spot=path, at_key=isinstance(value, Parameter))


def _values(search: Search, trainer: str, place: str) -> Iterator[tuple[Spot, str, Any]]:
    """The values that are given to arguments, each with its place in the file and the argument's name."""
    if place == "fit":
        for name, value in search.trainers[trainer].fit.items():
            yield _of(search, trainer, "fit", name), name, value
    space = search.full_space
    for name, value in (*space.params.items(), *space.constants.items()):
        head, _, rest = name.partition(".")
        if head != place or trainer not in permitted(space, name, search.trainers):
            continue
        argument, _, key = rest.partition(".")
        if key:
            yield ("space", name), argument, {key.partition(".")[0]: None}
        elif isinstance(value, Choice):
            options = enumerate(value.options)
            yield from ((("space", name, "choice", i), argument, option) for i, option in options)
        else:
            yield ("space", name), argument, value


def _misfit(parameter: Mapping[str, Any], value: Any) -> tuple[str, str] | None:
    """What is wrong with the value of an argument that has options, and the mend."""
    options, keys = [*parameter["options"], parameter.get("default")], parameter.get("keys", [])
    if isinstance(value, Mapping) and keys:
        strange = next((key for key in value if key not in keys), None)
        name = f"{parameter['name']}.{strange}"
        return None if strange is None else unknown(strange, keys, f"{name} is no argument")
    if isinstance(value, Float | Int):
        return f"{parameter['name']} is no number", "Write a choice"
    if any(same(option, value) for option in options):
        return None
    words = [str(each).lower() if isinstance(each, bool) else str(each) for each in parameter["options"]]
    return unknown(value, words, f"{parameter['name']} is never {show(value)}")
