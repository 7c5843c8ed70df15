"""What the end of an attempt means for its job, by example."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import Any

import pytest

from rota.model.outcome import Kind
from rota.model.retry import Fail, Retry, Snooze
from rota.settle.decide import JobTimeoutError, Verdict, judge
from tests.property.chance import Chance

NOW = 1_764_064_321_000_000
MINUTE_US = 60_000_000


def verdict_on(
    error: BaseException, *, failed_before: int = 0, policy: Retry | None = None, is_cancel_asked: bool = False
) -> Verdict:
    return judge(
        error,
        attempts=failed_before,
        policy=policy or Retry(attempts=3),
        now_us=NOW,
        entropy=Chance(1),
        is_cancel_asked=is_cancel_asked,
    )


def test_a_snooze_that_was_raised_is_a_dead_letter_that_says_what_to_write() -> None:
    """No attempt makes it better."""
    with pytest.raises(TypeError) as raised:
        raise Snooze(1)  # type: ignore[misc]

    for error in (raised.value, ExceptionGroup("in a task group", [raised.value])):
        verdict = verdict_on(error)
        assert verdict.kind is Kind.FAILED
        assert verdict.failure is not None
        assert "return Snooze(...)" in verdict.failure.message
        assert "raise Snooze(1)" in verdict.failure.traceback


def test_another_raise_of_what_is_no_exception_is_tried_again() -> None:
    """Such as a library's ``raise last_error`` that has none."""
    last_error: Any = None
    with pytest.raises(TypeError) as raised:
        raise last_error

    assert verdict_on(raised.value).kind is Kind.RETRY


def test_an_exception_is_tried_again_after_a_wait() -> None:
    verdict = verdict_on(ValueError("no such pizza"))

    assert verdict.kind is Kind.RETRY
    assert verdict.failure is not None
    assert (verdict.failure.type, verdict.failure.message) == ("ValueError", "no such pizza")
    assert verdict.due_at is not None
    assert NOW <= verdict.due_at <= NOW + 1_000_000


def test_the_last_attempt_that_fails_is_a_dead_letter() -> None:
    """Three attempts: two failed before, this is the third."""
    assert verdict_on(ValueError(), failed_before=1).kind is Kind.RETRY
    assert verdict_on(ValueError(), failed_before=2).kind is Kind.FAILED
    assert verdict_on(ValueError(), policy=Retry(attempts=1)).kind is Kind.FAILED


def test_more_failures_than_the_policy_allows_are_a_dead_letter() -> None:
    """The policy may have been lowered by a deploy while the job was waiting."""
    assert verdict_on(ValueError(), failed_before=9).kind is Kind.FAILED


def test_an_exception_that_is_not_worth_it_is_a_dead_letter_at_once() -> None:
    policy = Retry(attempts=5, on=(ConnectionError, TimeoutError))

    assert verdict_on(ValueError(), policy=policy).kind is Kind.FAILED
    assert verdict_on(ConnectionResetError(), policy=policy).kind is Kind.RETRY


def test_fail_is_a_dead_letter_whatever_the_policy() -> None:
    verdict = verdict_on(Fail("the shop is closed"), policy=Retry(attempts=100))

    assert verdict.kind is Kind.FAILED
    assert verdict.failure is not None
    assert (verdict.failure.type, verdict.failure.message) == ("Fail", "the shop is closed")


def test_retry_is_tried_again_whatever_is_worth_it_and_after_what_it_says() -> None:
    verdict = verdict_on(Retry("oven is hot", after=timedelta(minutes=1)), policy=Retry(on=ConnectionError))

    assert verdict.kind is Kind.RETRY
    assert verdict.due_at == NOW + MINUTE_US
    assert verdict.failure is not None
    assert verdict.failure.message == "oven is hot"


def test_a_retry_counts_as_an_attempt() -> None:
    """Else a handler that always raises it would go on for ever."""
    assert verdict_on(Retry("again"), failed_before=2).kind is Kind.FAILED


def test_a_retry_may_wait_longer_than_the_cap_when_it_says_so() -> None:
    """A server that answers "come back in an hour" knows better than the policy."""
    verdict = verdict_on(Retry("busy", after=3_600), policy=Retry(cap=60))

    assert verdict.due_at == NOW + 60 * MINUTE_US


def test_a_retry_that_does_not_say_when_waits_as_the_policy_says() -> None:
    """The policy's base counts, not that of the exception raised."""
    verdict = verdict_on(Retry("busy", base=500, cap=500), policy=Retry(base=0.001, cap=0.001))

    assert verdict.due_at is not None
    assert verdict.due_at <= NOW + 1_000


def test_a_time_limit_is_a_failure_like_another() -> None:
    assert verdict_on(JobTimeoutError("2 s")).kind is Kind.RETRY
    assert verdict_on(JobTimeoutError("2 s"), policy=Retry(on=TimeoutError)).kind is Kind.RETRY
    assert verdict_on(JobTimeoutError("2 s"), policy=Retry(on=ValueError)).kind is Kind.FAILED
    failure = verdict_on(JobTimeoutError("2 s")).failure
    assert failure is not None
    assert failure.type == "JobTimeoutError"


@pytest.mark.parametrize("error", [asyncio.CancelledError(), SystemExit(3), KeyboardInterrupt(), GeneratorExit()])
def test_what_is_no_exception_is_a_failure_too(error: BaseException) -> None:
    """A cancellation that nobody asked for, or ``sys.exit`` in a handler, must not take the job along."""
    assert verdict_on(error).kind is Kind.RETRY
    assert verdict_on(error, failed_before=2).kind is Kind.FAILED
    assert verdict_on(error, policy=Retry(on=ValueError)).kind is Kind.FAILED
    assert verdict_on(error, policy=Retry(on=BaseException)).kind is Kind.RETRY


def test_a_cancellation_that_was_asked_for_is_one() -> None:
    assert verdict_on(asyncio.CancelledError(), is_cancel_asked=True) == Verdict(Kind.CANCELLED)


@pytest.mark.parametrize("error", [ValueError("on my way out"), Retry("again"), Fail("no")])
def test_an_error_after_a_cancel_was_asked_is_kept_with_the_cancellation(error: Exception) -> None:
    """A person who cancelled a job does not want to see it run again because it stumbled while it stopped."""
    verdict = verdict_on(error, is_cancel_asked=True)

    assert verdict.kind is Kind.CANCELLED
    assert verdict.failure is not None
    assert verdict.failure.message == str(error)


def test_a_fail_in_a_task_group_counts_as_if_it_stood_alone() -> None:
    """``asyncio.TaskGroup`` wraps whatever its tasks raise."""
    group = ExceptionGroup(
        "unhandled", [ValueError(), ExceptionGroup("inner", [Retry("later", after=60), Fail("never")])]
    )

    verdict = verdict_on(group)

    assert verdict.kind is Kind.FAILED
    assert verdict.failure is not None
    assert verdict.failure.message == "never"


def test_a_retry_in_a_task_group_counts_as_if_it_stood_alone() -> None:
    group = ExceptionGroup("unhandled", [ValueError(), Retry("later", after=60)])

    assert verdict_on(group, policy=Retry(on=OSError)).due_at == NOW + MINUTE_US


def test_a_group_is_worth_another_attempt_when_all_in_it_is() -> None:
    policy = Retry(on=OSError)

    assert verdict_on(ExceptionGroup("all", [ConnectionError(), TimeoutError()]), policy=policy).kind is Kind.RETRY
    assert verdict_on(ExceptionGroup("one", [ConnectionError(), ValueError()]), policy=policy).kind is Kind.FAILED
