"""A small pizza shop: the words in which the contract tests speak to a store.

    shop.job(…) ──▶ shop.submit(…) ──▶ baker.claim() ──▶ baker.settle(succeeded(job))

Everything goes through the port; nothing here knows an engine.
"""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from random import Random
from typing import Final

from rota.model.job import ClaimedJob, HistoryEntry, JobRow, NewJob
from rota.model.limits import HASH_BITS, SLOT_COUNT
from rota.model.outcome import Failure, Outcome
from rota.model.slot import hash16
from rota.model.state import State
from rota.model.token import TokenBytes
from rota.runtime.entropy import build_token
from rota.store.port import Blame, Claim, NewNode, NewWorker, Registered, Released, Settled, Store, WorkerRow
from rota.testing.clock import ManualClock
from tests.contract.outcomes import succeeded

ALL_SLOTS: Final = tuple(range(SLOT_COUNT))
OVENS: Final = "ovens"
BAKE: Final = "bake"
KILLED: Final = Failure(type="WorkerCrashed", message="killed by signal 9; high water 41 MB")
_SKIPPED_S_MAX: Final = 30.0


class CountingEntropy:
    """Chance that repeats itself: tokens count up, numbers come from a seed."""

    def __init__(self, clock: ManualClock, seed: int = 0) -> None:
        self._clock = clock
        self._count = 0
        self._random = Random(seed)

    def token(self) -> TokenBytes:
        """Return a new UUIDv7 of this moment, higher than those before as long as the clock does not go back."""
        self._count += 1
        return build_token(self._clock.now_us() // 1_000, self._count)

    def uniform(self, low: float, high: float) -> float:
        """Return a number drawn evenly from ``low`` to ``high``."""
        return self._random.uniform(low, high)

    def hex(self, size: int) -> str:
        """Return ``size`` bytes as hexadecimal digits."""
        return self._random.randbytes(size).hex()


@dataclass
class Shop:
    """One store, one clock, and whoever works there."""

    store: Store
    clock: ManualClock
    entropy: CountingEntropy
    _node: Registered | None = None
    _hired: int = 0

    def at(self, span: timedelta | float) -> int:
        """Return the instant that is ``span`` (or so many seconds) from now."""
        seconds = span if isinstance(span, timedelta) else timedelta(seconds=span)
        return self.clock.now_us() + seconds // timedelta(microseconds=1)

    def token(self, *, age: timedelta = timedelta(0)) -> bytes:
        """Return a new token, made ``age`` ago."""
        fresh = self.entropy.token()
        ms = self.clock.now_us() // 1_000 - age // timedelta(milliseconds=1)
        return ms.to_bytes(6, "big") + fresh[6:]

    def job(
        self,
        key: str | None = None,
        *,
        slot: int | None = None,
        queue: str = OVENS,
        task: str = BAKE,
        token: bytes | None = None,
        payload: bytes = b'{"pizza":"funghi"}',
        priority: int = 0,
        delay: timedelta | float | None = None,
        expires_at: int | None = None,
        meta: bytes | None = None,
    ) -> NewJob:
        """Return a job that has not been submitted. ``slot`` puts it where its hash would not."""
        token = token or self.token()
        return NewJob(
            token=token,
            queue=queue,
            task=task,
            payload=payload,
            hash16=hash16(key, token) if slot is None else slot << (HASH_BITS - SLOT_COUNT.bit_length() + 1),
            key=key,
            priority=priority,
            due_at=None if delay is None else self.at(delay),
            expires_at=expires_at,
            meta=meta,
        )

    async def submit(self, *jobs: NewJob) -> list[bytes]:
        """Submit jobs in one call and return their tokens in order."""
        await self.store.submit(jobs)
        return [job.token for job in jobs]

    async def submit_one(self, job: NewJob) -> bytes:
        """Submit a job and return its token."""
        (token,) = await self.submit(job)
        return token

    async def node(self) -> Registered:
        """Return the shop's node, registered when first asked for."""
        if self._node is None:
            self._node = await self.store.register_node(a_node("mitte"))
        return self._node

    async def worker(
        self,
        name: str = "",
        *,
        node_id: int | None = None,
        queues: Sequence[str] = (OVENS,),
        tasks: Sequence[str] = (BAKE,),
        is_alone: bool = False,
        store: Store | None = None,
    ) -> Worker:
        """Register a worker under the shop's node; ``store`` lets it work through a connection of its own."""
        self._hired += 1
        through = store or self.store
        wanted = NewWorker(
            node_id=(await self.node()).id if node_id is None else node_id,
            name=name or f"mitte/{self._hired}",
            proof=f"proof-{self._hired}",
            queues=queues,
            tasks=tasks,
            is_alone=is_alone,
            pid=1_000 + self._hired,
        )
        return Worker(through, await through.register_worker(wanted))

    async def row(self, token: bytes) -> JobRow:
        """Return a job that must be there."""
        row = await self.store.find(token)
        assert row is not None, f"{token.hex()} is lost"
        return row

    async def state(self, token: bytes) -> State:
        """Return the state of a job that must be there."""
        return (await self.store.states([token]))[token]

    async def told(self, token: bytes) -> list[str]:
        """Return the kinds of a job's history entries, oldest first."""
        return [entry.kind for entry in await self.store.history(token)]

    async def entry(self, token: bytes, kind: str) -> HistoryEntry:
        """Return the only history entry of this kind."""
        (entry,) = [entry for entry in await self.store.history(token) if entry.kind == kind]
        return entry

    async def head(self, key: str, queue: str = OVENS) -> bytes | None:
        """Return the token of the job whose turn it is."""
        row = await self.store.head_of(queue, key)
        return None if row is None else row.token

    async def worker_row(self, worker: Worker) -> WorkerRow:
        """Return an open worker as others see it."""
        (row,) = [row for row in (await self.store.membership()).workers if row.id == worker.id]
        return row

    async def epoch(self) -> int:
        """Return the ring epoch."""
        return (await self.store.membership()).epoch

    async def lose(self, worker: Worker, *, running: Collection[bytes] | None = ()) -> Released:
        """Let a worker die: close it, then put back what it held, of which ``running`` was being run."""
        await self.store.close_worker(worker.id)
        return await self.release(worker, Blame(running=running, failure=KILLED))

    async def release(self, worker: Worker, blame: Blame) -> Released:
        """Release until nothing is held, as a rescuer does, and return all of it as one reply."""
        replies = [await self.store.release(worker.id, blame)]
        while not replies[-1].is_complete:
            replies.append(await self.store.release(worker.id, blame))
        return Released(
            tokens=[token for reply in replies for token in reply.tokens],
            suspects=[token for reply in replies for token in reply.suspects],
            condemned=[token for reply in replies for token in reply.condemned],
            woken=[woken for reply in replies for woken in reply.woken],
            is_complete=True,
        )

    async def suspect(self, job: NewJob) -> bytes:
        """Submit a job and let two processes die under it, so that it waits to be run alone."""
        token = await self.submit_one(job)
        for _ in range(2):
            victim = await self.worker(queues=[job.queue], tasks=[job.task])
            assert tokens(await victim.claim(queue=job.queue)) == [token]
            await self.lose(victim, running=[token])
        return token


@dataclass
class Worker:
    """A registered worker; it keeps book of its claims as a real one does."""

    store: Store
    registered: Registered
    _unsettled: dict[int, set[bytes]] = field(default_factory=dict)
    _claim_of: dict[tuple[bytes, int], int] = field(default_factory=dict)

    @property
    def id(self) -> int:
        """Its incarnation."""
        return self.registered.id

    @property
    def name(self) -> str:
        """Its ring name."""
        return self.registered.name

    async def ask(
        self,
        limit: int = 1_000,
        *,
        slots: Sequence[int] = ALL_SLOTS,
        queue: str = OVENS,
        cursors: Sequence[int] | None = None,
        keyed_before: int | None = None,
        stages: bool = True,
    ) -> Claim:
        """Claim once and return the whole reply."""
        reply = await self.store.claim(
            self.id,
            self.registered.queue_ids[queue],
            slots,
            limit,
            tasks=tuple(self.registered.task_ids.values()),
            cursors=cursors,
            keyed_before=keyed_before,
            stages=None if stages else (),
        )
        self.adopt(reply.jobs)
        return reply

    async def claim(
        self,
        limit: int = 1_000,
        *,
        slots: Sequence[int] = ALL_SLOTS,
        queue: str = OVENS,
        cursors: Sequence[int] | None = None,
    ) -> list[ClaimedJob]:
        """Claim, and again while slots are skipped because another session is staging them, however slow it is."""
        jobs: list[ClaimedJob] = []
        until = asyncio.get_running_loop().time() + _SKIPPED_S_MAX
        while True:
            reply = await self.ask(limit - len(jobs), slots=slots, queue=queue, cursors=cursors)
            jobs += reply.jobs
            if not reply.skipped or len(jobs) == limit:
                return jobs
            complaint = f"slots {reply.skipped} were skipped for {_SKIPPED_S_MAX:g} s: somebody never lets go"
            assert asyncio.get_running_loop().time() < until, complaint
            await asyncio.sleep(0.002)

    async def claim_one(self, *, queue: str = OVENS) -> ClaimedJob:
        """Claim one job that must be there."""
        (job,) = await self.claim(1, queue=queue)
        return job

    async def claim_alone(self) -> list[ClaimedJob]:
        """Claim a suspect."""
        reply = await self.store.claim_alone(self.id, tuple(self.registered.task_ids.values()))
        self.adopt(reply.jobs)
        return list(reply.jobs)

    def adopt(self, jobs: Iterable[ClaimedJob]) -> None:
        """Take these jobs into the book."""
        for job in jobs:
            self._unsettled.setdefault(job.claim_no, set()).add(job.token)
            self._claim_of[job.token, job.fence] = job.claim_no

    async def settle(self, *outcomes: Outcome) -> Settled:
        """Settle, and drop the claims rows of which this was the last."""
        done = []
        for outcome in outcomes:
            claim_no = self._claim_of.pop((outcome.token, outcome.fence), None)
            if claim_no is not None:
                self._unsettled[claim_no].discard(outcome.token)
                if not self._unsettled[claim_no]:
                    done.append(claim_no)
        return await self.store.settle(self.id, outcomes, done)

    async def work(self, limit: int = 1_000, *, queue: str = OVENS) -> list[bytes]:
        """Claim and finish what there is, one claim at a time, and return the tokens in the order of their starts."""
        started: list[bytes] = []
        while jobs := await self.claim(limit, queue=queue):
            started += tokens(jobs)
            await self.settle(*map(succeeded, jobs))
        return started


def a_node(name: str, *, proof: str = "", lease_ms: int = 8_000) -> NewNode:
    """Return a node that wants to be known."""
    return NewNode(name=name, proof=proof, host="{}", lease_ms=lease_ms)


def tokens(jobs: Iterable[ClaimedJob | JobRow | NewJob]) -> list[bytes]:
    """Return the tokens of these jobs, in order."""
    return [job.token for job in jobs]


async def one_running(shop: Shop, key: str | None = None) -> tuple[Worker, ClaimedJob]:
    """Return a worker and the job that it holds."""
    await shop.submit(shop.job(key))
    worker = await shop.worker()
    return worker, await worker.claim_one()
