"""Choose what a claim takes: what a crash interrupted; then by priority over all slots that it names, then the oldest.

    stretches of the line, best first ──▶ front of each named slot ──▶ a window of numbers from the lowest front on

A stretch is 16,384 consecutive numbers of one priority (see migrations/001_first.sql). Within it each named slot is probed once
for its front; then all that lies in a window of numbers is taken together, lowest first; if that is not enough, all of the
stretch. So a claim takes what was submitted together: rows that lie side by side. Taken slot by slot, 1,000 jobs touched
about 1,000 pages, and claim and settle came to 35,000 a second instead of 110,000.

A claim for a few jobs may name a thousand slots, since priorities are mixed. If a stretch has few jobs, it is read,
and only slots that are in it are probed; if it has many, some slots have enough.

The slot that is named first is served first, with one job; the rest goes by age, so no slot can starve behind another.
What is taken of a slot is always the beginning of its line: a caller's cursor may move past it. Not so what a crash
interrupted: that is taken from any slot, and first, so that it need not wait behind a million others for its slot's turn.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Final

import apsw
import msgspec

from rota.model.slot import PRIORITY_SHIFT
from rota.store.sqlite.bulk import numbers
from rota.store.statements import load

SQL = load("sqlite")

STRETCH_BITS: Final = 14
STRETCH: Final = 1 << STRETCH_BITS
_NUMBER_BITS: Final = PRIORITY_SHIFT - STRETCH_BITS
_FIRST: Final = -(100 << _NUMBER_BITS)
_SLOTS_MAX: Final = 1_024
FEW_SLOTS: Final = 16
"""A claim for so few slots follows a wake-up that named them, to an idle worker: what they have is read at once."""

_FEWEST_SLOTS: Final = 32
"""Of a stretch in which there is much, so many are looked into; more for more jobs, which then lie side by side."""

_MANY_SLOTS: Final = 64
"""From so many on it is worth a look first whether the stretch has fewer jobs than that."""

decode = msgspec.json.decode


class Wanted(msgspec.Struct):
    """What a claim may take.

    Attributes:
        queue_id: Of this queue.
        slots: Of these slots, the first of which is served first.
        limit: At most so many.
        tasks: JSON list of the tasks that the worker knows; ``None`` when it knows all that there are.
        cursors: For a slot the lowest place to look at; ``None`` to look everywhere.
        keyed_before: Of jobs with a key only those ready before this instant; ``None`` for all.
    """

    queue_id: int
    slots: Sequence[int]
    limit: int
    tasks: str | None = None
    cursors: Mapping[int, int] | None = None
    keyed_before: int | None = None


def stretch_of(place: int) -> int:
    """Return the stretch in which a place lies."""
    return int((place >> STRETCH_BITS) + _FIRST)


def first_seq_of(stretch: int) -> int:
    """Return the number with which a stretch begins."""
    return (stretch & ((1 << _NUMBER_BITS) - 1)) << STRETCH_BITS


def stretches(db: apsw.Connection, queue_id: int, start: int = _FIRST) -> Iterator[int]:
    """Yield the stretches in which something can be claimed, best first, with one probe for each."""
    while True:
        found: int | None = db.execute(SQL["next_stretch"], (queue_id, start)).get
        if found is None:
            return
        yield found
        start = found + 1


def is_mixed(db: apsw.Connection, queue_id: int) -> bool:
    """Whether jobs of several priorities can be claimed in this queue, or of another than the usual one, as on PostgreSQL.

    Where all are of another, the next that is submitted may well not be, and its place looks as usual to who hears of it.
    """
    first, last = db.execute(SQL["outer_stretches"], (queue_id,)).get
    return first is not None and not first >> _NUMBER_BITS == last >> _NUMBER_BITS == 0


def find_candidates(db: apsw.Connection, wanted: Wanted) -> list[int]:
    """Return the numbers of up to ``limit`` jobs, best first."""
    if not wanted.slots:
        return []
    first: list[int] = decode(
        db.execute(SQL["interrupted"], (wanted.queue_id, wanted.tasks, wanted.keyed_before, wanted.limit)).get
    )
    if not first:
        return _in_line(db, wanted)
    # They stand in their slots' lines as well.
    known = set(first)
    return [*first, *(seq for seq in _in_line(db, wanted) if seq not in known)][: wanted.limit]


def _in_line(db: apsw.Connection, wanted: Wanted) -> list[int]:
    chosen: list[int] = []
    turns = {slot: turn for turn, slot in enumerate(wanted.slots)} if len(wanted.slots) > _MANY_SLOTS else None
    start = _FIRST if wanted.cursors is None else stretch_of(min(wanted.cursors.get(slot, 0) for slot in wanted.slots))
    for stretch in stretches(db, wanted.queue_id, max(start, _FIRST)):
        slots = wanted.slots if turns is None else _slots_in(db, wanted, stretch, turns)
        need = wanted.limit - len(chosen)
        # In a stretch all are of one priority: for a few jobs a few slots will do, if they have enough.
        for some in (slots[: max(_FEWEST_SLOTS, need)], slots):
            found = _of_stretch(db, wanted, stretch, some, need, is_first=not chosen)
            if len(found) >= need or len(some) == len(slots):
                break
        chosen += found
        if len(chosen) >= wanted.limit:
            break
    return chosen


def _slots_in(db: apsw.Connection, wanted: Wanted, stretch: int, turns: Mapping[int, int]) -> Sequence[int]:
    """Return those of the named slots, in their turn, that have something in this stretch; all when it has many jobs."""
    found: list[int] = decode(db.execute(SQL["slots_in_stretch"], (wanted.queue_id, stretch, _MANY_SLOTS)).get)
    return wanted.slots if len(found) == _MANY_SLOTS else sorted(turns.keys() & set(found), key=turns.__getitem__)


def _of_stretch(
    db: apsw.Connection, wanted: Wanted, stretch: int, slots: Sequence[int], need: int, *, is_first: bool
) -> list[int]:
    base = first_seq_of(stretch)
    named = _named(wanted, stretch, slots)
    if not named:
        return []
    where = (wanted.queue_id, stretch, base)
    if len(named) <= FEW_SLOTS:
        few = (*where, numbers(named), wanted.tasks, wanted.keyed_before, base + STRETCH, need)
        chosen: list[int] = decode(db.execute(SQL["claimable"], few).get)
        if len(chosen) < need:
            return chosen
    fronts = decode(db.execute(SQL["slot_fronts"], (*where, numbers(named), wanted.tasks, wanted.keyed_before)).get)
    found = [(code >> STRETCH_BITS, front) for code, front in zip(named, fronts, strict=True) if front is not None]
    if not found:
        return []
    codes = numbers([(slot << STRETCH_BITS) + front - base for slot, front in found])
    lowest = min(front for _, front in found)
    # As many numbers as hold enough if every slot has its share of them; if that is too few, all the rest.
    for span in (need * (_SLOTS_MAX // len(found) + 1), STRETCH):
        end = min(lowest + span, base + STRETCH)
        found_in = (*where, codes, wanted.tasks, wanted.keyed_before, end, need)
        chosen = decode(db.execute(SQL["claimable"], found_in).get)
        if len(chosen) >= need or end == base + STRETCH:
            break
    if is_first and found[0][1] not in chosen:
        chosen = [found[0][1], *chosen[: need - 1]]
    return chosen


def _named(wanted: Wanted, stretch: int, slots: Sequence[int]) -> list[int]:
    """Return those of these slots that may have something in this stretch, each with how far into it its cursor lies."""
    if wanted.cursors is None:
        return [slot << STRETCH_BITS for slot in slots]
    named = []
    for slot in slots:
        cursor = wanted.cursors.get(slot, 0)
        at = stretch_of(cursor)
        if at < stretch:
            named.append(slot << STRETCH_BITS)
        elif at == stretch:
            named.append((slot << STRETCH_BITS) + (cursor & (STRETCH - 1)))
    return named
