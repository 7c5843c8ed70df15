"""The expirer: drops what is past its ``expires`` and to which no worker comes."""

from __future__ import annotations

from rota.store.port import House
from rota.telemetry.telemetry import Telemetry

BATCH = 1_000


class Expirer:
    """Settles jobs as expired: those of a paused queue, of one that nobody serves, of one with a long line.

    Args:
        store: Where the jobs are.
        telemetry: Who is told.
    """

    name = "expire"
    period_s = 10.0

    def __init__(self, store: House, telemetry: Telemetry) -> None:
        self._store = store
        self._telemetry = telemetry

    async def do(self) -> None:
        """Settle everything that has expired by now, in batches between which others can write.

        Raises:
            StoreError: A batch failed; those before it are done.
        """
        last = BATCH
        while last == BATCH:
            last = await self._store.expire(BATCH)
            if last:
                self._telemetry.count("jobs.expired", last)
                self._telemetry.emit("waiting.expired", jobs=last)
