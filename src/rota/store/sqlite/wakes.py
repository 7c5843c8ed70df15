"""Wake-ups of a SQLite store: through sockets in ``<db>.d/wake``, or, for a database in memory, by a call.

    commit ──▶ tell ──▶ every listener that it concerns ──▶ heard, on the listener's event loop

The sockets, and who is told what, are in ``rota.store.wakes``.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable
from typing import Protocol

from rota.store.port import Wake
from rota.store.wakes import Heard, parts_for


class Switchboard(Protocol):
    """Delivers wake-ups."""

    def listen(self, name: str, heard: Heard) -> Callable[[], None]:
        """Call ``heard`` on the running loop for each wake-up that concerns this name; returns what ends it."""
        ...

    def tell(self, wake: Wake, but: str = "") -> None:
        """Send to all whom it concerns, but not to the listener of that name. Never raises."""
        ...

    def close(self) -> None:
        """End all listening of this process."""
        ...


class InProcess:
    """Wake-ups of a database in memory: there is no other process."""

    def __init__(self) -> None:
        self._ears: dict[str, tuple[asyncio.AbstractEventLoop, Heard]] = {}

    def listen(self, name: str, heard: Heard) -> Callable[[], None]:
        """Add an ear."""
        ear = (asyncio.get_running_loop(), heard)
        self._ears[name] = ear

        def stop() -> None:
            if self._ears.get(name) is ear:
                del self._ears[name]

        return stop

    def tell(self, wake: Wake, but: str = "") -> None:
        """Call every ear that it concerns, from its own loop."""
        for name, (loop, heard) in list(self._ears.items()):
            part = parts_for(name.partition("-")[0], wake)
            if part is None or name == but:
                continue
            with contextlib.suppress(RuntimeError):
                if asyncio._get_running_loop() is loop:
                    loop.call_soon(self._hear, name, heard, part)
                else:
                    loop.call_soon_threadsafe(self._hear, name, heard, part)

    def close(self) -> None:
        """Forget all ears."""
        self._ears.clear()

    def _hear(self, name: str, heard: Heard, wake: Wake) -> None:
        known = self._ears.get(name)
        if known is not None and known[1] is heard:
            heard(wake)
