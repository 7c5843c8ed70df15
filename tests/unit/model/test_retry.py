"""What a user says about failed attempts: ``Retry``, ``Fail`` and ``Snooze``."""

from __future__ import annotations

import pickle
from datetime import timedelta

import pytest

from rota.errors import LimitError, UsageError
from rota.model.retry import Fail, Retry, Snooze


def test_a_bare_number_is_seconds() -> None:
    policy = Retry(base=2, cap=90, after=0.5)

    assert policy.base == timedelta(seconds=2)
    assert policy.cap == timedelta(seconds=90)
    assert policy.after == timedelta(milliseconds=500)
    assert Snooze(3).delay == timedelta(seconds=3)


def test_one_exception_or_several_are_worth_another_attempt() -> None:
    assert Retry(on=ValueError).on == (ValueError,)
    assert Retry(on=(ValueError, OSError)).on == (ValueError, OSError)
    assert Retry().on == (Exception,)


@pytest.mark.parametrize("on", ["ValueError", ("x",), ValueError("once"), int, (ValueError, None)])
def test_what_is_no_exception_class_is_refused(on: object) -> None:
    """It would be found out when the first handler raises, in the worker, at night."""
    with pytest.raises(UsageError, match=r"Retry\(on=…\) names .*: exception classes are needed"):
        Retry(on=on)  # type: ignore[arg-type]


@pytest.mark.parametrize("delay", ["1h", None, True, [5]])
def test_a_wait_that_is_no_length_of_time_is_refused(delay: object) -> None:
    """With a sentence, as everything that a user gets wrong."""
    with pytest.raises(UsageError, match=r"Snooze\(…\) is .*: a timedelta is needed, or a number of seconds"):
        Snooze(delay)  # type: ignore[arg-type]


@pytest.mark.parametrize("attempts", [0, -1, 10_001, 2.0, True, "3"])
def test_a_number_of_attempts_that_makes_no_sense_is_refused(attempts: object) -> None:
    """``attempts=True`` is a slip for "yes, please"; what it would do is one attempt and no retry."""
    with pytest.raises(LimitError, match="a whole number from 1"):
        Retry(attempts=attempts)  # type: ignore[arg-type]


@pytest.mark.parametrize("meant", [5, 0.5, timedelta(minutes=1)])
def test_a_number_without_a_name_is_refused(meant: object) -> None:
    """``Retry(5)`` would be a policy of three attempts whose reason is 5, and nobody would notice."""
    with pytest.raises(UsageError, match=r"Retry\(.*\): the reason comes first.*attempts=.*after="):
        Retry(meant)  # type: ignore[arg-type]


@pytest.mark.parametrize(("base", "cap"), [(0, 1), (2, 1)])
def test_a_base_of_nothing_or_above_the_cap_is_refused(base: float, cap: float) -> None:
    with pytest.raises(LimitError, match="base must be above zero"):
        Retry(base=base, cap=cap)


@pytest.mark.parametrize("span", [-1, timedelta(days=3_661), timedelta.max, float("nan"), float("inf"), 1e300])
def test_a_wait_that_no_store_can_write_down_is_refused(span: timedelta | float) -> None:
    """An instant beyond 64 bits would be refused by the store, when the job has already run."""
    with pytest.raises(LimitError):
        Retry(after=span)
    with pytest.raises(LimitError):
        Snooze(span)


def test_policies_are_the_same_when_they_say_the_same() -> None:
    assert Retry(attempts=5) == Retry(attempts=5)
    assert hash(Retry(attempts=5)) == hash(Retry(attempts=5))
    assert Retry(attempts=5) != Retry(attempts=6)
    assert Retry() != ValueError()


def test_what_is_raised_says_why() -> None:
    assert str(Retry("busy")) == Retry("busy").reason == "busy"
    assert str(Fail("closed")) == Fail("closed").reason == "closed"


def test_a_fail_survives_being_copied_between_processes() -> None:
    """A handler may raise it in a pool of its own."""
    copied = pickle.loads(pickle.dumps(Fail("closed")))

    assert copied.reason == "closed"


def test_a_snooze_cannot_be_changed() -> None:
    with pytest.raises(AttributeError):
        Snooze(3).delay = timedelta(0)  # type: ignore[misc]
