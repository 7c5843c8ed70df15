"""Callers who go together.

    one caller   ──▶ its jobs, at once                                 64 callers ──▶ whoever waits goes together

A commit takes the disk's time however many jobs it carries. So while one is under way, later callers wait together, and go
in one transaction when it returns; a lone caller never waits for company.

Everybody gets an answer. What one caller did wrong is told to that one; a store that cannot do it cannot do it for any of them;
and when it cannot even be reached, those who still wait are told so at once, instead of one after another, each after its own
wait for a connection.

Invariants, each with the test that holds it:
    A refusal is its caller's own.                                   tests/postgres/test_engine.py
    Nobody waits longer than two calls take, whatever happens.       tests/postgres/test_connections.py
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Sequence

from msgspec import structs

from rota.errors import RotaError, StoreError, StoreUnavailableError
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
                await self._send_each(calls)
        except Exception as problem:  # Not one of ours, and not the callers' fault; but they wait for an answer.
            _fail_all(calls, problem)
        finally:
            for _, future in calls:
                future.cancel()
            # Those who have just been answered may have more: let them speak first, and they go together again.
            loop = asyncio.get_running_loop()
            loop.call_soon(loop.call_soon, self._go_on)

    async def _send_each(self, calls: list[_Call]) -> None:
        """Send the calls one by one, since one of them was refused and so all."""
        for number, (jobs, future) in enumerate(calls):
            try:
                _answer(future, await self._send(jobs))
            except StoreUnavailableError as problem:
                self._nobody_there(calls[number:], problem)
                return
            except RotaError as problem:
                _fail(future, problem)

    async def _went_together(self, calls: list[_Call]) -> bool:
        """Send several calls in one transaction; return false if they must go one by one."""
        jobs = [job for own, _ in calls for job in own]
        if len(calls) == 1 or len({job.token for job in jobs}) < len(jobs):
            return False
        try:
            reply = await self._send(jobs)
        except StoreUnavailableError as problem:
            self._nobody_there(calls, problem)
            return True
        except RotaError as problem:
            if type(problem) is StoreError or not isinstance(problem, StoreError):
                return False
            _fail_all(calls, problem)
            return True
        news = {(woken.queue_id, woken.slot): woken for woken in reply.woken}
        for own, future in calls:
            _answer(future, self._part_of(reply, news, own))
        return True

    def _nobody_there(self, calls: list[_Call], problem: RotaError) -> None:
        """Answer these calls and all that wait."""
        _fail_all([*calls, *self._waiting], problem)
        self._waiting.clear()

    def _part_of(self, reply: Submitted, news: dict[tuple[int, int], Woken], jobs: Sequence[NewJob]) -> Submitted:
        """Return what of a common reply concerns these jobs."""
        lines = {(self._queue_ids[job.queue], slot_of(job.hash16)) for job in jobs}
        duplicates = reply.duplicates and reply.duplicates & {job.token for job in jobs}
        return structs.replace(reply, duplicates=duplicates, woken=[news[line] for line in lines if line in news])


def _answer(future: asyncio.Future[Submitted], reply: Submitted) -> None:
    if not future.done():
        future.set_result(reply)


def _fail(future: asyncio.Future[Submitted], problem: Exception) -> None:
    if not future.done():
        future.set_exception(problem)


def _fail_all(calls: list[_Call], problem: Exception) -> None:
    """Give each caller an error of its own: one that several raise would gather all their tracebacks."""
    for _, future in calls:
        _fail(future, type(problem)(problem.message, **problem.facts) if isinstance(problem, RotaError) else problem)
