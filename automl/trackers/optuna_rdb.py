"""Mirrors finished trials into an Optuna RDB, for optuna-dashboard. Nothing ever reads it back.

Knows the ledger's events and Optuna's storage, not MLflow. The environment variable
AUTOML_OPTUNA_STORAGE names the database; it must be one of its own: Optuna and MLflow both keep a
table `alembic_version`, and break each other in one schema. On PostgreSQL a schema of its own will do
(`?options=-csearch_path%3Doptuna`).

Besides the brain, the only place that imports Optuna.
"""

from __future__ import annotations

import datetime as dt
import math
from collections.abc import Mapping, Sequence
from typing import Any

import optuna
from optuna.distributions import (
    BaseDistribution,
    CategoricalDistribution,
    FloatDistribution,
    IntDistribution,
)
from optuna.trial import FrozenTrial, TrialState

from automl.events import State
from automl.results import History, Trial
from automl.trackers.base import Plan, Read, Say
from automl.trackers.picture import text

NUMBER = "automl.trial"
STATES = {State.COMPLETE: TrialState.COMPLETE, State.PRUNED: TrialState.PRUNED, State.FAILED: TrialState.FAIL}


class OptunaMirror:
    """Keeps a study of the search's name up to date.

    Args:
        plan: the search.
        storage: an SQLAlchemy URL, of a database that nothing else uses.
    """

    def __init__(self, plan: Plan, storage: str) -> None:
        self._plan, self._storage = plan, storage
        self._history = History(plan.name)
        self._study: optuna.Study | None = None
        self._mirrored: set[int] = set()

    @property
    def cursor(self) -> int:
        """The position of the last event whose trials are mirrored."""
        return self._history.n if self._study else 0

    def catch_up(self, read: Read, say: Say) -> None:
        """Adds the trials that have finished; those that are there already are left alone.

        Raises:
            Exception: Optuna's storage is away or refuses.
        """
        for event in read(self._history.n):
            self._history.apply(event)
        study = self._study or self._open()
        for trial in self._history.of_state(*STATES):
            if trial.number not in self._mirrored:
                self._add(study, trial)
                self._mirrored.add(trial.number)

    def _add(self, study: optuna.Study, trial: Trial) -> None:
        metrics = [objective["metric"] for objective in self._plan.objectives]
        space = (self._history.spec or {}).get("space") or {}
        try:
            study.add_trial(frozen(trial, space, metrics))
        except ValueError:
            # The space was changed in a way that Optuna refuses: the parameters become attributes.
            study.add_trial(frozen(trial, {}, metrics))

    def _open(self) -> optuna.Study:
        optuna.logging.set_verbosity(optuna.logging.WARNING)
        study = optuna.create_study(
            storage=self._storage,
            study_name=self._plan.name,
            directions=[objective["direction"] for objective in self._plan.objectives],
            load_if_exists=True,
        )
        study.set_metric_names([objective["metric"] for objective in self._plan.objectives])
        self._mirrored = {trial.user_attrs[NUMBER] for trial in study.trials if NUMBER in trial.user_attrs}
        self._study = study
        return study


def frozen(trial: Trial, space: Mapping[str, Any], metrics: Sequence[str]) -> FrozenTrial:
    """A finished trial as Optuna stores it.

    Args:
        trial: of the ledger.
        space: parameters as the search file has them; those that are not searched become attributes.
        metrics: of the objectives; reports of a single one become intermediate values.
    """
    axes = {name: axis(spec) for name, spec in space.items() if name in trial.params}
    searched = {name: found for name, found in axes.items() if found is not None}
    params = {name: _inward(trial.params[name], searched[name]) for name in searched}
    fitting = {name for name, value in params.items() if _contains(searched[name], value)}
    rest = {name: text(value) for name, value in trial.params.items() if name not in fitting}
    attrs = {NUMBER: trial.number, "automl.trainer": trial.trainer, "automl.error": trial.error, **rest}
    return FrozenTrial(
        number=trial.number,
        trial_id=-1,
        state=STATES[trial.state],
        value=None,
        values=trial.values if trial.state is State.COMPLETE else None,
        datetime_start=_moment(trial.started_s or trial.asked_s),
        datetime_complete=_moment(trial.ended_s or trial.asked_s),
        params={name: params[name] for name in fitting},
        distributions={name: searched[name] for name in fitting},
        user_attrs={name: value for name, value in attrs.items() if value is not None},
        system_attrs={},
        intermediate_values=_intermediate(trial, metrics),
    )


def axis(spec: Any) -> BaseDistribution | None:
    """Optuna's distribution for one entry of a search file's space; None for a constant."""
    if not isinstance(spec, Mapping):
        return None
    if "float" in spec:
        low, high = map(float, spec["float"])
        return FloatDistribution(low, high, log=bool(spec.get("log")), step=spec.get("step"))
    if "int" in spec:
        low, high = spec["int"]
        return IntDistribution(low, high, log=bool(spec.get("log")), step=spec.get("step") or 1)
    if "choice" in spec:
        return CategoricalDistribution(_choices(spec["choice"]))
    return None


def _choices(options: Sequence[Any]) -> list[str]:
    # As text: Optuna takes no lists, and True, 1 and 1.0 are one choice to it.
    return [text(option) for option in options]


def _inward(value: Any, found: BaseDistribution) -> Any:
    return text(value) if isinstance(found, CategoricalDistribution) else value


def _contains(found: BaseDistribution, value: Any) -> bool:
    try:
        return found._contains(found.to_internal_repr(value))
    except (TypeError, ValueError):
        return False


def _intermediate(trial: Trial, metrics: Sequence[str]) -> dict[int, float]:
    """By step; Optuna takes none where there are several objectives."""
    if len(metrics) != 1:
        return {}
    seen = {report.step: report.metrics.get(metrics[0], math.nan) for report in trial.reports}
    return {step: value for step, value in seen.items() if math.isfinite(value)}


def _moment(seconds: float) -> dt.datetime:
    return dt.datetime.fromtimestamp(seconds)
