"""The parts of a search: what is optimised, what trains and for how long. Knows no file.

Each is frozen and checks itself when it is made; what joins several of them is in `checks`, on what
they train in `resources`.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Callable, Mapping
from dataclasses import InitVar, dataclass, field
from typing import TYPE_CHECKING, Any, Literal

from automl.errors import Fault
from automl.urls import tracking_fault
from automl.words import is_number, plain, settle, show, unknown, wrong_kind, wrong_kinds

Direction = Literal["minimize", "maximize"]
DIRECTIONS = ("minimize", "maximize")
FRAMEWORKS = ("lightning", "keras", "function")
# Those that can train one trial in several processes, or replicas.
RANKED = ("lightning", "keras")
TIME_UNITS_S: Mapping[str, int] = {"s": 1, "m": 60, "h": 3600, "d": 86400}

_ADDRESS = re.compile(r"[^\W\d]\w*(\.[^\W\d]\w*)*:[^\W\d]\w*")
_RESOURCES = dict.fromkeys(("accelerator", "devices", "num_nodes", "strategy"), "resources")
# Arguments of `fit` that are not the user's: who gives them instead.
OWNED: Mapping[str, Mapping[str, str]] = {
    "lightning": {
        **_RESOURCES,
        "callbacks": "the house; return yours from configure_callbacks of the model",
        "default_root_dir": "the house: it is the trial's folder",
        "enable_checkpointing": "the house, which checkpoints itself",
        "enable_progress_bar": "the house, which shows the progress itself",
        "logger": "the house: metrics go to MLflow by self.log",
    },
    "keras": {
        **_RESOURCES,
        "callbacks": "the house, which reports and checkpoints by its own",
        "initial_epoch": "the house, which resumes from checkpoints",
        "validation_data": "the trainer's data",
        "x": "the trainer's data",
        "y": "the trainer's data",
    },
    "function": {},
}


@dataclass(frozen=True)
class Objective:
    """What is optimised: a reported metric, and which way.

    Args:
        metric: a name that the trainer reports.
        direction: `minimize` or `maximize`.
        target: a value at which the search may end.
        value: `last` takes the last report of a trial, `best` its best one.

    Raises:
        InputError: with everything that is wrong with the values.
    """

    metric: str
    direction: Direction
    target: float | None = None
    value: Literal["last", "best"] = "last"

    def __post_init__(self) -> None:
        kinds = {"metric": "text", "target": "number"}
        faults = wrong_kinds({"metric": self.metric, "target": self.target}, kinds)
        faults += _missing({"metric": self.metric, "direction": self.direction})
        if self.direction is not None:
            faults += _word("direction", self.direction, DIRECTIONS)
        settle([*faults, *_word("value", self.value, ("last", "best"))])

    def better(self, left: float, right: float) -> bool:
        """Whether `left` beats `right`."""
        return left > right if self.direction == "maximize" else left < right


@dataclass(frozen=True)
class Trainer:
    """What a trial runs.

    Args:
        framework: `lightning`, `keras` or `function`.
        model: `package.module:Name`; an importable class or function is turned into its address.
        data: the same; required for lightning and keras.
        fit: arguments of `Trainer` or `Model.fit`.

    Raises:
        InputError: with everything that is wrong with the values.
    """

    framework: str
    model: str
    data: str | None = None
    fit: Mapping[str, Any] = field(default_factory=dict)

    if TYPE_CHECKING:  # the attributes are addresses; what makes them may be an object

        def __init__(
            self,
            framework: str,
            model: str | Callable[..., Any],
            data: str | Callable[..., Any] | None = None,
            fit: Mapping[str, Any] = ...,
        ) -> None: ...

    def __post_init__(self) -> None:
        faults = _missing({"framework": self.framework, "model": self.model})
        if self.framework is not None:
            faults += _word("framework", self.framework, FRAMEWORKS)
        if self.framework in ("lightning", "keras") and self.data is None:
            mend = "Name what makes the data: package.module:Name"
            faults.append(Fault("data", f"missing, and {self.framework} needs it", mend))
        if self.framework == "function":
            faults += [
                Fault(
                    name,
                    f"a function has no {name}",
                    "Give what it needs in space, as model.NAME",
                    at_key=True,
                )
                for name in ("data", "fit")
                if getattr(self, name)
            ]
        for name in ("model", "data"):
            value, found = _address(name, getattr(self, name))
            object.__setattr__(self, name, value)
            faults += found
        settle([*faults, *self._fit_faults()])
        object.__setattr__(self, "fit", plain(self.fit))

    def _fit_faults(self) -> list[Fault]:
        fault = wrong_kind("fit", self.fit, "mapping")
        if fault:
            return [fault]
        faults = []
        for name, value in self.fit.items():
            try:
                plain({name: value})
            except ValueError as error:
                faults.append(Fault(f"fit.{name}", str(error), "Give a JSON value", spot=("fit", name)))
        return faults + [
            owned_fault(self.framework, name, f"fit.{name}", ("fit", name))
            for name in self.fit
            if name in OWNED.get(self.framework, {})
        ]

    def to_plain(self) -> dict[str, Any]:
        """As the file says it."""
        words = {"framework": self.framework, "model": self.model, "data": self.data, "fit": self.fit}
        return {name: value for name, value in words.items() if value}


@dataclass(frozen=True)
class Budget:
    """When to end, whichever comes first.

    Args:
        trials: ended trials.
        time_s: seconds that a driver was alive, summed.
        patience: ended trials without a better best.
        failures: trials that fail alike, in a row, at the start.
        time: the same as time_s, as seconds or as text: `90s`, `30m`, `2h`.

    Raises:
        InputError: with everything that is wrong with the values.
    """

    trials: int | None = None
    time_s: float | None = None
    patience: int | None = None
    failures: int = 5
    time: InitVar[str | float | None] = None

    def __post_init__(self, time: str | float | None) -> None:
        time_s, faults = _seconds(self.time_s if time is None else time)
        object.__setattr__(self, "time_s", time_s)
        for name in ("trials", "patience", "failures"):
            faults += count_faults(name, getattr(self, name), at_least=1)
        if self.trials is None and self.time_s is None and not faults:
            mend = "Write trials: 50 or time: 2h"
            faults.append(Fault("", "needs trials or time, it would never end", mend))
        settle(faults)

    def to_plain(self) -> dict[str, Any]:
        """As the file says it."""
        words = {
            "trials": self.trials,
            "time": None if self.time_s is None else time_text(self.time_s),
            "patience": self.patience,
            "failures": self.failures,
        }
        return {name: value for name, value in words.items() if value is not None}


@dataclass(frozen=True)
class Timeout:
    """When an attempt is taken for hung: its worker is killed and the attempt tried again.

    Args:
        silence_s: seconds without any sign of training: no batch, no report, no checkpoint.
        trial_s: seconds that one attempt may take at all; None for any.
        silence, trial: the same as seconds or as text: `90s`, `30m`, `2h`.

    Raises:
        InputError: with everything that is wrong with the values.
    """

    silence_s: float = 3600.0
    trial_s: float | None = None
    silence: InitVar[str | float | None] = None
    trial: InitVar[str | float | None] = None

    def __post_init__(self, silence: str | float | None, trial: str | float | None) -> None:
        faults: list[Fault] = []
        for name, words in (("silence", silence), ("trial", trial)):
            seconds, found = _seconds(getattr(self, f"{name}_s") if words is None else words, name)
            object.__setattr__(self, f"{name}_s", seconds)
            faults += found
        settle(faults or _missing({"silence": self.silence_s}))

    def to_plain(self) -> dict[str, Any]:
        """As the file says it."""
        words = {"silence": time_text(self.silence_s)}
        return words if self.trial_s is None else {**words, "trial": time_text(self.trial_s)}


@dataclass(frozen=True)
class Tracking:
    """Where people browse: an MLflow tracking URI, an experiment, a registered model's name.

    Raises:
        InputError: with everything that is wrong with the values.
    """

    uri: str | None = None
    experiment: str | None = None
    register: str | None = None

    def __post_init__(self) -> None:
        faults = wrong_kinds(vars(self), dict.fromkeys(("uri", "experiment", "register"), "text"))
        if isinstance(self.uri, str) and self.uri.strip():
            fault = tracking_fault(self.uri, "uri")
            faults += [fault] if fault else []
        if isinstance(self.register, str) and set(self.register) & set(":/"):
            mend = "Use letters, digits, - and _"
            faults.append(Fault("register", "a registered model's name has no : and no /", mend))
        settle(faults)


def owned_fault(framework: str, name: str, where: str, spot: tuple[str | int, ...]) -> Fault:
    """The fault of a `fit` argument that somebody else gives."""
    owner = OWNED[framework][name]
    mend = "Remove it; write resources: {cpus: 2, gpus: 1}" if owner == "resources" else "Remove it"
    return Fault(where, f"{name} is given by {owner}", mend, spot=spot, at_key=True)


def time_text(seconds: float) -> str:
    """Seconds in the largest unit that takes a whole number of them: `2h`, `90s`, `0.5s`."""
    for unit in ("h", "m"):
        if seconds >= TIME_UNITS_S[unit] and seconds % TIME_UNITS_S[unit] == 0:
            return f"{int(seconds // TIME_UNITS_S[unit])}{unit}"
    return f"{int(seconds) if seconds == int(seconds) else repr(float(seconds))}s"


def seconds_of(name: str, time: float | str) -> float:
    """The seconds of a time such as `90s`, `30m`, `2h`, or a number of them.

    Raises:
        InputError: it is none.
    """
    value, faults = _seconds(time, name)
    settle(faults)
    assert value is not None
    return value


def address(target: str | Callable[..., Any]) -> str:
    """`package.module:Name` of a class or function; text is taken as it is.

    Raises:
        InputError: no worker could import it by that address.
    """
    value, faults = _address("model", target)
    settle(faults)
    return str(value)


def _address(name: str, target: Any) -> tuple[Any, list[Fault]]:
    if target is None:
        return None, []
    if not isinstance(target, str):
        return _address_of_object(name, target)
    if _ADDRESS.fullmatch(target):
        fault = pythons_own(target, name)
        return target, [fault] if fault else []
    mend = "Write package.module:Name, such as trainers.net:Net"
    return target, [Fault(name, f"{show(target)} is no address of a class or function", mend)]


def _address_of_object(name: str, target: Any) -> tuple[Any, list[Fault]]:
    module, qualname = getattr(target, "__module__", None), getattr(target, "__qualname__", None)
    if not callable(target) or module is None or qualname is None:
        mend = "Give a class, a function, or package.module:Name"
        return target, [Fault(name, f"{show(target)} is neither a class nor a function", mend)]
    if module == "__main__":
        what = f"{qualname} lives in __main__, where no worker can import it"
        mend = "Write its cell to a file with %%writefile trainers/net.py, and import it from there"
        return target, [Fault(name, what, mend)]
    if "." in qualname or not qualname.isidentifier():
        what = f"{qualname} is made inside something else, where no worker can import it"
        return target, [Fault(name, what, f"Move it to the top level of {module}")]
    address = f"{module}:{qualname}"
    fault = pythons_own(address, name)
    return address, [fault] if fault else []


def pythons_own(address: str, where: str) -> Fault | None:
    """A module of Python's standard library trains nothing, and some of them run whatever they are given."""
    top = address.partition(":")[0].partition(".")[0]
    if top not in sys.stdlib_module_names and top != "__main__":
        return None
    mend = "Name a class or function of the project's trainers/, or of an installed package"
    return Fault(where, f"{address} is Python's own module {top}, no trainer", mend)


