"""Time, handed in. Nothing outside of ``runtime`` reads a clock."""

from __future__ import annotations

import time
from typing import Protocol


class Clock(Protocol):
    """Two clocks: one that people read and that may jump, one that only goes forward."""

    def now_us(self) -> int:
        """Return the wall clock: microseconds since 1970, UTC. For due times and records; never for leases."""
        ...

    def boot_ns(self) -> int:
        """Return nanoseconds since boot, counting suspended time. For leases, waits and durations."""
        ...


class SystemClock:
    """The machine's own clocks."""

    def now_us(self) -> int:
        """Return the wall clock in microseconds since 1970."""
        return time.time_ns() // 1_000

    def boot_ns(self) -> int:
        """Return ``CLOCK_BOOTTIME`` where there is one (Linux), else the monotonic clock."""
        return _boot_ns()


def _boot_ns() -> int:
    return time.clock_gettime_ns(_BOOT) if _BOOT is not None else time.monotonic_ns()


_BOOT: int | None = getattr(time, "CLOCK_BOOTTIME", None)
