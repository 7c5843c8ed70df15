"""How many jobs to claim: what can start now, and what will be done within about 50 ms.

Slow jobs are never hoarded: a worker that takes a minute for each claims only as many as it has free hands. Fast ones come
a thousand at a time, or the way to the store would be most of the work.

Only time in which a job was running counts. Counted by the wall, a slow store would make the worker look slow, the worker
would claim less for it, and would so stay slow.

Run times are kept by task, for the affinity wait: see ``worker/affinity.py``. One job of each settled batch stands for the
rest; to look at each would cost more than it tells.

Invariants, each with the test that holds it:
    A worker whose pace has dropped claims by the new one.      tests/unit/worker/test_pace.py
    Waiting for the store does not make a worker claim less.    tests/unit/worker/test_pace.py
    A task's run time is its own.                               tests/unit/worker/test_pace.py
"""

from __future__ import annotations

from rota.model.limits import CLAIM_JOBS_MAX

AHEAD_S = 0.05
"""How far ahead a worker claims."""

_NEW_WEIGHT = 0.5
_SAMPLE_NS = 1_000_000
"""The shortest time that says anything about speed."""


class Pace:
    """A worker's own recent speed, in jobs a second while any ran."""

    def __init__(self) -> None:
        self._rate = 0.0
        self._run_us = 0.0
        self._task_us: dict[int, float] = {}
        self._done = 0
        self._busy_ns = 0

    def ran(self, task_id: int, run_us: float) -> None:
        """Take the run time of a typical recent job and its task, microseconds."""
        self._run_us += _NEW_WEIGHT * (run_us - self._run_us)
        known_us = self._task_us.get(task_id, run_us)
        self._task_us[task_id] = known_us + _NEW_WEIGHT * (run_us - known_us)

    def ahead(self, done: int, busy_ns: int) -> int:
        """Return how many jobs will be done within the next 50 ms of running, 0 to 1,000.

        Args:
            done: How many jobs have been run so far.
            busy_ns: For how long any was running, in all, nanoseconds.
        """
        more, passed_ns = done - self._done, busy_ns - self._busy_ns
        rate = self._rate
        if passed_ns >= _SAMPLE_NS and more > 0:
            self._done, self._busy_ns = done, busy_ns
            rate = self._rate = rate + _NEW_WEIGHT * (more * 1e9 / passed_ns - rate)
        elif passed_ns > 0:
            # Whatever the past was like, by now not more than this has been done.
            rate = min(rate, (more + 1) * 1e9 / passed_ns)
        return min(int(rate * AHEAD_S), CLAIM_JOBS_MAX)

    def run_us_of(self, task_id: int) -> float:
        """Return the recent run time of a task's jobs here, microseconds; of one that never ran here, that of all jobs."""
        return self._task_us.get(task_id, self._run_us)
