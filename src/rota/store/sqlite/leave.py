"""Jobs leave live: the rows go, the counters follow, and the next of each key becomes head, in one transaction."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import apsw

from rota.model.state import Final
from rota.store.sqlite.bulk import fetch, numbers
from rota.store.sqlite.stage import WokenSlots, stage_keys
from rota.store.statements import load

SQL = load("sqlite")


def leave(db: apsw.Connection, seqs: Sequence[int], states: Mapping[Final, int], now: int) -> WokenSlots:
    """Take jobs that have just been written into finished out of live; return where the next ones became claimable.

    Args:
        seqs: Their numbers; at least one.
        states: How many of them ended in each state.
    """
    bound = numbers(seqs)
    leaving = fetch(db, SQL["leaving_keys"], (bound,))
    db.execute(SQL["delete_jobs"], (bound,))
    woken = WokenSlots()
    for queue_id, count, keys in leaving:
        db.execute(SQL["add_to_counter"], (queue_id, -count))
        stage_keys(db, queue_id, keys, now, woken)
    for state, count in states.items():
        db.execute(SQL["add_to_counter"], (-1 - state, count))
    return woken
