"""How many jobs to claim: what can start now, and what will be done within about 50 ms.

Slow jobs are never hoarded: a worker that takes a minute for each claims only as many as it has free hands. Fast ones come
a thousand at a time, or the way to the store would be most of the work.
"""

from __future__ import annotations

from rota.model.limits import CLAIM_JOBS_MAX

AHEAD_S = 0.05
"""How far ahead a worker claims."""

_NEW_WEIGHT = 0.5


class Pace:
    """A worker's own recent speed, in jobs a second while it had work."""

    def __init__(self) -> None:
        self._rate = 0.0
        self._run_us = 0.0
        self._done = 0
        self._since_ns = 0

    def resting(self) -> None:
        """Nothing to do: the time from here on says nothing about speed."""
        self._since_ns = 0

    def finished(self, jobs: int, run_us: float) -> None:
        """Count jobs that ended.

        Args:
            jobs: How many.
            run_us: The run time of a typical one of them, microseconds.
        """
        self._done += jobs
        self._run_us += _NEW_WEIGHT * (run_us - self._run_us)

    def ahead(self, now_ns: int) -> int:
        """Return how many jobs will be done within the next 50 ms, 0 to 1,000."""
        if self._since_ns and self._done:
            sample = self._done / max((now_ns - self._since_ns) / 1e9, 1e-6)
            self._rate += _NEW_WEIGHT * (sample - self._rate)
        if self._done or not self._since_ns:
            self._done, self._since_ns = 0, now_ns
        return min(int(self._rate * AHEAD_S), CLAIM_JOBS_MAX)

    @property
    def run_us(self) -> float:
        """The recent run time of a job, microseconds."""
        return self._run_us
