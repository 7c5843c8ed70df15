"""A side thread that notices when user code blocks the event loop.

An ``async def`` handler that computes, or calls something slow without ``await``, stops everything else in its process.
Jobs that were claimed and wait to be started there would wait with it. This thread gives them back, so that others run them.
It cannot help the job that blocks, nor those that run beside it.

The loop counts beats; the thread compares them, look by look, and reads no clock to judge: a process that was stopped and
goes on has not been blocked by anybody, and its loop beats again before the next look.

Invariants, each with the test that holds it:
    Jobs that wait behind a blocked loop are run by others.    tests/unit/worker/test_guard.py
    A loop that turns is left alone.                           tests/unit/worker/test_guard.py
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sized

from rota.runtime.clock import Clock
from rota.worker.threads import SYSTEM_THREADS, Joinable, Threads

LOOK_S = 0.25
"""How often the side thread looks."""

LOOKS_BLOCKED = 2
"""After so many looks without a beat between them the loop is blocked."""

BEAT_S = 0.2
"""How often the loop shows that it turns."""

_STOP_S = 1.0


class LoopGuard:
    """Watches one loop while jobs wait in it.

    Args:
        clock: How long a blockage has lasted, for what is told.
        waiting: The jobs that wait to be started.
        blocked: Called on the side thread, at each look at a blocked loop in which jobs wait, with how long the blockage has
            lasted in seconds; gives the jobs back.
        threads: Makes the side thread.
    """

    def __init__(
        self, clock: Clock, waiting: Sized, blocked: Callable[[float], None], threads: Threads = SYSTEM_THREADS
    ) -> None:
        self._clock = clock
        self._waiting = waiting
        self._blocked = blocked
        self._loop = asyncio.get_running_loop()
        self._beats = 0
        self._threads = threads
        self._stop = threads.flag()
        self._timer: asyncio.TimerHandle | None = None
        self._thread: Joinable | None = None

    def start(self) -> None:
        """Begin to watch."""
        self._beat()
        self._thread = self._threads.start(self._watch, "rota-guard")

    def stop(self) -> None:
        """End watching. Waits a moment for what is being given back; if the store is slow, that goes on by itself."""
        self._stop.set()
        if self._timer is not None:
            self._timer.cancel()
        if self._thread is not None:
            self._thread.join(_STOP_S)

    def _beat(self) -> None:
        self._beats += 1
        self._timer = self._loop.call_later(BEAT_S, self._beat)

    def _watch(self) -> None:
        seen, looks, since_ns = 0, 0, self._clock.boot_ns()
        while not self._stop.wait(LOOK_S):
            if self._beats != seen:
                seen, looks, since_ns = self._beats, 0, self._clock.boot_ns()
                continue
            looks += 1
            if looks >= LOOKS_BLOCKED and self._waiting:
                self._blocked((self._clock.boot_ns() - since_ns) / 1e9)
