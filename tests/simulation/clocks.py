"""Clocks and chance of simulated machines.

The boot clock of a machine goes at a rate of its own and never jumps. Its wall clock jumps, by hours, in both directions.
"""

from __future__ import annotations

from collections.abc import Callable
from random import Random

from rota.model.token import TokenBytes
from rota.runtime.entropy import build_token

EPOCH_US = 1_800_000_000_000_000
"""The wall clock at the beginning of every history."""


class Machine:
    """A machine, as far as its clocks go. A node has one; so has the store.

    Args:
        name: For people.
        true_s: Returns the true time.
        rate: Its seconds in a true second.
        up_s: How long it had been up when the history began.

    Attributes:
        wall_offset_us: How far its wall clock is ahead.
    """

    def __init__(self, name: str, true_s: Callable[[], float], rate: float = 1.0, up_s: float = 1_000.0) -> None:
        self.name = name
        self.rate = rate
        self.wall_offset_us = 0
        self._true_s = true_s
        self._up_ns = int(up_s * 1e9)

    def now_us(self) -> int:
        """Return the wall clock in microseconds since 1970."""
        return EPOCH_US + self.wall_offset_us + int(self._true_s() * self.rate * 1e6)

    def boot_ns(self) -> int:
        """Return nanoseconds since boot."""
        return self._up_ns + int(self._true_s() * self.rate * 1e9)


class StoreClock:
    """The clock of a store that outlives a history: that of whichever machine it stands on just now."""

    def __init__(self) -> None:
        self.machine: Machine | None = None

    def now_us(self) -> int:
        """Return the wall clock in microseconds since 1970."""
        assert self.machine is not None
        return self.machine.now_us()

    def boot_ns(self) -> int:
        """Return nanoseconds since boot."""
        assert self.machine is not None
        return self.machine.boot_ns()


class SeededEntropy:
    """Chance of one process, from the history's seed.

    Args:
        seed: Different for each process of a history.
        clock: Gives tokens their time.
    """

    def __init__(self, seed: str, clock: Machine | StoreClock) -> None:
        self._random = Random(seed)
        self._clock = clock
        self._last = b""

    def token(self) -> TokenBytes:
        """Return a new UUIDv7, higher than those before it."""
        made = build_token(max(0, self._clock.now_us() // 1_000), self._random.getrandbits(74))
        if made <= self._last:
            made = TokenBytes((int.from_bytes(self._last, "big") + 1).to_bytes(16, "big"))
        self._last = made
        return made

    def uniform(self, low: float, high: float) -> float:
        """Return a number drawn evenly from ``low`` to ``high``."""
        return self._random.uniform(low, high)

    def hex(self, size: int) -> str:
        """Return ``size`` random bytes as hexadecimal digits."""
        return self._random.randbytes(size).hex()
