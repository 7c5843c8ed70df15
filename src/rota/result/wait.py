"""Waiting for one job without an event loop: looking again and again, at first after a millisecond, then more slowly."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Final, Protocol

from rota.model.state import State
from rota.runtime.clock import SystemClock

_FIRST_PAUSE_S: Final = 0.001
_LONGEST_PAUSE_S: Final = 0.05
_GROWTH: Final = 1.3


class Looked(Protocol):
    """What is asked of a store here."""

    async def states(self, tokens: Sequence[bytes]) -> Mapping[bytes, State]:
        """Return the state of each token that is known."""
        ...


async def settled_by_looking(
    store: Looked, token: bytes, pause: Callable[[float], Awaitable[None]], timeout_s: float | None
) -> State | None:
    """Return the final state once there is one; ``None`` if no job has this token.

    A person waits here, so the limit is in real time, whatever clock the app has been given.

    Args:
        pause: Waits for that many seconds.
        timeout_s: The longest to wait; ``None`` for as long as it takes.

    Raises:
        TimeoutError: Not settled in time.
    """
    clock = SystemClock()
    end_ns = None if timeout_s is None else clock.boot_ns() + int(timeout_s * 1e9)
    pause_s = _FIRST_PAUSE_S
    while True:
        state = (await store.states([token])).get(token)
        if state is None or state.is_final:
            return state
        left_s = pause_s if end_ns is None else (end_ns - clock.boot_ns()) / 1e9
        if left_s <= 0:
            raise TimeoutError
        await pause(min(pause_s, left_s))
        pause_s = min(pause_s * _GROWTH, _LONGEST_PAUSE_S)
