"""A clock that is moved by hand, for tests of your own tasks and for ours."""

from __future__ import annotations

import threading
from datetime import UTC, datetime, timedelta

from rota.errors import UsageError
from rota.submit.check import microseconds_of

_START = datetime(2026, 1, 1, tzinfo=UTC)
_BOOT_NS = 3_600 * 10**9
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)


class ManualClock:
    """Time stands still until you move it. Safe to read from other threads while it is moved.

    Args:
        start: What the wall clock shows first; must carry a time zone.

    Raises:
        UsageError: ``start`` is no instant, or has no time zone.

    Example:
        >>> clock = ManualClock()
        >>> before = clock.now_us()
        >>> clock.advance(timedelta(hours=1))
        >>> clock.now_us() - before
        3600000000
    """

    def __init__(self, start: datetime = _START) -> None:
        self._now_us = microseconds_of(start, "start")
        self._boot_ns = _BOOT_NS
        self._lock = threading.Lock()

    def now_us(self) -> int:
        """Return the wall clock: microseconds since 1970, UTC."""
        with self._lock:
            return self._now_us

    def boot_ns(self) -> int:
        """Return nanoseconds since boot. A jump of the wall clock does not move it."""
        with self._lock:
            return self._boot_ns

    def now(self) -> datetime:
        """Return the wall clock as a ``datetime`` in UTC."""
        return _EPOCH + self.now_us() * _MICROSECOND

    def advance(self, span: timedelta | float) -> None:
        """Let time pass: both clocks go forward. A bare number is seconds.

        Raises:
            UsageError: ``span`` is no length of time.
            ValueError: If ``span`` is negative: time does not run back. See ``jump``.
        """
        passed_us = _microseconds(span, "advance")
        if passed_us < 0:
            raise ValueError(f"advance({span!r}): time does not run back; jump() moves the wall clock alone.")
        with self._lock:
            self._now_us += passed_us
            self._boot_ns += passed_us * 1_000

    def jump(self, span: timedelta | float) -> None:
        """Move the wall clock alone, either way, as an administrator or a time service does.

        Raises:
            UsageError: ``span`` is no length of time.
        """
        moved_us = _microseconds(span, "jump")
        with self._lock:
            self._now_us += moved_us


def _microseconds(span: timedelta | float, call: str) -> int:
    if isinstance(span, bool) or not isinstance(span, (timedelta, int, float)):
        raise UsageError(
            f"{call}({span!r}): a timedelta is needed, or a number of seconds, such as {call}(timedelta(hours=1))."
        )
    try:
        return (span if isinstance(span, timedelta) else timedelta(seconds=span)) // _MICROSECOND
    except (OverflowError, ValueError):
        raise UsageError(f"{call}({span!r}): that is longer than anything can be. A bare number is seconds.") from None
