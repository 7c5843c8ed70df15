"""A bakery with an app: what a program, a worker and a look behind the counter see of one schema, for tests of submits.

bakery.bake.submit(…)   the app's own way in          bakery.told()      what listeners were told since the last time
customer.submits(…)     see ``callers``               bakery.serves()    what a worker starts, in order
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any

import asyncpg
import msgspec

from rota import Rota, Token
from rota.model.slot import hash16, slot_of
from rota.model.state import State
from rota.model.token import token_text
from rota.store.postgres.migrate import migrate
from rota.store.postgres.server import quoted
from rota.store.postgres.store import PostgresStore
from rota.testing.clock import ManualClock
from scripts.postgres_server import run_apart
from tests.contract.shop import OVENS, CountingEntropy, Shop
from tests.postgres_server import PostgresServer

PATIENCE_S = 20.0

Opener = Callable[..., AbstractAsyncContextManager["Bakery"]]
"""Opens a bakery in the test's own loop; the app's settings may be given."""


def bake(pizza: str, store: str | None = None) -> str:
    return f"{pizza} for {store}"


class Bakery:
    """One schema, seen from all sides.

    Attributes:
        url: The server, as its superuser.
        schema: Where all is.
        app: A program's app.
        bake: Its task, whose key is ``store``, in the queue of the contract tests.
        store: An engine of its own, on the server's time.
        look: A connection whose search path is the schema.
    """

    def __init__(self, url: str, schema: str, store: PostgresStore, look: asyncpg.Connection, **settings: Any) -> None:
        self.url, self.schema = url, schema
        self.app = Rota(url, schema=schema, **settings)
        self.bake = self.app.task(queue=OVENS, key=lambda pizza, store: store)(bake)
        self.store = store
        self.look = look
        clock = ManualClock()
        self.shop = Shop(store, clock, CountingEntropy(clock))
        self._heard: list[str] = []

    async def listens(self) -> None:
        """Begin to listen, as the node of a worker does."""
        await self.look.add_listener(self.schema, lambda *notice: self._heard.append(notice[3]))

    async def told(self) -> list[int]:
        """Return the slots that were named since the last call; what was committed before it is among them."""
        await self.look.execute("SELECT pg_notify($1, 'end')", self.schema)
        async with asyncio.timeout(PATIENCE_S):
            while "end" not in self._heard:
                await asyncio.sleep(0.001)
        end = self._heard.index("end")
        news, self._heard = self._heard[:end], self._heard[end + 1 :]
        return [slot for text in news for _, slot, _ in msgspec.json.decode(text)["w"]]

    async def hears(self, slot: int) -> None:
        """Wait until a listener is told of this slot. Nobody asks the server meanwhile."""
        async with asyncio.timeout(PATIENCE_S):
            while not any(f",{slot}," in text for text in self._heard):
                await asyncio.sleep(0.001)

    async def states(self, tokens: Iterable[Token[Any]]) -> list[State | None]:
        """Return what is known of these jobs; ``None`` for one that does not exist."""
        wanted = [bytes(token) for token in tokens]
        known = await self.store.states(wanted)
        return [known.get(token) for token in wanted]

    async def serves(self) -> list[str]:
        """Let a worker start and finish what there is; return the tokens as text, in the order of their starts."""
        worker = await self.shop.worker()
        started = [bytes(token) for token in await worker.work()]
        await self.store.close_worker(worker.id)
        return [token_text(token) for token in started]

    async def count(self, what: str) -> int:
        """Count rows: ``"turns"``, or ``"live WHERE head"``."""
        return int(await self.look.fetchval(f"SELECT count(*) FROM {what}"))

    async def ends(self, pid: int) -> None:
        """End a back end, and wait until it is gone."""
        await self.look.execute("SELECT pg_terminate_backend($1, 10000)", pid)

    async def blocked(self, pid: int) -> None:
        """Wait until a back end waits for somebody."""
        async with asyncio.timeout(PATIENCE_S):
            while not await self.look.fetchval("SELECT pg_blocking_pids($1)", pid):
                await asyncio.sleep(0.002)


def slot_of_key(key: str) -> int:
    """Return the slot of a key."""
    return slot_of(hash16(key, b""))


def made_schema(server: PostgresServer) -> str:
    """Return a schema that has been made, for the tests of a module."""
    schema = server.fresh_schema()

    async def make() -> None:
        await migrate(server.url, schema=schema)

    run_apart(make())
    return schema


@asynccontextmanager
async def open_bakery(server: PostgresServer, schema: str, **settings: Any) -> AsyncIterator[Bakery]:
    """Open a bakery in a schema that others have used, and leave no job behind."""
    store = await PostgresStore.open(server.url, schema=schema)
    look = await asyncpg.connect(server.url)
    await look.execute(f"SET search_path = {quoted(schema)}, pg_temp")
    await store.intern([OVENS], ["bake"])
    bakery = Bakery(server.url, schema, store, look, **settings)
    try:
        yield bakery
    finally:
        await bakery.app.close_async()
        bakery.app.close()
        await store.close()
        await look.execute("DELETE FROM live; DELETE FROM turns; DELETE FROM claims")
        await look.close()
