"""What the names of samplers and pruners mean: `auto` resolved, Optuna's objects built, shares.

With brain.py the only door to Optuna. Has never heard of trials that run, events or a ledger.
"""

from __future__ import annotations

import copy
import inspect
import itertools
import math
import warnings
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import optuna
from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution, IntDistribution
from optuna.exceptions import ExperimentalWarning
from optuna.pruners import (
    BasePruner,
    HyperbandPruner,
    MedianPruner,
    NopPruner,
    PercentilePruner,
    SuccessiveHalvingPruner,
)
from optuna.samplers import (
    BaseSampler,
    CmaEsSampler,
    GPSampler,
    NSGAIISampler,
    QMCSampler,
    RandomSampler,
    TPESampler,
)
from optuna.trial import FrozenTrial, TrialState

from automl.errors import Fault, InputError
from automl.grid import seed_of
from automl.search import Policy, Search
from automl.space import Choice, Float, Parameter

# Optuna's own start-up, in trials: TPE counts COMPLETE and PRUNED ones, the others COMPLETE ones.
STARTUP_TRIALS: Mapping[str, int] = {"tpe": 10, "gp": 10, "cmaes": 1}

# Those that learn from a broken constraint. NSGA-II breeds from COMPLETE trials only, so that what is
# infeasible has no offspring; CMA-ES, quasi-random numbers and grids know no constraints.
LEARNS_CONSTRAINTS = ("tpe", "gp", "nsgaii")
# As `Trial.set_constraint("memory", ...)` writes it; positive is broken.
MEMORY_CONSTRAINT = "constraints:memory"

GP_MOST_TRIALS = 50
GP_MOST_PARAMS = 10

FIRST_RUNG_STEPS = 2
RUNG_FACTOR = 3
# Fewer complete trials than the factor do not say what the best third is.
COMPLETE_BEFORE_PRUNING = RUNG_FACTOR

PROBE_STEPS = 1000
# No trial is as long: the last rung that is listed lies below.
MOST_STEPS = 2**31

_PRUNERS: Mapping[str, type[BasePruner]] = {
    "none": NopPruner,
    "median": MedianPruner,
    "percentile": PercentilePruner,
    "successive_halving": SuccessiveHalvingPruner,
    "hyperband": HyperbandPruner,
}

SHARE_HORIZON_TRIALS = 40


# --- which sampler ---------------------------------------------------------------------------


def resolve_sampler(search: Search) -> Policy:
    """The sampler that a search uses, `auto` replaced by a name.

    `auto` is TPE, but for one case: few trials that are long. On LCBench (normalised regret x100,
    FACTS.md) the Gaussian process had 3.4 after 25 trials and 2.2 after 50, TPE 8.0 and 5.3; at 10
    both were still starting up (13.4 and 15.0). But a GP ask takes 1.5 to 2.3 s, in
    which a slot stands idle, so it pays only where a trial takes minutes. How long a
    trial takes is not known before it runs; that each one is given a whole GPU is the hint that is
    taken. So GP needs: 11 to 50 trials, a GPU per trial, one objective, one trainer, and at most 10
    parameters without conditions, of which at most one in four is a choice.

    Several objectives are TPE too, Optuna 5's own default there. TPE samples a conditional space
    by groups of parameters that are active together (`group`), which keeps correlations inside
    each group; Optuna offers that for one objective.

    Of a very long history TPE and the Gaussian process are shown a selection (thinning.py).

    Returns:
        a policy whose name is one of SAMPLERS but `auto`, with the arguments for Optuna's class.

    Raises:
        InputError: the sampler cannot do what the search asks of it.
    """
    name, arguments = search.sampler.name, dict(search.sampler.arguments)
    if name == "auto":
        name = "gp" if _gp_pays(search) else "tpe"
    _refuse_impossible(search, name)
    if name == "tpe" and _conditional(search) and len(search.objectives) == 1:
        arguments.setdefault("group", arguments.get("multivariate") is not False)
    if name == "qmc":
        # Unscrambled, Sobol's sequence starts in the corner of the space and knows no seed.
        arguments.setdefault("scramble", True)
    return Policy(name, arguments)


