"""The parameters as values: checked when they are made, told apart by type, ordered by condition."""

from __future__ import annotations

from typing import Any

import pytest

from automl.errors import InputError
from automl.space import Choice, Float, Int, Space, holds, same


def whats(make: Any) -> list[str]:
    """What is wrong with a value, as a user reads it."""
    with pytest.raises(InputError) as caught:
        make()
    return [fault.what for fault in caught.value.faults]


@pytest.mark.parametrize(
    ("make", "what"),
    [
        (lambda: Float(1, 0), "low 1 is above high 0"),
        (lambda: Float(0, 1, log=True), "low is 0, a log scale needs low > 0"),
        (lambda: Float(-1.0, 1, log=True), "low is -1.0, a log scale needs low > 0"),
        (lambda: Float(1, 2, log=True, step=0.5), "log and step exclude each other"),
        (lambda: Float(0, 1, step=2), "step 2 is larger than the range from 0 to 1"),
        (lambda: Float(0, 1, step=0), "step is 0, it must be above zero"),
        (lambda: Float(float("nan"), 1), "nan is not a finite number"),
        (lambda: Float(0, float("inf")), "inf is not a finite number"),
        (lambda: Float("0", 1), "'0' is not a finite number"),  # type: ignore[arg-type]
        (lambda: Float(True, 2), "True is not a finite number"),
        (lambda: Float(0, 1, log=1), "1 is not true or false"),  # type: ignore[arg-type]
        (lambda: Float(None, 1), "low is missing"),  # type: ignore[arg-type]
        (lambda: Int(1.5, 3), "1.5 is not a whole number"),  # type: ignore[arg-type]
        (lambda: Int(1, 3, step=0.5), "0.5 is not a whole number"),  # type: ignore[arg-type]
        (lambda: Int(0, 8, log=True), "low is 0, a log scale needs low > 0"),
        (lambda: Choice([]), "no options"),
        (lambda: Choice("abc"), "'abc' is not a list of options"),
        (lambda: Choice([1, True, 1.0, 1]), "1 is given twice"),
        (lambda: Choice([[1], [True], [1]]), "[1] is given twice"),
        (lambda: Choice([object]), "<class 'object'> is not a JSON value"),
        (lambda: Choice([float("nan")]), "nan is not finite"),
        (lambda: Float(0, 1, when=["a"]), "['a'] is not a mapping of parameters"),  # type: ignore[arg-type]
        (lambda: Float(0, 1, when={}), "no condition"),
        (lambda: Float(0, 1, when={"model.a": []}), "no values"),
        (lambda: Space({}, {"model.a": {"b": 1}}), "a mapping, but no float, int or choice"),
    ],
)
def test_a_value_that_makes_no_sense_is_refused_when_it_is_made(make: Any, what: str) -> None:
    assert whats(make) == [what]


def test_all_faults_of_a_value_are_told_at_once() -> None:
    assert whats(lambda: Float(1, -1, log="yes", step=-1)) == [  # type: ignore[arg-type]
        "'yes' is not true or false",
        "low 1 is above high -1",
        "step is -1, it must be above zero",
    ]


def test_bounds_may_be_equal_and_integers_become_floats() -> None:
    assert same(Float(1, 1).low, 1.0)
    assert Int(3, 3, log=True).misfit(3) is None


@pytest.mark.parametrize(
    ("param", "value", "fits"),
    [
        (Float(0, 1), 0, True),
        (Float(0, 1), 1.0, True),
        (Float(0, 1), 1.1, False),
        (Float(0, 1), True, False),
        (Float(0, 1, step=0.1), 0.3, True),
        (Float(0, 1, step=0.1), 0.35, False),
        (Int(0, 9), 3.0, False),
        (Int(0, 9, step=3), 6, True),
        (Int(0, 9, step=3), 7, False),
        (Choice((1, "a")), True, False),
        (Choice((1, "a")), "a", True),
        (Choice(([1, 2],)), [1, 2], True),
    ],
)
def test_a_point_fits_a_parameter_or_not(param: Any, value: Any, fits: bool) -> None:
    assert (param.misfit(value) is None) is fits


def test_options_are_told_apart_by_type() -> None:
    assert [Choice((True, 1, 1.0)).index(value) for value in (1.0, 1, True)] == [2, 1, 0]
    with pytest.raises(ValueError, match="none of"):
        Choice((1,)).index("1")


def test_tuples_become_lists_because_the_ledger_holds_json() -> None:
    assert Choice([(1, 2)]).options == ([1, 2],)


def test_parameters_come_after_those_that_their_conditions_name() -> None:
    space = Space(
        {
            "c": Int(0, 1, when={"b": 1}),
            "b": Int(0, 1, when={"a": 1}),
            "a": Int(0, 1),
        }
    )
    assert [name for name, _ in space.ordered()] == ["a", "b", "c"]


def test_a_parameter_is_active_as_its_condition_says_on_parameters_and_constants() -> None:
    both = Int(0, 1, when={"a": ["x", "y"], "k": 3})
    assert Space({"p": both}, {"k": 3}).active("p", {"a": "y"})
    assert not Space({"p": both}, {"k": 4}).active("p", {"a": "y"})
    assert not Space({"p": both}, {"k": 3}).active("p", {})


def test_a_condition_on_a_list_means_any_of_it_or_the_list_itself() -> None:
    assert holds(["a", "b"], "b")
    assert holds([64, 32], [64, 32])
    assert not holds([1], True)
