"""The wait before the next attempt."""

from __future__ import annotations

from datetime import timedelta
from typing import Final

from rota.runtime.entropy import Entropy

_MICROSECOND: Final = timedelta(microseconds=1)
_DOUBLINGS_MAX: Final = 64
"""From one microsecond that is 585,000 years: no cap is above it, and no number grows without end."""


def full_jitter(attempt: int, *, base: timedelta, cap: timedelta, entropy: Entropy) -> timedelta:
    """Return how long to wait before the next attempt.

    Drawn evenly from zero up to ``min(cap, base * 2 ** (attempt - 1))``. Jobs that fail together do so because something
    that they share is down; if they came back together they would keep it down. Of all ways to spread them, drawing from
    the whole range needs the fewest attempts in all.

    Args:
        attempt: The attempt that has just failed; the first is 1.
        base: The most to wait after the first failure.
        cap: The most to wait after any failure.
        entropy: Where chance comes from. Seed it to replay a run.

    Raises:
        ValueError: If ``attempt`` is below 1, or not ``0 < base <= cap``.

    Source:
        M. Brooker, "Exponential Backoff And Jitter", AWS Architecture Blog, 2015.
    """
    if attempt < 1:
        raise ValueError(f"attempt {attempt}: the first is 1")
    if not timedelta(0) < base <= cap:
        raise ValueError(f"base {base} and cap {cap}: base must be above zero and not above cap")
    ceiling = min(cap // _MICROSECOND, (base // _MICROSECOND) << min(attempt - 1, _DOUBLINGS_MAX))
    return timedelta(microseconds=min(ceiling, round(entropy.uniform(0, ceiling))))
