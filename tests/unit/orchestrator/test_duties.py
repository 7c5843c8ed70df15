"""The duties themselves."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from rota.orchestrator.expirer import BATCH as EXPIRED_AT_ONCE
from rota.orchestrator.expirer import Expirer
from rota.orchestrator.pruner import BATCH, Pruner
from rota.orchestrator.sweeper import Sweeper
from rota.store.port import Swept
from rota.telemetry.telemetry import Telemetry
from rota.testing.clock import ManualClock


class Shelves:
    """So many finished jobs past retention, and what a sweep finds."""

    def __init__(self, old: int = 0, swept: Swept | None = None) -> None:
        self.old = old
        self.whole = 0
        self.asked: list[int] = []
        self._swept = swept or Swept(0, 0, 0)

    async def prune(self, settled_before: int, limit: int) -> int:
        self.asked.append(settled_before)
        removed = min(self.old, limit)
        self.old -= removed
        return removed

    async def tend_partitions(self, settled_before: int) -> int:
        self.asked.append(settled_before)
        whole, self.whole = self.whole, 0
        return whole

    async def expire(self, limit: int) -> int:
        return await self.prune(0, limit)

    async def sweep(self) -> Swept:
        return self._swept


async def test_pruning_goes_on_until_nothing_old_is_left(clock: ManualClock) -> None:
    """In batches, so that nobody waits long for the writer."""
    shelves: Any = Shelves(old=2 * BATCH + 7)
    told = Telemetry()

    await Pruner(shelves, timedelta(days=7), clock, told).do()

    assert shelves.old == 0
    assert set(shelves.asked) == {clock.now_us() - 7 * 86_400 * 10**6}
    assert len(shelves.asked) == 1 + 3
    assert told.counters["finished.pruned"] == 1


async def test_a_partition_that_goes_whole_is_told_too(clock: ManualClock) -> None:
    """Ten million jobs have gone: that belongs in the log, however little work it was."""
    shelves: Any = Shelves()
    shelves.whole = 10_000_000
    told = Telemetry()

    await Pruner(shelves, timedelta(days=7), clock, told).do()

    assert told.counters["finished.pruned"] == 1


async def test_nothing_to_prune_is_not_told(clock: ManualClock) -> None:
    """Silence is the usual case."""
    shelves: Any = Shelves()
    told = Telemetry()

    await Pruner(shelves, timedelta(days=7), clock, told).do()

    assert told.counters == {}


async def test_expiring_goes_on_until_nothing_late_is_left() -> None:
    """A queue that nobody serves can have grown long."""
    shelves: Any = Shelves(old=2 * EXPIRED_AT_ONCE + 7)
    told = Telemetry()

    await Expirer(shelves, told).do()

    assert shelves.old == 0
    assert told.counters == {"waiting.expired": 3, "jobs.expired": 2 * EXPIRED_AT_ONCE + 7}


async def test_only_findings_of_a_sweep_are_told() -> None:
    """Each is a fault of ours, or a damaged file."""
    told = Telemetry()
    clean: Any = Shelves()
    dirty: Any = Shelves(swept=Swept(1, 2, 3))

    await Sweeper(clean, told).do()
    assert told.counters == {}

    await Sweeper(dirty, told).do()
    assert told.counters["store.swept"] == 1
