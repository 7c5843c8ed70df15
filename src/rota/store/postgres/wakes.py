"""Wake-ups through LISTEN and NOTIFY.

    a function's pg_notify ──commit──▶ channel = schema ──▶ one LISTEN connection a process ──▶ every listener in it

Statements notify by themselves, in their own transaction: what was not committed wakes nobody. When the connection was lost,
each listener is told to look everywhere, since nobody knows what it missed; and so when it begins to listen.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from typing import Any

import msgspec
from msgspec import Struct, structs

from rota.errors import RotaError, StoreError
from rota.model.token import token_from_text, token_text
from rota.store.port import Wake, Woken
from rota.store.postgres.errors import DRIVER_ERRORS
from rota.store.postgres.server import Server

_BACKOFF_SECONDS = (0.1, 0.2, 0.5, 1.0, 2.0, 5.0)
_TEXT_BYTES_MAX = 7_900
_EVERYTHING = Wake(woken=None, settled=None, is_epoch=True, is_alone=True)
_log = logging.getLogger("rota.store.postgres")


class _News(Struct, omit_defaults=True):
    """A notification's payload."""

    w: list[tuple[int, int, int]] | None = []
    c: list[str] = []
    s: list[str] | None = []
    e: bool = False
    a: bool = False


_decoder = msgspec.json.Decoder(_News)


class PostgresWakes:
    """``rota.store.port.Wakes`` on PostgreSQL."""

    def __init__(self, server: Server) -> None:
        self._server = server
        self._listeners: dict[object, Callable[[Wake], None]] = {}
        self._ear: asyncio.Task[None] | None = None
        self._told: set[asyncio.Task[None]] = set()

    def listen(self, name: str, heard: Callable[[Wake], None]) -> Callable[[], None]:
        """Call ``heard`` on the running event loop for each wake-up; returns what ends it."""
        mark = (name, object())
        self._listeners[mark] = heard
        if self._ear is None or self._ear.done():
            self._ear = asyncio.get_running_loop().create_task(self._hear())

        def end() -> None:
            self._listeners.pop(mark, None)
            if not self._listeners and self._ear is not None:
                self._ear.cancel()
                self._ear = None

        return end

    def tell(self, wake: Wake) -> None:
        """Send a wake-up to every listener. Never blocks, never raises; may be lost.

        What a statement did has been told by the statement itself; this is for what no statement knows.
        """
        try:
            task = asyncio.get_running_loop().create_task(self._notify(_written(wake)))
        except RuntimeError:
            return
        self._told.add(task)
        task.add_done_callback(self._told.discard)

    async def deafen(self) -> None:
        """End listening and telling."""
        self._listeners.clear()
        tasks = [*self._told, *([self._ear] if self._ear else [])]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        self._ear = None

    async def _notify(self, text: str) -> None:
        try:
            async with self._server.connection() as connection:
                await connection.execute("SELECT pg_notify($1, $2)", self._server.schema, text)
        except (RotaError, *DRIVER_ERRORS):
            _log.debug("a wake-up was lost", exc_info=True)

    async def _hear(self) -> None:
        failures = 0
        while True:
            try:
                connection = await self._server.connect()
            except StoreError:
                await asyncio.sleep(_BACKOFF_SECONDS[min(failures, len(_BACKOFF_SECONDS) - 1)])
                failures += 1
                continue
            try:
                lost = asyncio.Event()
                connection.add_termination_listener(lambda _, lost=lost: lost.set())
                await connection.add_listener(self._server.schema, self._heard)
                failures = 0
                # Asked once the ear is open: what comes later is heard.
                cancels = await self._server.call("list_cancels", writes=False)
                self._pass_on(structs.replace(_EVERYTHING, cancels=[record[0] for record in cancels]))
                await lost.wait()
            except (StoreError, *DRIVER_ERRORS):
                failures += 1
            finally:
                connection.terminate()
            await asyncio.sleep(_BACKOFF_SECONDS[0])

    def _heard(self, _connection: Any, _pid: int, _channel: str, text: str) -> None:
        try:
            self._pass_on(_read(text))
        except (msgspec.DecodeError, RotaError):
            self._pass_on(_EVERYTHING)

    def _pass_on(self, wake: Wake) -> None:
        for heard in list(self._listeners.values()):
            heard(wake)


def _read(text: str) -> Wake:
    news = _decoder.decode(text)
    return Wake(
        woken=None if news.w is None else [Woken(*each) for each in news.w],
        cancels=[token_from_text(each) for each in news.c],
        settled=None if news.s is None else [token_from_text(each) for each in news.s],
        is_epoch=news.e,
        is_alone=news.a,
    )


def _written(wake: Wake) -> str:
    news = _News(
        w=None if wake.woken is None else [(each.queue_id, each.slot, each.place) for each in wake.woken],
        c=[token_text(token) for token in wake.cancels],
        s=None if wake.settled is None else [token_text(token) for token in wake.settled],
        e=wake.is_epoch,
        a=wake.is_alone,
    )
    text = msgspec.json.encode(news).decode()
    if len(text) > _TEXT_BYTES_MAX:
        news.w, news.s, news.c = None, None, news.c[:100]
        text = msgspec.json.encode(news).decode()
    return text
