"""What an error says in one line."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from automl.causes import line
from automl.words import in_one_line


class MisconfigurationException(Exception):
    pass


SAID = [
    (KeyError("model\nlr"), r"KeyError: 'model\nlr'"),
    (ValueError("\n\n  no such layer\n"), "ValueError: no such layer"),
    (ValueError(), "ValueError"),
    (
        MisconfigurationException(
            "`Trainer(strategy='ddp')` does not go with an interactive environment.\n"
            "Run your code as a script, or choose a notebook-compatible strategy:\n  `strategy='auto'`"
        ),
        "MisconfigurationException: `Trainer(strategy='ddp')` does not go with an interactive environment. "
        "Run your code as a script, or choose a notebook-compatible strategy: `strategy='auto'`",
    ),
    (
        RuntimeError("Error(s) in loading state_dict for Net:\n\tsize mismatch for fc.weight: [4] and [3]."),
        "RuntimeError: Error(s) in loading state_dict for Net: size mismatch for fc.weight: [4] and [3].",
    ),
    (
        ValueError("Exception encountered when calling Dense.call().\n\n\x1b[1mInput 0 is too small.\x1b[0m"),
        "ValueError: Exception encountered when calling Dense.call(). Input 0 is too small.",
    ),
]


@pytest.mark.parametrize(("error", "said"), SAID, ids=[said[:30] for _, said in SAID])
def test_an_error_of_several_lines_keeps_its_type_and_its_message(error: Exception, said: str) -> None:
    assert line(error) == said


def test_of_a_long_error_the_first_line_and_the_end_are_kept() -> None:
    middle = "\n".join(f"  File dense.py, line {n}, in call" for n in range(100))
    said = line(RuntimeError(f"Graph execution error:\n{middle}\nlogits and labels must have the same size"))
    assert said.startswith("RuntimeError: Graph execution error: ... ")
    assert said.endswith(" in call logits and labels must have the same size")
    assert len(said) <= 500


@given(st.text(), st.integers(20, 60))
def test_one_line_is_never_more_than_one_and_never_too_long(text: str, most: int) -> None:
    said = in_one_line(text, most)
    assert len(said) <= most
    assert len(said.splitlines()) <= 1
