"""The plan of a search, as one frozen value. Knows no vendor, no file and no database."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, fields
from typing import Any, Protocol

from automl.checks import join
from automl.errors import Fault
from automl.plain import Reading, read
from automl.policies import PRUNERS as PRUNERS
from automl.policies import SAMPLERS as SAMPLERS
from automl.policies import Policy
from automl.resources import Resources as Resources
from automl.space import Choice, Float, Int, Parameter, Space, same
from automl.urls import mask_url as mask_url
from automl.values import FRAMEWORKS as FRAMEWORKS
from automl.values import Budget, Objective, Timeout, Tracking, Trainer
from automl.values import Direction as Direction
from automl.values import address as address
from automl.words import Spot, settle, show
from automl.yamltext import dump

DEFAULTS: Mapping[str, Any] = {
    "seed": 0,
    "start_with": (),
    "sampler": Policy(),
    "pruner": Policy(),
    "resources": Resources(),
    "retries": 2,
    "timeout": Timeout(),
    "storage": "runs",
    "keep": 3,
    "ledger": None,
    "tracking": Tracking(),
}


class Origin(Protocol):
    """The file that a search came from."""

    @property
    def file(self) -> str:
        """The path as the user gave it."""

    @property
    def text(self) -> str:
        """What is in it."""

    def sort(self, faults: Iterable[Fault]) -> tuple[Fault, ...]:
        """The faults with their positions, in the order of the file."""


@dataclass(frozen=True, init=False)
class Search:
    """The whole plan. `trainers` always maps names; one alone is called "trainer".

    Attributes:
        name: the search's identity in the ledger.
        objectives: one or several.
        trainers: by name.
        space: what is searched, and the constants.
        budget: when to end.
        seed: seeds everything.
        start_with: points that are tried first; what they leave out is sampled.
        sampler, pruner: by name, with arguments.
        resources: of each trial.
        retries: attempts beyond the first that died of the machine.
        timeout: when an attempt is taken for hung.
        storage: folder or fsspec URL of checkpoints and weights.
        keep: the weights of so many best trials stay in the storage.
        ledger: SQLAlchemy URL; None for the project's default.
        tracking: where people browse; None for nowhere.
        origin: the file that it came from, if it did; no part of what the search is.
    """

    name: str
    objectives: Sequence[Objective]
    trainers: Mapping[str, Trainer]
    space: Space
    budget: Budget
    seed: int
    start_with: Sequence[Mapping[str, Any]]
    sampler: Policy
    pruner: Policy
    resources: Resources
    retries: int
    timeout: Timeout
    storage: str
    keep: int
    ledger: str | None
    tracking: Tracking | None
    origin: Origin | None = field(compare=False, repr=False)

    def __init__(
        self,
        name: str,
        objective: Objective | Mapping[str, Any] | Sequence[Any] | None = None,
        trainer: Trainer | Mapping[str, Any] | None = None,
        space: Space | Mapping[str, Any] | None = None,
        budget: Budget | Mapping[str, Any] | None = None,
        *,
        objectives: Sequence[Objective] | None = None,
        trainers: Mapping[str, Trainer | Mapping[str, Any]] | None = None,
        seed: int = 0,
        start_with: Sequence[Mapping[str, Any]] = (),
        search: Mapping[str, Any] | None = None,
        sampler: Policy | Mapping[str, Any] | str | None = None,
        pruner: Policy | Mapping[str, Any] | str | None = None,
        resources: Resources | Mapping[str, Any] | None = None,
        retries: int = 2,
        timeout: Timeout | Mapping[str, Any] | None = None,
        storage: Any = "runs",
        keep: int = 3,
        ledger: str | None = None,
        tracking: Tracking | Mapping[str, Any] | bool | None = Tracking(),  # noqa: B008, it is frozen
        origin: Origin | None = None,
    ) -> None:
        """A search in the words of the file; every value may be plain data or the value itself.

        Args:
            name, objective, trainer, space, budget, seed, start_with, resources, retries, timeout,
                storage, keep, ledger: as in the file.
            objectives, trainers: instead of objective and trainer, where there are several.
            search: `{sampler, pruner}` as in the file; or give `sampler` and `pruner` themselves.
            tracking: False or None for nowhere.

        Raises:
            InputError: with everything that is wrong.
        """
        if trainers is not None and trainer is None and list(trainers) == ["trainer"]:
            trainer, trainers = trainers["trainer"], None
        policies = {"sampler": sampler, "pruner": pruner}
        named = {kind: value for kind, value in policies.items() if value is not None}
        words = {
            "name": name,
            "seed": seed,
            "objective": objectives if objective is None else objective,
            "trainer": trainer,
            "trainers": trainers,
            "space": space,
            "start_with": start_with,
            "budget": budget,
            "search": {**(search or {}), **named} if isinstance(search, Mapping | None) else search,
            "resources": resources,
            "retries": retries,
            "timeout": timeout,
            "keep": keep,
            "storage": storage if storage is None else str(storage),
            "ledger": ledger,
            "tracking": tracking,
        }
        reading = examine(words)
        settle(reading.faults)
        _fill(self, reading, origin)

    @property
    def file(self) -> str | None:
        """The path of the file that the search came from, as it was given; None if from Python."""
        return self.origin.file if self.origin else None

    @property
    def text(self) -> str:
        """The file as it was read, passwords masked; of a search from Python, what `to_yaml` writes."""
        return mask_url(self.origin.text) if self.origin else self.to_yaml()

    def located(self, faults: Iterable[Fault]) -> tuple[Fault, ...]:
        """Faults that were found later, with the positions of the file, in its order."""
        return self.origin.sort(faults) if self.origin else tuple(faults)

    @property
    def full_space(self) -> Space:
        """The space with `trainer` as its first parameter where there are several."""
        names = tuple(self.trainers)
        if "trainer" in self.space.constants:
            return self.space
        if len(names) > 1:
            return Space({"trainer": Choice(names), **self.space.params}, self.space.constants)
        if any("trainer" in (param.when or {}) for param in self.space.params.values()):
            return Space(self.space.params, {**self.space.constants, "trainer": names[0]})
        return self.space

    def arguments(
        self, params: Mapping[str, Any], takes: Mapping[str, Mapping[str, Any]] | None = None
    ) -> tuple[str, dict[str, dict[str, Any]]]:
        """A trial's parameters as arguments of what it runs.

        A name of several parts is an argument that is a mapping: `model.head.width` is given as
        `head={"width": ...}`, and is merged into `fit` of the trainer in the same way.

        Args:
            params: the constants and the active values by name, `trainer` among them where there
                are several. Constants that are left out are added.
            takes: for each trainer and place (`model`, `data`, `fit`) the names of the arguments
                that it takes, or None for any. With several trainers, a parameter that the trial's
                trainer does not take is another trainer's, and is left out.

        Returns:
            the trainer's name, and `{"model": {...}, "data": {...}, "fit": {...}}`.
        """
        values = {**self.space.constants, **params}
        name = values.pop("trainer", next(iter(self.trainers)))
        taken = (takes or {}).get(name, {}) if len(self.trainers) > 1 else {}
        split: dict[str, dict[str, Any]] = {"model": {}, "data": {}, "fit": _copy(self.trainers[name].fit)}
        for key, value in values.items():
            place, _, rest = key.partition(".")
            parts = rest.split(".")
            names = taken.get(place)
            if names is None or parts[0] in names:
                _put(split[place], parts, value)
        return name, split

    def to_plain(self) -> dict[str, Any]:
        """The search in the words of the file, as JSON holds it; passwords are masked."""
        several = len(self.objectives) > 1
        objectives = [_words(objective, keep=("metric", "direction")) for objective in self.objectives]
        trainers = {name: trainer.to_plain() for name, trainer in self.trainers.items()}
        alone = list(trainers) == ["trainer"]
        policies = {"sampler": self.sampler.to_plain(), "pruner": self.pruner.to_plain()}
        return {
            "schema": 1,
            "name": self.name,
            "seed": self.seed,
            "objective": objectives if several else objectives[0],
            **({"trainer": trainers["trainer"]} if alone else {"trainers": trainers}),
            "space": {**_space_words(self.space), **_copy(self.space.constants)},
            **({"start_with": [dict(point) for point in self.start_with]} if self.start_with else {}),
            "budget": self.budget.to_plain(),
            "search": policies,
            "resources": _words(self.resources, keep=("cpus", "gpus", "parallel")),
            "retries": self.retries,
            "timeout": self.timeout.to_plain(),
            "storage": mask_url(self.storage),
            "keep": self.keep,
            **({"ledger": mask_url(self.ledger)} if self.ledger else {}),
            "tracking": self._tracking_words(),
        }

    def _tracking_words(self) -> Any:
        if self.tracking is None:
            return False
        words = _words(self.tracking)
        return {name: mask_url(value) if name == "uri" else value for name, value in words.items()}

    @classmethod
    def from_plain(cls, plain: Mapping[str, Any]) -> Search:
        """The search that `to_plain` wrote.

        Raises:
            InputError: with everything that is wrong.
        """
        reading = examine(plain)
        settle(reading.faults)
        return build(reading)

    def to_yaml(self) -> str:
        """The search file. Loading it gives this search again, masked passwords aside."""
        return dump(self.to_plain())

    def identity_difference(self, other: Search) -> list[str]:
        """What makes `other` another search than this one: objective, trainers, space. Empty: the same.

        Returns:
            lines such as `space.model.lr: was {'float': [0.1, 1.0]}, is {'float': [0.1, 2.0]}`,
            `was` being this search's.
        """
        return _difference(_identity(self.to_plain()), _identity(other.to_plain()))


def examine(words: Mapping[str, Any]) -> Reading:
    """All parts and all faults of a search in the words of the file; what is left out has its default."""
    reading = read(words)
    given = {*words, *(("sampler", "pruner") if isinstance(words.get("search"), Mapping) else ())}
    spoiled = {fault.spot[0] for fault in reading.faults if fault.spot}
    for part, value in DEFAULTS.items():
        if part not in reading.parts and not (part in given and part in spoiled):
            reading.parts[part] = value
    reading.faults += join(reading)
    return reading


def build(reading: Reading, origin: Origin | None = None) -> Search:
    """The search of a reading without faults."""
    assert not reading.faults, "a search is built of sound parts only"
    search = object.__new__(Search)
    _fill(search, reading, origin)
    return search


def _fill(search: Search, reading: Reading, origin: Origin | None) -> None:
    for part in fields(Search):
        value = origin if part.name == "origin" else reading.parts[part.name]
        object.__setattr__(search, part.name, value)


def _words(value: Any, keep: Sequence[str] = ()) -> dict[str, Any]:
    """A value's attributes, without those that are at their default and not kept."""
    words = {part.name: (getattr(value, part.name), part.default) for part in fields(value)}
    return {name: now for name, (now, default) in words.items() if name in keep or not same(now, default)}


