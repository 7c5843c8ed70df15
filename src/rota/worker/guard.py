"""A side thread that notices when user code blocks the event loop.

An ``async def`` handler that computes, or calls something slow without ``await``, stops everything else in its process.
Jobs that were claimed and wait to be started there would wait with it. This thread gives them back, so that others run them.
It cannot help the job that blocks, nor those that run beside it.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Sequence

from rota.model.job import ClaimedJob
from rota.runtime.clock import Clock

BEAT_S = 0.1
"""How often a busy loop shows that it turns."""

BLOCKED_S = 0.5
"""A loop that has not turned for so long is blocked."""


class LoopGuard:
    """Watches one loop while jobs wait in it.

    Args:
        waiting: How many jobs wait to be started.
        blocked: Called on the side thread, once a blockage, with how long it has lasted in seconds; gives the jobs back.
    """

    def __init__(
        self, clock: Clock, waiting: Callable[[], Sequence[ClaimedJob]], blocked: Callable[[float], None]
    ) -> None:
        self._clock = clock
        self._waiting = waiting
        self._blocked = blocked
        self._loop = asyncio.get_running_loop()
        self._turned_ns = clock.boot_ns()
        self._stop = threading.Event()
        self._timer: asyncio.TimerHandle | None = None
        self._thread = threading.Thread(target=self._watch, name="rota-guard", daemon=True)

    def start(self) -> None:
        """Begin to watch."""
        self._beat()
        self._thread.start()

    def stop(self) -> None:
        """End watching."""
        self._stop.set()
        if self._timer is not None:
            self._timer.cancel()
        self._thread.join()

    def _beat(self) -> None:
        self._turned_ns = self._clock.boot_ns()
        self._timer = self._loop.call_later(BEAT_S, self._beat)

    def _watch(self) -> None:
        while not self._stop.wait(BLOCKED_S / 2):
            seconds = (self._clock.boot_ns() - self._turned_ns) / 1e9
            if seconds >= BLOCKED_S and self._waiting():
                self._blocked(seconds)
