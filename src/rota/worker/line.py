"""One queue, as one worker sees it: its slots, what falls due, and when to look elsewhere.

Invariants, each with the test that holds it:
    What a wait is for is what the next look would do.         tests/unit/worker/test_line.py
    A look that takes long is not made all the time.           tests/unit/worker/test_line.py
    A slot that was skipped is tried again, soon, then less    tests/unit/worker/test_line.py
      often; news is not held up by that.
"""

from __future__ import annotations

from rota.ring.ring import Ring
from rota.worker.slots import SlotBook

SWEEP_S = 1.0
"""How often a worker looks into all of its slots although nobody said anything: wake-ups can be lost."""

SWEEP_REST = 9.0
"""How much longer than it took a worker rests before it looks again from the beginning of all lines, or into others'.

Usually that takes milliseconds. While somebody holds an old snapshot of the server, it reads all that has died since.
"""

SWEEP_REST_S_MAX = 30.0

STEAL_FIRST_S = 0.05
"""How long a worker has had nothing of its own to do before it looks at what others leave lying."""

HELP_S = 0.02
"""How soon after news of others' slots an idle worker looks there, at the earliest; an idle owner is faster by far."""

HELP_SPREAD_S = 0.04
HELP_SPREAD_EACH_S = 0.01
"""Over how long after that the looks of all idle workers are spread: so long, or so long for each worker that there is.

The first of them comes as soon with a hundred workers as with four, and all together look no more often.
"""

STEAL_LONGEST_S = 0.5
STEAL_LONGEST_EACH_S = 0.02
"""How long it waits between two looks that found nothing, at most: so long, or so long for each worker that there is.

A hundred idle workers look together as often as twenty-five.
"""

STEAL_SLOWER = 1.1
"""By how much longer it waits each time beyond the first of these: it takes a good ten seconds of idleness to be slow."""

STAGE_ELSEWHERE_S = 1.0
STAGE_ELSEWHERE_EACH_S = 0.1
STAGE_ELSEWHERE_LONGEST_S = 10.0
"""How often an idle worker stages others' slots: so often, more seldom the more workers there are, but at least so often.

Who owns them does it when something falls due, unless all its hands are busy, or its event loop or its process stands still.
All idle workers together look ten times a second at most, up to a hundred of them: a look takes PostgreSQL 1.7 ms.
"""

SKIPPED_FIRST_S = 0.002
SKIPPED_LONGEST_S = 0.05
"""How long it waits before it stages a slot again that another session was staging: 2, 4, 8 … 50 ms."""


