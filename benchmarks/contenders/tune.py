"""Stock Ray Tune, as its documentation shows it: Tuner, OptunaSearch, ASHAScheduler, MLflowLoggerCallback.

- A function trainable that reports by Tune's own callbacks for Lightning and Keras, at each validation.
  They may checkpoint at each report too; here they do not, which is in Tune's favour (automl keeps the
  weights of the best three trials).
- `OptunaSearch(seed=...)`: Optuna's TPE. It has no other pruner than Tune's scheduler.
- `medium`: `ASHAScheduler` with `max_t` of a whole trial, first rung 2 and factor 3, the setting with
  which it searched best; its default (1 and 4) cuts more. `short`: nothing is to be cut, so the default
  scheduler, FIFO.
- `max_concurrent_trials`, one CPU a trial, `ray.init` with as many CPUs as slots, else by default.
- `reuse_actors` off (the default) and on. Loggers, snapshots and all else are left as they are.
- MLflow on SQLite, in the working folder, as for everyone.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
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
    outcome,
    python,
    tell,
    told,
)

__all__ = ["command", "outcome"]


def command(folder: Path, workload: Workload, reuse: bool) -> list[str]:
    return python("tune", workload, reuse=reuse)


def trainable(workload: Workload) -> Callable[[dict[str, Any]], None]:
    """The function that Tune calls with each point of the space."""

    def lightning(config: dict[str, Any]) -> None:
        from ray.tune.integration.pytorch_lightning import TuneReportCheckpointCallback

        from contenders.training import fit_lightning

        report = TuneReportCheckpointCallback(
            [METRIC, "val_loss"], save_checkpoints=False, on="validation_end"
        )
        fit_lightning(workload, config, [report])

    def keras(config: dict[str, Any]) -> None:
        from ray.tune.integration.keras import TuneReportCheckpointCallback

        from contenders.training import fit_keras

        # An empty list of when to checkpoint, and metrics alone are reported, at each epoch's end.
        fit_keras(workload, config, [TuneReportCheckpointCallback(checkpoint_on=[])])

    return {"lightning": lightning, "keras": keras}[workload.framework]


def space() -> Mapping[str, Any]:
    """The shared space in Tune's words."""
    from ray import tune

    def domain(what: Any) -> Any:
        if isinstance(what, Pick):
            return tune.choice(list(what.options))
        return (tune.loguniform if what.log else tune.uniform)(what.low, what.high)

    return {name: domain(what) for name, what in SPACE.items()}


def main() -> None:
    workload, options = told()
    import ray
    from ray import tune
    from ray.air.integrations.mlflow import MLflowLoggerCallback
    from ray.tune.schedulers import ASHAScheduler
    from ray.tune.search.optuna import OptunaSearch

    halving = ASHAScheduler(max_t=workload.epochs, grace_period=GRACE_EPOCHS, reduction_factor=FACTOR)
    search = OptunaSearch(seed=SEED)
    ray.init(num_cpus=SLOTS)
    tuner = tune.Tuner(
        tune.with_resources(trainable(workload), {"cpu": 1}),
        param_space=dict(space()),
        tune_config=tune.TuneConfig(
            metric=METRIC,
            mode="max",
            search_alg=search,
            scheduler=halving if workload.pruned else None,
            num_samples=workload.trials,
            max_concurrent_trials=SLOTS,
            reuse_actors=options["reuse"],
        ),
        run_config=tune.RunConfig(
            name="peers",
            storage_path=str(Path("ray_results").resolve()),
            callbacks=[MLflowLoggerCallback(tracking_uri="sqlite:///mlflow.db", experiment_name="peers")],
        ),
    )
    results = tuner.fit()
    states = ["ERROR" if result.error else "TERMINATED" for result in results]
    tell(results.get_best_result().metrics[METRIC], states, note(workload, results, search))


def note(workload: Workload, results: Any, search: Any) -> str:
    """How many trials the scheduler cut, and what Tune's searcher told Optuna of all of them."""
    cut = sum((result.metrics or {}).get("training_iteration", 0) < workload.epochs for result in results)
    told_optuna = [trial.state.name for trial in search._ot_study.trials]
    words = ", ".join(f"{state} {told_optuna.count(state)}" for state in sorted(set(told_optuna)))
    return f"{cut} cut by ASHA; in Optuna {words}" if workload.pruned else f"in Optuna {words}"


if __name__ == "__main__":
    main()
