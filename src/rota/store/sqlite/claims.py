"""Taking jobs, and finding what is held.

look (no lock) ──nothing──▶ reply
    │ candidates
    ▼
BEGIN IMMEDIATE: is the worker open? stage what fell due; are the candidates still free? holder, fence + 1; one claims row
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import repeat, starmap
from typing import Any

import apsw
import msgspec

from rota.errors import NodeClosedError
from rota.model.job import ClaimedJob
from rota.model.limits import MIB
from rota.model.slot import place_of
from rota.store.port import Claim, Ranks, Wake, Woken
from rota.store.sqlite.bulk import blobs, fetch, numbers
from rota.store.sqlite.candidates import FEW_SLOTS, STRETCH, Wanted, find_candidates, is_mixed
from rota.store.sqlite.stage import next_due, stage_due
from rota.store.sqlite.writer import MUST_WRITE, News
from rota.store.statements import load

SQL = load("sqlite")
TOKEN_BYTES = 16
CLAIM_BYTES_MAX = 64 * MIB
"""Payloads of one claim: a thousand of the largest would be 16 GiB."""

_PORTION_JOBS = 50
"""So many of the largest payloads still fit into one value of SQLite's."""

_FEW_JOBS = 4
"""So many of the largest payloads are within ``CLAIM_BYTES_MAX``: their sizes need not be asked."""

_ALL = 1 << 30
_PRIORITY = 4
"""Which column of ``read_jobs`` is the priority."""

decode = msgspec.json.decode


class ClaimCall:
    """One claim: a look without the lock, then, if there is something, the claim under it.

    Args:
        worker: The incarnation that claims.
        wanted: What it may take; ``tasks`` and ``cursors`` are filled in here.
        tasks: Numbers of the tasks that it knows.
        stages: Whether to stage the slots first.
        now: This instant.
    """

    def __init__(self, worker: int, wanted: Wanted, tasks: Sequence[int], *, stages: bool, now: int) -> None:
        self._worker = worker
        self._wanted = wanted
        self._tasks = tasks
        self._stages = stages and bool(wanted.slots)
        self._now = now
        self._candidates: list[int] | None = None
        self._due_at: int | None = None
        self._staged: list[Woken] = []

    def look(self, db: apsw.Connection) -> Any:
        """Return the reply if there is nothing to take, else ``MUST_WRITE``."""
        wanted = self._wanted
        if 0 < len(wanted.slots) <= FEW_SLOTS:
            # There is something to take, and a look first would double the price of an idle worker's pick-up.
            return MUST_WRITE
        epoch, is_paused, highest = facts(db, self._worker, wanted.queue_id)
        if is_paused or not wanted.slots:
            return Claim(jobs=(), epoch=epoch, is_paused=is_paused)
        wanted.tasks = known_tasks(self._tasks, highest)
        self._due_at = next_due(db, wanted.queue_id, wanted.slots) if self._stages else None
        if self._due_at is not None and self._due_at <= self._now:
            return MUST_WRITE
        self._candidates = find_candidates(db, wanted)
        return MUST_WRITE if self._candidates else Claim(jobs=(), epoch=epoch, due_in_us=self._due_in_us)

    def write(self, db: apsw.Connection, news: News) -> Claim:
        """Take what the look has found, as far as nobody else has it by now."""
        self._staged = []
        wanted = self._wanted
        epoch, is_paused, highest = facts(db, self._worker, wanted.queue_id)
        if is_paused:
            return Claim(jobs=(), epoch=epoch, is_paused=True)
        wanted.tasks = known_tasks(self._tasks, highest)
        if self._candidates is None:
            if self._stages:
                self._stage(db)
            seqs = find_candidates(db, wanted)
            if len(seqs) <= _FEW_JOBS:
                return self._reply(db, news, take(db, self._worker, seqs, self._now), epoch)
        else:
            seqs = self._candidates
        free = still_claimable(db, seqs)
        if len(free) < len(seqs):
            seqs = find_candidates(db, wanted)
            free = still_claimable(db, seqs)
        fitting = within_memory(seqs, free)
        jobs = take(db, self._worker, fitting, self._now)
        # Where not all was taken, no slot has been shown to be empty.
        skipped = tuple(wanted.slots) if len(fitting) < len(seqs) else ()
        return self._reply(db, news, jobs, epoch, skipped)

    def _reply(
        self, db: apsw.Connection, news: News, jobs: Sequence[ClaimedJob], epoch: int, skipped: Sequence[int] = ()
    ) -> Claim:
        wanted, ranks = self._wanted, None
        if self._staged and len(jobs) >= wanted.limit:
            # Some of it may be left, before where its slots' cursors are: this worker is told as well.
            news.tell(Wake(woken=self._staged, is_staged=True))
        if len(wanted.slots) > FEW_SLOTS and is_mixed(db, wanted.queue_id):
            # Of the best job's stretch a few slots may have been looked into, of those before it all. What a crash interrupted
            # comes first, whatever its priority and slot.
            best = min((place_of(job.priority, job.seq) for job in jobs if not job.crashes), default=0)
            ranks = Ranks(nothing_before=best & -STRETCH)
        return Claim(jobs=jobs, epoch=epoch, due_in_us=self._due_in_us, skipped=skipped, ranks=ranks)

    @property
    def _due_in_us(self) -> int | None:
        return None if self._due_at is None else self._due_at - self._now

    def _stage(self, db: apsw.Connection) -> None:
        wanted = self._wanted
        self._due_at = next_due(db, wanted.queue_id, wanted.slots)
        if self._due_at is None or self._due_at > self._now:
            return
        woken = stage_due(db, wanted.queue_id, wanted.slots, self._now, wanted.limit)
        self._staged = woken.list()
        if wanted.cursors is not None:
            # What has just been staged has an old number: its slot's cursor comes back to it.
            lower = {each.slot: each.place for each in self._staged}
            wanted.cursors = {slot: min(place, lower.get(slot, place)) for slot, place in wanted.cursors.items()}
        self._due_at = next_due(db, wanted.queue_id, wanted.slots)