def _gp_pays(search: Search) -> bool:
    params = search.full_space.params.values()
    choices = sum(isinstance(parameter, Choice) for parameter in params)
    return (
        STARTUP_TRIALS["gp"] < (search.budget.trials or 0) <= GP_MOST_TRIALS
        and search.resources.gpus != "auto"
        and search.resources.gpus >= 1
        and len(search.objectives) == len(search.trainers) == 1
        and 0 < len(params) <= GP_MOST_PARAMS
        and not _conditional(search)
        and 4 * choices <= len(params)
    )


def _refuse_impossible(search: Search, name: str) -> None:
    if name == "cmaes" and len(search.objectives) > 1:
        raise InputError(Fault("search.sampler", "cmaes takes one objective", "Use tpe, nsgaii or gp"))
    if name == "grid" and _conditional(search):
        raise InputError(Fault("search.sampler", "a grid takes no `when`", "Use tpe, or drop the conditions"))


def _conditional(search: Search) -> bool:
    return any(parameter.when for parameter in search.full_space.params.values())


def make_sampler(policy: Policy, seed: int, number: int) -> BaseSampler:
    """A fresh sampler for one ask, so that a suggestion depends on the study and the seed alone.

    Args:
        policy: a resolved one.
        seed: the search's.
        number: the trial's.

    Raises:
        InputError: Optuna refuses the arguments.
    """
    own, kept = seed_of(seed, number), seed_of(seed)
    rest: dict[str, Any] = {
        "independent_sampler": RandomSampler(seed=own),
        "warn_independent_sampling": False,
    }
    kinds: dict[str, tuple[type[BaseSampler], dict[str, Any]]] = {
        "tpe": (TPESampler, {"seed": own}),
        "random": (RandomSampler, {"seed": own}),
        "grid": (RandomSampler, {"seed": own}),  # for what a start point leaves out
        "gp": (FeasibleGP, {"seed": own, **rest}),
        "nsgaii": (NSGAIISampler, {"seed": own}),
        "cmaes": (CmaEsSampler, {"seed": kept, **rest}),
        "qmc": (QMCSampler, {"seed": kept, **rest}),
    }
    kind, given = kinds[policy.name]
    with warnings.catch_warnings():
        # Both are used on purpose; experimental arguments of a file are the user's, who is told.
        warnings.filterwarnings("ignore", "Argument ``group``|QMCSampler is", ExperimentalWarning)
        return _built("search.sampler", policy, kind, {**given, **policy.arguments})


class FeasibleGP(GPSampler):
    """Optuna's Gaussian process, which also learns from trials that are infeasible and have no value.

    Optuna fits its models to COMPLETE trials alone, and wants a value of each. An infeasible trial
    has none, and must not be given a bad one: so it goes into the model of the constraint, and not
    into that of the objective.
    """

    _infeasible: list[FrozenTrial]

    def _sample_relative_impl(
        self,
        study: optuna.Study,
        completed_trials: list[FrozenTrial],
        running_trials: list[FrozenTrial],
        search_space: dict[str, BaseDistribution],
    ) -> dict[str, Any]:
        pruned = study.get_trials(deepcopy=False, states=(TrialState.PRUNED,))
        self._infeasible = [t for t in pruned if t.constraints and search_space.keys() <= t.params.keys()]
        if self._infeasible:
            completed_trials = [_kept_constraint(trial) for trial in completed_trials]
        return super()._sample_relative_impl(study, completed_trials, running_trials, search_space)

    def _get_constraints_acqf_args(
        self, constraint_vals: Any, internal_search_space: Any, normalized_params: Any
    ) -> Any:
        import numpy as np  # Optuna's own; not worth its time where nothing is sampled

        broken = np.ones((len(self._infeasible), constraint_vals.shape[1]))
        outside = internal_search_space.get_normalized_params(self._infeasible)
        return super()._get_constraints_acqf_args(
            np.vstack([constraint_vals, broken]),
            internal_search_space,
            np.vstack([normalized_params, outside]),
        )


def _kept_constraint(trial: FrozenTrial) -> FrozenTrial:
    feasible = copy.copy(trial)
    feasible.system_attrs = {**trial.system_attrs, MEMORY_CONSTRAINT: -1.0}
    return feasible


