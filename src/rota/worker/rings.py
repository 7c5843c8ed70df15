"""From who is there to who has which slot, and following it as workers come and go."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence

from rota.errors import NodeClosedError, StoreBrokenError, StoreError
from rota.ring.member import Member
from rota.ring.ring import Ring
from rota.runtime.entropy import Entropy
from rota.runtime.patience import store_pause_s
from rota.store.owners import tell_own
from rota.store.port import Members, Membership
from rota.telemetry.telemetry import Telemetry
from rota.worker.line import QueueLine


def ring_of_queue(seen: Membership, queue: str) -> Ring:
    """Return the ring of one queue: all workers that serve it and go on doing so.

    A worker that drains, or runs a suspect alone, is open but has no place.
    """
    return Ring.of(
        Member(worker.name, worker.weight)
        for worker in seen.workers
        if queue in worker.queues and not worker.is_draining and not worker.is_alone
    )


class RingFollower:
    """Keeps one worker's slots up to date. A ring that is out of date costs affinity and time, never safety.

    Args:
        store: Where the members are known.
        worker: The worker's incarnation.
        name: Its ring name.
        lines: Its queues, whose slots are set.
        changed: Called after the slots have changed.
    """

    def __init__(
        self,
        store: Members,
        worker: int,
        name: str,
        lines: Sequence[QueueLine],
        *,
        telemetry: Telemetry,
        entropy: Entropy,
        changed: Callable[[], None],
    ) -> None:
        self._store = store
        self._worker = worker
        self._name = name
        self._lines = list(lines)
        self._telemetry = telemetry
        self._entropy = entropy
        self._changed = changed
        self._news = asyncio.Event()
        self._epoch = -1

    def epoch_seen(self, epoch: int) -> None:
        """Take the epoch that a claim told; another one than ours means that the members have changed."""
        if epoch != self._epoch:
            self._news.set()

    def look_soon(self) -> None:
        """Take the news that the members have changed."""
        self._news.set()

    async def run(self) -> None:
        """Look who is there whenever the epoch has changed, until cancelled.

        Raises:
            NodeClosedError: The worker has been declared dead.
            StoreBrokenError: The store reported a disk error.
        """
        tries = 0
        while True:
            await self._news.wait()
            self._news.clear()
            try:
                await self.look()
                tries = 0
            except (NodeClosedError, StoreBrokenError):
                raise
            except StoreError:
                tries += 1
                self._news.set()
                await asyncio.sleep(store_pause_s(tries, self._entropy))

    async def look(self) -> None:
        """Look who is there now, and take the slots that follow from it.

        A worker that is no longer among the open ones has no slots: it would not claim, and so never be told that it is closed.

        Raises:
            NodeClosedError: The worker has been declared dead.
        """
        seen = await self._store.membership()
        if seen.epoch == self._epoch:
            return
        if all(worker.id != self._worker for worker in seen.workers):
            raise NodeClosedError(
                f"worker {self._worker} ({self._name}) was declared dead; it may take nothing any more. What it held is "
                "released. Start it again: it gets a new incarnation.",
                worker=self._worker,
            )
        self._epoch = seen.epoch
        rings = [ring_of_queue(seen, line.name) for line in self._lines]
        own = [ring.slots_of(self._name) for ring in rings]
        # Told before they are looked into, so that no news of them comes to nobody in between.
        tell_own(
            self._store,
            f"worker-{self._worker}",
            {line.queue_id: slots for line, slots in zip(self._lines, own, strict=True)},
        )
        for line, ring, slots in zip(self._lines, rings, own, strict=True):
            before, line.ring = line.ring, ring
            if line.slots.own != set(slots):
                line.slots.set_own(slots)
            self._tell(line, before)
        self._changed()

    def _tell(self, line: QueueLine, before: Ring) -> None:
        were = {member.name for member in before.members}
        are = {member.name for member in line.ring.members}
        self._telemetry.emit(
            "ring.changed",
            queue=line.name,
            epoch=self._epoch,
            members=len(are),
            joined=sorted(are - were),
            left=sorted(were - are),
            slots_moved=len(before.moved_to(line.ring)),
            slots_own=len(line.slots.own),
            worker=self._name,
        )
