"""Jobs leave live: the rows go, the counters follow, and the next of each key becomes head, in one transaction."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import apsw

from rota.model.state import Final
from rota.store.port import Wake, Woken
from rota.store.sqlite.bulk import fetch, numbers, run_rows
from rota.store.sqlite.stage import WokenSlots, stage_keys
from rota.store.sqlite.tally import count_up
from rota.store.sqlite.writer import News
from rota.store.statements import load

SQL = load("sqlite")


def leave(db: apsw.Connection, seqs: Sequence[int], states: Mapping[Final, int], now: int) -> WokenSlots:
    """Take jobs that have just been written into finished out of live; return where the next ones became claimable.

    Args:
        seqs: Their numbers; at least one.
        states: How many of them ended in each state.
    """
    count_up(db)
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


def give_up(
    db: apsw.Connection, news: News, jobs: Sequence[tuple[int, bytes, int]], state: Final, now: int
) -> Sequence[Woken]:
    """Settle jobs that nobody holds and that will not be run: cancelled, or expired. Tells who waits for them.

    Args:
        jobs: Number, token and fence of each; at least one.
    """
    rows = [(seq, token, fence, True, state, 0, 0, None, None, None, None, None) for seq, token, fence in jobs]
    run_rows(db, SQL["finish_job"], rows, (now, None))
    woken = leave(db, [seq for seq, _, _ in jobs], {state: len(jobs)}, now).list()
    news.tell(Wake(woken=woken, settled=[token for _, token, _ in jobs]))
    return woken