def _seconds(time: Any, name: str = "time") -> tuple[float | None, list[Fault]]:
    """The seconds of a time and its faults."""
    if isinstance(time, str):
        found = re.fullmatch(r"(\d+(?:\.\d*)?(?:[eE][-+]?\d+)?)\s*([smhd])", time.strip())
        if not found:
            return None, [Fault(name, f"{show(time)} is no time", "Write 90s, 30m or 2h")]
        time = float(found[1]) * TIME_UNITS_S[found[2]]
    if time is None:
        return None, []
    if not is_number(time) or time <= 0:
        return None, [Fault(name, f"{show(time)} is no time above zero", "Write 90s, 30m or 2h")]
    return float(time), []


def _missing(values: Mapping[str, Any]) -> list[Fault]:
    return [Fault(name, "missing", f"Add {name}") for name, value in values.items() if value is None]


def _word(name: str, value: Any, words: tuple[str, ...]) -> list[Fault]:
    if value in words:
        return []
    return [Fault(name, *unknown(value, words, f"{show(value)} is none of {', '.join(words)}"))]


def count_faults(name: str, value: Any, at_least: int, words: str = "a whole number") -> list[Fault]:
    """What is wrong with a value that is to be a whole number from `at_least` on; None is none yet."""
    if value is None:
        return []
    fault = wrong_kind(name, value, "whole")
    if fault:
        return [Fault(name, f"{show(value)} is not {words}", f"Give {words}")]
    if value < at_least:
        return [Fault(name, f"{value} is too small", f"Give {at_least} or more")]
    return []


def count_fault(name: str, value: Any, at_least: int) -> Fault | None:
    """The fault of a value that is no whole number from `at_least` on."""
    return next(iter(count_faults(name, value, at_least)), None)
