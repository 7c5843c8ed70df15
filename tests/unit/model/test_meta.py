"""What one submission overrides of its task."""

from __future__ import annotations

from datetime import timedelta

from hypothesis import given
from hypothesis import strategies as st

from rota.model.meta import Overrides, numbers_of, overrides_of
from rota.model.retry import Retry

TASKS_OWN = Retry(attempts=7, base=3, cap=30, on=ConnectionError)


def test_nothing_overridden_is_nothing_stored() -> None:
    assert Overrides().encode() is None


def test_what_is_not_said_is_the_tasks_own() -> None:
    meta = Overrides(timeout_ms=500).encode()

    assert meta is not None
    assert overrides_of(meta, TASKS_OWN, 9_000) == (TASKS_OWN, 500)


def test_no_limit_is_something_else_than_not_said() -> None:
    """``options(timeout=None)`` takes the task's limit away for one job."""
    meta = Overrides(timeout_ms=None).encode()

    assert meta is not None
    assert overrides_of(meta, TASKS_OWN, 9_000) == (TASKS_OWN, None)


def test_which_exceptions_are_worth_it_stays_with_the_task() -> None:
    """A class cannot be written down as JSON."""
    meta = Overrides(retry=numbers_of(Retry(attempts=2, base=1, cap=5))).encode()

    assert meta is not None
    assert overrides_of(meta, TASKS_OWN, None) == (Retry(attempts=2, base=1, cap=5, on=ConnectionError), None)


def test_a_wait_below_a_millisecond_is_not_rounded_to_nothing() -> None:
    numbers = numbers_of(Retry(base=timedelta(microseconds=1), cap=timedelta(microseconds=2)))

    assert (numbers.base_ms, numbers.cap_ms) == (1, 1)


@given(attempts=st.integers(1, 10_000), base_ms=st.integers(1, 10**9), more_ms=st.integers(0, 10**9))
def test_a_policy_comes_back_as_it_was_sent(attempts: int, base_ms: int, more_ms: int) -> None:
    sent = Retry(attempts=attempts, base=timedelta(milliseconds=base_ms), cap=timedelta(milliseconds=base_ms + more_ms))

    meta = Overrides(retry=numbers_of(sent)).encode()

    assert meta is not None
    assert overrides_of(meta, Retry(), None) == (sent, None)
