"""Wake-ups through LISTEN and NOTIFY: one connection that listens a node, and for every other process that wants to hear.

    a function's pg_notify ──commit──▶ channel = schema ──▶ ear ──▶ listeners of this process
                                 ├───▶ channel "… settled" ──┤└──▶ relay ──▶ workers of this node, the slot's owner first
                                 └───▶ channel "… slot 517" ─┘

What was settled goes over a channel of its own, to which an ear listens while somebody behind it waits for a result. While more
than 40 workers are open, so does work in one slot: of twenty nodes one is meant. An ear listens to the channels of the slots
that somebody behind it wants to be told of, from 36 workers on, so that it does so before anybody tells them there. Statements
notify by themselves, in their own transaction: what was not committed wakes nobody. When the connection was lost, each
listener is told to look everywhere, since nobody knows what it missed; and so when it begins to listen.

Invariants, each with the test that holds it:
    A node has one connection that listens.                      tests/postgres/test_listen.py
    It listens again by itself, and says "look everywhere".      tests/postgres/test_listen.py
    A commit sends one notification a channel.                   tests/postgres/test_listen.py
    A settle is heard where somebody waits, and nowhere else.    tests/postgres/test_listen_settled.py
    In a large cluster a slot's owner is told, and few others.   tests/postgres/test_listen_slots.py
    Without LISTEN, and without the relay, all is found.         tests/postgres/test_pooler.py, test_listen.py
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Set
from pathlib import Path
from typing import Final

from msgspec import structs

from rota.errors import RotaError, StoreReadOnlyError
from rota.store.owners import Own, write_own
from rota.store.port import Wake
from rota.store.postgres.ear import Ear
from rota.store.postgres.errors import DRIVER_ERRORS
from rota.store.postgres.notices import EVERYTHING, settled_channel, slot_channel, written
from rota.store.postgres.server import Server
from rota.store.relay import Relay, tell_relay
from rota.store.wakes import Heard, Sockets, parts_for

_LARGE: Final = 36
"""From so many open workers on an ear listens by slot. A little sooner than ``slot_channel.sql`` says by slot, which does not
know who has heard of the last ones that joined."""

_NOTHING: Final = Wake()

_log = logging.getLogger("rota.store.postgres")


class PostgresWakes:
    """``rota.store.port.Wakes`` on PostgreSQL.

    Args:
        server: The road to the server.
        relay: The folder through which this process's node passes wake-ups on; ``None`` to hear for oneself.
    """

    def __init__(self, server: Server, relay: str | None = None) -> None:
        self._server = server
        self._listeners: dict[tuple[str, object], Heard] = {}
        self._hall = relay
        self._relayed = None if relay is None else Sockets(Path(relay))
        self._relay: Relay | None = None
        self._ear = Ear(server, self._pass_on, self._channels, self._has_workers)
        self._told: set[asyncio.Task[None]] = set()
        self._own: dict[str, Own] = {}
        self._is_large = False

    def listen(self, name: str, heard: Heard) -> Callable[[], None]:
        """Call ``heard`` on the running event loop for each wake-up that concerns this name; returns what ends it."""
        if self._relayed is not None:
            try:
                return self._listen_to_relay(self._relayed, name, heard)
            except StoreReadOnlyError as problem:
                _log.warning("%s This process listens for itself.", problem)
        mark = (name, object())
        self._listeners[mark] = heard
        self._ear.retune()

        def end() -> None:
            self._listeners.pop(mark, None)
            self._own.pop(name, None)
            self._rest()

        return end

    def relay(self, folder: str) -> Callable[[], None]:
        """Pass on what is heard to those who listen in that folder, from now on; returns what ends it."""
        self._relay = relay = Relay(folder, self._ear.retune)
        self._ear.retune()

        def end() -> None:
            if self._relay is relay:
                self._relay = None
                relay.close()
                self._rest()

        return end

    def tell_own(self, name: str, own: Own) -> None:
        """Tell the node's relay which slots are a listener's own, so that it hears of them first."""
        if self._hall is not None:
            write_own(self._hall, name, own)
        if self._relayed is not None:
            tell_relay(self._relayed)
        self._own[name] = own
        if self._listeners:
            self._ear.retune()

    def note_workers(self, count: int) -> None:
        """Take how many workers are open in the whole cluster."""
        is_large = count >= _LARGE
        if is_large != self._is_large:
            self._is_large = is_large
            if self._relay is not None or self._listeners:
                self._ear.retune()

    def tell(self, wake: Wake) -> None:
        """Send a wake-up to every listener. Never blocks, never raises; may be lost.

        What a statement did has been told by the statement itself; this is for what no statement knows.
        """
        try:
            task = asyncio.get_running_loop().create_task(self._notify(wake))
        except RuntimeError:
            return
        self._told.add(task)
        task.add_done_callback(self._told.discard)

    async def deafen(self) -> None:
        """End listening and telling."""
        self._listeners.clear()
        if self._relay is not None:
            self._relay.close()
            self._relay = None
        if self._relayed is not None:
            self._relayed.close()
        told, ending = list(self._told), self._ear.shut()
        for task in told:
            task.cancel()
        await asyncio.gather(*told, *ending, return_exceptions=True)

    def _listen_to_relay(self, relayed: Sockets, name: str, heard: Heard) -> Callable[[], None]:
        """Listen in the node's folder; begin with what may have been missed."""
        stop = relayed.listen(name, heard)
        if _kind(name) == "wait":
            tell_relay(relayed)
        part = parts_for(_kind(name), EVERYTHING)
        first = asyncio.get_running_loop().call_soon(heard, part) if part is not None else None

        def end() -> None:
            if first is not None:
                first.cancel()
            stop()

        return end

    def _rest(self) -> None:
        """Stop hearing when nobody is left to be told."""
        if not self._listeners and self._relay is None:
            self._ear.shut()

    def _channels(self) -> Set[str]:
        kinds = {_kind(name) for name, _ in self._listeners}
        channels: dict[str, None] = {}
        if self._relay is not None or kinds - {"wait"}:
            channels[self._server.schema] = None
        if "wait" in kinds or (self._relay is not None and self._relay.has_waiters):
            channels[settled_channel(self._server.schema)] = None
        if self._is_large:
            own = [self._own[name] for name, _ in self._listeners if name in self._own]
            slots = [slot for queues in own for each in queues.values() for slot in each]
            if self._relay is not None:
                slots += self._relay.slots
            channels.update(dict.fromkeys(slot_channel(self._server.schema, slot) for slot in slots))
        return channels.keys()

    def _has_workers(self) -> bool:
        return self._relay is not None or any(_kind(name) == "worker" for name, _ in self._listeners)

    def _pass_on(self, wake: Wake) -> None:
        for (name, _), heard in list(self._listeners.items()):
            part = parts_for(_kind(name), wake)
            if part is not None:
                heard(part)
        if self._relay is not None:
            self._relay.pass_on(wake)

    async def _notify(self, wake: Wake) -> None:
        schema = self._server.schema
        news = ((schema, structs.replace(wake, settled=())), (settled_channel(schema), Wake(settled=wake.settled)))
        try:
            async with self._server.connection() as connection:
                for channel, part in news:
                    if part != _NOTHING:
                        await connection.execute("SELECT pg_notify($1, $2)", channel, written(part))
        except (RotaError, *DRIVER_ERRORS):
            _log.debug("a wake-up was lost", exc_info=True)


def _kind(name: str) -> str:
    return name.partition("-")[0]
