"""What the orchestrator can be asked to do."""

from __future__ import annotations

from typing import Protocol


class Duty(Protocol):
    """Something that one node does for all, now and then. Safe to repeat, and to be done by two at once."""

    @property
    def name(self) -> str:
        """What it is called in what is told."""
        ...

    @property
    def period_s(self) -> float:
        """Seconds from one end to the next beginning."""
        ...

    async def do(self) -> None:
        """Do it once.

        Raises:
            StoreError: It could not be done; it is tried again at the next period.
        """
        ...
