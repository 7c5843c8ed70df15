"""Callers who go together.

    one caller   ──▶ its jobs, at once                                 64 callers ──▶ whoever waits goes together

A commit takes the disk's time however many jobs it carries. So while one is under way, later callers wait together, and go
in one transaction when it returns; a lone caller never waits for company.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Sequence

from msgspec import structs

from rota.errors import OutcomeUnknownError, RotaError
from rota.model.job import NewJob
from rota.model.slot import slot_of
from rota.store.port import Submitted, Woken

_JOBS_MAX = 1_000
"""Jobs that go together: a larger batch gains nothing, and its callers would wait for each other."""

_Call = tuple[Sequence[NewJob], "asyncio.Future[Submitted]"]


class Together:
    """Gathers calls of submit while another is under way.

    Args:
        send: Submits jobs in one transaction.
        queue_ids: The number of each queue, by name.
    """

    def __init__(self, send: Callable[[Sequence[NewJob]], Awaitable[Submitted]], queue_ids: dict[str, int]) -> None:
        self._send = send
        self._queue_ids = queue_ids
        self._waiting: deque[_Call] = deque()
        self._is_sending = False
        self._sender: asyncio.Task[None] | None = None

    async def submit(self, jobs: Sequence[NewJob]) -> Submitted:
        """Submit at once if nobody else does, else with whoever waits too. A refusal is each caller's own."""
        if self._is_sending:
            future: asyncio.Future[Submitted] = asyncio.get_running_loop().create_future()
            self._waiting.append((jobs, future))
            return await future
        self._is_sending = True
        try:
            return await self._send(jobs)
        finally:
            self._go_on()

    def _go_on(self) -> None:
        """Send what has gathered meanwhile, or rest."""
        if self._waiting:
            self._sender = asyncio.get_running_loop().create_task(self._send_gathered())
        else:
            self._is_sending = False

    async def _send_gathered(self) -> None:
        calls = [self._waiting.popleft()]
        size = len(calls[0][0])
        while self._waiting and size + len(self._waiting[0][0]) <= _JOBS_MAX:
            calls.append(self._waiting.popleft())
            size += len(calls[-1][0])
        try:
            if not await self._went_together(calls):
                for jobs, future in calls:
                    try:
                        _answer(future, await self._send(jobs))
                    except RotaError as problem:
                        _fail(future, problem)
        finally:
            for _, future in calls:
                future.cancel()
            # Those who have just been answered may have more: let them speak first, and they go together again.
            loop = asyncio.get_running_loop()
            loop.call_soon(loop.call_soon, self._go_on)

    async def _went_together(self, calls: list[_Call]) -> bool:
        """Send several calls in one transaction; return false if one of them was refused, and so all."""
        jobs = [job for own, _ in calls for job in own]
        if len(calls) == 1 or len({job.token for job in jobs}) < len(jobs):
            return False
        try:
            reply = await self._send(jobs)
        except OutcomeUnknownError as problem:
            for _, future in calls:
                _fail(future, OutcomeUnknownError(problem.message, **problem.facts))
            return True
        except RotaError:
            return False
        news = {(woken.queue_id, woken.slot): woken for woken in reply.woken}
        for own, future in calls:
            _answer(future, self._part_of(reply, news, own))
        return True

    def _part_of(self, reply: Submitted, news: dict[tuple[int, int], Woken], jobs: Sequence[NewJob]) -> Submitted:
        """Return what of a common reply concerns these jobs."""
        lines = {(self._queue_ids[job.queue], slot_of(job.hash16)) for job in jobs}
        duplicates = reply.duplicates and reply.duplicates & {job.token for job in jobs}
        return structs.replace(reply, duplicates=duplicates, woken=[news[line] for line in lines if line in news])


def _answer(future: asyncio.Future[Submitted], reply: Submitted) -> None:
    if not future.done():
        future.set_result(reply)


def _fail(future: asyncio.Future[Submitted], problem: RotaError) -> None:
    if not future.done():
        future.set_exception(problem)
