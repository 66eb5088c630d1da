"""Optuna alone: one process for each slot, all at one study.

- Storage: `JournalStorage` on a `JournalFileBackend`. For several processes of one machine Optuna's page
  on parallelization names a journal file or a database server such as PostgreSQL, and advises against
  SQLite; the journal needs no server and is the quicker of the two without one.
- Every process opens the study by `create_study(load_if_exists=True)` and calls `optimize`;
  `MaxTrialsCallback` ends them at the budget. It counts running trials as well, so that no trial more
  than that is begun.
- TPE, seeded for each process apart, or all would draw the same first points. `medium`: Optuna's
  `SuccessiveHalvingPruner` with first rung 2 and factor 3 (its callbacks count epochs from 0, so the
  rung is at the third epoch where the others' is at the second).
- Reports at each validation: `KerasPruningCallback` of optuna-integration; for Lightning the same by
  hand, as its `PyTorchLightningPruningCallback` refuses `pytorch_lightning` and wants `lightning`.
- MLflow on SQLite by optuna-integration's `MLflowCallback`: a run for each trial with its parameters,
  state and final value (no curves, which is less than the others log). It is deprecated, yet there is
  no successor. No model is kept.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

from contenders.base import (
    FACTOR,
    GRACE_EPOCHS,
    METRIC,
    SEED,
    SLOTS,
    SPACE,
    Pick,
    Workload,
    make_experiment,
    outcome,
    python,
    tell,
    told,
)

__all__ = ["command", "outcome"]


def command(folder: Path, workload: Workload) -> list[str]:
    make_experiment(folder)
    return python("optuna_alone", workload)


def study(workload: Workload, slot: int) -> Any:
    """The study, opened by the process of a slot."""
    import optuna

    backend = optuna.storages.journal.JournalFileBackend("journal.log")
    halving = optuna.pruners.SuccessiveHalvingPruner(min_resource=GRACE_EPOCHS, reduction_factor=FACTOR)
    return optuna.create_study(
        study_name="peers",
        storage=optuna.storages.JournalStorage(backend),
        sampler=optuna.samplers.TPESampler(seed=SEED + slot),
        pruner=halving if workload.pruned else optuna.pruners.NopPruner(),
        direction="maximize",
        load_if_exists=True,
    )


def suggested(trial: Any) -> dict[str, Any]:
    """The next point of the shared space."""

    def value(name: str, what: Any) -> Any:
        if isinstance(what, Pick):
            return trial.suggest_categorical(name, what.options)
        return trial.suggest_float(name, what.low, what.high, log=what.log)

    return {name: value(name, what) for name, what in SPACE.items()}


def objective(workload: Workload, trial: Any) -> float:
    """Train one trial."""
    params = suggested(trial)
    if workload.framework == "keras":
        from optuna_integration import KerasPruningCallback

        from contenders.training import fit_keras

        return fit_keras(workload, params, [KerasPruningCallback(trial, METRIC)])
    from contenders.training import fit_lightning

    return fit_lightning(workload, params, [lightning_pruning(trial)])


def lightning_pruning(trial: Any) -> Any:
    """What optuna-integration's callback does, for `pytorch_lightning`."""
    import optuna
    import pytorch_lightning as pl

    class Pruning(pl.Callback):
        def on_validation_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
            trial.report(float(trainer.callback_metrics[METRIC]), step=pl_module.current_epoch)
            if trial.should_prune():
                raise optuna.TrialPruned(f"Trial was pruned at epoch {pl_module.current_epoch}.")

    return Pruning()


def work(workload: Workload, slot: int) -> None:
    """The process of a slot."""
    from optuna.study import MaxTrialsCallback
    from optuna.trial import TrialState
    from optuna_integration import MLflowCallback

    counted = (TrialState.COMPLETE, TrialState.PRUNED, TrialState.FAIL, TrialState.RUNNING)
    mlflow = MLflowCallback(tracking_uri="sqlite:///mlflow.db", metric_name=METRIC)
    ends = MaxTrialsCallback(workload.trials, states=counted)
    study(workload, slot).optimize(lambda trial: objective(workload, trial), callbacks=[mlflow, ends])


def main() -> None:
    """Start a process for each slot, as one would in as many terminals, and wait for them."""
    workload, options = told()
    if "slot" in options:
        work(workload, options["slot"])
        return
    commands = [python("optuna_alone", workload, slot=slot) for slot in range(SLOTS)]
    codes = [process.wait() for process in [subprocess.Popen(command) for command in commands]]
    if any(codes):
        sys.exit(f"the processes exited with {codes}")
    done = study(workload, 0)
    tell(done.best_value, [trial.state.name for trial in done.trials])


if __name__ == "__main__":
    main()