def _space_words(space: Space) -> dict[str, Any]:
    return {name: parameter_words(param) for name, param in space.params.items()}


def parameter_words(param: Parameter) -> dict[str, Any]:
    """A parameter as the file says it."""
    if isinstance(param, Choice):
        words: dict[str, Any] = {"choice": _copy(param.options)}
    else:
        words = {"float" if isinstance(param, Float) else "int": [param.low, param.high]}
        words |= {"log": True} if param.log else {}
        words |= {} if param.step is None else {"step": param.step}
    return {**words, **({"when": _copy(param.when)} if param.when else {})}


def _copy(value: Any) -> Any:
    """Lists and dicts anew, so that nobody changes a frozen search through one."""
    if isinstance(value, Mapping):
        return {key: _copy(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_copy(item) for item in value]
    return value


def _put(into: dict[str, Any], parts: Sequence[str], value: Any) -> None:
    for part in parts[:-1]:
        inner = into.get(part)
        into[part] = dict(inner) if isinstance(inner, Mapping) else {}
        into = into[part]
    into[parts[-1]] = _copy(value)


def _identity(words: Mapping[str, Any]) -> dict[Spot, Any]:
    """What makes a search itself, by path: one entry for each objective, trainer's word and parameter."""
    objective = words["objective"]
    found: dict[Spot, Any] = {
        ("objective", *((str(i),) if isinstance(objective, list) else ())): item
        for i, item in enumerate(objective if isinstance(objective, list) else [objective])
    }
    several = "trainers" in words
    for name, trainer in (words["trainers"] if several else {"trainer": words["trainer"]}).items():
        head: Spot = ("trainers", name) if several else ("trainer",)
        found |= {(*head, word): value for word, value in trainer.items()}
    return found | {("space", name): value for name, value in words["space"].items()}


def _difference(old: Mapping[Spot, Any], new: Mapping[Spot, Any]) -> list[str]:
    lines = []
    for path in dict.fromkeys((*old, *new)):
        where = ".".join(map(str, path))
        if path not in new:
            lines.append(f"{where}: was {show(old[path])}, is gone")
        elif path not in old:
            lines.append(f"{where}: is new, {show(new[path])}")
        elif not same(old[path], new[path]):
            lines.append(f"{where}: was {show(old[path])}, is {show(new[path])}")
    return lines


__all__ = [
    "Budget",
    "Choice",
    "Fault",
    "Float",
    "Int",
    "Objective",
    "Policy",
    "Resources",
    "Search",
    "Timeout",
    "Tracking",
    "Trainer",
    "address",
    "mask_url",
]
