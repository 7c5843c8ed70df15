"""The isolator: suspects run alone, each in a fresh process, so that a killer takes nobody with it and is found.

    a suspect waits ─▶ one process of this node's own, outside of the ring, claims it alone
         it comes back ─▶ acquitted: an outcome like any other
         the process dies while the job runs ─▶ condemned: failed, with how the process died

One at a time on each node: suspects are rare, and each may take the machine's memory with it.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Collection

from rota.node.crew import Crew
from rota.node.fenced import NotNowError
from rota.node.rescuer import Rescuer
from rota.runtime.entropy import Entropy
from rota.store.port import AloneRow, Store, WorkerRow

LOOK_S = 1.0
_LONGEST_S = 30.0


class Isolator:
    """Runs suspects for one node.

    Args:
        store: Where they wait.
        crew: Starts processes.
        rescuer: Makes up for those that die.
        entropy: Jitter between looks, so that the nodes do not all start one for the same job.
        ending: Set when the node is ending: nothing is started any more.
    """

    def __init__(
        self,
        store: Store,
        crew: Crew,
        rescuer: Rescuer,
        *,
        entropy: Entropy,
        ending: asyncio.Event,
    ) -> None:
        self._store = store
        self._crew = crew
        self._rescuer = rescuer
        self._entropy = entropy
        self._ending = ending
        self._news = asyncio.Event()
        self._served = Served()

    def notice(self) -> None:
        """Look now: a suspect waits, or the node is ending."""
        self._news.set()

    async def keep(self) -> None:
        """Run suspects until the node is ending. Raises ``StoreError`` when it cannot look; call it again.

        A process that found nothing (another node was quicker, the queue is paused) is followed by longer and longer
        waits, since a start costs more than a look.
        """
        misses = 0
        while not self._ending.is_set():
            waiting = await self._waiting()
            if not waiting:
                misses = 0
                await self._pause(LOOK_S)
                continue
            if self._ending.is_set():  # It was set while the store was asked.
                return
            await self._run_one()
            misses = misses + 1 if waiting <= await self._waiting() else 0
            if misses:
                await self._pause(min(_LONGEST_S, LOOK_S * 2.0 ** (misses - 1)))

    async def _run_one(self) -> None:
        try:
            process = self._crew.start(f"{self._crew.node}/alone", is_alone=True)
        except NotNowError:
            return  # The node's lease lapses, which is told.
        try:
            ending = await process.ended()
            await self._rescuer.make_up_for(process, ending, is_alone=True)
        finally:
            self._crew.dismiss(process)
        await self._rescuer.drained()

    async def _waiting(self) -> frozenset[bytes]:
        """Return the suspects that a worker of this node could run."""
        rows = await self._store.alone()
        if not rows:
            return frozenset()
        own = [worker for worker in (await self._store.membership()).workers if worker.node_id == self._crew.node_id]
        if own:
            self._served = Served.by(own)
        served = self._served
        if not any(map(served.covers, rows)):
            # The list is short: those that only others could run must not hide what this node could.
            rows = await self._store.alone(served.queues, served.tasks)
        return frozenset(row.token for row in rows if served.covers(row))

    async def _pause(self, seconds: float) -> None:
        if self._ending.is_set():
            return
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(self._entropy.uniform(seconds / 2, seconds)):
                await self._news.wait()
        self._news.clear()


class Served:
    """Queues and tasks that a node's workers said they know when they registered.

    A supervisor cannot ask the app, since it never imports it; and when the only worker has just died, what is known from
    before still holds.
    """

    def __init__(self, queues: Collection[str] = (), tasks: Collection[str] = ()) -> None:
        self.queues = frozenset(queues)
        self.tasks = frozenset(tasks)

    @classmethod
    def by(cls, workers: Collection[WorkerRow]) -> Served:
        """Return what these workers serve together."""
        queues = [queue for worker in workers for queue in worker.queues]
        return cls(queues, [task for worker in workers for task in worker.tasks])

    def covers(self, row: AloneRow) -> bool:
        """Whether one of them could run this job."""
        return row.queue in self.queues and row.task in self.tasks
