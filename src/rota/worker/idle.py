"""How long hands were idle while something was ready: what waiting for the own worker, and for wake-ups, costs.

    a hand is free ──┐                    counted: from the later of the two to the claim that brings it a job
    news of a job ───┴──▶ claim ──▶ job

Measured only when a claim has brought jobs to idle hands, by clocks that were read anyway, so that it costs a busy worker
nothing. Since when a job was ready is known from the news of it; of a keyed one from another worker's slot, from its affinity
wait; else the claim alone is counted. What another worker took in the end is not counted here: it is a lower bound.

Invariants, each with the test that holds it:
    Hands are idle from when they were seen free, each.       tests/unit/worker/test_idle.py
    What was not ready, or found no idle hand, is not counted. tests/unit/worker/test_idle.py
"""

from __future__ import annotations

from collections.abc import Sequence

from rota.model.job import ClaimedJob


class IdleHands:
    """One worker's hands that have nothing to do. Times are seconds of the event loop's clock."""

    def __init__(self) -> None:
        self._since: list[float] = []
        self._own_at: float | None = None
        self._elsewhere_at: float | None = None

    def rest(self, free: int, now_s: float) -> None:
        """Note that there is nothing to claim for so many free hands; ``0`` when all are busy."""
        since = self._since
        if free > len(since):
            since += [now_s] * (free - len(since))
        else:
            del since[free:]
        self._own_at = None

    def heard(self, now_s: float, *, is_own: bool) -> None:
        """Note that a job has become ready, in an own slot or in another worker's."""
        if is_own:
            self._own_at = now_s if self._own_at is None else self._own_at
        else:
            self._elsewhere_at = now_s if self._elsewhere_at is None else self._elsewhere_at

    def found_nothing(self) -> None:
        """Note that a look at others' slots found nothing that may be taken."""
        self._elsewhere_at = None

    def took_own(self, jobs: int, began_s: float, now_s: float) -> int:
        """Return for how long hands were idle, in all, microseconds, before a claim brought them so many own jobs."""
        ready_at = began_s if self._own_at is None else self._own_at
        self._own_at = None
        return self._idle_us([ready_at] * min(jobs, len(self._since)), now_s)

    def took_elsewhere(self, jobs: Sequence[ClaimedJob], wait_s: float, began_s: float, now_s: float) -> int:
        """Return the same for jobs of others' slots, the keyed ones of which had waited for their own worker."""
        ready_at = began_s if self._elsewhere_at is None else self._elsewhere_at
        self._elsewhere_at = None
        keyed_at = min(ready_at, now_s - wait_s)
        first = jobs[: len(self._since)]
        return self._idle_us([ready_at if job.key is None else keyed_at for job in first], now_s)

    def _idle_us(self, ready_at: Sequence[float], now_s: float) -> int:
        """Give one job to each hand, those first that have been idle for longest."""
        idle_s = sum(now_s - max(pair) for pair in zip(self._since, ready_at, strict=False))
        del self._since[: len(ready_at)]
        return max(0, round(idle_s * 1e6))
