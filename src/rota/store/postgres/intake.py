"""The way in: submit, cancel, reopen.

    submit ──▶ room? ──▶ new tokens: submit_job, submit_jobs ──(one exists after all)──▶ submit_jobs_again

A token that was made for this call cannot be known, so nothing is searched for it: that is the short way. Any other, and any
whose first reply was lost, goes the careful way, which looks among live and finished jobs.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any

from rota.errors import OutcomeUnknownError, TokenReusedError
from rota.model.job import NewJob
from rota.model.limits import TOKEN_SKEW_MS_MAX
from rota.model.slot import slot_of
from rota.model.state import State
from rota.model.token import token_ms, token_text
from rota.runtime.clock import Clock
from rota.store.port import Cancelled, Submitted, Woken
from rota.store.postgres.errors import SkewedError, TakenError
from rota.store.postgres.room import Room
from rota.store.postgres.server import Server
from rota.store.postgres.subject import Names, Subject, woken_of
from rota.store.postgres.together import Together

_BY_ITSELF_JOBS_MIN = 100
"""A call of so many jobs goes by itself: it gains nothing from company, and others would wait for it."""


_DOUBTFUL_MAX = 100_000
"""Tokens remembered whose reply was lost; who sends one again does so soon."""


class PostgresIntake(Subject):
    """``rota.store.port.Intake`` on PostgreSQL."""

    def __init__(self, server: Server, names: Names, clock: Clock | None, waiting_max: int) -> None:
        super().__init__(server, names, clock, waiting_max)
        self._room = Room(server, clock, waiting_max)
        self._together = Together(self._send, names.queues)
        self._doubtful: dict[bytes, None] = {}

    async def submit(self, jobs: Sequence[NewJob]) -> Submitted:
        """Put jobs in, all or none, in order; see the port."""
        if not jobs:
            return Submitted(frozenset(), ())
        await self._admit(jobs)
        return await (self._send(jobs) if len(jobs) >= _BY_ITSELF_JOBS_MIN else self._together.submit(jobs))

    async def cancel(self, token: bytes) -> Cancelled:
        """Cancel a job that is not running, at once; ask the worker of one that is."""
        record = await self._server.row("cancel_job", self._now(), token)
        was = record["was"]
        return Cancelled(None if was is None else State(was), woken_of(record))

    async def reopen(self, token: bytes) -> Sequence[Woken]:
        """Put a failed, cancelled or expired job back; see the port."""
        return woken_of(await self._server.row("reopen_job", self._now(), token))

    async def _admit(self, jobs: Sequence[NewJob]) -> None:
        """See that the numbers of the jobs' queues and tasks are known, and that there is room for them.

        Raises:
            QueueFullError: If ``waiting_max`` would be passed.
        """
        if not self._names.know(jobs):
            await self._names.learn([job.queue for job in jobs], [job.task for job in jobs])
        if len(jobs) > 1 or not self._room.has_for(jobs[0]):
            await self._room.take(jobs, self._names.queues)

    async def _send(self, jobs: Sequence[NewJob]) -> Submitted:
        """Submit in one transaction."""
        try:
            if self._are_new(jobs):
                try:
                    return await (self._send_one(jobs[0]) if len(jobs) == 1 else self._send_new(jobs))
                except (TakenError, SkewedError):
                    pass
            return await self._send_again(jobs)
        except (OutcomeUnknownError, asyncio.CancelledError):
            self._doubt(jobs)
            raise

    async def _send_again(self, jobs: Sequence[NewJob]) -> Submitted:
        jobs, repeated = _without_repetitions(jobs)
        record = await self._server.row("submit_jobs_again", self._now(), TOKEN_SKEW_MS_MAX, *self._columns(jobs))
        return Submitted(frozenset(record["duplicates"]) | repeated, woken_of(record))

    async def _send_new(self, jobs: Sequence[NewJob]) -> Submitted:
        times = [token_ms(token) for token in (min(map(_token, jobs)), max(map(_token, jobs)))]
        record = await self._server.row("submit_jobs", self._now(), *times, TOKEN_SKEW_MS_MAX, *self._columns(jobs))
        return Submitted(frozenset(), woken_of(record))

    async def _send_one(self, job: NewJob) -> Submitted:
        queue_id = self._names.queues[job.queue]
        place = await self._server.value(
            "submit_job",
            self._now(),
            token_ms(job.token),
            TOKEN_SKEW_MS_MAX,
            job.token,
            queue_id,
            self._names.tasks[job.task],
            job.hash16,
            job.key,
            job.priority,
            job.due_at,
            job.expires_at,
            job.payload,
            job.codec,
            job.meta,
        )
        return Submitted(frozenset(), [] if place is None else [Woken(queue_id, slot_of(job.hash16), place)])

    def _are_new(self, jobs: Sequence[NewJob]) -> bool:
        """Whether nobody can have seen any of the tokens."""
        return all(job.is_fresh and job.token not in self._doubtful for job in jobs)

    def _doubt(self, jobs: Sequence[NewJob]) -> None:
        """Remember tokens whose reply was lost: they may be known now, whatever their maker says when it sends them again."""
        self._doubtful.update(dict.fromkeys(job.token for job in jobs))
        while len(self._doubtful) > _DOUBTFUL_MAX:
            del self._doubtful[next(iter(self._doubtful))]

    def _columns(self, jobs: Sequence[NewJob]) -> tuple[list[Any], ...]:
        """Return the jobs as arrays; one entry, or none, where all are alike: the functions fill in the rest."""
        queues, tasks = self._names.queues, self._names.tasks
        return (
            [job.token for job in jobs],
            _alike([queues[job.queue] for job in jobs]),
            _alike([tasks[job.task] for job in jobs]),
            [job.hash16 for job in jobs],
            _some([job.key for job in jobs]),
            _alike([job.priority for job in jobs]),
            _some([job.due_at for job in jobs]),
            _some([job.expires_at for job in jobs]),
            [job.payload for job in jobs],
            _alike([job.codec for job in jobs]),
            _some([job.meta for job in jobs]),
        )


def _token(job: NewJob) -> bytes:
    return job.token


def _alike(column: list[Any]) -> list[Any]:
    return column[:1] if column.count(column[0]) == len(column) else column


def _some(column: list[Any]) -> list[Any]:
    return [] if column.count(None) == len(column) else column


def _without_repetitions(jobs: Sequence[NewJob]) -> tuple[Sequence[NewJob], frozenset[bytes]]:
    """Return the jobs with each token once, and the tokens that came more than once.

    Raises:
        TokenReusedError: If a token came with two contents.
    """
    first = {job.token: job for job in reversed(jobs)}
    if len(first) == len(jobs):
        return jobs, frozenset()
    for job in jobs:
        other = first[job.token]
        if (job.task, job.payload, job.key) != (other.task, other.payload, other.key):
            text = token_text(job.token)
            raise TokenReusedError(
                f"token {text} stands for two different jobs of one call. Nothing was written. Make a token for each.",
                token=text,
            )
    kept = [job for job in jobs if first[job.token] is job]
    repeated = [job.token for job in jobs if first[job.token] is not job]
    return kept, frozenset(repeated)