def _built(where: str, policy: Policy, kind: type[Any], arguments: Mapping[str, Any]) -> Any:
    try:
        return kind(**arguments)
    except (TypeError, ValueError, AssertionError) as error:
        mend = f"Optuna's {kind.__name__} documents the arguments of `{policy.name}`"
        raise InputError(Fault(where, str(error).rstrip("."), mend)) from error


# --- which pruner ----------------------------------------------------------------------------


def resolve_pruner(search: Search) -> Policy:
    """The pruner that a search uses, `auto` replaced by a name.

    `auto` is successive halving with factor 3 and a first rung at two steps or more (`first_rung`),
    and none where pruning cannot help: several objectives (Optuna cannot), trials of one or two
    steps, and the Gaussian process, which learns from COMPLETE trials only and, unpruned, had less
    regret for the same cost than any pruned search (3.4 against 6.0 at 25 full trainings, FACTS.md).

    Returns:
        a policy whose name is one of PRUNERS but `auto`. Without `min_resource` (successive
        halving) or `max_resource` (hyperband) the first COMPLETE trial decides it.
    """
    if len(search.objectives) > 1:
        return Policy("none")
    if search.pruner.name != "auto":
        return search.pruner
    steps = known_steps(search)
    if resolve_sampler(search).name == "gp" or (steps is not None and steps <= FIRST_RUNG_STEPS):
        return Policy("none")
    rung = {} if steps is None else {"min_resource": first_rung(steps)}
    return Policy("successive_halving", {**rung, "reduction_factor": RUNG_FACTOR, **search.pruner.arguments})


def first_rung(steps: int) -> int:
    """The step at which trials of `steps` steps are first compared.

    Early values rank all configurations well (correlation 0.95 of epoch 6 with epoch 52) and the
    best tenth badly (0.2 to 0.8, FACTS.md). Two rungs of factor 3 leave the best ninth; so two
    rungs at most lie before a third of the budget, and the best tenth is not cut before that.
    """
    return max(FIRST_RUNG_STEPS, math.ceil(steps / RUNG_FACTOR**3))


def known_steps(search: Search) -> int | None:
    """The most steps of a trial, if the file fixes them: `fit.max_epochs` or `fit.epochs`."""
    longest = [_fit_epochs(search, fit) for fit in (t.fit for t in search.trainers.values())]
    known = [steps for steps in longest if steps is not None]
    return max(known) if len(known) == len(longest) else None


def _fit_epochs(search: Search, fit: Mapping[str, Any]) -> int | None:
    for key in ("max_epochs", "epochs"):
        if f"fit.{key}" in search.full_space.params:
            return None
        steps = search.full_space.constants.get(f"fit.{key}", fit.get(key))
        if isinstance(steps, int) and steps > 0:
            return steps
    return None


class Pruning:
    """The pruner of a study, and what it has to learn first: how many steps a trial takes.

    Optuna's successive halving and hyperband keep that in the pruner, found at whichever report
    comes first after a COMPLETE trial. Here the COMPLETE trial itself settles it, so that a study
    rebuilt from a ledger has the same pruner.

    Attributes:
        judged: the steps at which a trial that reports every step may be cut; None: at any, or not known yet.
            A trial that leaves the objective out of the report of such a step is cut at its next one.
    """

    def __init__(self, search: Search) -> None:
        self.policy = resolve_pruner(search)
        self.pruner: BasePruner = NopPruner()
        self._auto = search.pruner.name == "auto"
        self._steps = known_steps(search)
        self._settled = False
        self.judged: tuple[int, ...] | None = None
        self._complete = 0
        # Faults of the arguments are found now, not when the first trial is COMPLETE.
        make_pruner(Policy(self.policy.name, _with_length(self.policy, PROBE_STEPS, self._auto) or {}))
        self._settle()

    def completed(self, steps: int | None) -> None:
        """A trial is COMPLETE after so many steps (None: it reported none)."""
        self._complete += 1
        if self._settled or not steps or (self._auto and steps <= FIRST_RUNG_STEPS):
            return
        self._steps = steps
        self._settle()

    def prune(self, study: optuna.Study, trial: optuna.trial.FrozenTrial) -> bool:
        """Whether the trial, which has just reported, is to be cut."""
        cut = self.pruner.prune(study, trial)
        if not (cut and self._auto):
            return cut
        unfinished = self._steps is None or (trial.last_step or 0) < self._steps
        return unfinished and self._complete >= COMPLETE_BEFORE_PRUNING

    def _settle(self) -> None:
        arguments = _with_length(self.policy, self._steps, self._auto)
        if arguments is None:
            return
        self._settled = True
        settled = Policy(self.policy.name, arguments)
        self.pruner = make_pruner(settled)
        most = self._steps if self._auto and self._steps else MOST_STEPS
        if settled.name == "none":
            self.judged = ()
        elif settled.name in ("successive_halving", "hyperband"):
            self.judged = tuple(itertools.takewhile(lambda step: step < most, _rungs(settled)))


