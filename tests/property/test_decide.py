"""What holds for every end of every attempt."""

from __future__ import annotations

import asyncio
from datetime import timedelta

from hypothesis import given
from hypothesis import strategies as st

from rota.model.outcome import Kind
from rota.model.retry import Fail, Retry
from rota.settle.decide import JobTimeoutError, judge
from tests.property.chance import Chance

NOW = 1_764_064_321_000_000
single = st.sampled_from(
    [
        ValueError("x"),
        ConnectionError(),
        JobTimeoutError("too long"),
        Fail("no"),
        Retry("busy"),
        Retry("busy", after=5),
        SystemExit(1),
        asyncio.CancelledError(),
    ]
)
errors = st.recursive(
    single, lambda inner: st.builds(BaseExceptionGroup, st.just("many"), st.lists(inner, min_size=1, max_size=3))
)
policies = st.builds(
    Retry,
    attempts=st.integers(1, 50),
    base=st.floats(0.001, 1),
    cap=st.floats(1, 600),
    on=st.sampled_from([Exception, OSError, (ValueError, TimeoutError)]),
)


@given(error=errors, attempts=st.integers(0, 60), policy=policies, seed=st.integers(), asked=st.booleans())
def test_a_job_is_tried_again_only_while_attempts_are_left(
    error: BaseException, attempts: int, policy: Retry, seed: int, asked: bool
) -> None:
    """Neither a dead letter too early nor a job that fails for ever."""
    verdict = judge(error, attempts=attempts, policy=policy, now_us=NOW, entropy=Chance(seed), is_cancel_asked=asked)

    assert verdict.kind in {Kind.CANCELLED} if asked else verdict.kind in {Kind.RETRY, Kind.FAILED}
    assert verdict.kind is not Kind.RETRY or attempts + 1 < policy.attempts
    assert (verdict.due_at is None) == (verdict.kind is not Kind.RETRY)
    assert verdict.failure is not None or asked


@given(attempts=st.integers(0, 60), policy=policies, seed=st.integers())
def test_a_retry_is_due_between_now_and_the_cap(attempts: int, policy: Retry, seed: int) -> None:
    """Due before now would jump the line; due after the cap would look lost."""
    verdict = judge(Retry(), attempts=attempts, policy=policy, now_us=NOW, entropy=Chance(seed))

    if verdict.due_at is not None:
        assert NOW <= verdict.due_at <= NOW + policy.cap // timedelta(microseconds=1)
