"""One page of jobs, newest first, without reading a million rows for it.

Live and finished jobs are two lists in the order of their tokens; a page is the newer ends of both. Where few live jobs fit,
they are read by the index that has just them; where many do, the list is walked down, and the page is soon full.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from heapq import merge
from itertools import islice
from typing import Any, Final

import apsw
import msgspec

from rota.model.job import JobRow
from rota.model.state import FINAL, State
from rota.model.state import Final as FinalState
from rota.store.port import JobFilter
from rota.store.sqlite.bulk import blobs
from rota.store.sqlite.reading import claimed_tokens, row_of
from rota.store.statements import load

SQL = load("sqlite")
FEW: Final = 20_000
"""So many are read and sorted in a few milliseconds."""

_LIVE: Final = frozenset(State) - FINAL


def jobs(db: apsw.Connection, which: JobFilter, now: int) -> Sequence[JobRow]:
    """Return a page."""
    ids = _ids(db, which)
    if ids is None:
        return []
    wanted = frozenset(State) if which.states is None else frozenset(which.states)
    rows = _live(db, which, wanted & _LIVE, ids, now) + _finished(db, which, wanted & FINAL, ids, now)
    rows.sort(key=lambda row: row.token, reverse=True)
    return rows[: which.limit]


def _ids(db: apsw.Connection, which: JobFilter) -> dict[str, int | None] | None:
    """Return queue and task of the filter by number; ``None`` when one of them is unknown, so that nothing can fit."""
    numbers = {(is_task, name): number for is_task, name, number in db.execute(SQL["all_names"])}
    queue = None if which.queue is None else numbers.get((0, which.queue), -1)
    task = None if which.task is None else numbers.get((1, which.task), -1)
    return None if -1 in (queue, task) else {"queue": queue, "task": task}


# ── live ─────────────────────────────────────────────────────────────────────────────────────────────────────────────


def _live(
    db: apsw.Connection, which: JobFilter, wanted: frozenset[State], ids: dict[str, int | None], now: int
) -> list[JobRow]:
    if not wanted:
        return []
    few = _few(db, which, wanted, ids, now)
    if few is None:
        asked = {
            **ids,
            "before": which.before,
            "waiting": State.WAITING in wanted,
            "scheduled": State.SCHEDULED in wanted,
            "running": State.RUNNING in wanted,
            "now": now,
            "limit": which.limit,
        }
        return _rows(db, _tokens(db, "list_jobs", asked), now)
    tokens = sorted((token for token in few if which.before is None or token < which.before), reverse=True)
    found: list[JobRow] = []
    # These were chosen by one thing alone; the rest of the filter is looked at here, a page at a time.
    for at in range(0, len(tokens), max(which.limit, 1_000)):
        rows = _rows(db, tokens[at : at + max(which.limit, 1_000)], now)
        found += [row for row in rows if row.state in wanted and _fits(row, which)]
        if len(found) >= which.limit:
            break
    return found


def _few(
    db: apsw.Connection, which: JobFilter, wanted: frozenset[State], ids: dict[str, int | None], now: int
) -> list[bytes] | None:
    """Return tokens among which all live jobs that fit are, if there is an index for that and they are few."""
    if which.key is not None:
        return _tokens(db, "list_key", {"key": which.key, "queue": ids["queue"]})
    if wanted == {State.RUNNING}:
        return claimed_tokens(db)
    if wanted in ({State.SCHEDULED}, {State.WAITING}):
        name = "list_scheduled" if State.SCHEDULED in wanted else "list_waiting"
        tokens = _tokens(db, name, (now, FEW + 1))
        return tokens if len(tokens) <= FEW else None
    return None


def _fits(row: JobRow, which: JobFilter) -> bool:
    return (
        (which.queue is None or row.queue == which.queue)
        and (which.task is None or row.task == which.task)
        and (which.key is None or row.key == which.key)
    )


# ── finished ─────────────────────────────────────────────────────────────────────────────────────────────────────────


def _finished(
    db: apsw.Connection, which: JobFilter, wanted: frozenset[State], ids: dict[str, int | None], now: int
) -> list[JobRow]:
    asked = {**ids, "key": which.key, "before": which.before, "limit": which.limit}
    numbers = [int(final) for final in FinalState if final.state in wanted]
    if not numbers:
        return []
    if FinalState.SUCCEEDED in numbers:
        tokens = _tokens(db, "list_finished", {**asked, "states": msgspec.json.encode(numbers).decode()})
    else:
        pages = [_tokens(db, "list_unwell", {**asked, "state": number}) for number in numbers]
        tokens = list(islice(merge(*pages, reverse=True), which.limit))
    return _rows(db, tokens, now)


def _tokens(db: apsw.Connection, name: str, asked: Any) -> list[bytes]:
    return [token for (token,) in db.execute(SQL[name], asked)]


def _rows(db: apsw.Connection, tokens: Iterable[bytes], now: int) -> list[JobRow]:
    bound = tuple(tokens)
    return [row_of(row, now) for row in db.execute(SQL["page_of_jobs"], (blobs(bound),))] if bound else []
