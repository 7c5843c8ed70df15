"""Ask a store until it answers: a supervisor never dies of a store that is down, locked or full."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import TypeVar

from rota.errors import StoreBrokenError, StoreBusyError, StoreError, StoreUnavailableError
from rota.runtime.entropy import Entropy
from rota.runtime.patience import store_pause_s
from rota.store.port import Store

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

    Raises:
        StoreBrokenError: Its disk has failed.
    """

    async def answered() -> Answer:
        async with asyncio.timeout(ANSWER_S):
            return await ask()

    return await _insist(answered, entropy, trouble, (StoreError, TimeoutError), patience_s=None)


async def until_opened(
    opened: Callable[[], Awaitable[Store]],
    entropy: Entropy,
    trouble: Callable[[Exception], None],
    *,
    patience_s: float | None = None,
) -> Store:
    """Open a store that may not be there yet: a server that starts again under its nodes.

    Args:
        opened: Opens it once.
        entropy: Jitter between tries.
        trouble: As for ``until_answered``.
        patience_s: For how long; ``None`` for ever.

    Raises:
        StoreError: It still cannot be reached, or can be and never will be opened.
    """
    return await _insist(opened, entropy, trouble, (StoreUnavailableError, StoreBusyError), patience_s=patience_s)


async def _insist(
    ask: Callable[[], Awaitable[Answer]],
    entropy: Entropy,
    trouble: Callable[[Exception], None],
    passing: tuple[type[Exception], ...],
    *,
    patience_s: float | None,
) -> Answer:
    """Ask again after each error that may pass, until the patience has ended."""
    loop = asyncio.get_running_loop()
    began, tries = loop.time(), 0
    while True:
        try:
            return await ask()
        except StoreBrokenError:
            raise  # On SQLite this handle stays closed, whatever becomes of the disk: another process must open the store.
        except passing as error:
            if patience_s is not None and loop.time() - began > patience_s:
                raise
            tries += 1
            if tries.bit_count() == 1:
                trouble(error)
        await asyncio.sleep(store_pause_s(tries, entropy))
