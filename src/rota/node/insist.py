"""Ask a store until it answers: a supervisor never dies of a store that is down, locked or full."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import TypeVar

from rota.errors import StoreError
from rota.runtime.entropy import Entropy
from rota.runtime.patience import store_pause_s

ANSWER_S = 20.0
"""Longer than an engine waits for a lock; this is for a connection that has gone silent."""

Answer = TypeVar("Answer")


async def until_answered(
    ask: Callable[[], Awaitable[Answer]], entropy: Entropy, trouble: Callable[[Exception], None]
) -> Answer:
    """Return the store's answer, however often it has to be asked.

    For calls that are safe to repeat. Whoever needs an end to it cancels.

    Args:
        ask: Makes the call.
        entropy: Jitter between tries.
        trouble: Told of the 1st, 2nd, 4th, 8th … failure in a row.
    """
    tries = 0
    while True:
        try:
            async with asyncio.timeout(ANSWER_S):
                return await ask()
        except (StoreError, TimeoutError) as error:
            tries += 1
            if tries.bit_count() == 1:
                trouble(error)
        await asyncio.sleep(store_pause_s(tries, entropy))
