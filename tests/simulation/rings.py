"""Rings as they are while members come and go: of all 1,024 slots, for the checker of moves.

Two rings are compared only if they differ by one member; when more have come and gone between two looks, a new row of rings
begins. So it does while a place is vacant: what the others mind for it moves, too (``rota.ring.placement``).
"""

from __future__ import annotations

from functools import lru_cache

from rota.ring.member import Member
from rota.ring.placement import place, vacant_places
from rota.store.port import Membership
from rota.worker.rings import ring_of_queue
from tests.checkers.history import RingSeen

_owners = lru_cache(maxsize=10_000)(place)


class Rings:
    """What was seen of the rings of one history."""

    def __init__(self) -> None:
        self._last: dict[str, tuple[Member, ...]] = {}
        self._row: dict[str, int] = {}

    def look(self, seen: Membership, queue: str, at: int) -> list[RingSeen]:
        """Return the ring of a queue, if it has changed."""
        members = ring_of_queue(seen, queue).members
        before = self._last.get(queue, ())
        if not members or members == before:
            return []
        self._last[queue] = members
        if queue not in self._row or not _is_one_step(before, members):
            self._row[queue] = self._row.get(queue, 0) + 1
        row = f"{queue}, row {self._row[queue]}"
        return [RingSeen(at=at, queue=row, epoch=seen.epoch, owners=_owners(members))]


def _is_one_step(before: tuple[Member, ...], after: tuple[Member, ...]) -> bool:
    """Whether one member came or went, and no other place was vacant."""
    moved = set(before) ^ set(after)
    return len(moved) == 1 and not (set(vacant_places(before)) | set(vacant_places(after))) - moved
