"""A crowd on one PostgreSQL store: submitters, workers, a canceller, rescuers, and somebody who ends backends and workers.

All of them live in this process, each with an engine of its own, and write what they see into one history. Every worker claims
from all slots, so that they stage the same ones; the dead are closed and released by two rescuers at once, as by two nodes.
"""

from __future__ import annotations

import asyncio
import itertools
import time
from collections import Counter
from collections.abc import Callable, Coroutine
from functools import partial
from random import Random
from typing import Any

import asyncpg

from rota.errors import OutcomeUnknownError, StoreBusyError, StoreUnavailableError
from rota.model.job import ClaimedJob, NewJob
from rota.model.limits import WAITING_JOBS_MAX
from rota.model.outcome import Failure, Kind, Outcome
from rota.model.slot import hash16, slot_of
from rota.model.token import token_text
from rota.runtime.clock import SystemClock
from rota.runtime.entropy import SystemEntropy
from rota.store.port import Blame, NewNode, NewWorker
from rota.store.postgres.errors import DRIVER_ERRORS
from rota.store.postgres.store import PostgresStore
from tests.checkers.history import (
    AnyEvent,
    Cancelled,
    Ended,
    Killed,
    Settled,
    SettleStale,
    SettleUnknown,
    Started,
    Submitted,
    Submitting,
    SubmitUnknown,
)
from tests.postgres.stepper import SessionServer

QUEUE, TASK = "ovens", "bake"
LOST = (OutcomeUnknownError, StoreUnavailableError)
_GONE = Failure("WorkerCrashed", "killed by the test")


