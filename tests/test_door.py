"""The Python door: a search in, the best model out."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import automl
from automl.begin import begin
from automl.errors import InputError, StorageError
from automl.run import Silent

QUADRATIC = "search_spaces/quadratic.yaml"


def test_a_search_from_a_file_gives_its_best_trial_and_a_table(project: Path) -> None:
    search = automl.load(project / QUADRATIC, ["budget.trials=4"])
    result = automl.run(search, engine="local", view=Silent())
    assert (result.name, result.state, result.reason, result.exit_code) == (
        "quadratic",
        "ENDED",
        "budget.trials",
        0,
    )
    table = result.trials()
    assert list(table.columns) == [
        "number",
        "state",
        "trainer",
        "params.model.x",
        "params.model.y",
        "values.loss",
        "seconds",
        "error",
    ]
    assert list(table["state"]) == ["COMPLETE"] * 4
    best = table.loc[table["values.loss"].idxmin()]
    assert result.best.number == best["number"]
    assert result.best.values == (best["values.loss"],)
    assert result.best.params == {"model.x": best["params.model.x"], "model.y": best["params.model.y"]}
    assert result.best.model is None


def test_the_same_call_carries_on_and_the_budget_counts_what_is_there(project: Path) -> None:
    first = automl.run(automl.load(project / QUADRATIC, ["budget.trials=2"]), "local", view=Silent())
    again = automl.run(automl.load(project / QUADRATIC, ["budget.trials=3"]), "local", view=Silent())
    assert (len(first.trials()), len(again.trials())) == (2, 3)
    assert list(again.trials()["number"]) == [0, 1, 2]


def test_run_stays_a_function_although_a_room_has_its_name(project: Path) -> None:
    from automl.run import plan

    assert plan(automl.load(project / QUADRATIC)).root == project
    assert callable(automl.run)
    assert "engine" in automl.run.__annotations__


def test_a_search_in_python_needs_no_file(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(project)
    search = automl.Search(
        name="in-python",
        objective=automl.Objective("loss", "minimize"),
        trainer=automl.Trainer("function", model="trainers.tiny_function:quadratic"),
        space={"model.x": automl.Float(-1.0, 1.0), "model.steps": 1},
        budget=automl.Budget(trials=2),
        tracking=None,
    )
    assert automl.check(search) == []
    assert automl.run(search, engine="local", view=Silent()).exit_code == 0


def test_several_objectives_give_the_front_as_a_list(project: Path) -> None:
    result = automl.run(project / "search_spaces/two_objectives.yaml", "local", view=Silent())
    table = result.trials()
    assert {"values.near", "values.far"} <= set(table.columns)
    values = [best.values for best in result.best]
    assert values
    assert not any(a != b and all(x <= y for x, y in zip(a, b, strict=True)) for a in values for b in values)


def test_without_a_complete_trial_there_is_no_best(project: Path) -> None:
    words = ["budget.trials=1", "space.model.above=-9.0"]
    search = automl.load(project / "search_spaces/returns_nan.yaml", words)
    result = automl.run(search, "local", view=Silent())
    assert (result.best, result.exit_code) == (None, 1)
    assert "loss is nan" in result.trials().loc[0, "error"]


def test_a_model_that_was_not_kept_says_what_to_return(project: Path) -> None:
    search = automl.load(project / QUADRATIC, ["budget.trials=1"])
    result = automl.run(search, "local", view=Silent())
    with pytest.raises(StorageError, match="return a scikit-learn estimator"):
        result.best.load()


def test_a_faulty_search_raises_all_its_faults_and_check_returns_them(project: Path) -> None:
    words = ["space.model.x={float: [1, 0]}", "budget.trials=0"]
    with pytest.raises(InputError) as caught:
        automl.load(project / QUADRATIC, words)
    assert {fault.where for fault in caught.value.faults} == {"space.model.x", "budget.trials"}
    assert {fault.where for fault in automl.check(project / QUADRATIC, words)} == {
        "space.model.x",
        "budget.trials",
    }
    assert not (project / "automl.db").exists()


def test_the_best_model_loads_here_and_from_mlflow(tmp_path: Path) -> None:
    begin(tmp_path / "mine")
    search = automl.load(tmp_path / "mine/search_spaces/forest.yaml", ["budget.trials=2"])
    result = automl.run(search, "local", view=Silent())
    assert result.tracking_uri == f"sqlite:///{tmp_path}/mine/mlflow.db"
    assert result.best.model.startswith("models:/")
    forest = result.best.load()
    rows = np.zeros((3, 64))
    program = f"""
import mlflow, numpy as np
mlflow.set_tracking_uri({result.tracking_uri!r})
print(mlflow.pyfunc.load_model({result.best.model!r}).predict(np.zeros((3, 64))).tolist())
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert done.stdout.strip() == str(forest.predict(rows).tolist()), done.stderr
