"""PostgreSQL under load from several submitters and a worker, all of whose answers are noted, while the server is killed.

submitters ──▶┐                    ┌─▶ history ─▶ no_job_lost · settled_once · conservation
a worker   ──▶┴─ PostgresStore ────┘
                      ▲
                 kill -9 of the postmaster and of every back end, at any moment; started again; and again
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import select
import signal
import time
from random import Random
from typing import Any

import asyncpg

from rota.errors import OutcomeUnknownError, StoreError
from rota.model.job import NewJob
from rota.model.limits import SLOT_COUNT
from rota.model.outcome import Kind, Outcome
from rota.model.slot import hash16
from rota.model.token import token_text
from rota.runtime.clock import SystemClock
from rota.runtime.entropy import SystemEntropy
from rota.store.port import NewNode, NewWorker
from rota.store.postgres.server import quoted
from rota.store.postgres.store import PostgresStore
from scripts.postgres_server import PostgresServer
from tests.checkers.conservation import conservation
from tests.checkers.history import (
    AnyEvent,
    Broken,
    Counted,
    Found,
    Settled,
    SettleUnknown,
    SubmitRefused,
    Submitted,
    Submitting,
    SubmitUnknown,
)
from tests.checkers.no_job_lost import no_job_lost
from tests.checkers.settled_once import settled_once
from tests.processes import children_of

QUEUE, TASK = "ovens", "bake"
_SLOTS = range(SLOT_COUNT)
_ROWS = """
SELECT token::text, 'waiting' AS state FROM {schema}.live
 UNION ALL
SELECT token::text, (ARRAY['succeeded', 'failed', 'cancelled', 'expired'])[state + 1] FROM {schema}.finished
"""


class Load:
    """Submitters and a worker on one schema, and what they saw.

    Args:
        server: The server, which others may kill.
        schema: A schema that ``migrate`` has made.
        seed: Where chance comes from.

    Attributes:
        history: What happened.
        accepted: How many jobs were acknowledged so far.
        unknown: How many calls got no answer.
        refused: How many calls were refused.
    """

    def __init__(self, server: PostgresServer, schema: str, seed: int) -> None:
        self.history: list[AnyEvent] = []
        self.accepted = self.unknown = self.refused = 0
        self._server, self._schema = server, schema
        self._chance = Random(seed)
        self._entropy = SystemEntropy(SystemClock())
        self._is_open = True
        self._heard = asyncio.Condition()

    async def run(self, submitters: int, crashes: list[int]) -> None:
        """Submit and work until the server has been killed once for each number: after so many more jobs were accepted."""
        # All are there before the first kill: who opens a store just then is refused, rightly.
        stores = [await self.store() for _ in range(submitters)]
        working = await self.store()
        async with asyncio.TaskGroup() as group:
            for store in stores:
                group.create_task(self._submits(store))
            group.create_task(self._works(working))
            for more in crashes:
                await self.accepts(more)
                kill_all(self._server)
                # Nobody else gets the loop meanwhile; they find out by their broken connections, or never.
                self._server.start()
            await self.accepts(crashes[-1])
            self._is_open = False

    async def accepts(self, more: int) -> None:
        """Wait until so many more jobs have been accepted."""
        wanted = self.accepted + more
        async with self._heard:
            await self._heard.wait_for(lambda: self.accepted >= wanted)

    async def judge(self) -> list[Broken]:
        """Hold what the store has against what was answered."""
        connection = await asyncpg.connect(self._server.url)
        rows = await connection.fetch(_ROWS.format(schema=quoted(self._schema)))
        await connection.close()
        store = await self.store()
        (queue,) = await store.queues()
        live = queue.waiting + queue.scheduled + queue.running
        finished = sum((await store.finished_counts()).values())
        await store.close()
        history = [*self.history, *(Found(at=_now(), token=row["token"], state=row["state"]) for row in rows)]
        history.append(Counted(at=_now(), live=live, finished=finished))
        return [*no_job_lost(history, all_done=False), *settled_once(history), *conservation(history)]

    async def store(self) -> PostgresStore:
        """Open a handle of one's own."""
        store = await PostgresStore.open(self._server.url, schema=self._schema, connections_max=2)
        await self._insists(lambda: store.intern([QUEUE], [TASK]))
        return store

    async def submit(self, store: PostgresStore, jobs: list[NewJob]) -> None:
        """Submit in one call and note the answer."""
        tokens = [token_text(job.token) for job in jobs]
        self.history += [Submitting(at=_now(), token=token, queue=QUEUE) for token in tokens]
        try:
            await store.submit(jobs)
        except OutcomeUnknownError:
            self.unknown += 1
            self.history += [SubmitUnknown(at=_now(), token=token) for token in tokens]
        except StoreError:
            self.refused += 1
            self.history += [SubmitRefused(at=_now(), token=token) for token in tokens]
        else:
            self.history += [Submitted(at=_now(), token=token) for token in tokens]
            self.accepted += len(jobs)
        async with self._heard:
            self._heard.notify_all()

    def jobs(self, count: int) -> list[NewJob]:
        """Make jobs, some with a key."""
        made = []
        for _ in range(count):
            token, key = self._entropy.token(), self._chance.choice((None, "anna", "bert"))
            made.append(NewJob(token, QUEUE, TASK, b'"%s"' % (b"x" * 300), hash16(key, token), key))
        return made

    async def _submits(self, store: PostgresStore) -> None:
        while self._is_open:
            await self.submit(store, self.jobs(self._chance.choice((1, 1, 1, 5))))
        await store.close()

    async def _works(self, store: PostgresStore) -> None:
        queues, tasks = await store.intern([QUEUE], [TASK])
        node = (await self._insists(lambda: store.register_node(NewNode("mitte", "proof", "{}")))).id
        worker = NewWorker(node, "mitte/1", "proof", [QUEUE], [TASK])
        me = (await self._insists(lambda: store.register_worker(worker))).id
        while self._is_open:
            with contextlib.suppress(StoreError):
                await store.claim(me, queues[QUEUE], _SLOTS, 20, tasks=list(tasks.values()))
            # What is held is asked for, since the claim's reply may have been lost.
            held = await self._insists(lambda: store.held(me))
            outcomes = [Outcome(job.seq, job.token, job.fence, Kind.SUCCEEDED) for job in held]
            said: type[Settled] | type[SettleUnknown] = Settled
            try:
                await store.settle(me, outcomes, sorted({job.claim_no for job in held}))
            except StoreError:
                said = SettleUnknown
            self.history += [
                said(at=_now(), token=token_text(each.token), fence=each.fence, state="succeeded") for each in outcomes
            ]
        await store.close()

    async def _insists(self, ask: Any) -> Any:
        while True:
            with contextlib.suppress(StoreError):
                return await ask()


def kill_all(server: PostgresServer) -> None:
    """Kill the postmaster and every back end with SIGKILL, none of which can clean up behind the others."""
    assert server.pid is not None
    handles = []
    for child in children_of(server.pid):
        # One that has just ended by itself.
        with contextlib.suppress(ProcessLookupError):
            handles.append(os.pidfd_open(child))
    server.kill()
    for handle in handles:
        with contextlib.suppress(ProcessLookupError):
            signal.pidfd_send_signal(handle, signal.SIGKILL)
    for handle in handles:
        select.select([handle], [], [])
        os.close(handle)


def _now() -> int:
    return time.clock_gettime_ns(time.CLOCK_BOOTTIME)