def _rungs(policy: Policy) -> Iterator[int]:
    """Of successive halving; of hyperband those of all brackets, which lie on each other."""
    known = inspect.signature(_PRUNERS[policy.name]).parameters
    given = {**{name: each.default for name, each in known.items()}, **policy.arguments}
    factor, skipped = given["reduction_factor"], given.get("min_early_stopping_rate", 0)
    for rung in itertools.count(skipped):
        yield math.ceil(given["min_resource"] * factor**rung)


def _with_length(policy: Policy, steps: int | None, auto: bool) -> dict[str, Any] | None:
    """The pruner's arguments with the length of a trial in them; None while it is not known."""
    arguments = dict(policy.arguments)
    wanted = {"successive_halving": "min_resource", "hyperband": "max_resource"}.get(policy.name)
    if wanted is None or arguments.get(wanted, "auto") != "auto":
        return arguments
    if steps is None:
        return None
    if policy.name == "hyperband":
        return {**arguments, wanted: max(steps, arguments.get("min_resource", 1))}
    return {**arguments, wanted: first_rung(steps) if auto else max(1, steps // 100)}


def make_pruner(policy: Policy) -> BasePruner:
    """Optuna's pruner.

    Raises:
        InputError: Optuna refuses the arguments.
    """
    arguments = {"percentile": 25.0, **policy.arguments} if policy.name == "percentile" else policy.arguments
    if policy.name == "hyperband" and arguments["max_resource"] < arguments.get("min_resource", 1):
        what, mend = "max_resource is below min_resource", "Raise max_resource, or leave it out"
        raise InputError(Fault("search.pruner", what, mend))
    pruner: BasePruner = _built("search.pruner", policy, _PRUNERS[policy.name], arguments)
    return pruner


# --- axes ------------------------------------------------------------------------------------


def distribution(parameter: Parameter) -> BaseDistribution:
    """Optuna's form of a parameter; a choice is suggested by index, so that True and 1 are two."""
    if isinstance(parameter, Choice):
        return CategoricalDistribution(range(len(parameter.options)))
    with warnings.catch_warnings():
        # A range that its step does not divide ends at the last step inside; Optuna warns of it.
        warnings.filterwarnings("ignore", ".*not divisible by", UserWarning)
        if isinstance(parameter, Float):
            return FloatDistribution(
                float(parameter.low),
                float(parameter.high),
                log=parameter.log,
                step=None if parameter.step is None else float(parameter.step),
            )
        return IntDistribution(parameter.low, parameter.high, log=parameter.log, step=parameter.step or 1)


# --- shares of several trainers --------------------------------------------------------------


def owed(asked: Sequence[int], horizon: int) -> int | None:
    """Which of several trainers has to be asked next, so that none falls under its share.

    Of k trainers each gets at least 1/(2k) of the trials at every count from k to `horizon`,
    which for two is a quarter. A trainer is due once the trials that are owed up to some count
    fill all the places up to it (earliest deadline first).

    Args:
        asked: trials asked so far, by trainer.
        horizon: the last count of trials for which the floor holds.

    Returns:
        the trainer's position; None when the sampler is free to choose.
    """
    k, done = len(asked), sum(asked)
    for total in range(max(k, done + 1), horizon + 1):
        floor = -(-total // (2 * k))
        lacking = [max(0, floor - count) for count in asked]
        if sum(lacking) >= total - done:
            return lacking.index(max(lacking))
    return None
