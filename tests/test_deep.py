"""Which points a deep check trains: every branch of the conditions, and no branch twice."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from automl import Budget, Choice, Float, Int, Objective, Search, Trainer
from automl.deep import branches, deep_faults
from automl.host import Host
from automl.plan import inspect, plan
from automl.specfile import load


def points(space: dict[str, Any], trainers: tuple[str, ...] = ("trainer",)) -> list[dict[str, Any]]:
    search = Search(
        name="s",
        objective=Objective("loss", "minimize"),
        trainers={name: Trainer("function", model="trainers.x:y") for name in trainers},
        space=space,
        budget=Budget(trials=1),
    )
    return [point for point, _ in branches(search)]


def test_without_conditions_there_is_one_point_at_the_low_bounds() -> None:
    space = {"model.a": Float(0.5, 1.0), "model.b": Choice(["x", "y"]), "model.c": 3}
    assert points(space) == [{"model.c": 3, "model.a": 0.5, "model.b": "x"}]


def test_every_trainer_is_a_branch() -> None:
    space = {"model.a": Int(1, 2), "model.b": Int(3, 4, when={"trainer": "two"})}
    assert points(space, ("one", "two", "three")) == [
        {"trainer": "one", "model.a": 1},
        {"trainer": "two", "model.a": 1, "model.b": 3},
        {"trainer": "three", "model.a": 1},
    ]


def test_options_that_open_the_same_parameters_are_one_branch() -> None:
    space = {
        "model.kind": Choice(["a", "b", "c", "d"]),
        "model.x": Int(1, 9, when={"model.kind": ["b", "c"]}),
    }
    assert points(space) == [{"model.kind": "a"}, {"model.kind": "b", "model.x": 1}]


def test_conditions_in_a_chain_are_followed() -> None:
    space = {
        "model.a": Choice([False, True]),
        "model.b": Int(1, 5, when={"model.a": True}),
        "model.c": Float(0.0, 1.0, when={"model.b": 4}),
    }
    assert points(space) == [
        {"model.a": False},
        {"model.a": True, "model.b": 1},
        {"model.a": True, "model.b": 4, "model.c": 0.0},
    ]


# --- what cannot be kept ---------------------------------------------------------------------


LIGHTNING = """
  fine: {framework: lightning, model: "trainers.tiny_lightning:TinyNet",
    data: &d "trainers.keeps_lightning:TinyData"}
  unwritable: {framework: lightning, model: "trainers.keeps_lightning:UnwritableNet", data: *d}
  unreadable: {framework: lightning, model: "trainers.keeps_lightning:UnreadableNet", data: *d}
"""
KERAS = """
  fine: {framework: keras, model: "trainers.tiny_keras:net", data: &d "trainers.tiny_keras:data"}
  unwritable: {framework: keras, model: "trainers.keeps_keras:unwritable_net", data: *d}
"""
FUNCTION = """
  fine: {framework: function, model: "trainers.keeps:keeps_all"}
  forgets: {framework: function, model: "trainers.keeps:misreads"}
  unwritable: {framework: function, model: "trainers.keeps:fits_its_own"}
"""
WHOLE = """
name: s
objective: {metric: METRIC, direction: minimize}
trainers:TRAINERS
space: {}
budget: {trials: 1}
tracking: TRACKING
"""


def deep(project: Path, trainers: str, metric: str = "val_loss", tracking: str = "false") -> dict[str, str]:
    """What a deep check finds, by trainer."""
    file = project / "s.yaml"
    text = WHOLE.replace("TRAINERS", trainers.rstrip()).replace("METRIC", metric)
    file.write_text(text.replace("TRACKING", tracking))
    planned = plan(load(file))
    with closing(Host(str(project), 1)) as host:
        faults, signatures = inspect(planned, host)
        assert faults == []
        found = deep_faults(planned, host, signatures)
        assert all(fault.line for fault in planned.search.located(found))
    return {fault.where.partition(".")[2]: f"{fault.what}. {fault.mend}" for fault in found}


def test_what_lightning_cannot_keep_or_take_up_again_is_a_fault(project: Path) -> None:
    found = deep(project, LIGHTNING)
    assert found.keys() == {"unwritable", "unreadable"}
    assert found["unwritable"].startswith("its checkpoint cannot be written: ")
    assert "lambda" in found["unwritable"]
    said = "it cannot go on from its checkpoint: it holds an object of trainers.keeps_lightning.Settings, and"
    assert found["unreadable"].startswith(said)
    assert not (project / "runs").exists()


@pytest.mark.parametrize("tracking", ["{}", "false"])
def test_a_module_that_could_never_be_published_is_a_fault_where_it_would_be(
    project: Path, tracking: str
) -> None:
    mute = 'mute: {framework: lightning, model: "trainers.keeps_lightning:MuteNet", data: *d}'
    found = deep(project, "\n".join([*LIGHTNING.splitlines()[:3], f"  {mute}"]), tracking=tracking)
    assert found == (
        {
            "mute": "its winner could not be published: MuteNet has no forward. Write forward in "
            "trainers.keeps_lightning:MuteNet: what a published model predicts; or tracking: false"
        }
        if tracking == "{}"
        else {}
    )


def test_what_keras_cannot_keep_is_a_fault(project: Path) -> None:
    (project / "runs").mkdir()
    found = deep(project, KERAS)
    assert found.keys() == {"unwritable"}
    assert found["unwritable"].startswith("its weights cannot be ")
    assert list((project / "runs").iterdir()) == []


def test_what_a_callable_cannot_keep_or_take_up_again_is_a_fault(project: Path) -> None:
    found = deep(project, FUNCTION, "loss")
    assert found.keys() == {"forgets", "unwritable"}
    what = "it cannot go on from its checkpoint: FileNotFoundError: "
    assert found["forgets"].startswith(what)
    assert "Look at trainers/keeps.py:" in found["forgets"]
    assert found["unwritable"].startswith("its weights cannot be ")
