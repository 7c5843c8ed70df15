"""The pruner: removes finished jobs that are past their retention, and sees to the partitions in which they lie."""

from __future__ import annotations

import asyncio
from datetime import timedelta

from rota.runtime.clock import Clock
from rota.store.port import House
from rota.telemetry.telemetry import Telemetry

BATCH = 5_000
PAUSE_S = 0.05


class Pruner:
    """Removes what is past retention: partitions whole, the rest in batches between which others can write.

    Args:
        store: Where the finished jobs are.
        retention: How long they are kept.
        clock: What "now" is.
        telemetry: Who is told.
    """

    name = "prune"
    period_s = 60.0

    def __init__(self, store: House, retention: timedelta, clock: Clock, telemetry: Telemetry) -> None:
        self._store = store
        self._retention_us = retention // timedelta(microseconds=1)
        self._clock = clock
        self._telemetry = telemetry

    async def do(self) -> None:
        """Remove everything that is past retention now, and make the partitions of the days to come.

        Raises:
            StoreError: A batch failed; those before it are done.
        """
        began, last = self._clock.boot_ns(), BATCH
        before = self._clock.now_us() - self._retention_us
        jobs = await self._store.tend_partitions(before)
        while last == BATCH:
            last = await self._store.prune(before, BATCH)
            jobs += last
            await asyncio.sleep(PAUSE_S if last == BATCH else 0)
        if jobs:
            seconds = (self._clock.boot_ns() - began) / 1e9
            self._telemetry.emit("finished.pruned", jobs=jobs, seconds=seconds)