class ClaimAloneCall:
    """The claim of one suspect, to run it alone."""

    def __init__(self, worker: int, tasks: Sequence[int], *, now: int) -> None:
        self._worker = worker
        self._tasks = msgspec.json.encode(list(tasks)).decode()
        self._now = now

    def look(self, db: apsw.Connection) -> Any:
        """Return the reply if no suspect waits, else ``MUST_WRITE``."""
        epoch, _, _ = facts(db, self._worker, None)
        found = db.execute(SQL["claim_alone"], (self._tasks,)).get
        return Claim(jobs=(), epoch=epoch) if found is None else MUST_WRITE

    def write(self, db: apsw.Connection, news: News) -> Claim:  # noqa: ARG002 - what it takes is no news
        """Take the oldest."""
        epoch, _, _ = facts(db, self._worker, None)
        found = db.execute(SQL["claim_alone"], (self._tasks,)).get
        return Claim(jobs=take(db, self._worker, [] if found is None else [found], self._now), epoch=epoch)


def facts(db: apsw.Connection, worker: int, queue_id: int | None) -> tuple[int, bool, int]:
    """Return the epoch, whether the queue is paused, and the highest task number.

    Raises:
        NodeClosedError: The worker has been closed.
    """
    is_open, is_paused, epoch, highest = db.execute(SQL["claim_facts"], (worker, queue_id)).get
    if not is_open:
        raise NodeClosedError(
            f"worker {worker} was declared dead; it may take nothing any more. What it held is released. "
            "Start it again: it gets a new incarnation.",
            worker=worker,
        )
    return epoch, bool(is_paused), highest or 0


def known_tasks(tasks: Sequence[int], highest: int) -> str | None:
    """Return the tasks as a JSON list; ``None`` when they are all that there are, and nothing need be filtered."""
    return None if len(set(tasks)) >= highest else msgspec.json.encode(list(tasks)).decode()


