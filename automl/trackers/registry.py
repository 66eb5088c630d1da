"""The winner's model folder, as a logged model of its run and as a registered model's version.

Knows no search beyond the winner. What is already there is found by its tags and used again, so
that a tracker that was killed half way registers nothing twice.
"""

from __future__ import annotations

import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from mlflow.entities import LoggedModel, LoggedModelOutput, Metric
from mlflow.entities.model_registry import ModelVersion
from mlflow.exceptions import MlflowException
from mlflow.models import Model
from mlflow.tracking import MlflowClient

from automl.errors import TrackingError
from automl.results import Trial
from automl.trackers.picture import finite_metrics

CHAMPION = "champion"
READY: Literal["READY"] = "READY"
# Versions made within so long may not have seen each other when they chose the champion.
TOGETHER_MS = 60_000


@dataclass(frozen=True)
class Published:
    """A trial whose model was built and verified.

    Args:
        search: the search's name.
        identity: tells searches of one name in different ledgers apart.
        trial: the winner.
        objectives: `{"metric", "direction"}` each.
        folder: an MLflow model folder.
    """

    search: str
    identity: str
    trial: Trial
    objectives: Sequence[Mapping[str, Any]]
    folder: Path

    @property
    def tags(self) -> dict[str, str]:
        """What a version says of where it comes from and how good it is."""
        values = self.trial.values or []
        return {
            "automl.search": self.search,
            "automl.id": self.identity,
            "automl.trial": str(self.trial.number),
            "automl.metric": ",".join(o["metric"] for o in self.objectives),
            "automl.direction": ",".join(o["direction"] for o in self.objectives),
            "automl.value": ",".join(repr(float(value)) for value in values),
        }


def publish(
    client: MlflowClient, winner: Published, experiment: str, run_id: str, register: str | None
) -> str:
    """Logs the winner's model on its run, registers it, and makes it champion if it is the best.

    Args:
        client: of the tracking server.
        winner: the trial and its model folder.
        experiment, run_id: where the trial is shown.
        register: the registered model's name, or None.

    Returns:
        what `mlflow.pyfunc.load_model` takes: `models:/NAME@champion`, `models:/NAME/VERSION` where
        an earlier champion is better, or `models:/m-...` where nothing is registered.

    Raises:
        MlflowException: the server refused or is away.
        TrackingError: the folder is gone, and its model was not logged before.
    """
    model = _logged(client, winner, experiment, run_id)
    if register is None:
        return f"models:/{model.model_id}"
    version = _version(client, winner, model, run_id, register)
    if _champion(client, winner, version, register):
        return f"models:/{register}@{CHAMPION}"
    return f"models:/{register}/{version.version}"


def _logged(client: MlflowClient, winner: Published, experiment: str, run_id: str) -> LoggedModel:
    """The run's logged model, uploaded unless it is there whole."""
    mine = [
        model
        for model in client.search_logged_models([experiment], f"source_run_id = '{run_id}'")
        if model.tags.get("automl.trial") == str(winner.trial.number)
    ]
    model = mine[0] if mine else None
    if model is None:
        _require(winner.folder)
        model = client.create_logged_model(experiment, "model", run_id, winner.tags)
    if str(model.status) != READY:
        _require(winner.folder)
        _upload(client, winner, model, run_id)
        model = client.finalize_logged_model(model.model_id, READY)
    return model


def _require(folder: Path) -> None:
    if not (folder / "MLmodel").is_file():
        raise TrackingError(f"there is no MLflow model in {folder} any more: it was moved or deleted")


def _upload(client: MlflowClient, winner: Published, model: LoggedModel, run_id: str) -> None:
    """Uploads the folder; its MLmodel file goes last, and says which run and model it is."""
    client.log_model_artifacts(model.model_id, str(winner.folder))
    described = Model.load(str(winner.folder))
    described.run_id, described.model_id = run_id, model.model_id
    described.artifact_path = model.artifact_location
    with tempfile.TemporaryDirectory() as folder:
        described.save(f"{folder}/MLmodel")
        client.log_model_artifact(model.model_id, f"{folder}/MLmodel")
    step = winner.trial.step or 0
    client.log_outputs(run_id, [LoggedModelOutput(model.model_id, step)])
    _measure(client, winner, model, run_id, step)


def _measure(client: MlflowClient, winner: Published, model: LoggedModel, run_id: str, step: int) -> None:
    """The model's metrics: those of its step, with their own times, so that the run has them once."""
    for report in winner.trial.reports:
        if report.step == step:
            metrics = [
                Metric(name, value, int(report.time_s * 1000), step, model_id=model.model_id, run_id=run_id)
                for name, value in finite_metrics(report).items()
            ]
            client.log_batch(run_id, metrics=metrics)


def _version(
    client: MlflowClient, winner: Published, model: LoggedModel, run_id: str, register: str
) -> ModelVersion:
    """The registered model's version of this trial, made unless it is there."""
    try:
        client.create_registered_model(register, {"automl.search": winner.search})
    except MlflowException as error:
        if error.error_code != "RESOURCE_ALREADY_EXISTS":
            raise
    for version in client.search_model_versions(f"name = '{register}' AND run_id = '{run_id}'"):
        if all(version.tags.get(name) == value for name, value in winner.tags.items()):
            return version
    return client.create_model_version(
        register, f"models:/{model.model_id}", run_id, winner.tags, model_id=model.model_id
    )


def _champion(client: MlflowClient, winner: Published, version: ModelVersion, register: str) -> bool:
    """Moves the alias to this version if it beats the one that has it; whether it has it now."""
    try:
        current = client.get_model_version_by_alias(register, CHAMPION)
    except MlflowException as error:
        if error.error_code not in ("RESOURCE_DOES_NOT_EXIST", "INVALID_PARAMETER_VALUE"):
            raise
        current = None
    if current is not None and str(current.version) == str(version.version):
        return True
    if current is not None and not beats(winner.tags, current.tags):
        return False
    client.set_registered_model_alias(register, CHAMPION, version.version)
    return not _yields(client, version, register)


def _yields(client: MlflowClient, version: ModelVersion, register: str) -> bool:
    """Hands the alias on to a better version that was made at the same time; whether there is one.

    MLflow has no compare-and-set: two searches that end together both find the champion of before.
    Each version is there before its search looks, so whoever looks last sees both.
    """
    best = version
    for rival in client.search_model_versions(f"name = '{register}'"):
        apart_ms = abs(int(rival.creation_timestamp) - int(version.creation_timestamp))
        if apart_ms < TOGETHER_MS and beats(rival.tags, best.tags):
            best = rival
    if best is not version:
        client.set_registered_model_alias(register, CHAMPION, best.version)
    return best is not version


def beats(tags: Mapping[str, str], others: Mapping[str, str]) -> bool:
    """Whether a version is better than another, by their tags.

    Only like is compared with like: the same metrics in the same directions. With several
    objectives a version must be at least as good in all of them and better in one.
    """
    if any(tags.get(name) != others.get(name) for name in ("automl.metric", "automl.direction")):
        return False
    try:
        mine, theirs = _costs(tags), _costs(others)
    except (KeyError, ValueError):
        return False
    return (
        len(mine) == len(theirs) and mine != theirs and all(a <= b for a, b in zip(mine, theirs, strict=True))
    )


def _costs(tags: Mapping[str, str]) -> list[float]:
    directions = tags["automl.direction"].split(",")
    values = [float(value) for value in tags["automl.value"].split(",")]
    return [-value if way == "maximize" else value for way, value in zip(directions, values, strict=True)]
