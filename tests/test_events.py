"""The table of moves, and how times are written."""

from __future__ import annotations

import re
from dataclasses import FrozenInstanceError

import pytest
from hypothesis import given
from hypothesis import strategies as st

from automl.events import FINAL, MOVES, Event, State, iso, move

STATES = st.sampled_from(list(State))


@given(st.lists(STATES, max_size=30))
def test_no_sequence_of_moves_leaves_a_final_state(wanted: list[State]) -> None:
    state, ended = State.WAITING, None
    for new in wanted:
        try:
            state = move(state, new)
        except ValueError:
            continue
        assert ended is None
        ended = state if state.final else None
    assert state is (ended or state)


@given(STATES, STATES)
def test_a_move_is_in_the_table_or_refused_with_both_states(old: State, new: State) -> None:
    if new in MOVES[old]:
        assert move(old, new) is new
    else:
        with pytest.raises(ValueError, match=f"from {old} to {new}"):
            move(old, new)


def test_every_state_has_its_moves_and_the_final_ones_none() -> None:
    assert set(MOVES) == set(State)
    assert {state for state, moves in MOVES.items() if not moves} == FINAL
    assert {State.COMPLETE, State.PRUNED, State.FAILED} == FINAL
    assert move(State.RUNNING, State.WAITING) is State.WAITING


@pytest.mark.parametrize(
    ("time_s", "text"),
    [
        (0.0, "1970-01-01T00:00:00.000Z"),
        (1795341600.0, "2026-11-22T10:00:00.000Z"),
        (1795341600.9996, "2026-11-22T10:00:00.999Z"),
        (1795341600.0625, "2026-11-22T10:00:00.062Z"),
        (None, None),
    ],
)
def test_times_are_utc_with_milliseconds(time_s: float | None, text: str | None) -> None:
    assert iso(time_s) == text


@given(st.floats(0, 4e9))
def test_times_sort_as_text(time_s: float) -> None:
    early, late = iso(time_s), iso(time_s + 0.002)
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", early or "")
    assert early is not None and late is not None and early < late


def test_an_event_is_frozen() -> None:
    with pytest.raises(FrozenInstanceError):
        Event("asked", 0).trial = 1  # type: ignore[misc]
