"""The ear: hears what the server tells, over a connection of its own; where there is none to be had, it looks.

    LISTEN ─▶ "look everywhere", since nobody knows what was missed ─▶ each notification, as it comes
       ▲                                                                │ every 10 s: do you still answer?
       └──── a pause, growing to a second, with jitter ◀── lost ◀───────┘

Through a pooler in transaction mode nobody can listen. Then workers find jobs by their own slow look, once a second, and so
does whoever waits for a result; what they do not look for so often, cancellations, is looked for here.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from typing import Any

from msgspec import structs

from rota.errors import StoreError
from rota.runtime.patience import store_pause_s
from rota.store.port import Wake
from rota.store.postgres.errors import DRIVER_ERRORS
from rota.store.postgres.notices import EVERYTHING, read
from rota.store.postgres.server import Server

_log = logging.getLogger("rota.store.postgres")


class Ear:
    """Hears, from ``open`` on, in the running event loop.

    Args:
        server: The road to the server.
        heard: Called with each wake-up.
        wants_cancels: Whether anybody here runs jobs, so that cancellations must be looked for.
    """

    def __init__(self, server: Server, heard: Callable[[Wake], None], wants_cancels: Callable[[], bool]) -> None:
        self._server = server
        self._heard = heard
        self._wants_cancels = wants_cancels
        self._task: asyncio.Task[None] | None = None
        self._failures = 0

    def open(self) -> None:
        """Begin to hear. Does nothing if it has begun."""
        if self._task is None or self._task.done():
            self._task = asyncio.get_running_loop().create_task(self._run())

    def shut(self) -> asyncio.Task[None] | None:
        """End hearing; returns what can be waited for."""
        task, self._task = self._task, None
        if task is not None:
            task.cancel()
        return task

    async def _run(self) -> None:
        while True:
            try:
                if not self._server.is_pooled:
                    await self._listen()
                if self._server.is_pooled:
                    await self._look()
            except (StoreError, *DRIVER_ERRORS) as problem:
                _log.debug("the connection that listens was lost: %s", problem)
            except Exception:  # Whatever it is: who hears nothing finds out late, and nobody would know why.
                _log.exception("hearing was ended by an error that was not foreseen; it begins again")
            self._failures += 1
            await asyncio.sleep(store_pause_s(self._failures, self._server.entropy))

    async def _listen(self) -> None:
        """Hear until the connection is lost."""
        server, bounds = self._server, self._server.bounds
        connection = await server.connect()
        try:
            if server.is_pooled:
                return
            lost = asyncio.Event()
            connection.add_termination_listener(lambda _: lost.set())
            await connection.add_listener(server.schema, self._take)
            # Asked once the ear is open: what comes later is heard.
            await self._tell_everything()
            while not lost.is_set():
                try:
                    await asyncio.wait_for(lost.wait(), bounds.beat_s)
                except TimeoutError:
                    await connection.execute("SELECT 1", timeout=bounds.connect_s)
        finally:
            connection.terminate()

    async def _look(self) -> None:
        """Look for what is not told, until that fails."""
        await self._tell_everything()
        bounds, entropy = self._server.bounds, self._server.entropy
        while True:
            await asyncio.sleep(bounds.poll_s * entropy.uniform(0.75, 1.25))
            if self._wants_cancels() and (cancels := await self._cancels()):
                self._heard(Wake(cancels=cancels))

    async def _tell_everything(self) -> None:
        self._heard(structs.replace(EVERYTHING, cancels=await self._cancels()))
        self._failures = 0

    async def _cancels(self) -> list[bytes]:
        if not self._wants_cancels():
            return []
        return [record[0] for record in await self._server.call("list_cancels", writes=False)]

    def _take(self, _connection: Any, _pid: int, _channel: str, text: str) -> None:
        self._heard(read(text))
