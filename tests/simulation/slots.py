"""Fewer slots: 64 instead of 1,024, so that a history takes a fifth of the time and more of its jobs meet in one slot.

Nothing else is another: the same ring, the same books, the same SQL, which has the number of slots nowhere but in the places
of jobs. Rings are kept, since a hundred thousand histories have a few thousand of them.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import lru_cache
from unittest.mock import patch

from rota.model.slot import slot_of
from rota.ring import placement, ring, score
from rota.ring.member import Member
from rota.worker import slots

SLOTS = 64

_place = placement.place
_few_costs = lru_cache(maxsize=1_024)(score._costs.__wrapped__)


@lru_cache(maxsize=100_000)
def _few(members: Sequence[Member]) -> tuple[str, ...]:
    with (
        patch.object(placement, "SLOT_COUNT", SLOTS),
        patch.object(score, "SLOT_COUNT", SLOTS),
        patch.object(score, "_costs", _few_costs),
    ):
        return _place(members)


@contextmanager
def few_slots() -> Iterator[None]:
    """Let this process have few slots for a while."""
    with patch.object(ring, "place", _few), patch.object(slots, "SLOT_COUNT", SLOTS):
        yield


def within(hash_bits: int) -> int:
    """Return the hash of a job such that its slot is one of the few."""
    return (slot_of(hash_bits) % SLOTS << 6) | (hash_bits & 63)
