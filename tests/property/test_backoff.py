"""What holds for every wait."""

from __future__ import annotations

from datetime import timedelta
from statistics import fmean

from hypothesis import given
from hypothesis import strategies as st

from rota.settle.backoff import full_jitter
from tests.property.chance import Chance

spans = st.timedeltas(min_value=timedelta(microseconds=1), max_value=timedelta(days=3_660))


@given(attempt=st.integers(1, 10_000), one=spans, other=spans, seed=st.integers())
def test_a_wait_is_never_above_what_it_may_be(attempt: int, one: timedelta, other: timedelta, seed: int) -> None:
    """A job that waits longer than its cap looks lost."""
    base, cap = min(one, other), max(one, other)

    wait = full_jitter(attempt, base=base, cap=cap, entropy=Chance(seed))

    most = min(cap / base, 2 ** min(attempt - 1, 80)) * base
    assert timedelta(0) <= wait <= cap
    assert wait <= most + timedelta(milliseconds=1)


@given(attempt=st.integers(1, 10_000), one=spans, other=spans, seed=st.integers())
def test_the_same_seed_gives_the_same_wait(attempt: int, one: timedelta, other: timedelta, seed: int) -> None:
    """A simulated run can be replayed."""
    base, cap = min(one, other), max(one, other)

    waits = {full_jitter(attempt, base=base, cap=cap, entropy=Chance(seed)) for _ in range(3)}

    assert len(waits) == 1


@given(attempt=st.integers(1, 12), seed=st.integers(0, 1_000))
def test_a_crowd_spreads_over_the_whole_range(attempt: int, seed: int) -> None:
    """Jobs that failed together must not come back together."""
    chance, base, cap = Chance(seed), timedelta(seconds=1), timedelta(minutes=10)
    most = min(2 ** (attempt - 1), 600)

    shares = [full_jitter(attempt, base=base, cap=cap, entropy=chance).total_seconds() / most for _ in range(200)]

    assert 0.35 < fmean(shares) < 0.65
    assert min(shares) < 0.2
    assert max(shares) > 0.8
