"""Who listens in the tests of LISTEN and NOTIFY."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from rota.store.port import Store, Wake
from rota.store.postgres.store import PostgresStore
from tests.postgres.through import PATIENT, Through

PATIENCE_S = 20.0


class Ear:
    """Somebody who listens, and can be waited for."""

    def __init__(self, store: Store, name: str) -> None:
        self.heard: list[Wake] = []
        self.stop = store.listen(name, self.heard.append)

    async def until(self, is_it: Callable[[Wake], bool]) -> Wake:
        """Return the first wake-up that fits, and forget all before it."""
        async with asyncio.timeout(PATIENCE_S):
            while True:
                while self.heard:
                    wake = self.heard.pop(0)
                    if is_it(wake):
                        return wake
                await asyncio.sleep(0.001)


def is_everything(wake: Wake) -> bool:
    """Return whether it says "look everywhere"."""
    return wake.woken is None


def names(slot: int) -> Callable[[Wake], bool]:
    """Return what tells whether a wake-up names this slot."""
    return lambda wake: wake.woken is not None and slot in [news.slot for news in wake.woken]


async def worker_store(through: Through, hall: str) -> PostgresStore:
    """Open a store as a worker of a node does."""
    schema, url = through.store._server.schema, through.url
    return await PostgresStore.open(url, clock=through.shop.clock, schema=schema, relay=hall, bounds=PATIENT)
