"""Chance, handed in: tokens and jitter. Nothing outside of ``runtime`` draws a random number."""

from __future__ import annotations

import os
import random
import threading
import weakref
from typing import Final, Protocol, cast

from rota.model.token import TokenBytes
from rota.runtime.clock import Clock

_BACK_MS_MAX: Final = 2 * 3_600_000
"""A clock that goes back further had been wrong before. Tokens that went on rising from there could be more than a day ahead,
which is refused; after a smaller step they go on rising."""


class Entropy(Protocol):
    """Where ids and jitter come from. Seed it to replay a run."""

    def token(self) -> TokenBytes:
        """Return a new UUIDv7, higher than all that this object has returned before, unless the clock went back by hours."""
        ...

    def uniform(self, low: float, high: float) -> float:
        """Return a number drawn evenly from ``low`` to ``high``."""
        ...

    def hex(self, size: int) -> str:
        """Return ``size`` random bytes as hexadecimal digits, for names that must not collide."""
        ...


class SystemEntropy:
    """The machine's own chance. Safe to use from several threads, and in a process after ``fork``.

    Tokens count up within a millisecond from a random start of 73 bits, so that one process's tokens are in the order in
    which it made them, and land side by side in an index.

    Args:
        clock: Gives the tokens their time.
    """

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._begin()
        _made.add(self)

    def _begin(self) -> None:
        """Start anew, as at first; after a fork another thread may have held the lock for ever."""
        self._random = random.Random(os.urandom(16))
        self._ms = 0
        self._head = b""
        self._low = 0
        self._lock = threading.Lock()

    def token(self) -> TokenBytes:
        """Return a new UUIDv7."""
        with self._lock:
            self._look_at_clock()
            return self._next()

    def tokens(self, count: int) -> list[TokenBytes]:
        """Return ``count`` new UUIDv7s, each higher than the one before; the clock is read once."""
        with self._lock:
            self._look_at_clock()
            head, low, draw = self._head, self._low, self._random.getrandbits
            made = [head + (low := low + 1 + draw(24)).to_bytes(8, "big") for _ in range(count)]
            self._low = low
            return cast("list[TokenBytes]", made)

    def _look_at_clock(self) -> None:
        now = self._clock.now_us() // 1_000
        if now > self._ms or self._ms - now > _BACK_MS_MAX:
            self._ms = now
            # The last 61 bits count up; the one above them begins at zero, so that they never carry into the rest.
            self._head = build_token(now, self._random.getrandbits(74))[:8]
            self._low = 1 << 63 | self._random.getrandbits(61)

    def _next(self) -> TokenBytes:
        self._low += 1 + self._random.getrandbits(24)
        return TokenBytes(self._head + self._low.to_bytes(8, "big"))

    def uniform(self, low: float, high: float) -> float:
        """Return a number drawn evenly from ``low`` to ``high``."""
        return self._random.uniform(low, high)

    def hex(self, size: int) -> str:
        """Return ``size`` random bytes as hexadecimal digits."""
        return os.urandom(size).hex()


_made: weakref.WeakSet[SystemEntropy] = weakref.WeakSet()


def _begin_all() -> None:
    """Give every source in a forked child a start of its own: it must not repeat its parent's tokens."""
    for entropy in list(_made):
        entropy._begin()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_begin_all)


def draw_tokens(entropy: Entropy, count: int) -> list[TokenBytes]:
    """Return ``count`` new tokens, each higher than the one before."""
    if isinstance(entropy, SystemEntropy):
        return entropy.tokens(count)
    return [entropy.token() for _ in range(count)]


def build_token(ms: int, tail: int) -> TokenBytes:
    """Return the UUIDv7 of this millisecond and these 74 bits."""
    high, low = (tail >> 62) & 0xFFF, tail & 0x3FFF_FFFF_FFFF_FFFF
    return TokenBytes(((ms << 80) | (7 << 76) | (high << 64) | (2 << 62) | low).to_bytes(16, "big"))
