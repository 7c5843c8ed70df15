"""The way in.

Several submissions that wait for the same commit, each of which can only be new, are inserted as one: with 64 callers of
one job each, the statements around the insert would cost more than the insert.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from functools import lru_cache
from itertools import chain
from operator import itemgetter
from typing import Any, Final

import apsw
import msgspec

from rota.errors import InvalidTokenError, QueueFullError, TokenReusedError
from rota.model.job import NewJob
from rota.model.limits import SLOT_COUNT, TOKEN_SKEW_MS_MAX
from rota.model.slot import place_of
from rota.model.token import first_token_at, is_token, token_ms, token_text
from rota.store.port import Submitted, Wake, Woken
from rota.store.sqlite.bulk import run_rows, texts
from rota.store.sqlite.stage import WokenSlots, stage_keys
from rota.store.sqlite.tally import Tally
from rota.store.sqlite.writer import News
from rota.store.statements import load

SQL = load("sqlite")
SOON_US: Final = 5_000_000
"""A job that falls due within this time is news: its worker sets a timer, where a slow look would come too late."""

_SHIFT: Final = 6
_HOUR_US: Final = 3_600 * 10**6
_NONE: Final[frozenset[bytes]] = frozenset()

Row = tuple[Any, ...]
Line = tuple[int, str]
"""A queue and a key."""
_SEQ, _TOKEN, _QUEUE, _HASH, _PRIORITY, _KEY, _DUE, _PAYLOAD, _READY = 0, 1, 2, 4, 5, 6, 7, 12, 14
"""Where things are in a row for ``insert_job``."""
_PRIORITY_OF: Final = itemgetter(_PRIORITY)


class NotOnlyNew(Exception):
    """Raised when submissions that were to be inserted as one must be looked at one by one."""


class Submission:
    """One call of ``submit``.

    Args:
        jobs: The jobs, in order; at least one.
        queues: Numbers of their queues by name.
        tasks: Numbers of their tasks by name.
        waiting_max: Unfinished jobs that a queue may have.
        now: This instant.

    Attributes:
        is_plain: All of its jobs were made for this call and carry a token of today: nothing need be looked up.
        queue_ids: Numbers of the queues that its jobs go to.
    """

    __slots__ = ("_queues", "_tasks", "is_plain", "jobs", "now", "queue_ids", "waiting_max")

    def __init__(
        self, jobs: Sequence[NewJob], queues: Mapping[str, int], tasks: Mapping[str, int], *, waiting_max: int, now: int
    ) -> None:
        self.jobs = jobs
        self.now = now
        self.waiting_max = waiting_max
        self._queues = queues
        self._tasks = tasks
        self.queue_ids = {queues[job.queue] for job in jobs}
        self.is_plain = self._are_plain(jobs)

    def write(self, db: apsw.Connection, news: News) -> Submitted:
        """Insert all, or raise and leave nothing."""
        jobs, duplicates = (self.jobs, _NONE) if self.is_plain else self._new_ones(db)
        if not jobs:
            return Submitted(duplicates=duplicates, woken=())
        tally = Tally(db, self.queue_ids)
        rows = self.rows(jobs, tally.last + 1, led(db, self.lines()))
        last, woken = tally.last + len(rows), None
        if run_rows(db, SQL["insert_job"], rows) < len(rows):
            woken = WokenSlots()
            rows, known = self._sort_out(db, rows, woken)
            duplicates |= known
        self._refuse_if_full(tally.too_full(db, [row[_QUEUE] for row in rows], last, self.waiting_max), rows)
        told = self.woken(rows, woken)
        if told:
            news.tell(Wake(woken=told, is_staged=are_staged(rows)))
        return Submitted(duplicates=duplicates, woken=told)

    def lines(self) -> set[Line]:
        """Return the queues and keys of the jobs that have a key."""
        return {(self._queues[job.queue], job.key) for job in self.jobs if job.key is not None}

    def rows(self, jobs: Sequence[NewJob], seq: int, with_head: set[Line]) -> list[Row]:
        """Return the values of ``insert_job``.

        Args:
            seq: The number of the first.
            with_head: Queues and keys that have a head; those that get one are added.
        """
        now, queues, tasks = self.now, self._queues, self._tasks
        rows: list[Row] = []
        for job in jobs:
            queue_id, key, due_at = queues[job.queue], job.key, job.due_at
            if due_at is not None and due_at <= now:
                due_at = None
            is_head = False
            if key is not None and due_at is None and (queue_id, key) not in with_head:
                with_head.add((queue_id, key))
                is_head = True
            rows.append(
                (
                    seq, job.token, queue_id, tasks[job.task], job.hash16, job.priority, key, due_at, job.expires_at, now,
                    job.codec, job.meta, job.payload, is_head, due_at is None and (key is None or is_head),
                    now if is_head else None,
                )
            )  # fmt: skip
            seq += 1
        return rows

    def woken(self, rows: Sequence[Row], woken: WokenSlots | None = None) -> list[Woken]:
        """Return the slots of what can be claimed now or soon, and those that are woken already."""
        latest = self.now + SOON_US
        told = [row for row in reversed(rows) if row[_READY] or (row[_DUE] is not None and row[_DUE] <= latest)]
        if woken is None and len(told) == 1:
            row = told[0]
            return [Woken(row[_QUEUE], row[_HASH] >> _SHIFT, place_of(row[_PRIORITY], row[_SEQ]))]
        woken = WokenSlots() if woken is None else woken
        told.sort(key=_PRIORITY_OF)
        # Of a slot the first in line counts, and is written last.
        first = {row[_QUEUE] * SLOT_COUNT + (row[_HASH] >> _SHIFT): row for row in told}
        woken.add_all({where: place_of(row[_PRIORITY], row[_SEQ]) for where, row in first.items()})
        return woken.list()

    def _refuse_if_full(self, unfinished: Mapping[int, int], rows: Sequence[Row]) -> None:
        """Refuse what goes into a queue that holds too many.

        Args:
            unfinished: How many these queues hold now.

        Raises:
            QueueFullError: There is something.
        """
        for queue_id, count in unfinished.items():
            more = sum(row[_QUEUE] == queue_id for row in rows)
            if more:
                name = next(name for name, number in self._queues.items() if number == queue_id)
                raise QueueFullError(
                    f"queue {name} holds {count - more:,} unfinished jobs and may hold {self.waiting_max:,}: {more:,} more do "
                    "not fit. Nothing was written. Start workers for it, or raise `waiting_max`.",
                    queue=name,
                    waiting=count - more,
                    limit=self.waiting_max,
                )

    # ── what is not plainly new ──────────────────────────────────────────────────────────────────────────────────────

    def _are_plain(self, jobs: Sequence[NewJob]) -> bool:
        lowest, highest = _surely_of_today(self.now // _HOUR_US)
        return all([job.is_fresh and lowest <= job.token < highest for job in jobs])  # noqa: C419 - a third quicker

    def _new_ones(self, db: apsw.Connection) -> tuple[Sequence[NewJob], frozenset[bytes]]:
        """Leave out jobs that are known; finished ones must be looked for unless the token was made for this call.

        Raises:
            InvalidTokenError: A token that is not known is no UUIDv7, or of another day.
            TokenReusedError: A token is known and stands for something else.
        """
        jobs: list[NewJob] = []
        duplicates: set[bytes] = set()
        for job in self.jobs:
            known = None if self._are_plain([job]) else db.execute(SQL["same_job"], (job.token,)).get
            if known is not None:
                self._refuse_reuse(job, known)
                duplicates.add(job.token)
            else:
                self._check_token(job.token)
                jobs.append(job)
        return jobs, frozenset(duplicates)

    def _check_token(self, token: bytes) -> None:
        if not is_token(token):
            raise InvalidTokenError(
                f"{token.hex()} is not a UUID of version 7. Nothing was written. Let rota make the token, or use one that "
                "carries its time: finished jobs are found by it.",
                token=token.hex(),
            )
        skew_ms = token_ms(token) - self.now // 1_000
        if abs(skew_ms) > TOKEN_SKEW_MS_MAX:
            raise InvalidTokenError(
                f"token {token_text(token)} was made {abs(skew_ms) / 3_600_000:.1f} h "
                f"{'ahead of' if skew_ms > 0 else 'before'} the store's time; a day is allowed. "
                "Nothing was written. Check the clock, or submit with a new token.",
                token=token_text(token),
            )

    def _refuse_reuse(self, job: NewJob, known: Row) -> None:
        asked = (self._tasks[job.task], job.payload, job.key, self._queues[job.queue])
        if known[1:] != asked:
            raise TokenReusedError(
                f"token {token_text(job.token)} already stands for a job with another task, payload, key or queue. Nothing was "
                "written. Use a new token for a new job.",
                token=token_text(job.token),
            )

    def _sort_out(
        self, db: apsw.Connection, rows: Sequence[Row], woken: WokenSlots
    ) -> tuple[list[Row], frozenset[bytes]]:
        """Find the jobs whose token was in live already; return the rows that are really new, and the tokens that are not."""
        by_content = {(job.token, job.payload): job for job in self.jobs}
        new, known = [], set()
        for row in rows:
            there = db.execute(SQL["same_job"], (row[_TOKEN],)).get
            if there[0] == row[_SEQ]:
                new.append(row)
            else:
                self._refuse_reuse(by_content[row[_TOKEN], row[_PAYLOAD]], there)
                known.add(row[_TOKEN])
        # The job that was left out may have been the one that was to be head.
        for queue_id in {row[_QUEUE] for row in new}:
            keys = sorted({row[_KEY] for row in new if row[_QUEUE] == queue_id and row[_KEY] is not None})
            stage_keys(db, queue_id, msgspec.json.encode(keys).decode(), self.now, woken)
        return new, frozenset(known)


def submit_together(db: apsw.Connection, news: News, submissions: Sequence[Submission]) -> list[Submitted]:
    """Insert several plain submissions as one.

    Raises:
        NotOnlyNew: A token was known after all, or a queue would be too full. Undo it, and write them one by one.
    """
    tally = Tally(db, set().union(*[submission.queue_ids for submission in submissions]))
    with_head = led(db, set().union(*[submission.lines() for submission in submissions]))
    last, rows_of = tally.last, []
    for submission in submissions:
        rows_of.append(submission.rows(submission.jobs, last + 1, with_head))
        last += len(submission.jobs)
    rows = list(chain.from_iterable(rows_of))
    if run_rows(db, SQL["insert_job"], rows) < len(rows):
        raise NotOnlyNew
    if tally.too_full(db, [row[_QUEUE] for row in rows], last, submissions[0].waiting_max):
        raise NotOnlyNew
    replies = [
        Submitted(duplicates=_NONE, woken=submission.woken(own))
        for submission, own in zip(submissions, rows_of, strict=True)
    ]
    told = [woken for reply in replies for woken in reply.woken]
    if told:
        news.tell(Wake(woken=told, is_staged=are_staged(rows)))
    return replies


def are_staged(rows: Iterable[Row]) -> bool:
    """Whether none of these jobs will have to be made ready."""
    return all([row[_DUE] is None for row in rows])  # noqa: C419 - a third quicker


@lru_cache(4)
def _surely_of_today(hour: int) -> tuple[bytes, bytes]:
    """Return the tokens between which all are of today throughout an hour; the careful way judges others to the millisecond."""
    begins_ms, ends_ms = hour * _HOUR_US // 1_000, (hour + 1) * _HOUR_US // 1_000
    return first_token_at(ends_ms - TOKEN_SKEW_MS_MAX), first_token_at(begins_ms + TOKEN_SKEW_MS_MAX)


def led(db: apsw.Connection, lines: Iterable[Line]) -> set[Line]:
    """Return which of these queues and keys have a head."""
    keys: dict[int, list[str]] = {}
    for queue_id, key in lines:
        keys.setdefault(queue_id, []).append(key)
    return {
        (queue_id, key)
        for queue_id, some in keys.items()
        for key in msgspec.json.decode(db.execute(SQL["keys_with_head"], (queue_id, texts(some))).get)
    }
