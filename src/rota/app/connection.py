"""An app's hold on its store: opened at first use, once a process, and once an event loop for engines bound to one.

    plain code ──run──▶ inline session (SQLite: in this thread) │ portal (PostgreSQL: a loop that callers turn)
    async code ──session──▶ the loop's session

Safe to use from several threads. After a fork the child opens anew: what it inherited is let go of without closing it, since
closing would tell the server, or the file, that the parent had gone.
"""

from __future__ import annotations

import asyncio
import os
import threading
import weakref
from collections.abc import Awaitable, Callable, Coroutine
from dataclasses import dataclass
from typing import Any, TypeVar

from rota.app.blocking import Portal, drive, is_in_loop, pause_thread
from rota.errors import UsageError
from rota.result.watch import Watch
from rota.store.port import Store

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Session:
    """A store, and how to wait, in one thread or loop.

    Attributes:
        store: The store.
        pause: Waits for that many seconds, by suspending or by blocking the thread.
        watch: Tells when jobs are settled; ``None`` in a thread without a loop.
    """

    store: Store
    pause: Callable[[float], Awaitable[None]]
    watch: Watch | None = None


class Connection:
    """Opens and keeps the store.

    Args:
        opener: Opens the store.
        is_shared: The engine can be used from every thread and loop, and opens without suspending.
        name: Returns a new unique name, for listeners.
    """

    def __init__(
        self, opener: Callable[[], Coroutine[Any, Any, Store]], *, is_shared: bool, name: Callable[[], str]
    ) -> None:
        self._opener = opener
        self._is_shared = is_shared
        self._name = name
        self._lock = threading.RLock()
        self._store: Store | None = None
        self._inline: Session | None = None
        self._home: asyncio.AbstractEventLoop | None = None
        self._portal: Portal | None = None
        self._sessions: dict[asyncio.AbstractEventLoop, asyncio.Task[Session]] = {}
        self._is_borrowed = False
        self._inherited: list[object] = []
        _made.add(self)

    def use(self, store: Store) -> None:
        """Use a store that somebody else opened, and will close: a worker's own, or a test's."""
        with self._lock:
            self._store, self._is_borrowed = store, True
            if hasattr(store, "inline"):
                self._inline = Session(store.inline(), pause_thread)
            else:
                self._home = asyncio.get_running_loop()

    def run(self, ask: Callable[[Session], Coroutine[Any, Any, T]]) -> T:
        """Ask something from plain code and return the answer.

        Raises:
            UsageError: Called in the event loop that the store belongs to: the answer could never come.
        """
        if self._inline is None and self._is_shared and self._store is None:
            self._open_shared()
        if self._inline is not None:
            return drive(ask(self._inline))
        if self._home is not None:
            return self._run_at_home(ask)
        with self._lock:
            if self._portal is None or self._portal.is_closed:
                self._portal = Portal()
                weakref.finalize(self, self._portal.abandon)
        return self._portal.call(self._ask_here(ask))

    async def session(self) -> Session:
        """Return the session of the running event loop."""
        loop = asyncio.get_running_loop()
        opening = self._sessions.get(loop)
        if opening is None or (opening.done() and (opening.cancelled() or opening.exception() is not None)):
            with self._lock:
                for ended in [other for other in self._sessions if other.is_closed()]:
                    del self._sessions[ended]
                opening = self._sessions[loop] = loop.create_task(self._open_here())
        return opening.result() if opening.done() else await asyncio.shield(opening)

    async def close(self) -> None:
        """Close what the running loop uses, and the shared store. Safe to call twice; the next use opens anew."""
        await self.leave_loop()
        self._close_shared()

    async def leave_loop(self) -> None:
        """Close what the running loop alone uses, before it ends; a shared store stays open."""
        with self._lock:
            opening = self._sessions.pop(asyncio.get_running_loop(), None)
        if opening is not None and not await _failed(opening):
            session = opening.result()
            if session.watch is not None:
                await session.watch.close()
            if session.store is not self._store:
                await session.store.close()

    def close_blocking(self) -> None:
        """Do the same from plain code."""
        with self._lock:
            portal, self._portal = self._portal, None
        if portal is not None and not portal.is_closed:
            portal.call(self.close())
            portal.close()
        self._close_shared()

    async def _ask_here(self, ask: Callable[[Session], Coroutine[Any, Any, T]]) -> T:
        return await ask(await self.session())

    def _run_at_home(self, ask: Callable[[Session], Coroutine[Any, Any, T]]) -> T:
        home = self._home
        if home is None or (is_in_loop() and asyncio.get_running_loop() is home):
            raise UsageError(
                "a plain call was made in the event loop that the store belongs to, and would wait for itself. Use the "
                "`…_async` twin and await it."
            )
        return asyncio.run_coroutine_threadsafe(self._ask_here(ask), home).result()

    async def _open_here(self) -> Session:
        if self._is_shared and self._store is None:
            self._open_shared()
        # A borrowed store of one loop cannot be used in another, such as that of a handler which runs its own in a thread.
        is_usable = self._home is None or self._home is asyncio.get_running_loop()
        store = self._store if self._store is not None and is_usable else await self._opener()
        return Session(store, asyncio.sleep, Watch(store, f"wait-{self._name()}"))

    def _open_shared(self) -> None:
        with self._lock:
            if self._store is None:
                store = drive(self._opener())
                self._inline = Session(store.inline(), pause_thread)  # type: ignore[attr-defined]
                self._store = store

    def _close_shared(self) -> None:
        with self._lock:
            store, self._store, self._inline, self._home = self._store, None, None, None
            was_borrowed, self._is_borrowed = self._is_borrowed, False
        if store is not None and not was_borrowed:
            drive(store.inline().close())  # type: ignore[attr-defined]

    def _begin_in_child(self) -> None:
        """In a forked child, at once: let go of what is the parent's. The child has one thread, so nobody looks on."""
        self._lock = threading.RLock()  # another thread may have held it at the fork, for ever
        # The engine of a shared store opens anew by itself.
        if self._portal is not None:
            self._portal.let_go()
        self._inherited += [self._portal, self._sessions]
        self._portal, self._sessions = None, {}
        if not self._is_shared:
            self._inherited.append(self._store)
            self._store = self._home = None


_made: weakref.WeakSet[Connection] = weakref.WeakSet()


def _begin_all() -> None:
    for connection in list(_made):
        connection._begin_in_child()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_begin_all)


async def _failed(opening: asyncio.Task[Session]) -> bool:
    """Wait for an opening; whether it failed. Whoever wanted the store has had the error."""
    await asyncio.wait([opening])
    return opening.cancelled() or opening.exception() is not None
