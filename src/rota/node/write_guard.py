"""The write guard: a worker that stands still inside a write transaction holds up everybody and is killed.

A worker publishes in its running table since when it has been in a write (after the lock was granted: whoever only *waits*
for a locked database is not in one). Judged only on marks that this supervisor has seen itself, several times: after a sleep
of the machine, or after having been stopped, an old mark proves nothing at first sight. And judged only together with the
lock itself: a handler that keeps the interpreter busy for seconds also keeps the writer's thread from clearing a mark whose
lock is long given back, and harms nobody by it.

Invariants, each with the test that holds it:
    A worker frozen in a write is killed within a second after the limit.    tests/integration/test_crash_writes.py
    A long mark seen for the first time kills nobody.                        tests/unit/node/test_write_guard.py
    A worker that waits for the disk is given longer.                        tests/unit/node/test_write_guard.py
    A mark without the lock kills nobody.                                    tests/unit/node/test_write_guard.py
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from rota.node.crew import Crew
from rota.node.identity import thread_states
from rota.node.processes import Started
from rota.runtime.clock import Clock
from rota.telemetry.telemetry import Telemetry

LOOK_S = 0.25
LOOKS_MIN = 5
DISK_FACTOR = 5.0


class WriteGuard:
    """Watches the marks of one node's workers.

    Args:
        crew: The workers.
        limit_s: How long a write may stand still; five times that while a thread waits for the disk (state D), which a kill
            would not end.
        clock: The clock of the marks.
        telemetry: Who is told.
        holds_lock: Whether a process has the store's write lock now; ``None`` if that cannot be told.
        states: Returns the states of a process's threads; replaced by tests.
    """

    def __init__(
        self,
        crew: Crew,
        limit_s: float,
        clock: Clock,
        telemetry: Telemetry,
        holds_lock: Callable[[int], bool | None],
        states: Callable[[int], str] = thread_states,
    ) -> None:
        self._crew = crew
        self._limit_s = limit_s
        self._clock = clock
        self._telemetry = telemetry
        self._holds_lock = holds_lock
        self._states = states
        self._looks: dict[tuple[int, int], int] = {}

    async def run(self) -> None:
        """Watch until cancelled."""
        while True:
            self.look()
            await asyncio.sleep(LOOK_S)

    def look(self) -> None:
        """Look at every worker once; kill those that stand still."""
        now, seen = self._clock.boot_ns(), {}
        for process in self._crew:
            since = process.table.write_since_ns
            if since:
                mark = (process.pid, since)
                seen[mark] = self._looks.get(mark, 0) + 1
                self._judge(process, (now - since) / 1e9, seen[mark])
        self._looks = seen

    def _judge(self, process: Started, seconds: float, looks: int) -> None:
        if seconds < self._limit_s or looks < LOOKS_MIN or self._holds_lock(process.pid) is False:
            return
        if seconds < self._limit_s * DISK_FACTOR and "D" in self._states(process.pid):
            return
        process.kill(f"it stood still in a write for {seconds:.1f} s")
        self._telemetry.emit("worker.write_stuck", worker=process.name, pid=process.pid, seconds=seconds)
