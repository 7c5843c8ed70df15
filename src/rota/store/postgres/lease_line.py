"""The way on which a node renews its lease: a connection of its own, and a fresh one when that is in doubt.

    renew ──▶ the kept connection, if no other call is using it ──▶ answered: kept
      │  else a fresh one                                      └──▶ anything else: cut off, and forgotten
      └── all of it within a limit

Apart from the store's other connections, since those can all be busy, or wait for a server that has gone silent. No statement
is prepared and the renewal is one simple query, so it works through every kind of pooler, though a pooler that is full lets
nobody through: hence ``lease_dsn``.

A call never waits for a connection to end in good order. It is cut off by a timer, and not by cancelling the call: the driver
would then open yet another connection to tell a server, which does not answer, that nobody listens any more. What is left of it
at the server (it may wait for a synchronous standby, and the next for it) ends by the bounds that every connection of ours has.
"""

from __future__ import annotations

import asyncio

import asyncpg

from rota.store.postgres.connect import Connector
from rota.store.postgres.errors import DRIVER_ERRORS, node_closed, translated, unavailable
from rota.store.postgres.server import quoted


class LeaseLine:
    """``rota.node.lease_terms.Line`` to a PostgreSQL server. Belongs to the event loop in which it is used.

    Args:
        url: A store's address; best the server itself and no pooler.
        schema: Where everything of ours is.

    Raises:
        ConfigError: The address says something of a pooler that means nothing.
    """

    def __init__(self, url: str, schema: str) -> None:
        self._connector = Connector(url, schema)
        self._schema = schema
        self._kept: asyncpg.Connection | None = None
        self._used: set[asyncpg.Connection] = set()

    @property
    def calls(self) -> int:
        """How many calls are waiting for an answer at this moment."""
        return len(self._used)

    async def renew(self, node_id: int, counter: int, limit_s: float) -> None:
        """Raise the node's counter to at least this value, within the limit.

        Raises:
            NodeClosedError: The node has been closed.
            StoreError: It is not known to have been done.
        """
        loop = asyncio.get_running_loop()
        end = loop.time() + limit_s
        connection = self._take() or await self._connect(limit_s)
        cut_off = loop.call_at(end, connection.terminate)
        self._used.add(connection)
        try:
            # Simple and without arguments: the number of rows in the reply's tag is the answer.
            query = f"SELECT 1 WHERE {quoted(self._schema)}.renew_node({node_id:d}, {counter:d})"
            said = await connection.execute(query)
        except BaseException as problem:
            connection.terminate()
            if isinstance(problem, DRIVER_ERRORS):
                raise translated(problem, where=self._connector.where, doing="renew_node", writes=True) from problem
            raise
        finally:
            cut_off.cancel()
            self._used.discard(connection)
        self._keep(connection)
        if said != "SELECT 1":
            raise node_closed(node_id)

    def close(self) -> None:
        """Cut off all connections."""
        for connection in [*self._used, *([self._kept] if self._kept else [])]:
            connection.terminate()
        self._kept = None

    def _take(self) -> asyncpg.Connection | None:
        kept, self._kept = self._kept, None
        return None if kept is None or kept.is_closed() else kept

    def _keep(self, connection: asyncpg.Connection) -> None:
        """Keep the newest: it is the one that was seen to work last."""
        if self._kept is not None:
            self._kept.terminate()
        self._kept = connection

    async def _connect(self, limit_s: float) -> asyncpg.Connection:
        try:
            async with asyncio.timeout(limit_s):
                return await self._connector.connect(limit_s)
        except TimeoutError as problem:
            raise unavailable(problem, where=self._connector.where) from problem
