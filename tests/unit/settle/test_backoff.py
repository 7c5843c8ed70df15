"""The wait before the next attempt, by example."""

from __future__ import annotations

from datetime import timedelta
from typing import ClassVar

import pytest

from rota.model.token import TokenBytes
from rota.settle.backoff import full_jitter

SECOND = timedelta(seconds=1)


class Extremes:
    """Chance that always draws the highest, and remembers what it was asked for."""

    asked: ClassVar[list[tuple[float, float]]] = []

    def uniform(self, low: float, high: float) -> float:
        self.asked.append((low, high))
        return high

    def token(self) -> TokenBytes:
        raise AssertionError("a wait needs no token")

    def hex(self, size: int) -> str:
        raise AssertionError("a wait needs no name")


@pytest.mark.parametrize(
    ("attempt", "seconds"), [(1, 1), (2, 2), (3, 4), (4, 8), (10, 512), (11, 600), (64, 600), (10_000, 600)]
)
def test_the_most_to_wait_doubles_up_to_the_cap(attempt: int, seconds: int) -> None:
    wait = full_jitter(attempt, base=SECOND, cap=600 * SECOND, entropy=Extremes())

    assert wait == seconds * SECOND


def test_the_draw_is_from_zero() -> None:
    """Half of a crowd should be back in the first half of the time: full jitter, not a fixed wait plus a little."""
    chance = Extremes()

    full_jitter(3, base=SECOND, cap=600 * SECOND, entropy=chance)

    assert chance.asked[-1] == (0, 4_000_000)


@pytest.mark.parametrize(
    ("attempt", "base", "cap"),
    [(0, SECOND, SECOND), (-1, SECOND, SECOND), (1, timedelta(0), SECOND), (1, 2 * SECOND, SECOND)],
)
def test_what_makes_no_sense_is_refused(attempt: int, base: timedelta, cap: timedelta) -> None:
    with pytest.raises(ValueError, match=r"attempt|base"):
        full_jitter(attempt, base=base, cap=cap, entropy=Extremes())


def test_the_longest_spans_do_not_overflow() -> None:
    assert full_jitter(10_000, base=timedelta.max, cap=timedelta.max, entropy=Extremes()) <= timedelta.max
