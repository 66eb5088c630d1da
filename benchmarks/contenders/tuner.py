"""Keras Tuner in its distributed mode: a chief with the oracle, and a worker process for each slot.

- Configured by the three environment variables of its guide to distributed tuning; all processes run
  the same script. The command ends when the workers have; the chief, which would then sleep for up to
  20 s more before it looks whether it may go, is ended there, in Keras Tuner's favour.
- `bayesian`: `BayesianOptimization` with as many trials as everyone has. Keras Tuner cannot cut a trial
  that compares badly, so all its trials of `medium` train to their end.
- `hyperband`: its way to spend less on bad trials, in `medium` only. It plans how many trials there are
  itself (those that go on with a better one's weights count anew), so compare its time with care.
- It keeps the best epoch's weights of every trial, which cannot be turned off.
- MLflow has no callback for it: each trial is a run with its parameters and best value, written by
  `run_trial`, the method that its guide names for such things. MLflow on SQLite, as for everyone.
"""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any

from contenders.base import (
    FACTOR,
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


def command(folder: Path, workload: Workload, kind: str) -> list[str]:
    make_experiment(folder)
    return python("tuner", workload, kind=kind)


def parameters(hp: Any) -> dict[str, Any]:
    """The shared space in Keras Tuner's words."""

    def value(name: str, what: Any) -> Any:
        if isinstance(what, Pick):
            return hp.Choice(name, list(what.options))
        return hp.Float(name, what.low, what.high, sampling="log" if what.log else "linear")

    return {name: value(name, what) for name, what in SPACE.items()}


def tuner(workload: Workload, kind: str) -> Any:
    """The tuner that chief and workers all make."""
    import keras_tuner
    from trainers.peers_keras import build

    common: dict[str, Any] = {
        "hypermodel": lambda hp: build(width=workload.width, **parameters(hp)),
        "objective": keras_tuner.Objective(METRIC, "max"),
        "seed": SEED,
        "directory": "tuner",
        "project_name": "peers",
    }
    if kind == "hyperband":
        own = {"max_epochs": workload.epochs, "factor": FACTOR}
        return _logged(keras_tuner.Hyperband)(**common, **own)
    return _logged(keras_tuner.BayesianOptimization)(**common, max_trials=workload.trials)


def _logged(kind: type[Any]) -> type[Any]:
    class Logged(kind):
        """Shows each trial in MLflow."""

        def run_trial(self, trial: Any, *args: Any, **given: Any) -> Any:
            import mlflow

            with mlflow.start_run(run_name=trial.trial_id):
                mlflow.log_params(trial.hyperparameters.values)
                results = super().run_trial(trial, *args, **given)
                mlflow.log_metric(METRIC, max(results[0].history[METRIC]))
            return results

    return Logged


def work(workload: Workload, kind: str) -> None:
    """The process of the chief, or of a worker: its environment says which."""
    from trainers.peers_keras import BATCH, data

    if os.environ["KERASTUNER_TUNER_ID"] != "chief":
        import mlflow

        mlflow.set_tracking_uri("sqlite:///mlflow.db")
        mlflow.set_experiment("peers")
    (x, y), validation = data(workload.copies)
    given = {"batch_size": BATCH, "epochs": workload.epochs, "validation_data": validation, "verbose": 0}
    if kind == "hyperband":
        del given["epochs"]  # its own to say
    tuner(workload, kind).search(x, y, **given)


def main() -> None:
    """Start the chief and the workers, wait for the workers."""
    workload, options = told()
    if "KERASTUNER_TUNER_ID" in os.environ:
        work(workload, options["kind"])
        return
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = str(probe.getsockname()[1])
    where = {**os.environ, "KERASTUNER_ORACLE_IP": "127.0.0.1", "KERASTUNER_ORACLE_PORT": port}
    roles = ["chief", *(f"tuner{slot}" for slot in range(SLOTS))]
    again = python("tuner", workload, kind=options["kind"])
    chief, *workers = [subprocess.Popen(again, env={**where, "KERASTUNER_TUNER_ID": role}) for role in roles]
    codes = [process.wait() for process in workers]
    chief.terminate()
    chief.wait()
    if any(codes):
        sys.exit(f"the workers exited with {codes}")
    read()


def read() -> None:
    """What the oracle has written, a file for each trial."""
    import json

    files = sorted(Path("tuner/peers").glob("trial_*/trial.json"))
    trials = [json.loads(file.read_text()) for file in files]
    scores = [trial["score"] for trial in trials if trial["score"] is not None]
    tell(max(scores, default=None), [trial["status"] for trial in trials])


if __name__ == "__main__":
    main()
