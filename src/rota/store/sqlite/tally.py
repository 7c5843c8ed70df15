"""Numbers for new jobs, and how many of a queue are unfinished: known without a page that every submit would have to write.

    live, by number:   ───── counted: in their queue's counter ─────┤ the tail: at most 1,000 numbers │ next
                                                          counters, row 0

A new job gets the number after the highest in live. Jobs that leave live are counted first, so the next number is above
all that was ever given, also when live is empty. A counter raised by each submit would be a fourth page in the commit
of a lone one, an eighth of its time.

Invariants, each with the test that holds it:
    No number is given twice.                           tests/unit/store/sqlite/test_tally.py
    The counters and the tail are what is in live.      tests/power/judge.py, tests/simulation/judge.py
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Final

import apsw

from rota.store.statements import load

SQL = load("sqlite")
TAIL_MAX: Final = 1_000
"""Numbers that are left uncounted: what one count, and one list of queues, has to read."""


class Tally:
    """What is known of numbers and counts in one transaction, before jobs are inserted.

    Args:
        db: In a write transaction.
        queue_ids: Of these queues; at least one.

    Attributes:
        last: The last number given.
    """

    __slots__ = ("_counted", "_counted_to", "last")

    def __init__(self, db: apsw.Connection, queue_ids: Iterable[int]) -> None:
        self._counted: dict[int, int] = {}
        for queue_id in queue_ids:
            self.last, self._counted_to, self._counted[queue_id] = db.execute(SQL["last_number"], (queue_id,)).get

    def too_full(self, db: apsw.Connection, inserted: Sequence[int], last: int, waiting_max: int) -> dict[int, int]:
        """Return which of the queues hold too many, each with how many, now that jobs have been inserted.

        Args:
            inserted: The queue of each.
            last: The highest number that one of them may have.
        """
        tail = last - self._counted_to
        if tail < TAIL_MAX and max(self._counted.values()) + tail <= waiting_max:
            return {}
        # What has just been inserted need not be read to be counted.
        if self.last > self._counted_to:
            db.execute(SQL["count_up"], (self._counted_to, self.last))
        for counter, more in (*Counter(inserted).items(), (0, last - self.last)):
            db.execute(SQL["add_to_counter"], (counter, more))
        counts = {queue_id: db.execute(SQL["count_waiting"], (queue_id,)).get for queue_id in self._counted}
        return {queue_id: count for queue_id, count in counts.items() if count > waiting_max}


def count_up(db: apsw.Connection) -> int:
    """Count all that is in live; return the last number given. Must come before any job leaves live."""
    last: int
    last, counted_to, _ = db.execute(SQL["last_number"], (None,)).get
    if last > counted_to:
        db.execute(SQL["count_up"], (counted_to, last))
    return last
