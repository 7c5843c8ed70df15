"""Stage: make due jobs ready, one head a key.

Writers are serial on SQLite, so the step that makes a head rides in the transaction that causes it: submit, settle, cancel,
release and a job that falls due. No crash leaves a key without a head.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import apsw
import msgspec

from rota.model.limits import SLOT_COUNT
from rota.model.slot import place_of
from rota.store.port import Woken
from rota.store.sqlite.bulk import numbers
from rota.store.statements import load

SQL = load("sqlite")
PORTION: Final = 1_000
PORTIONS_MAX: Final = 10

decode = msgspec.json.decode


class WokenSlots:
    """Slots in which something became claimable, each with its lowest place.

    Queue and slot are kept as one number, since tuples take long to make and to sort, and this runs for every job of a batch.
    """

    __slots__ = ("_places",)

    def __init__(self) -> None:
        self._places: dict[int, int] = {}

    def add(self, queue_id: int, slot: int, priority: int, seq: int) -> None:
        """Note that this job became claimable."""
        place = place_of(priority, seq)
        where = queue_id * SLOT_COUNT + slot
        known = self._places.get(where)
        if known is None or place < known:
            self._places[where] = place

    def add_all(self, places: dict[int, int]) -> None:
        """Take these lowest places, by ``queue_id * SLOT_COUNT + slot``."""
        for where, place in self._places.items():
            places[where] = min(place, places.get(where, place))
        self._places = places

    def list(self) -> list[Woken]:
        """Return them by queue and slot."""
        places = self._places
        return [Woken(where // SLOT_COUNT, where % SLOT_COUNT, places[where]) for where in sorted(places)]


def stage_keys(db: apsw.Connection, queue_id: int, keys: str, now: int, woken: WokenSlots) -> int:
    """Give a head to each of these keys that has a due job and no head; return how many got one.

    Args:
        keys: JSON list of keys.
    """
    if keys == "[]":
        return 0
    seqs, slots, priorities = map(decode, db.execute(SQL["next_in_line"], (queue_id, keys)).get)
    if seqs:
        db.execute(SQL["stage_keys"], (numbers(seqs), now))
        for seq, slot, priority in zip(seqs, slots, priorities, strict=True):
            woken.add(queue_id, slot, priority, seq)
    return len(seqs)


def next_due(db: apsw.Connection, queue_id: int, slots: Sequence[int]) -> int | None:
    """Return when the next unstaged job of these slots falls due, or fell due."""
    due_at: int | None = db.execute(SQL["next_due"], (queue_id, numbers(slots))).get
    return due_at


def stage_due(db: apsw.Connection, queue_id: int, slots: Sequence[int], now: int, enough: int) -> WokenSlots:
    """Stage what has fallen due in these slots, in portions, until ``enough`` are ready or nothing is left."""
    woken = WokenSlots()
    ready = 0
    for _ in range(PORTIONS_MAX):
        found, became_ready = _stage_portion(db, queue_id, slots, now, woken)
        ready += became_ready
        if found < PORTION or ready >= enough:
            break
    return woken


def _stage_portion(
    db: apsw.Connection, queue_id: int, slots: Sequence[int], now: int, woken: WokenSlots
) -> tuple[int, int]:
    reply = db.execute(SQL["stage_due"], (queue_id, numbers(slots), now, PORTION)).get
    seqs, in_slots, priorities, keys, heads = map(decode, reply)
    if not seqs:
        return 0, 0
    db.execute(SQL["ready_due"], (numbers(seqs), now))
    ready, to_stage = 0, set()
    for seq, slot, priority, key, head in zip(seqs, in_slots, priorities, keys, heads, strict=True):
        if key is None or head:
            woken.add(queue_id, slot, priority, seq)
            ready += 1
        else:
            to_stage.add(key)
    ready += stage_keys(db, queue_id, msgspec.json.encode(sorted(to_stage)).decode(), now, woken)
    return len(seqs), ready