class QueueLine:
    """One queue of one worker. Times are seconds of the event loop's clock: wall clocks differ from the store's, and jump.

    Attributes:
        queue_id: The store's number.
        name: The queue's name.
        ring: Its ring as last seen.
        slots: What is worth probing.
        due_at: The earliest known due time ahead in own slots.
        is_paused: As of the last claim.
        steal_at: When to look at others' slots next.
        sweep_at: When to look into all own slots next.
        stage_at: When to stage others' slots next.
        reset_at: From when on such a look begins at the beginning of each line.
        retry_at: When to stage skipped slots again; ``None`` when none was.
    """

    def __init__(self, queue_id: int, name: str) -> None:
        self.queue_id = queue_id
        self.name = name
        self.ring = Ring.of(())
        self.slots = SlotBook()
        self.due_at: float | None = None
        self.is_paused = False
        self.steal_at = 0.0
        self.sweep_at = 0.0
        self.stage_at = 0.0
        self.reset_at = 0.0
        self.retry_at: float | None = None
        self._steal_s = STEAL_FIRST_S
        self._skipped_s = SKIPPED_FIRST_S
        self._reset_s: float | None = None
        self._rested_at = 0.0
        self._has_heard_elsewhere = False

    def wants_probe(self, now_s: float) -> bool:
        """Whether a claim is worth sending now. Turns a sweep or a due time that has come into suspects."""
        if now_s >= self.sweep_at or (self.due_at is not None and self.due_at <= now_s):
            self.sweep_at = now_s + SWEEP_S
            self.due_at = self.retry_at = None
            self._suspect_all(now_s)
            return True
        return self.has_suspects(now_s)

    def has_suspects(self, now_s: float) -> bool:
        """Whether there are slots that may have work, and none of them is to be left alone for a moment."""
        if self.retry_at is not None:
            if now_s < self.retry_at:
                return False
            self.retry_at = None
        return self.slots.has_suspects

    def heard(self, slot: int, place: int, *, is_staged: bool = False) -> bool:
        """Take the news that something in a slot may be claimable. Returns whether the slot is this worker's."""
        if self.is_paused:
            self.slots.suspect_all()
        elif not self.slots.heard(slot, place, is_staged=is_staged):
            return False
        self.retry_at = None
        return True

    def heard_everything(self, from_place: int, now_s: float, *, is_staged: bool = False) -> None:
        """Take the news that any slot may have work, from this place on; 0 when nobody knows from which."""
        if self.is_paused:
            self.slots.suspect_all()
        elif from_place > 0:
            self.slots.suspect_own(from_place, is_staged=is_staged)
        else:
            self._suspect_all(now_s)
        self.retry_at = None

    def _suspect_all(self, now_s: float) -> None:
        """Look everywhere; from the beginning of the lines if that was not too long ago for what it costs."""
        if self._reset_s is None and now_s >= self.reset_at:
            self._reset_s = 0.0
            self.slots.suspect_all()
        else:
            self.slots.suspect_own()

    def probed(self, took_s: float, now_s: float) -> None:
        """Take how long a claim from own slots took: the next look from the beginning comes only after a rest."""
        if self._reset_s is not None:
            self._reset_s += took_s
            if self.slots.is_swept:
                self.reset_at = now_s + rest_s(self._reset_s)
                self._reset_s = None

    def note_due(self, due_in_us: int | None, since_s: float) -> None:
        """Remember that something falls due so long after that instant."""
        if due_in_us is not None:
            due_at = since_s + due_in_us / 1e6
            if self.due_at is None or due_at < self.due_at:
                self.due_at = due_at

    def note_skipped(self, is_skipped: bool, now_s: float) -> None:
        """Wait a little, then longer, before skipped slots are tried again."""
        if is_skipped:
            self.retry_at = now_s + self._skipped_s
            self._skipped_s = min(SKIPPED_LONGEST_S, self._skipped_s * 2)
        else:
            self.retry_at, self._skipped_s = None, SKIPPED_FIRST_S

    def heard_elsewhere(self, now_s: float, jitter: float) -> bool:
        """Take the news that others' slots have work: look there soon, and again a few times, since keyed jobs must wait.

        Returns whether that look is made sooner for it. More news before it makes it no sooner: of many draws the lowest would
        always be a low one.
        """
        if self._has_heard_elsewhere:
            return False
        self._has_heard_elsewhere = True
        spread_s = max(HELP_SPREAD_S, HELP_SPREAD_EACH_S * len(self.ring.members))
        self._steal_s = max(STEAL_FIRST_S, spread_s) / 2
        before = self.steal_at
        self.steal_at = min(before, max(now_s + HELP_S + spread_s * jitter, self._rested_at))
        return self.steal_at < before

    def found_own(self, now_s: float, jitter: float) -> None:
        """Own work was there: look elsewhere only after it has been quiet for a while."""
        self._has_heard_elsewhere = False
        self._steal_s = STEAL_FIRST_S
        self.steal_at = now_s + self._steal_s * (1 + jitter)

    def looked_elsewhere(self, stolen: int, now_s: float, jitter: float, took_s: float = 0.0) -> None:
        """After a look at others' slots: soon again if it paid, else later, and the later the longer it took."""
        self._has_heard_elsewhere = False
        self._steal_s = 0.0 if stolen else self._longer(self._steal_s)
        self._rested_at = now_s if stolen else now_s + rest_s(took_s)
        self.steal_at = max(now_s + self._steal_s * (1 + jitter), self._rested_at)

    def staged_elsewhere(self, now_s: float, took_s: float) -> None:
        """After others' slots were staged: again after a while, and the later the longer it took."""
        often_s = min(
            max(STAGE_ELSEWHERE_S, STAGE_ELSEWHERE_EACH_S * len(self.ring.members)), STAGE_ELSEWHERE_LONGEST_S
        )
        self.stage_at = now_s + max(often_s, rest_s(took_s))

    def _longer(self, steal_s: float) -> float:
        if steal_s < STEAL_LONGEST_S:
            return min(STEAL_LONGEST_S, max(steal_s, STEAL_FIRST_S / 2) * 2)
        return min(steal_s * STEAL_SLOWER, max(STEAL_LONGEST_S, STEAL_LONGEST_EACH_S * len(self.ring.members)))

    def wait_s(self, now_s: float, *, is_idle: bool) -> float:
        """Return how long to wait for news before looking again anyway.

        Args:
            is_idle: There are free hands and nothing to start, so that a look at others' slots would be made.
        """
        until = self.sweep_at - now_s
        if is_idle and not self.is_paused:
            until = min(until, self.steal_at - now_s)
        if self.retry_at is not None:
            until = min(until, self.retry_at - now_s)
        if self.due_at is not None:
            until = min(until, self.due_at - now_s)
        return max(until, 0.0)


def rest_s(took_s: float) -> float:
    """Return how long to rest after a look that took so long."""
    return min(took_s * SWEEP_REST, SWEEP_REST_S_MAX)
