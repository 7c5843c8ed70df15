"""The machine's clocks."""

from __future__ import annotations

import time

from rota.runtime.clock import SystemClock


def test_the_wall_clock_is_microseconds_since_1970() -> None:
    before, now, after = time.time_ns(), SystemClock().now_us(), time.time_ns()

    assert before // 1_000 <= now <= after // 1_000


def test_the_boot_clock_only_goes_forward_and_counts_sleep() -> None:
    """A lease must run out for a laptop that was asleep: the clock that stands still meanwhile would not notice."""
    readings = [SystemClock().boot_ns() for _ in range(100)]

    assert readings == sorted(readings)
    if hasattr(time, "CLOCK_BOOTTIME"):
        assert readings[-1] <= time.clock_gettime_ns(time.CLOCK_BOOTTIME)
        assert readings[-1] >= time.clock_gettime_ns(time.CLOCK_MONOTONIC) - 1_000_000_000
