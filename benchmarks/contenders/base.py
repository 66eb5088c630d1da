"""What every contender is given, and what it has to say afterwards. Knows none of them.

A contender is a module with two functions:

- `command(folder, workload, **options)` writes into the folder what a user would have written, and
  returns the command that a user would start. What is timed is that command, from its start to its end.
- `outcome(folder, workload)` reads, when it has ended, what it has stored.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

SLOTS = 2
SEED = 7
METRIC = "val_accuracy"
# The first rung and the factor of every successive halving.
GRACE_EPOCHS = 2
FACTOR = 3
OUTCOME = "outcome.json"


@dataclass(frozen=True)
class Span:
    """Numbers from low to high."""

    low: float
    high: float
    log: bool = False


@dataclass(frozen=True)
class Pick:
    """One of several words."""

    options: tuple[str, ...]


# Nothing here changes what an epoch costs.
SPACE: Mapping[str, Span | Pick] = {
    "lr": Span(1e-4, 1e-1, log=True),
    "dropout": Span(0.0, 0.5),
    "weight_decay": Span(1e-6, 1e-2, log=True),
    "activation": Pick(("relu", "tanh", "gelu")),
}


@dataclass(frozen=True)
class Workload:
    """A search.

    Args:
        name: `short` or `medium`.
        framework: `lightning` or `keras`.
        trials: the budget.
        epochs: the length of a trial that is not cut; each ends with a validation.
        width: of the model; what a step costs.
        copies: of the rows to train on; how many steps an epoch has.
        pruned: whether trials are cut by successive halving.
    """

    name: str
    framework: str
    trials: int
    epochs: int
    width: int
    copies: int
    pruned: bool

    def to_json(self) -> str:
        return json.dumps(asdict(self))


WORKLOADS = tuple(
    Workload(name, framework, trials, epochs, width, copies, pruned)
    for name, framework, trials, epochs, width, copies, pruned in (
        ("short", "lightning", 60, 5, 512, 1, False),
        ("short", "keras", 60, 5, 128, 1, False),
        ("medium", "lightning", 40, 20, 2560, 1, True),
        ("medium", "keras", 40, 20, 1024, 8, True),
    )
)


def workloads(
    names: Iterable[str] = (), frameworks: Iterable[str] = (), trials: int | None = None
) -> list[Workload]:
    """Those chosen; nothing chosen is all; `trials` in the place of their own number."""
    names, frameworks = set(names), set(frameworks)
    chosen = [
        each
        for each in WORKLOADS
        if (not names or each.name in names) and (not frameworks or each.framework in frameworks)
    ]
    return [replace(each, trials=trials) for each in chosen] if trials else chosen


@dataclass(frozen=True)
class Outcome:
    """What a contender has stored.

    Args:
        best: the best value of the metric, by its own word; None if it has none.
        states: how many trials it calls what.
        note: what the states do not say.
    """

    best: float | None
    states: Mapping[str, int]
    note: str = ""

    @property
    def trials(self) -> int:
        return sum(self.states.values())

    def to_text(self) -> str:
        """`COMPLETE 40`."""
        words = ", ".join(f"{state} {count}" for state, count in sorted(self.states.items()))
        return f"{words}; {self.note}" if self.note else words


def python(module: str, workload: Workload, **options: Any) -> list[str]:
    """The command of a contender that is a script: this package's module, told what to do."""
    said = {"workload": asdict(workload), **options}
    return [sys.executable, "-m", f"contenders.{module}", json.dumps(said)]


def make_experiment(folder: Path) -> None:
    """The MLflow experiment, for contenders whose processes would else make it at once and collide."""
    program = (
        "from mlflow import MlflowClient; MlflowClient('sqlite:///mlflow.db').create_experiment('peers')"
    )
    subprocess.run([sys.executable, "-c", program], cwd=folder, capture_output=True, check=True)


def told() -> tuple[Workload, dict[str, Any]]:
    """What `python` has told this process."""
    said = json.loads(sys.argv[1])
    return Workload(**said.pop("workload")), said


def tell(best: float | None, states: Iterable[str], note: str = "") -> None:
    """Leave what the contender has stored in the working folder, for `outcome`."""
    partly = Path(f"{OUTCOME}.part")
    partly.write_text(json.dumps({"best": best, "states": Counter(states), "note": note}))
    os.replace(partly, OUTCOME)


def outcome(folder: Path, workload: Workload) -> Outcome:
    """The outcome that the contender's script has left."""
    return Outcome(**json.loads((folder / OUTCOME).read_text()))
