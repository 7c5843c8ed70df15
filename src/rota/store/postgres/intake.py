"""The way in: submit, cancel, reopen.

    one caller   ──▶ its jobs, at once                                 64 callers ──▶ whoever waits goes together

A commit takes the disk's time however many jobs it carries. So while one is under way, later callers wait together, and go
in one transaction when it returns; a lone caller never waits for company.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Sequence
from typing import Any

from rota.errors import OutcomeUnknownError, QueueFullError, RotaError, TokenReusedError
from rota.model.job import NewJob
from rota.model.limits import TOKEN_SKEW_MS_MAX, WAITING_JOBS_MAX
from rota.model.slot import slot_of
from rota.model.state import State
from rota.model.token import token_ms, token_text
from rota.runtime.clock import Clock
from rota.store.port import Cancelled, Submitted, Woken
from rota.store.postgres.errors import SkewedError, TakenError
from rota.store.postgres.server import Server
from rota.store.postgres.subject import Names, Subject, woken_of

_ALONE_JOBS_MIN = 100
"""A call of so many jobs goes by itself: it gains nothing from company, and others would wait for it."""

_TOGETHER_JOBS_MAX = 1_000


class PostgresIntake(Subject):
    """``rota.store.port.Intake`` on PostgreSQL."""

    def __init__(
        self, server: Server, names: Names, clock: Clock | None, *, waiting_max: int = WAITING_JOBS_MAX
    ) -> None:
        super().__init__(server, names, clock, waiting_max=waiting_max)
        self._room: dict[int, int] = {}
        self._doubtful: set[bytes] = set()
        self._queued: deque[tuple[Sequence[NewJob], asyncio.Future[Submitted]]] = deque()
        self._is_sending = False
        self._sender: asyncio.Task[None] | None = None

    async def submit(self, jobs: Sequence[NewJob]) -> Submitted:
        """Put jobs in, all or none, in order; see the port."""
        if not jobs:
            return Submitted(frozenset(), ())
        if not self._names.know(jobs):
            await self._names.learn([job.queue for job in jobs], [job.task for job in jobs])
        if not self._has_room(jobs):
            await self._check_room(jobs)
        if len(jobs) >= _ALONE_JOBS_MIN:
            return await self._send(jobs)
        if self._is_sending:
            future: asyncio.Future[Submitted] = asyncio.get_running_loop().create_future()
            self._queued.append((jobs, future))
            return await future
        self._is_sending = True
        try:
            return await self._send(jobs)
        finally:
            self._go_on()

    async def cancel(self, token: bytes) -> Cancelled:
        """Cancel a job that is not running, at once; ask the worker of one that is."""
        record = await self._server.row("cancel_job", self._now(), token)
        was = record["was"]
        return Cancelled(None if was is None else State(was), woken_of(record))

    async def reopen(self, token: bytes) -> Sequence[Woken]:
        """Put a failed, cancelled or expired job back; see the port."""
        return woken_of(await self._server.row("reopen_job", self._now(), token))

    def _go_on(self) -> None:
        """Send what has gathered meanwhile, or rest."""
        if self._queued:
            self._sender = asyncio.get_running_loop().create_task(self._send_gathered())
        else:
            self._is_sending = False

    async def _send_gathered(self) -> None:
        calls: list[tuple[Sequence[NewJob], asyncio.Future[Submitted]]] = []
        jobs: list[NewJob] = []
        while self._queued and len(jobs) + len(self._queued[0][0]) <= _TOGETHER_JOBS_MAX:
            call = self._queued.popleft()
            calls.append(call)
            jobs += call[0]
        try:
            await self._send_together(calls, jobs)
        finally:
            for _, future in calls:
                if not future.done():
                    future.cancel()
            # Those who have just been answered may have more: let them speak first, and they go together again.
            loop = asyncio.get_running_loop()
            loop.call_soon(loop.call_soon, self._go_on)

    async def _send_together(
        self, calls: list[tuple[Sequence[NewJob], asyncio.Future[Submitted]]], jobs: list[NewJob]
    ) -> None:
        """Send several calls in one transaction; if one of them is refused, each by itself."""
        if len(calls) > 1 and len({job.token for job in jobs}) == len(jobs):
            try:
                reply = await self._send(jobs)
            except OutcomeUnknownError as problem:
                for _, future in calls:
                    _fail(future, problem)
                return
            except RotaError:
                pass
            else:
                news = {(woken.queue_id, woken.slot): woken for woken in reply.woken}
                for own, future in calls:
                    _answer(future, self._part_of(reply, news, own))
                return
        for own, future in calls:
            try:
                _answer(future, await self._send(own))
            except RotaError as problem:
                _fail(future, problem)

    def _part_of(self, reply: Submitted, news: dict[tuple[int, int], Woken], jobs: Sequence[NewJob]) -> Submitted:
        """Return what of a common reply concerns these jobs."""
        queues = self._names.queues
        lines = {(queues[job.queue], slot_of(job.hash16)) for job in jobs}
        duplicates = reply.duplicates and reply.duplicates & {job.token for job in jobs}
        return Submitted(duplicates, [news[line] for line in lines if line in news])

    async def _send(self, jobs: Sequence[NewJob]) -> Submitted:
        """Submit in one transaction. New tokens take the short way, on which nothing is looked up."""
        if all(job.is_fresh for job in jobs) and (
            not self._doubtful or self._doubtful.isdisjoint(job.token for job in jobs)
        ):
            try:
                return await (self._send_one(jobs[0]) if len(jobs) == 1 else self._send_new(jobs))
            except (TakenError, SkewedError):
                pass
        jobs, repeated = _without_repetitions(jobs)
        record = await self._call("submit_jobs_again", jobs, TOKEN_SKEW_MS_MAX)
        return Submitted(frozenset(record["duplicates"]) | repeated, woken_of(record))

    async def _send_new(self, jobs: Sequence[NewJob]) -> Submitted:
        times = [token_ms(job.token) for job in (min(jobs, key=_token), max(jobs, key=_token))]
        return Submitted(frozenset(), woken_of(await self._call("submit_jobs", jobs, *times, TOKEN_SKEW_MS_MAX)))

    async def _send_one(self, job: NewJob) -> Submitted:
        queue_id = self._names.queues[job.queue]
        try:
            slot, place = await self._server.row(
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
        except OutcomeUnknownError:
            self._doubtful.add(job.token)
            raise
        return Submitted(frozenset(), [] if slot is None else [Woken(queue_id, slot, place)])

    async def _call(self, function: str, jobs: Sequence[NewJob], *facts: int) -> Any:
        try:
            return await self._server.row(function, self._now(), *facts, *self._columns(jobs))
        except OutcomeUnknownError:
            # From now on these tokens may be known, whatever their maker says when it sends them again.
            self._doubtful.update(job.token for job in jobs)
            raise

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

    def _has_room(self, jobs: Sequence[NewJob]) -> bool:
        """Take a single job's place from the room that was counted before; any other call is looked at more closely."""
        if len(jobs) != 1:
            return False
        queue_id = self._names.queues[jobs[0].queue]
        left = self._room.get(queue_id, 0)
        if left < 1:
            return False
        self._room[queue_id] = left - 1
        return True

    async def _check_room(self, jobs: Sequence[NewJob]) -> None:
        """Refuse jobs that a queue has no room for.

        Counting takes time, so an eighth of the room that was found is used before it is counted again: seven other
        processes may do the same at the same time.

        Raises:
            QueueFullError: If ``waiting_max`` would be passed.
        """
        by_queue: dict[str, list[bytes]] = {}
        for job in jobs:
            by_queue.setdefault(job.queue, []).append(job.token)
        for queue, tokens in by_queue.items():
            queue_id = self._names.queues[queue]
            left = self._room.pop(queue_id, 0)
            if left < len(tokens):
                left = await self._count_room(queue, queue_id, tokens)
            self._room[queue_id] = left - len(tokens)

    async def _count_room(self, queue: str, queue_id: int, tokens: list[bytes]) -> int:
        """Return how many jobs may be submitted until the next count, these included."""
        needed = len(tokens)
        waiting = await self._server.value("count_waiting", queue_id, self._waiting_max - needed, writes=False)
        room = self._waiting_max - waiting
        if room < needed:
            # Jobs that are there already take no room.
            states = await self._server.call("job_states", self._now(), tokens, writes=False)
            new = needed - len(states)
            if room < new:
                raise QueueFullError(
                    f"queue {queue!r} holds {waiting:,} waiting jobs of at most {self._waiting_max:,}; {new:,} more were "
                    "refused and nothing was written. Start more workers, or raise `waiting_max`.",
                    queue=queue,
                    waiting=waiting,
                    waiting_max=self._waiting_max,
                )
        return int(max(room // 8, needed))


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


def _answer(future: asyncio.Future[Submitted], reply: Submitted) -> None:
    if not future.done():
        future.set_result(reply)


def _fail(future: asyncio.Future[Submitted], problem: RotaError) -> None:
    if not future.done():
        future.set_exception(problem)
