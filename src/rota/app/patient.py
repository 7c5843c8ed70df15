"""Open a store that may not be there yet: a server that starts together with its nodes, or starts again under them."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

from rota.errors import StoreBusyError, StoreUnavailableError
from rota.runtime.entropy import Entropy
from rota.runtime.patience import store_pause_s
from rota.store.port import Store


async def open_patiently(
    opened: Callable[[], Awaitable[Store]],
    lost: Callable[[StoreUnavailableError | StoreBusyError], None],
    entropy: Entropy,
    *,
    patience_s: float | None,
) -> Store:
    """Open the store, again and again while it cannot be reached.

    Args:
        opened: Opens it once.
        lost: Told after the first, second, fourth, eighth … failure.
        entropy: Jitter between tries.
        patience_s: For how long; ``None`` for ever.

    Raises:
        StoreError: It still cannot be opened, or never will be.
    """
    loop = asyncio.get_running_loop()
    began, tries = loop.time(), 0
    while True:
        try:
            return await opened()
        except (StoreUnavailableError, StoreBusyError) as error:
            if patience_s is not None and loop.time() - began > patience_s:
                raise
            tries += 1
            if tries.bit_count() == 1:
                lost(error)
        await asyncio.sleep(store_pause_s(tries, entropy))
