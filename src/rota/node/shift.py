"""A shift: the time in which a node's lease is good and its workers run. Most nodes have one, as long as they live.

    lease good ─▶ timer armed ─▶ places and isolator start workers ─▶ … ─▶ lapsed ─▶ killed, reaped ─▶ timer disarmed ─▶ again

Workers that were stopped like that are nobody's fault: what they ran goes back uncounted, once the store can be asked.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence

from rota.node.crew import Crew
from rota.node.fenced import Fenced
from rota.node.isolator import Isolator
from rota.node.lease import Tenure
from rota.node.place import Place
from rota.node.rescuer import Rescuer
from rota.runtime.entropy import Entropy
from rota.store.port import Store
from rota.telemetry.telemetry import Telemetry

Tend = Callable[[str, Callable[[], Awaitable[None]]], asyncio.Task[None]]


class Shifts:
    """Has workers run whenever they may.

    Args:
        places: How many places on the ring the node has.
        crew: Starts workers.
        processes: Knows when they have been reaped.
        lease: By what right they run.
        store: Where suspects wait.
        rescuer: Makes up for workers that die.
        entropy: Jitter.
        telemetry: Who is told.
        tend: Runs a part of the node, and again when it fails.
    """

    def __init__(
        self,
        places: int,
        crew: Crew,
        processes: Fenced,
        lease: Tenure,
        *,
        store: Store,
        rescuer: Rescuer,
        entropy: Entropy,
        telemetry: Telemetry,
        tend: Tend,
    ) -> None:
        self._halt = asyncio.Event()
        self._crew = crew
        self._processes = processes
        self._lease = lease
        self._tend = tend
        self._places = [
            Place(f"{crew.node}/{number}", crew, rescuer, telemetry, self._halt) for number in range(1, places + 1)
        ]
        self._isolator = Isolator(store, crew, rescuer, entropy=entropy, ending=self._halt)
        self._kept: list[asyncio.Task[None]] = []

    async def run(self) -> None:
        """Let workers run whenever the lease is good, until cancelled. Those that run then go on."""
        while True:
            await self._lease.good()
            await self.gone()
            if self._lease.begin():
                self._begin()
            await self._lease.lapsed()
            await self._stop()

    def notice(self) -> None:
        """Look now: a suspect waits."""
        self._isolator.notice()

    def start_nothing(self) -> None:
        """Start no worker any more. To be called when ``run`` has been cancelled."""
        self._halt.set()
        self._isolator.notice()

    async def gone(self) -> None:
        """Wait until every worker that was started has ended and its row is closed."""
        if self._kept:
            await asyncio.wait(self._kept)

    async def reaped(self) -> None:
        """Wait until every worker has been reaped; nothing needs a timer then."""
        await self._processes.all_reaped()
        self._lease.end()

    async def hopeless(self) -> None:
        """Wait until no place can ever have a worker that works."""
        for place in self._places:
            await place.is_hopeless.wait()

    async def dissolve(self) -> None:
        """Stop accounting for what is left of the workers."""
        for task in self._kept:
            task.cancel()
        await asyncio.gather(*self._kept, return_exceptions=True)

    def _begin(self) -> None:
        self._halt.clear()
        keep: Sequence[tuple[str, Callable[[], Awaitable[None]]]] = [
            *((place.name, place.keep) for place in self._places),
            ("isolator", self._isolator.keep),
        ]
        self._kept = [self._tend(name, work) for name, work in keep]

    async def _stop(self) -> None:
        self.start_nothing()
        self._crew.end_now("the node's lease has run out")
        await self.reaped()
