"""An event loop whose time passes only when there is nothing else to do, and a clock that shows it."""

from __future__ import annotations

import asyncio
import selectors
from typing import Any

BOOT_NS = 7_200 * 10**9
TURNS_MAX = 10_000
"""Of the loop, at one instant: who turns without end would keep time from going on, and the test from ending."""


class _Jumping(selectors.DefaultSelector):
    """Never waits: the loop's time goes forward instead."""

    loop: VirtualLoop
    at = 0.0
    turns = 0

    def select(self, timeout: float | None = None) -> list[Any]:
        self._count()
        found = super().select(0)
        if not found and timeout is None:
            raise AssertionError("nothing is scheduled: the test would wait for ever")
        if not found and timeout is not None:
            self.loop.now += max(0.0, timeout)
        return found

    def _count(self) -> None:
        if self.loop.now != self.at:
            self.at, self.turns = self.loop.now, 0
        self.turns += 1
        if self.turns > TURNS_MAX:
            self.turns = 0  # What is cancelled now must be able to end.
            raise AssertionError(f"the loop has turned {TURNS_MAX:,} times at second {self.at:g}: somebody spins")


class VirtualLoop(asyncio.SelectorEventLoop):
    """A loop on virtual time.

    Attributes:
        now: Seconds since the test began. A test that adds to it keeps the loop from running for so long.
    """

    def __init__(self) -> None:
        selector = _Jumping()
        selector.loop = self
        self.now = 0.0
        super().__init__(selector)

    def time(self) -> float:
        """Return the loop's time."""
        return self.now


class LoopClock:
    """``rota.runtime.clock.Clock`` of such a loop."""

    def __init__(self, loop: VirtualLoop) -> None:
        self._loop = loop

    def now_us(self) -> int:
        """Return the wall clock."""
        return 10**15 + round(self._loop.now * 1e6)

    def boot_ns(self) -> int:
        """Return nanoseconds since boot."""
        return BOOT_NS + round(self._loop.now * 1e9)

    def seconds(self, boot_ns: int) -> float:
        """Return an instant as seconds since the test began."""
        return round((boot_ns - BOOT_NS) / 1e9, 3)
