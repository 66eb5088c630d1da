"""Which points a deep check trains: every branch of the conditions, and no branch twice."""

from __future__ import annotations

from typing import Any

from automl import Budget, Choice, Float, Int, Objective, Search, Trainer
from automl.deep import branches


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
