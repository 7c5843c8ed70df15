"""Following the ring: what a worker does when it learns that its slots are others."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import cast

from rota.model.limits import SLOT_COUNT
from rota.runtime.entropy import SystemEntropy
from rota.store.port import Members, Membership, WorkerRow
from rota.telemetry.telemetry import Telemetry
from rota.testing.clock import ManualClock
from rota.worker.line import QueueLine
from rota.worker.rings import RingFollower


class Relayed:
    """A store that has a relay, and members: mitte/1 to mitte/n."""

    def __init__(self, line: QueueLine) -> None:
        self._line = line
        self.count = 0
        self.told: list[tuple[str, dict[int, frozenset[int]], frozenset[int]]] = []

    async def membership(self) -> Membership:
        workers = [
            WorkerRow(
                id=number,
                node_id=1,
                name=f"mitte/{number}",
                proof="",
                queues=["ovens"],
                tasks=[],
                weight=1,
                is_alone=False,
                is_draining=False,
                pid=0,
                registered_at=0,
                held=0,
            )
            for number in range(1, self.count + 1)
        ]
        return Membership(epoch=self.count, nodes=[], workers=workers, orchestrator=None)

    def tell_own(self, name: str, own: Mapping[int, Collection[int]]) -> None:
        """Note what is told, and what the worker takes for its own at that moment."""
        self.told.append((name, {queue: frozenset(slots) for queue, slots in own.items()}, self._line.slots.own))


async def test_slots_are_told_before_they_are_looked_into() -> None:
    """What is committed after the look is told to whom the relay takes for the owner: it must know by then."""
    line = QueueLine(7, "ovens")
    store = Relayed(line)
    follower = RingFollower(
        cast(Members, store),
        1,
        "mitte/1",
        [line],
        telemetry=Telemetry(),
        entropy=SystemEntropy(ManualClock()),
        changed=lambda: None,
    )
    for store.count in (1, 2):
        await follower.look()

    (first, second), shared = store.told, line.slots.own
    assert first == ("worker-1", {7: frozenset(range(SLOT_COUNT))}, frozenset())
    assert second == ("worker-1", {7: shared}, frozenset(range(SLOT_COUNT)))
    assert 0 < len(shared) < SLOT_COUNT
