"""Keeping the store itself: pause, expire, prune, sweep."""

from __future__ import annotations

from collections import Counter
from typing import Any, Final

import apsw
import msgspec

from rota.model.limits import TOKEN_SKEW_MS_MAX
from rota.model.state import Final as FinalState
from rota.model.token import first_token_at
from rota.store.port import Swept, Wake
from rota.store.sqlite.bulk import blobs, fetch, numbers
from rota.store.sqlite.claims import split_tokens
from rota.store.sqlite.leave import give_up
from rota.store.sqlite.stage import WokenSlots, stage_keys
from rota.store.sqlite.writer import MUST_WRITE, News
from rota.store.statements import load

SQL = load("sqlite")
_HOUR_MS: Final = 3_600_000
_YOUNG_MS: Final = TOKEN_SKEW_MS_MAX + _HOUR_MS
"""25 hours: a token may be submitted again for a day, by a clock that differs a little."""

_SWEPT_MAX: Final = 1_000


def set_paused(db: apsw.Connection, news: News, queue_id: int, is_paused: bool) -> None:
    """Pause or resume a queue; resuming wakes its workers."""
    changed = db.execute(SQL["set_paused"], (queue_id, is_paused)).get is not None
    if changed and not is_paused:
        news.tell(Wake(woken=None))


class Expiry:
    """One call of ``expire``.

    Args:
        limit: How many jobs at most.
        now: This instant.
    """

    def __init__(self, limit: int, now: int) -> None:
        self._limit = limit
        self._now = now

    def look(self, db: apsw.Connection) -> Any:
        """Return 0 when nothing has expired, else ``MUST_WRITE``."""
        return MUST_WRITE if self._rows(db, 1) else 0

    def write(self, db: apsw.Connection, news: News) -> int:
        """Settle a portion, and let the next of their keys go."""
        rows = self._rows(db, self._limit)
        if rows:
            give_up(db, news, rows, FinalState.EXPIRED, self._now)
        return len(rows)

    def _rows(self, db: apsw.Connection, limit: int) -> list[tuple[int, bytes, int]]:
        return fetch(db, SQL["expirable"], (self._now, limit))


class Pruning:
    """One call of ``prune``.

    Args:
        settled_before: Finished jobs settled before this instant may go.
        limit: How many at most.
        now: This instant; tokens younger than 25 hours are kept.
    """

    def __init__(self, settled_before: int, limit: int, now: int) -> None:
        self._settled_before = settled_before
        self._limit = limit
        self._now = now
        self._token_before = first_token_at(now // 1_000 - _YOUNG_MS)

    def look(self, db: apsw.Connection) -> Any:
        """Return 0 when there is nothing to remove, else ``MUST_WRITE``."""
        return MUST_WRITE if self._rows(db, 1) else 0

    def write(self, db: apsw.Connection, news: News) -> int:  # noqa: ARG002 - nobody need know
        """Remove a portion, and workers and nodes that nothing names any more."""
        rows = self._rows(db, self._limit)
        if rows:
            db.execute(SQL["prune_finished"], (numbers(no for no, _, _ in rows),))
            db.execute(SQL["prune_history"], (blobs(token for _, token, _ in rows),))
            for state, count in Counter(state for _, _, state in rows).items():
                db.execute(SQL["add_to_counter"], (-1 - state, -count))
        db.execute(SQL["prune_workers"], (self._settled_before,))
        db.execute(SQL["prune_nodes"], (self._settled_before,))
        return len(rows)

    def _rows(self, db: apsw.Connection, limit: int) -> list[tuple[Any, ...]]:
        asked = (self._settled_before, self._token_before, limit, 2 * self._limit, self._now)
        return fetch(db, SQL["prunable"], asked)


class Sweep:
    """One call of ``sweep``: look without the lock, mend under it.

    What a claims row of a closed worker names is not damage but the work of a release that is still to come, with its blame.
    """

    def __init__(self, now: int) -> None:
        self._now = now

    def look(self, db: apsw.Connection) -> Any:
        """Return an empty report when all is well, else ``MUST_WRITE``."""
        if self._keys(db) or self._held(db) or self._claims(db):
            return MUST_WRITE
        return Swept(keys_without_head=0, jobs_of_closed_workers=0, claims_rows_dropped=0)

    def write(self, db: apsw.Connection, news: News) -> Swept:
        """Mend what is found."""
        woken = WokenSlots()
        freed = self._free(db, woken)
        mended = 0
        for queue_id, keys in self._keys(db).items():
            mended += stage_keys(db, queue_id, msgspec.json.encode(keys).decode(), self._now, woken)
        dropped = self._claims(db)
        for worker, no in dropped:
            db.execute(SQL["drop_claim"], (worker, no))
        told = woken.list()
        if told:
            news.tell(Wake(woken=told))
        return Swept(
            keys_without_head=mended, jobs_of_closed_workers=freed, claims_rows_dropped=len(dropped), woken=told
        )

    def _keys(self, db: apsw.Connection) -> dict[int, list[str]]:
        found: dict[int, list[str]] = {}
        for queue_id, key in fetch(db, SQL["sweep_keys"], (_SWEPT_MAX,)):
            found.setdefault(queue_id, []).append(key)
        return found

    def _held(self, db: apsw.Connection) -> list[int]:
        """Return jobs held by somebody who is closed or unknown, and whom no release will find."""
        held = fetch(db, SQL["sweep_held"])
        if not held:
            return []
        named = {
            (worker, token) for _, worker, joined in fetch(db, SQL["all_claims"]) for token in split_tokens(joined)
        }
        return [seq for seq, token, holder in held if (holder, token) not in named]

    def _free(self, db: apsw.Connection, woken: WokenSlots) -> int:
        held = self._held(db)
        if not held:
            return 0
        rows = fetch(db, SQL["still_held"], (numbers(held),))
        db.execute(SQL["release_job"], (numbers(seq for seq, _, _, _ in rows), 0))
        for seq, queue_id, slot, priority in rows:
            woken.add(queue_id, slot, priority, seq)
        return len(rows)

    def _claims(self, db: apsw.Connection) -> list[tuple[int, int]]:
        """Return worker and number of the claims of which nothing is held."""
        return [
            (worker, no)
            for no, worker, joined in fetch(db, SQL["all_claims"])
            if not db.execute(SQL["count_held"], (blobs(split_tokens(joined)), worker)).get
        ]
