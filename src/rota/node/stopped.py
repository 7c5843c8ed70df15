"""A supervisor that was stopped inside of a write: it holds the lock that everybody needs, and cannot let it go.

    the kernel tells its keeper that it was stopped ─▶ does it hold the store's write lock? ─no─▶ it is harmless
                                                          │ yes, at every look for the limit of a write
                                                          └─▶ it is killed; the keeper starts another

Workers are watched by their supervisor (``node/write_guard.py``), which cannot watch itself. Its keeper costs nothing by it: it
sleeps until the kernel speaks, and looks only at a supervisor that stands still. As long as the keeper has not reaped it, its
number cannot be another process's.

Not covered: a keeper that is stopped as well, and a supervisor that hangs in the kernel, which a kill would not end.

Invariants, each with the test that holds it:
    One that is stopped in a write is ended, and only then.    tests/unit/node/test_stopped.py, test_keeper.py
    Others can write again.                                    tests/unit/node/test_keeper.py
"""

from __future__ import annotations

from collections.abc import Callable

from rota.node.identity import thread_states
from rota.runtime.clock import Clock

LOOK_S = 0.25
LOOKS_MIN = 5
"""After a sleep of the machine, one look proves nothing."""

_STOPPED = frozenset("Tt")


class StoppedInWrite:
    """Watches one child for standing still with the store's write lock.

    Args:
        limit_s: How long it may.
        clock: How long that has been.
        holds_lock: Whether a process has the store's write lock now; ``None`` if that cannot be told.
        states: Returns the states of a process's threads; replaced by tests.
    """

    def __init__(
        self,
        limit_s: float,
        clock: Clock,
        holds_lock: Callable[[int], bool | None],
        states: Callable[[int], str] = thread_states,
    ) -> None:
        self._limit_s = limit_s
        self._clock = clock
        self._holds_lock = holds_lock
        self._states = states
        self._since_ns = 0
        self._looks = 0

    def look(self, pid: int) -> bool:
        """Look at the child; returns whether to look again after ``LOOK_S``, though nothing may be heard of it."""
        states = self._states(pid)
        if not states or not _STOPPED.issuperset(states) or not self._holds_lock(pid):
            self._looks = 0
            return False
        if not self._looks:
            self._since_ns = self._clock.boot_ns()
        self._looks += 1
        return True

    @property
    def stuck_s(self) -> float:
        """For how long it has stood still, if that is too long; else 0."""
        if self._looks < LOOKS_MIN:
            return 0.0
        seconds = (self._clock.boot_ns() - self._since_ns) / 1e9
        return seconds if seconds >= self._limit_s else 0.0
