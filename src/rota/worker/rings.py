"""From who is there to who has which slot."""

from __future__ import annotations

from rota.ring.member import Member
from rota.ring.ring import Ring
from rota.store.port import Membership


def ring_of_queue(seen: Membership, queue: str) -> Ring:
    """Return the ring of one queue: all workers that serve it and go on doing so.

    A worker that drains, or runs a suspect alone, is open but has no place.
    """
    return Ring.of(
        Member(worker.name, worker.weight)
        for worker in seen.workers
        if queue in worker.queues and not worker.is_draining and not worker.is_alone
    )
