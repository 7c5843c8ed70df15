"""The sweeper: heals what no crash of ours should leave behind, and tells of it."""

from __future__ import annotations

from rota.store.port import House
from rota.telemetry.telemetry import Telemetry


class Sweeper:
    """Sweeps the store once a minute. A finding is a fault of rota or a damaged file, and worth a report.

    Args:
        store: What is swept.
        telemetry: Who is told of findings.
    """

    name = "sweep"
    period_s = 60.0

    def __init__(self, store: House, telemetry: Telemetry) -> None:
        self._store = store
        self._telemetry = telemetry

    async def do(self) -> None:
        """Sweep once.

        Raises:
            StoreError: It could not be done.
        """
        swept = await self._store.sweep()
        # A claims row whose last job was given back from a blocked worker's side thread is only rubbish.
        if swept.keys_without_head or swept.jobs_of_closed_workers:
            self._telemetry.emit(
                "store.swept",
                keys_without_head=swept.keys_without_head,
                jobs_of_closed_workers=swept.jobs_of_closed_workers,
                claims_rows_dropped=swept.claims_rows_dropped,
            )
