"""The clock that is moved by hand."""

from __future__ import annotations

import doctest
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from rota.errors import UsageError
from rota.testing import clock as module
from rota.testing.clock import ManualClock


def test_time_stands_still_until_it_is_moved() -> None:
    """Otherwise a slow machine would change what a test finds."""
    clock = ManualClock()

    assert (clock.now_us(), clock.boot_ns()) == (clock.now_us(), clock.boot_ns())


def test_time_passes_for_both_clocks() -> None:
    """Due times go by the one, leases by the other."""
    clock = ManualClock()
    wall, boot = clock.now_us(), clock.boot_ns()

    clock.advance(timedelta(seconds=2))
    clock.advance(0.5)

    assert (clock.now_us() - wall, clock.boot_ns() - boot) == (2_500_000, 2_500_000_000)


def test_a_jump_moves_the_wall_clock_alone() -> None:
    """An administrator sets the time back; nobody's lease may notice."""
    clock = ManualClock()
    wall, boot = clock.now_us(), clock.boot_ns()

    clock.jump(timedelta(hours=-1))

    assert (clock.now_us() - wall, clock.boot_ns() - boot) == (-3_600_000_000, 0)


def test_time_does_not_run_back() -> None:
    """A test that wants that means a jump."""
    with pytest.raises(ValueError, match="jump"):
        ManualClock().advance(-1)


@pytest.mark.parametrize("span", ["1h", None, True, datetime(2026, 1, 1, tzinfo=UTC)])
def test_what_is_no_length_of_time_is_refused_with_what_is_wanted(span: Any) -> None:
    """The command line reads `1h`, Python has `timedelta`."""
    clock = ManualClock()
    before = clock.now_us()

    for move in (clock.advance, clock.jump):
        with pytest.raises(UsageError, match=rf"{move.__name__}\(.*a timedelta is needed, or a number of seconds"):
            move(span)
    for move in (clock.advance, clock.jump):
        with pytest.raises(UsageError, match="longer than anything can be"):
            move(1e300)
        with pytest.raises(UsageError, match="longer than anything can be"):
            move(float("nan"))

    assert clock.now_us() == before


def test_it_starts_where_it_is_told_to() -> None:
    """Some code is only wrong on the 29th of February."""
    start = datetime(2028, 2, 29, 12, tzinfo=UTC)

    assert ManualClock(start).now() == start


def test_its_example_runs() -> None:
    """An example that does not run teaches the wrong thing."""
    assert doctest.testmod(module) == (0, 4)
