"""The people around a cluster: those who submit, and those who cancel, reopen, pause queues, and wait for results."""

from __future__ import annotations

import asyncio
from datetime import timedelta

from msgspec.structs import replace

from rota.errors import (
    NotAllowedError,
    OutcomeUnknownError,
    QueueFullError,
    StoreError,
    TokenReusedError,
    UnknownTokenError,
)
from rota.model.job import NewJob
from rota.model.token import token_text
from rota.result.watch import Watch
from rota.store.port import Store
from rota.submit.send import send
from rota.submit.terms import Terms, new_job
from tests.checkers.history import SubmitRefused, Submitted, Submitting, SubmitUnknown
from tests.simulation.line import Network
from tests.simulation.slots import within
from tests.simulation.tasks import QUEUES, JobFacts, Tasks
from tests.simulation.world import Process, World


class People:
    """Everyone who uses the cluster.

    Args:
        world: Where they are.
        network: Their way to the store.
        tasks: What is known of the jobs.

    Attributes:
        left: Jobs that are still to be submitted.
        accepted: Jobs whose submit returned, in order.
    """

    def __init__(self, world: World, network: Network, tasks: Tasks) -> None:
        self.world = world
        self.network = network
        self.tasks = tasks
        self.left = world.plan.jobs
        self.accepted: list[NewJob] = []
        self._machine = world.add_machine("people")
        self._batches = 0

    # ── submitters ───────────────────────────────────────────────────────────────────────────────────────────────────

    def start_submitter(self, name: str) -> Process:
        """Start a process that submits jobs until there are none left."""
        return self.world.start("submitter", name, self._machine, self._submit)

    async def _submit(self, me: Process) -> int:
        chance, plan = self.world.chance, self.world.plan
        while self.left > 0:
            await asyncio.sleep(chance.uniform(0, 2.5 * plan.chaos_s / plan.jobs))
            count = min(self.left, chance.choice((1, 1, 1, 2, 5)))
            self.left -= count
            if count:
                await self._hand_in(me, [self._draw_job(me) for _ in range(count)])
        return 0

    def _draw_job(self, me: Process) -> NewJob:
        chance, plan = self.world.chance, self.world.plan
        kind = chance.choice(list(self.tasks.names))
        key = f"key {chance.randrange(plan.keys)}" if plan.keys and chance.random() < plan.keyed_share else None
        seconds = chance.uniform(0.2, 1.0) if kind in ("slow", "block") else chance.choice((0.0, 0.005, 0.05))
        queue = chance.choice(QUEUES[: plan.queues])
        terms = Terms.of(
            kind,
            queue=queue,
            key=key,
            priority=chance.choice((0, 0, 0, 5, -5)),
            delay=timedelta(seconds=chance.uniform(0.1, 2.0)) if chance.random() < 0.1 else None,
            expires=timedelta(seconds=chance.uniform(0.2, 5.0)) if chance.random() < 0.05 else None,
        )
        token, now = me.entropy.token(), me.machine.now_us()
        made = new_job(kind, b"{}", key, token, terms, due_at=terms.due_at(now), expires_at=terms.expires_at(now))
        job = replace(made, hash16=within(made.hash16))
        text = token_text(token)
        self.tasks.jobs[text] = JobFacts(text, kind, queue, key, seconds, chance.choice((1, 1, 2)))
        return job

    async def _hand_in(self, me: Process, jobs: list[NewJob]) -> None:
        """Submit, and again when the store refused: a person would."""
        world, line = self.world, self.network.line(me)
        self._batches += 1
        batch = f"batch {self._batches}" if len(jobs) > 1 else ""
        while True:
            for index, job in enumerate(jobs):
                world.saw(
                    Submitting(
                        at=world.now_ns,
                        token=token_text(job.token),
                        queue=job.queue,
                        key=job.key,
                        batch=batch,
                        index=index,
                        is_delayed=job.due_at is not None,
                    )
                )
            try:
                await send(line, jobs, asyncio.sleep)
            except OutcomeUnknownError:
                world.counts["seen submit unknown"] += 1
                for job in jobs:
                    world.saw(SubmitUnknown(at=world.now_ns, token=token_text(job.token)))
                if world.chance.random() < 0.3:
                    return
            except StoreError as error:
                world.counts["seen submit refused"] += 1
                for job in jobs:
                    world.saw(SubmitRefused(at=world.now_ns, token=token_text(job.token)))
                if isinstance(error, QueueFullError) and world.chance.random() < 0.5:
                    return
            else:
                for job in jobs:
                    world.saw(Submitted(at=world.now_ns, token=token_text(job.token)))
                self.accepted += jobs
                return
            jobs = [replace(job, is_fresh=False) for job in jobs]
            await asyncio.sleep(world.chance.uniform(0.05, 0.5))

    # ── users ────────────────────────────────────────────────────────────────────────────────────────────────────────

    def start_users(self) -> None:
        """Start everyone whom the plan has."""
        does = {
            "cancel": self._cancel,
            "reopen": self._reopen,
            "pause_queue": self._pause_queue,
            "resubmit": self._resubmit,
            "reuse_token": self._reuse_token,
            "wait": self._wait,
        }
        for name, main in does.items():
            if name in self.world.plan.users:
                self.world.start("user", name, self._machine, main)

    async def _pause(self) -> None:
        await asyncio.sleep(self.world.chance.uniform(0.1, 1.5))

    def _pick(self) -> NewJob | None:
        """Return one of the accepted jobs, rather a recent one."""
        if not self.accepted:
            return None
        recent = self.accepted[-8:]
        return self.world.chance.choice(recent if self.world.chance.random() < 0.7 else self.accepted)

    async def _cancel(self, me: Process) -> int:
        store = self.network.line(me)
        while self.world.is_rough:
            await self._pause()
            if (job := self._pick()) is not None:
                try:
                    await store.cancel(job.token)
                except StoreError:
                    self.world.counts["seen cancel failed"] += 1
        return 0

    async def _reopen(self, me: Process) -> int:
        store = self.network.line(me)
        while self.world.is_rough:
            await self._pause()
            if (job := self._pick()) is not None:
                try:
                    await store.reopen(job.token)
                except (NotAllowedError, UnknownTokenError):
                    self.world.counts["refused reopen"] += 1
                except StoreError:
                    self.world.counts["seen reopen failed"] += 1
        return 0

    async def _pause_queue(self, me: Process) -> int:
        """Pause a queue for a while; whatever happens, somebody resumes it in the end."""
        store, chance = self.network.line(me), self.world.chance
        while self.world.is_rough:
            await self._pause()
            queue = chance.choice(QUEUES[: self.world.plan.queues])
            await self._set_paused(store, queue, is_paused=True)
            await asyncio.sleep(chance.uniform(0.1, 1.5))
            await self._set_paused(store, queue, is_paused=False)
        return 0

    async def _set_paused(self, store: Store, queue: str, *, is_paused: bool) -> None:
        while True:
            try:
                await store.set_paused(queue, is_paused)
                return
            except StoreError:
                await asyncio.sleep(0.2)

    async def _resubmit(self, me: Process) -> int:
        """Submit again what has been accepted: nothing may come of it."""
        store = self.network.line(me)
        while self.world.is_rough:
            await self._pause()
            if (job := self._pick()) is not None:
                try:
                    await store.submit([replace(job, is_fresh=False)])
                except StoreError:
                    self.world.counts["seen resubmit failed"] += 1
        return 0

    async def _reuse_token(self, me: Process) -> int:
        """Use a token for something else: that must be refused."""
        store = self.network.line(me)
        while self.world.is_rough:
            await self._pause()
            if (job := self._pick()) is not None:
                try:
                    await store.submit([replace(job, payload=b'{"other": 1}', is_fresh=False)])
                except TokenReusedError:
                    continue
                except StoreError:
                    self.world.counts["seen resubmit failed"] += 1
                else:
                    self.world.fail("a token carries one job", f"{token_text(job.token)} was taken for another payload")
        return 0

    async def _wait(self, me: Process) -> int:
        """Wait for results, as ``await token`` does."""
        watch = Watch(self.network.line(me), f"wait-{me.entropy.hex(4)}")
        while self.world.is_rough:
            await self._pause()
            if (job := self._pick()) is not None:
                try:
                    async with asyncio.timeout(5.0):
                        state = await watch.settled(job.token)
                except (StoreError, TimeoutError):
                    self.world.counts["seen wait ended early"] += 1
                    continue
                self.world.counts["seen result awaited"] += 1
                if state is None:
                    self.world.fail("no job is lost", f"{token_text(job.token)} was accepted and is not known")
        await watch.close()
        return 0
