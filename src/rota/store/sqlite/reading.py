"""Looking things up. Runs on a connection of its own, so that nothing here waits behind a writer, or holds one up."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any, Final

import apsw
import msgspec

from rota.model.job import HistoryEntry, JobRow
from rota.model.outcome import Failure
from rota.model.state import Final as FinalState
from rota.model.state import State
from rota.store.port import AloneRow, QueueRow
from rota.store.sqlite.bulk import blobs, fetch
from rota.store.sqlite.candidates import stretches
from rota.store.sqlite.claims import split_tokens
from rota.store.statements import load

SQL = load("sqlite")
ALONE_MAX: Final = 100
_STRETCHES_LOOKED_AT: Final = 8
"""A thief looks at the best stretches only: what lies there has waited longest."""
_JOBS_LOOKED_AT: Final = 100
"""And this far into each slot's line: keyed jobs that are too young to be stolen may lie before one that is not."""


def states(db: apsw.Connection, tokens: Sequence[bytes], now: int) -> dict[bytes, State]:
    """Return the state of each token that is known."""
    found: dict[bytes, State] = {}
    for token in tokens:
        row = db.execute(SQL["state_of"], (token,)).get
        if row is not None:
            found[token] = _state(row[0], bool(row[1]), row[2], now)
    return found


def find(db: apsw.Connection, token: bytes, now: int) -> JobRow | None:
    """Return what is known of one job."""
    row = db.execute(SQL["find_job"], (token,)).get
    return None if row is None else row_of(row, now)


def head_of(db: apsw.Connection, queue: str, key: str, now: int) -> JobRow | None:
    """Return the job whose turn it is in a key."""
    token = db.execute(SQL["head_of"], (queue, key)).get
    return None if token is None else find(db, token, now)


def history(db: apsw.Connection, token: bytes) -> Sequence[HistoryEntry]:
    """Return what happened to a job, oldest first."""
    return [
        HistoryEntry(
            at=at, kind=kind, fence=fence, worker=worker or "", failure=_failure(*error), started_at=started_at
        )
        for at, kind, fence, worker, *error, started_at in db.execute(SQL["job_history"], (token,))
    ]


def queues(db: apsw.Connection, waiting_max: int, now: int) -> Sequence[QueueRow]:
    """Return every queue with its counts."""
    scheduled = _by_queue(fetch(db, SQL["count_scheduled"], (now,)))
    running = _running_by_queue(db)
    rows = []
    for queue_id, name, is_paused, unfinished in db.execute(SQL["list_queues"]):
        later, held = scheduled.get(queue_id, 0), running.get(queue_id, 0)
        rows.append(
            QueueRow(
                id=queue_id,
                name=name,
                is_paused=bool(is_paused),
                waiting=unfinished - later - held,
                scheduled=later,
                running=held,
                waiting_max=waiting_max,
            )
        )
    return rows


def finished_counts(db: apsw.Connection) -> Mapping[State, int]:
    """Return how many finished jobs are kept, by state."""
    return {FinalState(state).state: count for state, count in db.execute(SQL["count_finished"])}


def alone(db: apsw.Connection, queues: Collection[str] | None, tasks: Collection[str] | None) -> Sequence[AloneRow]:
    """Return suspects that wait to run alone, oldest first; of these queues and tasks (``None``: of all)."""
    asked = [None if names is None else msgspec.json.encode(list(names)).decode() for names in (queues, tasks)]
    return [
        AloneRow(token=token, queue=queue, task=task)
        for token, queue, task in db.execute(SQL["list_alone"], (ALONE_MAX, *asked))
    ]


def ready_elsewhere(
    db: apsw.Connection, queue_id: int, slots: Collection[int], keyed_before: int, limit: int
) -> Sequence[int]:
    """Return slots outside of ``slots`` that have jobs worth stealing."""
    found: dict[int, None] = {}
    own = msgspec.json.encode(list(slots)).decode()
    for looked, stretch in enumerate(stretches(db, queue_id)):
        if looked == _STRETCHES_LOOKED_AT or len(found) >= limit:
            break
        where = (queue_id, stretch, own, keyed_before, limit, _JOBS_LOOKED_AT)
        found.update(dict.fromkeys(slot for (slot,) in db.execute(SQL["ready_elsewhere"], where)))
    return list(found)[:limit]


def claimed_tokens(db: apsw.Connection) -> list[bytes]:
    """Return the tokens of all claims: what is held is among them."""
    return list(dict.fromkeys(token for _, _, joined in fetch(db, SQL["all_claims"]) for token in split_tokens(joined)))


def row_of(row: tuple[Any, ...], now: int) -> JobRow:
    """Build what is told of a job from the columns of ``find_job`` and ``page_of_jobs``."""
    (
        final, token, queue, task, key, slot, priority, fence, attempts, crashes, payload, codec, meta,
        seq, due_at, expires_at, ready, head, is_alone, cancel_asked, holder, claimed_at, started_at, settled_at,
        result, *error,
    ) = row  # fmt: skip
    return JobRow(
        token=token,
        state=_state(final, holder is not None, due_at, now),
        queue=queue,
        task=task,
        key=key,
        slot=slot,
        priority=priority,
        fence=fence,
        attempts=attempts,
        crashes=crashes,
        payload=payload,
        codec=codec,
        meta=meta,
        seq=seq,
        due_at=due_at,
        expires_at=expires_at,
        ready=bool(ready),
        is_head=bool(head),
        is_alone=bool(is_alone),
        cancel_asked=bool(cancel_asked),
        holder=holder,
        claimed_at=claimed_at,
        started_at=started_at,
        settled_at=settled_at,
        result=result,
        failure=_failure(*error),
    )


def _state(final: int | None, is_held: bool, due_at: int | None, now: int) -> State:
    if final is not None:
        return FinalState(final).state
    if is_held:
        return State.RUNNING
    return State.SCHEDULED if due_at is not None and due_at > now else State.WAITING


def _failure(kind: str | None, message: str | None, traceback: str | None) -> Failure | None:
    return None if kind is None else Failure(type=kind, message=message or "", traceback=traceback or "")


def _running_by_queue(db: apsw.Connection) -> dict[int, int]:
    tokens = claimed_tokens(db)
    return _by_queue(fetch(db, SQL["count_running"], (blobs(tokens),))) if tokens else {}


def _by_queue(rows: Iterable[tuple[Any, ...]]) -> dict[int, int]:
    return {row[0]: row[1] for row in rows}
