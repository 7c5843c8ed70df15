"""The way in, and back out of it by hand: submit, cancel, reopen."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any, Final

import apsw
import msgspec

from rota.errors import (
    InvalidTokenError,
    NotAllowedError,
    QueueFullError,
    TokenReusedError,
    UnknownTokenError,
)
from rota.model.job import NewJob
from rota.model.limits import TOKEN_SKEW_MS_MAX
from rota.model.state import Final as FinalState
from rota.model.state import State
from rota.model.token import is_token, token_ms, token_text
from rota.store.port import Cancelled, Submitted, Wake, Woken
from rota.store.sqlite.bulk import run_rows
from rota.store.sqlite.leave import leave
from rota.store.sqlite.stage import WokenSlots, stage_keys
from rota.store.sqlite.writer import News
from rota.store.statements import load

SQL = load("sqlite")
SOON_US: Final = 5_000_000
"""A job that falls due within this time is news: its worker sets a timer, where a slow look would come too late."""

_SHIFT: Final = 6


class Submission:
    """One call of ``submit``.

    Args:
        jobs: The jobs, in order.
        queues: Numbers of their queues by name.
        tasks: Numbers of their tasks by name.
        waiting_max: Unfinished jobs that a queue may have.
        now: This instant.
    """

    def __init__(
        self, jobs: Sequence[NewJob], queues: Mapping[str, int], tasks: Mapping[str, int], *, waiting_max: int, now: int
    ) -> None:
        self._queues = queues
        self._tasks = tasks
        self._waiting_max = waiting_max
        self._now = now
        self._given = jobs

    def write(self, db: apsw.Connection, news: News) -> Submitted:
        """Insert all, or raise and leave nothing."""
        jobs, duplicates = self._new_ones(db)
        if not jobs:
            return Submitted(duplicates=frozenset(duplicates), woken=())
        seq = db.execute(SQL["read_counter"], (0,)).get
        rows = self._rows(jobs, seq)
        inserted = run_rows(db, SQL["insert_job"], rows)
        woken, soon = WokenSlots(), WokenSlots()
        if inserted < len(rows):
            rows = self._settle_doubles(db, rows, duplicates, woken)
        self._count(db, rows, seq + len(jobs))
        self._wake(db, rows, woken, soon)
        told = [*woken.list(), *soon.list()]
        if told:
            news.tell(Wake(woken=told))
        return Submitted(duplicates=frozenset(duplicates), woken=told)

    def _new_ones(self, db: apsw.Connection) -> tuple[Sequence[NewJob], set[bytes]]:
        """Leave out jobs that are known; finished ones must be looked for unless the token was made for this call.

        Raises:
            InvalidTokenError: A token that is not known is no UUIDv7, or of another day.
            TokenReusedError: A token is known and stands for something else.
        """
        duplicates: set[bytes] = set()
        if all(map(self._is_plain, self._given)):
            return self._given, duplicates
        jobs: list[NewJob] = []
        for job in self._given:
            known = None if self._is_plain(job) else db.execute(SQL["same_job"], (job.token,)).get
            if known is not None:
                self._refuse_reuse(job, known)
                duplicates.add(job.token)
            else:
                self._check_token(job.token)
                jobs.append(job)
        return jobs, duplicates

    def _is_plain(self, job: NewJob) -> bool:
        """Whether a job can only be new, and its token needs no second look."""
        return (
            job.is_fresh and is_token(job.token) and abs(token_ms(job.token) - self._now // 1_000) <= TOKEN_SKEW_MS_MAX
        )

    def _check_token(self, token: bytes) -> None:
        if not is_token(token):
            raise InvalidTokenError(
                f"{token.hex()} is not a UUID of version 7. Nothing was written. Let rota make the token, or use one that "
                "carries its time: finished jobs are found by it.",
                token=token.hex(),
            )
        skew_ms = token_ms(token) - self._now // 1_000
        if abs(skew_ms) > TOKEN_SKEW_MS_MAX:
            raise InvalidTokenError(
                f"token {token_text(token)} was made {abs(skew_ms) / 3_600_000:.1f} h "
                f"{'ahead of' if skew_ms > 0 else 'before'} the store's time; a day is allowed. "
                "Nothing was written. Check the clock, or submit with a new token.",
                token=token_text(token),
            )

    def _refuse_reuse(self, job: NewJob, known: tuple[Any, ...]) -> None:
        asked = (self._tasks[job.task], job.payload, job.key, self._queues[job.queue])
        if known[1:] != asked:
            raise TokenReusedError(
                f"token {token_text(job.token)} already stands for a job with another task, payload, key or queue. Nothing was "
                "written. Use a new token for a new job.",
                token=token_text(job.token),
            )

    def _rows(self, jobs: Sequence[NewJob], seq: int) -> list[tuple[Any, ...]]:
        now, queues, tasks = self._now, self._queues, self._tasks
        rows: list[tuple[Any, ...]] = []
        seen: set[tuple[str, str]] = set()
        for job in jobs:
            seq += 1
            due_at = job.due_at if job.due_at is not None and job.due_at > now else None
            may_be_head = False
            if job.key is not None and due_at is None and (job.queue, job.key) not in seen:
                seen.add((job.queue, job.key))
                may_be_head = True
            rows.append(
                (
                    seq, job.token, queues[job.queue], tasks[job.task], job.hash16, job.priority, job.key, due_at,
                    job.expires_at, now, job.codec, job.meta, job.payload, may_be_head,
                )
            )  # fmt: skip
        return rows

    def _settle_doubles(
        self, db: apsw.Connection, rows: list[tuple[Any, ...]], duplicates: set[bytes], woken: WokenSlots
    ) -> list[tuple[Any, ...]]:
        """Sort out the jobs whose token was in live already; return the rows that are really new."""
        names = {(job.token, job.payload): job for job in self._given}
        new = []
        for row in rows:
            known = db.execute(SQL["same_job"], (row[1],)).get
            if known[0] == row[0]:
                new.append(row)
                continue
            self._refuse_reuse(names[row[1], row[12]], known)
            duplicates.add(row[1])
        # The job that was left out may have been the one that was to be head.
        for queue_id in {row[2] for row in new}:
            keys = sorted({row[6] for row in new if row[2] == queue_id and row[6] is not None})
            stage_keys(db, queue_id, msgspec.json.encode(keys).decode(), self._now, woken)
        return new

    def _count(self, db: apsw.Connection, rows: Sequence[tuple[Any, ...]], last_seq: int) -> None:
        db.execute(SQL["set_counter"], (0, last_seq))
        for queue_id, more in Counter(row[2] for row in rows).items():
            db.execute(SQL["add_to_counter"], (queue_id, more))
            waiting = db.execute(SQL["count_waiting"], (queue_id,)).get
            if waiting > self._waiting_max:
                name = next(name for name, number in self._queues.items() if number == queue_id)
                raise QueueFullError(
                    f"queue {name} holds {waiting - more:,} unfinished jobs and may hold {self._waiting_max:,}: {more:,} more "
                    "do not fit. Nothing was written. Start workers for it, or raise `waiting_max`.",
                    queue=name,
                    waiting=waiting - more,
                    limit=self._waiting_max,
                )

    def _wake(self, db: apsw.Connection, rows: Sequence[tuple[Any, ...]], woken: WokenSlots, soon: WokenSlots) -> None:
        heads: set[int] = set()
        if any(row[13] for row in rows):
            heads = set(msgspec.json.decode(db.execute(SQL["new_heads"], (rows[0][0], rows[-1][0])).get))
        for row in rows:
            seq, queue_id, hash16, priority, key, due_at = row[0], row[2], row[4], row[5], row[6], row[7]
            if due_at is not None:
                if due_at <= self._now + SOON_US:
                    soon.add(queue_id, hash16 >> _SHIFT, priority, seq)
            elif key is None or seq in heads:
                woken.add(queue_id, hash16 >> _SHIFT, priority, seq)


def cancel(db: apsw.Connection, news: News, token: bytes, now: int) -> Cancelled:
    """Cancel a job that nobody holds; ask the worker of one that is held."""
    live = db.execute(SQL["find_waiting"], (token,)).get
    if live is None:
        state = db.execute(SQL["finished_state"], (token,)).get
        return Cancelled(was=None if state is None else FinalState(state).state)
    seq, fence, holder, due_at = live
    if holder is not None:
        db.execute(SQL["cancel_job"], (seq,))
        news.tell(Wake(cancels=[token]))
        return Cancelled(was=State.RUNNING)
    row = (seq, token, fence, True, FinalState.CANCELLED, 0, 0, None, None, None, None, None)
    run_rows(db, SQL["finish_job"], [row], (now, None))
    woken = leave(db, [seq], {FinalState.CANCELLED: 1}, now).list()
    news.tell(Wake(woken=woken, settled=[token]))
    return Cancelled(was=State.SCHEDULED if due_at is not None and due_at > now else State.WAITING, woken=woken)


def reopen(db: apsw.Connection, news: News, token: bytes, now: int) -> Sequence[Woken]:
    """Put a job that did not succeed back into live, as the last of its line.

    Raises:
        UnknownTokenError: No such finished job.
        NotAllowedError: It succeeded, or is live.
    """
    state = db.execute(SQL["finished_state"], (token,)).get
    if state is None or state == FinalState.SUCCEEDED:
        _refuse_reopen(db, token, state)
    seq = db.execute(SQL["read_counter"], (0,)).get + 1
    db.execute(SQL["set_counter"], (0, seq))
    db.execute(SQL["note_reopened"], (token, now))
    queue_id, slot, priority, ready = db.execute(SQL["reopen_job"], (token, seq, now)).get
    db.execute(SQL["forget_finished"], (token,))
    db.execute(SQL["add_to_counter"], (queue_id, 1))
    db.execute(SQL["add_to_counter"], (-1 - state, -1))
    woken = WokenSlots()
    if ready:
        woken.add(queue_id, slot, priority, seq)
        news.tell(Wake(woken=woken.list()))
    return woken.list()


def _refuse_reopen(db: apsw.Connection, token: bytes, state: int | None) -> None:
    if state is not None or db.execute(SQL["find_waiting"], (token,)).get is not None:
        what = "succeeded" if state is not None else "is not finished"
        raise NotAllowedError(
            f"job {token_text(token)} {what}: only a failed, cancelled or expired job can be put back. Nothing was changed. "
            "To run it once more, submit it anew.",
            token=token_text(token),
        )
    raise UnknownTokenError(f"no job has the token {token_text(token)}. Nothing was changed.", token=token_text(token))
