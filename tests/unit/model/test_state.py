"""States, moves between them, and the numbers under which they are stored."""

from __future__ import annotations

import pytest

from rota.model.outcome import Kind
from rota.model.state import FINAL, MOVES, Final, State


def test_every_state_has_its_moves() -> None:
    assert set(MOVES) == set(State)


def test_every_state_can_be_reached_and_every_job_can_be_finished() -> None:
    """No state is a trap: from each live one a final one can be reached."""
    reached = {State.WAITING, State.SCHEDULED} | {state for after in MOVES.values() for state in after}
    can_end = set(FINAL)
    for _ in State:
        can_end |= {state for state, after in MOVES.items() if after & can_end}

    assert reached == set(State)
    assert can_end == set(State)


def test_a_success_is_never_undone() -> None:
    assert MOVES[State.SUCCEEDED] == frozenset()


@pytest.mark.parametrize("state", sorted(FINAL - {State.SUCCEEDED}))
def test_other_finished_jobs_can_only_be_reopened(state: State) -> None:
    assert MOVES[state] == {State.WAITING}


def test_only_a_running_job_succeeds_or_fails() -> None:
    """Whatever never ran cannot have done its work."""
    for outcome in (State.SUCCEEDED, State.FAILED):
        assert [state for state, after in MOVES.items() if outcome in after] == [State.RUNNING]


def test_a_final_state_says_so() -> None:
    assert {state for state in State if state.is_final} == FINAL


def test_the_stored_numbers_never_change() -> None:
    """They stand in millions of rows; a new one goes to the end."""
    assert [(final.value, final.state) for final in Final] == [
        (0, State.SUCCEEDED),
        (1, State.FAILED),
        (2, State.CANCELLED),
        (3, State.EXPIRED),
    ]


def test_an_outcome_that_finishes_a_job_has_the_number_of_its_state() -> None:
    """The store writes one for the other."""
    finals = [kind for kind in Kind if kind.is_final]

    assert [(kind.value, kind.name) for kind in finals] == [(final.value, final.name) for final in Final]
