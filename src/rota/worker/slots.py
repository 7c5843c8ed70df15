"""Which of a queue's slots are worth probing, and from where.

A worker owns hundreds of slots and most are empty most of the time; probing all of them costs milliseconds. So it keeps
*suspects*: slots that a wake-up named, that may have more than the last claim could take, or that nobody has looked at for a
while. A claim that brings less than was asked for has taken all that its slots had, and clears them. News that arrives while
it is on its way keeps a slot a suspect.

A *cursor* is the lowest place in a slot's line that may be claimable. It moves past what was claimed and is lowered by
every wake-up, since releases, retries, due jobs and late commits have old places. What nobody woke anybody for is found by a
look from the beginning of each line. That may read all that has died there since the oldest snapshot of the server, so whoever
asks for it looks at what it costs; see ``rota.worker.line``.

To *stage* a slot costs a look, too: due jobs, keys whose turn has come. Only those are staged of which there was news since,
until the next time that all are suspects.

Suspects are probed in turn, a window at a time, so that the last slots do not starve. The window is as wide as the claims are
large: a small claim need not look into a thousand slots, but a large one must take what lies side by side in the store, and
from few slots it would take rows that lie far apart (on SQLite four times the bytes written, and half the speed).

Where priorities are mixed, a claim can put first only what it looks at. So then it looks into all suspects; but where the store
says what is left in front of each (on PostgreSQL, where a look into a thousand slots costs milliseconds), the next looks only
into those with the best fronts, and into those of which nothing is known since.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from heapq import nsmallest

from rota.model.job import ClaimedJob
from rota.model.limits import SLOT_COUNT
from rota.model.slot import PRIORITY_SHIFT, place_of
from rota.store.port import Ranks

_WINDOW_MIN = 32
_WINDOW_EACH = 4
"""So many slots for each job that is wanted: as many as PostgreSQL must be asked about to tell their fronts."""

_USUAL = place_of(0, 0) >> PRIORITY_SHIFT
_UNKNOWN = Ranks()
_NO_PLACE = 1 << 63
"""Beyond every place: news that name none."""


class SlotBook:
    """The slots of one queue, as one worker sees them.

    Args:
        own: The slots that the ring gives this worker.
    """

    def __init__(self, own: Iterable[int] = ()) -> None:
        self.own: frozenset[int] = frozenset()
        self._suspects: dict[int, None] = {}
        self._cursors: dict[int, int] = {}
        self._window = SLOT_COUNT
        self._is_mixed = False
        self._has_ranked_news = False
        self._fronted: set[int] = set()
        self._woken: dict[int, int] | None = None
        self._unswept: set[int] = set()
        self._unstaged: set[int] = set()
        self.set_own(own)

    @property
    def has_suspects(self) -> bool:
        """Whether a claim is worth sending."""
        return bool(self._suspects)

    @property
    def is_swept(self) -> bool:
        """Whether every slot has been probed since all were last to be looked at from the beginning of their lines."""
        return not self._unswept

    @property
    def others(self) -> list[int]:
        """The slots that are not ours, in order."""
        return [slot for slot in range(SLOT_COUNT) if slot not in self.own]

    def set_own(self, own: Iterable[int]) -> None:
        """Change the slots; all become suspects."""
        self.own = frozenset(own)
        self.suspect_all()

    def suspect_all(self) -> None:
        """Look everywhere, from the beginning of each line."""
        self._unswept = set(self.own)
        self.suspect_own(0)

    def suspect_own(self, from_place: int = _NO_PLACE, *, is_staged: bool = False) -> None:
        """Look everywhere, from where each line may have something as far as is known.

        Args:
            from_place: The lowest place that may have become claimable in any of them.
            is_staged: Nothing needs to be staged for that.
        """
        own, cursors = self.own, self._cursors
        self._suspects = dict.fromkeys(sorted(own))
        if not is_staged:
            self._unstaged = set(own)
        self._window = SLOT_COUNT
        self._note_rank(from_place)
        if from_place == 0:
            cursors.clear()
            self._fronted.clear()
        else:
            for slot, cursor in cursors.items():
                if cursor > from_place:
                    cursors[slot] = from_place
                    self._fronted.discard(slot)
        if self._woken is not None:
            before = self._woken
            self._woken = {slot: min(before.get(slot, from_place), from_place) for slot in own}

    def heard(self, slot: int, place: int, *, is_staged: bool = False) -> bool:
        """Take the news that something at ``place`` may be claimable, staged or not. Returns whether the slot is ours."""
        if slot not in self.own:
            return False
        self._suspects.setdefault(slot)
        self._note_rank(place)
        if not is_staged:
            self._unstaged.add(slot)
        if self._cursors.get(slot, 0) > place:
            self._cursors[slot] = place
            self._fronted.discard(slot)
        if self._woken is not None:
            self._woken[slot] = min(self._woken.get(slot, place), place)
        return True

    def _note_rank(self, place: int) -> None:
        """Take the place of news: 0 and what is beyond all places say nothing of a priority."""
        if 0 < place < _NO_PLACE and place >> PRIORITY_SHIFT != _USUAL:
            self._is_mixed = self._has_ranked_news = True

    def next_probe(self, room: int = 1) -> tuple[list[int], list[int]]:
        """Begin a probe for so many jobs: return slots and their cursors. ``told`` must follow."""
        slots = list(self._suspects)
        if self._is_mixed:
            slots = self._best(slots, max(_WINDOW_MIN, _WINDOW_EACH * room))
        elif len(slots) > self._window:
            slots = slots[: self._window]
        self._woken = {}
        self._has_ranked_news = False
        cursors = self._cursors
        return slots, [cursors.get(slot, 0) for slot in slots]

    def _best(self, slots: list[int], window: int) -> list[int]:
        """Return those of these slots in which the best jobs must be: the best known fronts, and all the others."""
        known = self._fronted - self._unstaged
        if len(known) <= window:
            return slots
        best = nsmallest(window, known.intersection(slots), key=self._cursors.__getitem__)
        return best + [slot for slot in slots if slot not in known]

    def unstaged(self, slots: Sequence[int]) -> list[int]:
        """Return those of these slots in which there may be something to stage: news came since they last were."""
        unstaged = self._unstaged
        return [slot for slot in slots if slot in unstaged] if unstaged else []

    def failed(self) -> None:
        """End a probe whose answer did not come: nothing is known."""
        self._woken = None

    def told(
        self,
        slots: Sequence[int],
        jobs: Sequence[ClaimedJob],
        skipped: Sequence[int],
        *,
        is_full: bool,
        ranks: Ranks | None = None,
    ) -> None:
        """End a probe: learn from what it brought.

        Args:
            slots: The slots that were probed.
            jobs: What was claimed.
            skipped: Slots that could not be staged; they stay suspects.
            is_full: As many came as were asked for, so that the slots may have more.
            ranks: What is known of the order of what is left, where there are several priorities.
        """
        woken, self._woken = self._woken or {}, None
        suspects, cursors = self._suspects, self._cursors
        gave: dict[int, int] = {}
        for job in jobs:
            if not job.crashes:
                # What a crash interrupted is not taken from the beginning of its line: what lies before it is still there.
                gave[job.slot] = place_of(job.priority, job.seq)
        for slot, place in gave.items():
            cursors[slot] = min(place + 1, woken.get(slot, _NO_PLACE))
        self._is_mixed = ranks is not None or self._has_ranked_news
        keep = {*woken, *skipped}
        empty = self._see(slots, ranks or _UNKNOWN, woken)
        self._unstaged.difference_update([slot for slot in slots if slot not in keep])
        seen = _up_to_last(slots, gave) if is_full and not (ranks and ranks.fronts) else slots
        self._unswept.difference_update(seen)
        if is_full:
            for slot in seen:
                if slot in suspects:
                    del suspects[slot]
                    suspects[slot] = None
            self._window = max(_WINDOW_MIN, len(jobs))
        else:
            empty = slots
            self._window = min(SLOT_COUNT, max(_WINDOW_MIN, self._window * 2))
        for slot in empty:
            if slot not in keep:
                suspects.pop(slot, None)
                self._fronted.discard(slot)

    def _see(self, slots: Sequence[int], ranks: Ranks, woken: Mapping[int, int]) -> Sequence[int]:
        """Move cursors to where each slot's first job is, as far as is known. Returns the slots that have none."""
        cursors, fronted, empty = self._cursors, self._fronted, []
        if fronted:
            fronted.difference_update(slots)
        if ranks.nothing_before:
            for slot in slots:
                if cursors.get(slot, 0) < ranks.nothing_before and slot not in woken:
                    cursors[slot] = ranks.nothing_before
        for slot, front in zip(slots, ranks.fronts, strict=False):
            if front is None:
                empty.append(slot)
            elif front < woken.get(slot, _NO_PLACE):
                cursors[slot] = front
                fronted.add(slot)
        return empty


def _up_to_last(slots: Sequence[int], gave: Collection[int]) -> Sequence[int]:
    """Return the slots of a probe up to the last one that gave a job: those after it may not have been looked at."""
    last = max((number for number, slot in enumerate(slots) if slot in gave), default=-1)
    return slots[: last + 1]
