"""One node's bid for the house, and the duties while it has it."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from rota.errors import StoreBrokenError, StoreError
from rota.orchestrator.duty import Duty
from rota.runtime.clock import Clock
from rota.runtime.entropy import Entropy
from rota.store.port import Members
from rota.telemetry.telemetry import Telemetry

LOOK_S = 2.0


class Orchestrator:
    """Asks for the house every two seconds and does the duties while it is this node's.

    Args:
        store: Where the holder's name stands.
        node_id: The node's incarnation.
        node: Its ring name.
        duties: What there is to do.
        clock: When something is due, by time that only goes forward.
        entropy: Spreads the first run of each duty, so that a restart is not followed by all of them at once.
        telemetry: Who is told.

    Attributes:
        broken: Set when the store says that its disk has failed. This process can do nothing more; another can, perhaps.
    """

    def __init__(
        self,
        store: Members,
        node_id: int,
        node: str,
        duties: Sequence[Duty],
        *,
        clock: Clock,
        entropy: Entropy,
        telemetry: Telemetry,
    ) -> None:
        self._store = store
        self._node_id = node_id
        self._node = node
        self._clock = clock
        self._telemetry = telemetry
        self._holder: int | None = None
        self.broken = asyncio.Event()
        now = clock.boot_ns()
        self._due = [(duty, now + int(entropy.uniform(0, duty.period_s / 4) * 1e9)) for duty in duties]

    @property
    def has_house(self) -> bool:
        """Whether the house was this node's at the last look."""
        return self._holder == self._node_id

    async def run(self) -> None:
        """Bid, and do what is due, until cancelled."""
        while True:
            await self.step()
            await asyncio.sleep(LOOK_S)

    async def step(self) -> None:
        """Bid once, and do each duty whose time has come if the house is ours."""
        try:
            holder = await self._store.take_house(self._node_id)
        except (StoreError, TimeoutError) as error:
            self._telemetry.emit("duty.failed", duty="take house", error=error, wait_s=LOOK_S)
            if isinstance(error, StoreBrokenError):
                self.broken.set()
            return
        self._tell(holder)
        if self.has_house:
            self._due = [(duty, await self._next_of(duty, due_ns)) for duty, due_ns in self._due]

    async def _next_of(self, duty: Duty, due_ns: int) -> int:
        """Do the duty if it is due; return when it is next."""
        if self._clock.boot_ns() < due_ns:
            return due_ns
        try:
            await duty.do()
        except Exception as error:  # A duty that fails must not end the others, nor the node.
            self._telemetry.emit("duty.failed", duty=duty.name, error=error, wait_s=duty.period_s)
        return self._clock.boot_ns() + int(duty.period_s * 1e9)

    def _tell(self, holder: int) -> None:
        if holder == self._holder:
            return
        self._holder = holder
        if self.has_house:
            self._telemetry.emit("orchestrator.elected", node=self._node, incarnation=holder)
        else:
            self._telemetry.emit("orchestrator.changed", node=self._node, holder=holder)
