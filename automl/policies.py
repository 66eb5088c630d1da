"""Samplers and pruners by name, and the arguments that each takes. Does not import Optuna.

The tables hold what a file can say: numbers, text and flags. What is a callable or an object in
Optuna is left out, and so is `seed`, which is the search's. A test compares them with Optuna.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from automl.errors import Fault
from automl.words import is_whole, plain, settle, show, unknown, wrong_kind

Arguments = Mapping[str, str]

SAMPLER_ARGUMENTS: Mapping[str, Arguments] = {
    "auto": {},
    "tpe": {
        "prior_weight": "number",
        "consider_magic_clip": "flag",
        "consider_endpoints": "flag",
        "n_startup_trials": "whole",
        "n_ei_candidates": "whole",
        "multivariate": "flag",
        "group": "flag",
        "constant_liar": "flag",
    },
    "random": {},
    "gp": {"n_startup_trials": "whole", "deterministic_objective": "flag"},
    "cmaes": {
        "sigma0": "number",
        "n_startup_trials": "whole",
        "consider_pruned_trials": "flag",
        "popsize": "whole",
        "use_separable_cma": "flag",
        "with_margin": "flag",
        "lr_adapt": "flag",
    },
    "nsgaii": {
        "population_size": "whole",
        "mutation_prob": "number",
        "crossover_prob": "number",
        "swapping_prob": "number",
    },
    "qmc": {"qmc_type": "text", "scramble": "flag"},
    "grid": {},
}
PRUNER_ARGUMENTS: Mapping[str, Arguments] = {
    "auto": {},
    "none": {},
    "median": {
        "n_startup_trials": "whole",
        "n_warmup_steps": "whole",
        "interval_steps": "whole",
        "n_min_trials": "whole",
    },
    "percentile": {
        "percentile": "number",
        "n_startup_trials": "whole",
        "n_warmup_steps": "whole",
        "interval_steps": "whole",
        "n_min_trials": "whole",
    },
    "successive_halving": {
        "min_resource": "whole or auto",
        "reduction_factor": "whole",
        "min_early_stopping_rate": "whole",
        "bootstrap_count": "whole",
    },
    "hyperband": {
        "min_resource": "whole",
        "max_resource": "whole or auto",
        "reduction_factor": "whole",
        "bootstrap_count": "whole",
    },
}
SAMPLERS = tuple(SAMPLER_ARGUMENTS)
PRUNERS = tuple(PRUNER_ARGUMENTS)

# The values that Optuna refuses; an argument that is not here may be any value of its kind.
_AT_LEAST: Mapping[str, float] = {
    "n_startup_trials": 0,
    "n_ei_candidates": 1,
    "prior_weight": 0,
    "population_size": 2,
    "popsize": 2,
    "n_warmup_steps": 0,
    "interval_steps": 1,
    "n_min_trials": 1,
    "min_resource": 1,
    "max_resource": 1,
    "reduction_factor": 2,
    "min_early_stopping_rate": 0,
    "bootstrap_count": 0,
    "percentile": 0,
    "mutation_prob": 0,
    "crossover_prob": 0,
    "swapping_prob": 0,
}
_AT_MOST: Mapping[str, float] = {
    "percentile": 100,
    "mutation_prob": 1,
    "crossover_prob": 1,
    "swapping_prob": 1,
}


@dataclass(frozen=True)
class Policy:
    """A sampler or pruner by name, with its arguments."""

    name: str = "auto"
    arguments: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        try:
            object.__setattr__(self, "arguments", plain(dict(self.arguments)))
        except ValueError as error:
            settle([Fault("", str(error), "Give JSON values")])

    def to_plain(self) -> Any:
        """As the file says it: the name alone, or the name with its arguments."""
        return {"name": self.name, **self.arguments} if self.arguments else self.name


def policy_faults(kind: str, policy: Policy) -> list[Fault]:
    """Everything wrong with a policy, its name and its arguments.

    Args:
        kind: `sampler` or `pruner`.
        policy: what was asked for.
    """
    table = SAMPLER_ARGUMENTS if kind == "sampler" else PRUNER_ARGUMENTS
    if policy.name not in table:
        what, mend = unknown(policy.name, table, f"there is no {kind} {show(policy.name)}")
        return [Fault("", what, mend, spot=("name",))]
    takes = table[policy.name]
    faults = [_argument_fault(policy.name, name, value, takes) for name, value in policy.arguments.items()]
    low, high = policy.arguments.get("min_resource", 1), policy.arguments.get("max_resource")
    if not any(faults) and is_whole(low) and is_whole(high) and high < low:
        faults.append(Fault("max_resource", f"{high} is below min_resource, {low}", "Give a larger one"))
    return [fault for fault in faults if fault]


def _argument_fault(owner: str, name: str, value: Any, takes: Arguments) -> Fault | None:
    if name == "seed":
        return Fault(name, "the seed is the search's", "Write seed at the top of the file", at_key=True)
    if name not in takes:
        what, mend = unknown(name, takes, f"{owner} takes no argument {name}")
        return Fault(name, what, mend, at_key=True)
    kind, _, auto = takes[name].partition(" or ")
    if auto and value == auto:
        return None
    fault = wrong_kind(name, value, kind)
    if fault or (kind != "whole" and kind != "number"):
        return fault or _text_fault(name, value)
    return _limit_fault(name, value)


def _limit_fault(name: str, value: float) -> Fault | None:
    if value < _AT_LEAST.get(name, value):
        return Fault(name, f"{value} is too small", f"Give at least {_AT_LEAST[name]}")
    if value > _AT_MOST.get(name, value):
        return Fault(name, f"{value} is too large", f"Give at most {_AT_MOST[name]}")
    if name == "sigma0" and value <= 0:
        return Fault(name, f"{value} is not above zero", "Give a positive number")
    return None


def _text_fault(name: str, value: Any) -> Fault | None:
    if name == "qmc_type" and value not in ("sobol", "halton"):
        return Fault(name, *unknown(value, ("sobol", "halton"), f"there is no sequence {show(value)}"))
    return None
