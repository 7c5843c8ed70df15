"""The ear: hears what the server tells, over a connection of its own; where there is none to be had, it looks.

    LISTEN ─▶ "look everywhere", since nobody knows what was missed ─▶ each notification, as it comes
       ▲                                                                │ every 10 s: do you still answer?
       └──── a pause, growing to a second, with jitter ◀── lost ◀───────┘

It listens to no more than somebody here wants to hear. ``retune`` begins with what is wanted now, at once; what nobody wants
any longer ends with the next question, since who waits once often waits again.

Through a pooler in transaction mode nobody can listen. Then workers find jobs by their own slow look, once a second, and so
does whoever waits for a result; what they do not look for so often, cancellations, is looked for here.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Iterable, Set
from typing import Any, Final

import asyncpg
from msgspec import structs

from rota.errors import StoreError
from rota.runtime.patience import store_pause_s
from rota.store.port import Wake
from rota.store.postgres.errors import DRIVER_ERRORS
from rota.store.postgres.notices import EVERYTHING, read, settled_channel
from rota.store.postgres.server import Server

_log = logging.getLogger("rota.store.postgres")

_OPENING_S: Final = 0.5
"""So long at most is a connection that nobody needs any more waited for."""


class Ear:
    """Hears, from the first ``retune`` on, in the running event loop.

    Args:
        server: The road to the server.
        heard: Called with each wake-up.
        channels: To which to listen now, the most wanted first.
        wants_cancels: Whether anybody here runs jobs, so that cancellations must be looked for.
    """

    def __init__(
        self,
        server: Server,
        heard: Callable[[Wake], None],
        channels: Callable[[], Set[str]],
        wants_cancels: Callable[[], bool],
    ) -> None:
        self._server = server
        self._heard = heard
        self._channels = channels
        self._wants_cancels = wants_cancels
        self._is_retuned = asyncio.Event()
        self._task: asyncio.Task[None] | None = None
        self._ending: set[asyncio.Task[None]] = set()
        self._failures = 0

    def retune(self) -> None:
        """Hear what is wanted now; begin, if it has not begun."""
        self._is_retuned.set()
        if self._task is None or self._task.done():
            self._task = asyncio.get_running_loop().create_task(self._run())

    def shut(self) -> Set[asyncio.Task[None]]:
        """End hearing; returns what can be waited for, also of what was ended before."""
        task, self._task = self._task, None
        if task is not None:
            task.cancel()
            self._ending.add(task)
            task.add_done_callback(self._ending.discard)
        return frozenset(self._ending)

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
        connection = await self._connected()
        try:
            if server.is_pooled:
                return
            connection.add_termination_listener(lambda _: self._is_retuned.set())
            tuned: Set[str] = frozenset()
            now = asyncio.get_running_loop().time
            beat_at = now() + bounds.beat_s
            while not connection.is_closed():
                self._is_retuned.clear()
                tuned = await self._tune(connection, tuned)
                try:
                    async with asyncio.timeout_at(beat_at):
                        await self._is_retuned.wait()
                except TimeoutError:
                    tuned = await self._leave(connection, tuned)
                    async with asyncio.timeout(bounds.connect_s):
                        await connection.execute("SELECT 1")
                    beat_at = now() + bounds.beat_s
        finally:
            connection.terminate()

    async def _connected(self) -> asyncpg.Connection:
        """Open the connection. Who is shut meanwhile waits for it a moment, and gives it up.

        Interrupted at its very beginning, the driver leaves an error behind that nobody asks for, and asyncio tells everybody.
        """
        opening = asyncio.create_task(self._server.connect())
        try:
            return await asyncio.shield(opening)
        except asyncio.CancelledError:
            await asyncio.wait((opening,), timeout=_OPENING_S)
            if not opening.cancel() and not opening.cancelled() and opening.exception() is None:
                opening.result().terminate()
            raise

    async def _tune(self, connection: asyncpg.Connection, tuned: Set[str]) -> Set[str]:
        """Listen to what is wanted and new; then tell that something may have been missed. Returns all that is heard."""
        schema = self._server.schema
        first = {schema, settled_channel(schema)}
        wanted = self._channels()
        new = set(wanted) - tuned
        await self._listen_to(connection, new & first)
        # Asked once the ear is open: what comes later is heard.
        if schema in new or (new and not tuned):
            await self._tell_everything()
        elif new & first:
            self._heard(Wake(settled=None))
        if slots := new - first:
            # A thousand at most, one by one, those first that were named first; meanwhile what everybody is told is heard.
            await self._listen_to(connection, [channel for channel in wanted if channel in slots])
            self._heard(Wake(woken=None))
        return tuned | new

    async def _listen_to(self, connection: asyncpg.Connection, channels: Iterable[str]) -> None:
        for channel in channels:
            async with asyncio.timeout(self._server.bounds.connect_s):
                await connection.add_listener(channel, self._take)

    async def _leave(self, connection: asyncpg.Connection, tuned: Set[str]) -> Set[str]:
        """Stop hearing what nobody wants any more. Returns what is left."""
        old = tuned - self._channels()
        for channel in old:
            async with asyncio.timeout(self._server.bounds.connect_s):
                await connection.remove_listener(channel, self._take)
        return tuned - old

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