def still_claimable(db: apsw.Connection, seqs: Sequence[int]) -> dict[int, int]:
    """Return those of these jobs that can be claimed at this moment, each with the size of its payload."""
    if not seqs:
        return {}
    free, sizes = map(decode, db.execute(SQL["still_claimable"], (numbers(seqs), False)).get)
    return dict(zip(free, sizes, strict=True))


def within_memory(seqs: Sequence[int], sizes: Mapping[int, int]) -> Sequence[int]:
    """Return the first of these jobs, at least one, whose payloads together can well be held in memory."""
    room = CLAIM_BYTES_MAX
    if sum(sizes.values()) <= room:
        return seqs
    fitting: list[int] = []
    for seq in seqs:
        room -= sizes[seq]
        if room < 0 and fitting:
            break
        fitting.append(seq)
    return fitting


def take(db: apsw.Connection, worker: int, seqs: Sequence[int], now: int) -> list[ClaimedJob]:
    """Write the holder into these free jobs and return them, by place."""
    if not seqs:
        return []
    bound = numbers(seqs)
    db.execute(SQL["claim_jobs"], (bound, worker, now))
    columns = read_columns(db, bound)
    no = db.execute(SQL["insert_claim"], (worker, columns[-1])).get
    jobs = build_jobs(columns, repeat(no))
    if len(set(columns[_PRIORITY])) > 1:
        # They come by number, which is by place as long as there is one priority.
        jobs.sort(key=lambda job: place_of(job.priority, job.seq))
    return jobs


def held(db: apsw.Connection, worker: int) -> list[ClaimedJob]:
    """Return all jobs that a worker holds, by number."""
    claim_of: dict[bytes, int] = {}
    for no, tokens in fetch(db, SQL["worker_claims"], (worker, _ALL)):
        claim_of.update(dict.fromkeys(split_tokens(tokens), no))
    if not claim_of:
        return []
    seqs = [row[0] for row in fetch(db, SQL["held_jobs"], (blobs(claim_of), worker))]
    jobs: list[ClaimedJob] = []
    for at in range(0, len(seqs), _PORTION_JOBS):
        columns = read_columns(db, numbers(seqs[at : at + _PORTION_JOBS]))
        jobs += build_jobs(columns, (claim_of[token] for token in split_tokens(columns[-1])))
    return jobs


def split_tokens(joined: bytes) -> list[bytes]:
    """Return the tokens of a claims row."""
    return [joined[at : at + TOKEN_BYTES] for at in range(0, len(joined), TOKEN_BYTES)]


def read_columns(db: apsw.Connection, seqs: Any) -> list[Any]:
    """Return what ``read_jobs`` says of these jobs: lists, then the payloads, then the tokens in one piece."""
    *lists, tokens, payloads = db.execute(SQL["read_jobs"], (seqs,)).get
    columns = [decode(text) for text in lists]
    cut, at = [], 0
    for length in columns.pop():
        cut.append(payloads[at : at + length])
        at += length
    return [*columns, cut, tokens]


def build_jobs(columns: Sequence[Any], claim_nos: Any) -> list[ClaimedJob]:
    """Return the jobs that these columns tell of, in their order."""
    seqs, task_ids, slots, keys, priorities, codecs, metas, fences, attempts, crashes, asked, expires, queues = columns[
        :13
    ]
    payloads, tokens = columns[13], split_tokens(columns[14])
    # `claim_nos` may go on for ever, so the lists end it.
    rows = zip(
        seqs, tokens, task_ids, slots, keys, priorities, payloads, codecs,
        [None if meta is None else bytes.fromhex(meta) for meta in metas],
        fences, attempts, crashes, map(bool, asked), expires, claim_nos, queues,
        strict=False,
    )  # fmt: skip
    return list(starmap(ClaimedJob, rows))
