"""A sampler's random beginning, and what it looks at while it lasts. Has never heard of Optuna."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from automl.samplers import STARTUP_TRIALS
from automl.search import Policy

# Optuna's own: the trials of a generation.
POPULATION_TRIALS = 50


@dataclass(frozen=True)
class Known:
    """How far a study has come.

    Args:
        complete: trials that are COMPLETE.
        pruned: trials that are PRUNED.
        open: trials that were asked for and have not ended.
        settled: whether one that is COMPLETE or PRUNED came before all that are open.
    """

    complete: int
    pruned: int
    open: int
    settled: bool


def starting(
    policy: Policy, known: Known, trial_attrs: Mapping[str, Any], study_attrs: Mapping[str, Any]
) -> bool:
    """Whether a sampler that wrote these attributes was still in its random beginning."""
    if policy.name == "nsgaii":
        return any(key.endswith(":generation") and value == 0 for key, value in trial_attrs.items())
    if policy.name == "qmc":
        return not study_attrs
    learnt = known.complete + (known.pruned if policy.name == "tpe" else 0)
    return policy.name in STARTUP_TRIALS and learnt < startup_trials(policy)


def indifferent(policy: Policy, known: Known, conditional: bool) -> bool:
    """Whether what a sampler draws next is the same however the trials that are open go on.

    Random numbers and grids look at no trial. Quasi-random numbers take their axes from the first
    trial that was COMPLETE or PRUNED, which matters where a space has conditions. The others draw
    at random until enough trials have ended well, so long as those that are open cannot be enough.

    Args:
        policy: the sampler's, resolved.
        known: how far the study has come.
        conditional: whether any parameter of the space has a condition.
    """
    if known.open == 0 or policy.name in ("random", "grid"):
        return True
    if policy.name == "qmc":
        return known.settled if conditional else known.complete + known.pruned > 0
    return known.complete + known.pruned + known.open < startup_trials(policy)


def startup_trials(policy: Policy) -> int:
    """How many trials a sampler draws at random before it learns; none for those that never learn."""
    if policy.name == "nsgaii":
        return int(policy.arguments.get("population_size", POPULATION_TRIALS))
    return int(policy.arguments.get("n_startup_trials", STARTUP_TRIALS.get(policy.name, 0)))