class Crowd:
    """Everybody, and what they saw.

    Args:
        keys: How many keys the jobs are spread over.

    Attributes:
        history: Events in the order in which they happened.
        is_open: Submitters go on while it is.
        did: How often each thing was done.
    """

    def __init__(self, url: str, schema: str, seed: int, keys: int = 30) -> None:
        self.url, self.schema = url, schema
        self.random = Random(seed)
        self.history: list[AnyEvent] = []
        self.is_open = True
        self.tokens: list[bytes] = []
        self.did: Counter[str] = Counter()
        self._keys = [f"key {number}" for number in range(keys)]
        self._slots = sorted({slot_of(hash16(key, b"")) for key in self._keys})
        self._entropy = SystemEntropy(SystemClock())
        self._numbers = itertools.count(1)
        self._stores: list[PostgresStore] = []
        self._node_id = 0
        self._living: set[asyncio.Task[None]] = set()

    async def store(self) -> PostgresStore:
        """Open an engine for one of them."""
        store: PostgresStore = await self._insists(
            lambda: PostgresStore.open(self.url, schema=self.schema, connections_max=2), lambda: None
        )
        self._stores.append(store)
        await self._insists(lambda: store.intern([QUEUE], [TASK]), lambda: None)
        return store

    async def leave(self) -> None:
        """Close everything."""
        for life in self._living:
            life.cancel()
        await asyncio.gather(*self._living, return_exceptions=True)
        for store in self._stores:
            await store.close()

    async def submits(self) -> None:
        """Submit jobs one by one, several at once in one commit, in batches, and in transactions that stay open for a while."""
        store = await self.store()
        while self.is_open:
            way = self.random.random()
            jobs = [self._job() for _ in range(1 if way < 0.4 else self.random.randint(2, 12))]
            is_together = 0.4 <= way < 0.6
            batch = f"batch {next(self._numbers)}" if len(jobs) > 1 and not is_together else ""
            for index, job in enumerate(jobs):
                self._saw(
                    Submitting, token=token_text(job.token), queue=QUEUE, key=job.key, batch=batch, index=index,
                    is_delayed=job.due_at is not None,
                )  # fmt: skip
            if is_together:
                self.did["submits that shared commits"] += len(jobs)
                await asyncio.gather(*(self._submits(store, [job]) for job in jobs))
            elif way > 0.8 and await self._submits_slowly(jobs):
                self.did["submits in long transactions"] += 1
            else:
                self.did["submits in batches" if batch else "single submits"] += 1
                await self._submits(store, jobs)
            for job in jobs:
                self._saw(Submitted, token=token_text(job.token))
                self.tokens.append(job.token)
            await asyncio.sleep(self.random.uniform(0, 0.004))

    async def works(self) -> None:
        """Claim, run and settle, until killed; then be found dead, rescued, and followed by another."""
        store, other = await self.store(), await self.store()
        while True:
            worker = NewWorker(self._node_id, f"worker {next(self._numbers)}", "", [QUEUE], [TASK])
            worker_id = (await self._insists(partial(store.register_worker, worker), lambda: None)).id
            life = asyncio.create_task(self._lives(store, worker_id))
            self._living.add(life)
            await asyncio.wait([life])
            self._living.discard(life)
            if not life.cancelled():
                life.result()
            self._saw(Killed, worker=str(worker_id))
            await asyncio.gather(*(self._rescues(rescuer, worker_id) for rescuer in (store, other)))

    async def cancels(self) -> None:
        """Cancel jobs at random."""
        store = await self.store()
        while self.is_open:
            await asyncio.sleep(self.random.uniform(0, 0.02))
            if not self.tokens:
                continue
            token = self.random.choice(self.tokens[-40:])
            # Told before and not after: from now on the job may be passed.
            self._saw(Cancelled, token=token_text(token))
            await self._insists(partial(store.cancel, token), lambda: None)
            self.did["cancels"] += 1

    async def ends_backends(self) -> None:
        """End a backend of somebody every 50 ms or so."""
        connection = await asyncpg.connect(self.url)
        try:
            while self.is_open:
                await asyncio.sleep(self.random.uniform(0.02, 0.08))
                ended = await connection.fetchval(
                    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = $1 "
                    "ORDER BY hashint4(pid # $2) LIMIT 1",
                    f"rota {self.schema}",
                    self.random.getrandbits(30),
                )
                self.did["backends ended"] += bool(ended)
        finally:
            connection.terminate()

    async def kills(self) -> None:
        """Let a worker die in the middle of whatever it does, a few times a second."""
        while self.is_open:
            await asyncio.sleep(self.random.uniform(0.1, 0.4))
            if self._living:
                self.random.choice(sorted(self._living, key=id)).cancel()
                self.did["workers killed"] += 1

    async def opens(self) -> None:
        """Register the node under which all work."""
        self._node_id = (await (await self.store()).register_node(NewNode("crowd", "", "{}"))).id

    async def _lives(self, store: PostgresStore, worker: int) -> None:
        queues, tasks = await store.intern([QUEUE], [TASK])
        queue, task = queues[QUEUE], tasks[TASK]
        known: set[tuple[bytes, int]] = set()
        while True:
            try:
                slots = self.random.sample(self._slots, len(self._slots))
                jobs = list((await store.claim(worker, queue, slots, self.random.randint(1, 8), tasks=[task])).jobs)
            except LOST:
                jobs = await self._insists(lambda: store.held(worker), lambda: None)
            except StoreBusyError:
                jobs = []
            jobs = [job for job in jobs if (job.token, job.fence) not in known]
            known.update((job.token, job.fence) for job in jobs)
            if jobs:
                await self._runs(store, worker, jobs)
            else:
                await asyncio.sleep(self.random.uniform(0.001, 0.01))

    async def _runs(self, store: PostgresStore, worker: int, jobs: list[ClaimedJob]) -> None:
        outcomes = []
        for job in jobs:
            facts = {"token": token_text(job.token), "fence": job.fence}
            kind = self._kind(job)
            if kind is not Kind.GIVEN_BACK:
                self._saw(Started, worker=str(worker), **facts)
                await asyncio.sleep(self.random.choice((0, 0, 0.001, 0.003)))
                self._saw(Ended, **facts)
            due_at = time.time_ns() // 1_000 + 20_000 if kind in (Kind.RETRY, Kind.SNOOZE) else None
            outcomes.append(Outcome(job.seq, job.token, job.fence, kind, due_at=due_at))
            if self.random.random() < 0.5 or job is jobs[-1]:
                done = [] if job is not jobs[-1] else [job.claim_no]
                await self._settles(store, worker, outcomes, done)
                outcomes = []

    async def _settles(self, store: PostgresStore, worker: int, outcomes: list[Outcome], done: list[int]) -> None:
        finals = {outcome.token: outcome for outcome in outcomes if outcome.kind.is_final}

        def unknown() -> None:
            for outcome in finals.values():
                self._saw(SettleUnknown, token=token_text(outcome.token), fence=outcome.fence, state=_state(outcome))

        reply = await self._insists(lambda: store.settle(worker, outcomes, done), unknown)
        self.did["settles"] += 1
        for token, fence in reply.stale:
            finals.pop(token, None)
            self._saw(SettleStale, token=token_text(token), fence=fence)
        for outcome in finals.values():
            self._saw(Settled, token=token_text(outcome.token), fence=outcome.fence, state=_state(outcome))

    async def _submits(self, store: PostgresStore, jobs: list[NewJob]) -> None:
        await self._insists(partial(store.submit, jobs), partial(self._tell_unknown, jobs))

    async def _rescues(self, store: PostgresStore, worker: int) -> None:
        """Close a dead worker and put back what it held."""
        blame = Blame(running=(), failure=_GONE)
        await self._insists(partial(store.close_worker, worker), lambda: None)
        self.did["closes"] += 1
        while True:
            released = await self._insists(partial(store.release, worker, blame), lambda: None)
            self.did["jobs released"] += len(released.tokens)
            if released.is_complete:
                return
            await asyncio.sleep(0.001)

    async def _submits_slowly(self, jobs: list[NewJob]) -> bool:
        """Submit in a transaction that stays open; return whether its commit was heard of."""
        server = SessionServer(self.url, self.schema)
        try:
            server.only = await server.connect()
            store = PostgresStore(server, None, WAITING_JOBS_MAX)
            await store.intern([QUEUE], [TASK])
            await server.only.execute("BEGIN")
            await store.submit(jobs)
            await asyncio.sleep(self.random.uniform(0, 0.05))
            await server.only.execute("COMMIT")
        except (*LOST, StoreBusyError, *DRIVER_ERRORS):
            self._tell_unknown(jobs)
            return False
        finally:
            if server.only is not None:
                server.only.terminate()
        return True

    async def _insists(self, call: Callable[[], Coroutine[Any, Any, Any]], unknown: Callable[[], None]) -> Any:
        """Make a call again and again until its reply arrives. Deadlocks are counted by the server, whatever is tried again."""
        while True:
            try:
                return await call()
            except LOST:
                unknown()
            except StoreBusyError:
                # Nothing was written: on a machine that stands still somebody held a lock for longer than is waited for.
                continue

    def _tell_unknown(self, jobs: list[NewJob]) -> None:
        for job in jobs:
            self._saw(SubmitUnknown, token=token_text(job.token))

    def _job(self) -> NewJob:
        key = self.random.choice(self._keys)
        due_at = time.time_ns() // 1_000 + 50_000 if self.random.random() < 0.05 else None
        return NewJob(self._entropy.token(), QUEUE, TASK, b"{}", hash16(key, b""), key=key, due_at=due_at)

    def _kind(self, job: ClaimedJob) -> Kind:
        if job.cancel_asked:
            return Kind.CANCELLED
        chances = {Kind.RETRY: 5, Kind.SNOOZE: 3, Kind.GIVEN_BACK: 5, Kind.FAILED: 5, Kind.SUCCEEDED: 82}
        return self.random.choices(list(chances), list(chances.values()))[0]

    def _saw(self, event: Callable[..., AnyEvent], **facts: Any) -> None:
        self.history.append(event(at=time.monotonic_ns(), **facts))


def _state(outcome: Outcome) -> str:
    return outcome.kind.name.lower()
