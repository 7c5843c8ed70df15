"""A worker: claim, run, settle.

      store ──claim──▶ Claimer ──todo──▶ Hands ──outcomes──▶ Settler ──settle──▶ store
        │                 ▲ news           │ room               │ woken
        └──wake-ups───────┴────────────────┴────────────────────┘

What a worker relies on: its supervisor holds the lease and watches it; the row decides who runs a job; the fence decides
whose outcome counts. So nothing here waits for anybody, and a worker that is killed at any instruction leaves only rows that
name it, which its supervisor releases.

Ending. *Drain*: leave the ring, give back what has not been started, let running jobs finish within the grace, cancel
``async def`` handlers that did not, settle everything, exit 0; what a ``def`` handler still runs is released by the
supervisor after the reap, blaming nobody. *Recycle*: the same, because a ``def`` handler overran its time limit for good;
its outcome is left as a will; exit 75. *Disowned*: declared dead by others; start nothing more, exit 70.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import suppress
from typing import Any, TypeVar

from rota.errors import NodeClosedError, StoreBrokenError, StoreError
from rota.model.job import ClaimedJob
from rota.model.outcome import Kind, Outcome
from rota.model.task import TaskSpec
from rota.runtime.clock import Clock
from rota.runtime.entropy import Entropy
from rota.runtime.patience import store_pause_s
from rota.settle.settler import Holdings, Settler
from rota.store.port import NewWorker, Registered, Settled, Store, Wake
from rota.telemetry.telemetry import Telemetry
from rota.worker.attempt import Attempt
from rota.worker.attempts import Attempts
from rota.worker.claimer import Claimer
from rota.worker.ending import Endings
from rota.worker.guard import LoopGuard
from rota.worker.hands import Hands
from rota.worker.line import QueueLine
from rota.worker.order import CLOSED, DRAINED, RECYCLE, WorkerOrder
from rota.worker.pace import Pace
from rota.worker.rings import RingFollower
from rota.worker.running import RunningTable

_T = TypeVar("_T")

_LAST_CLAIM_S = 5.0
"""How long a worker that ends waits for the claim that is on its way. What it misses is released after its end."""


class Worker:
    """One process's worker.

    Args:
        store: The store.
        specs: The tasks that it knows, by name.
        order: What its supervisor told it.
        running: Where running jobs are marked for after a crash; ``None`` when nobody would look.
        give_back: Settles outcomes from another thread while the loop is blocked, and returns when it is done; ``None``
            where that cannot be.
        pid: For people.
    """

    def __init__(
        self,
        store: Store,
        specs: Mapping[str, TaskSpec],
        order: WorkerOrder,
        *,
        running: RunningTable | None,
        clock: Clock,
        entropy: Entropy,
        telemetry: Telemetry,
        give_back: Callable[[int, Sequence[Outcome]], None] | None = None,
        pid: int = 0,
    ) -> None:
        self._store = store
        self._specs = specs
        self._order = order
        self._running = running
        self._clock = clock
        self._entropy = entropy
        self._telemetry = telemetry
        self._give_back = give_back
        self._pid = pid
        self._exit_code = DRAINED
        self._ending = asyncio.Event()
        self._start_nothing: Callable[[], None] = lambda: None
        self._will: list[Outcome] = []
        self._given_back = 0

    # ── life ─────────────────────────────────────────────────────────────────────────────────────────────────────────

    async def run(self) -> int:
        """Register, work until asked to end, and return the exit code."""
        try:
            await self._register()
        except NodeClosedError:
            self._telemetry.emit("worker.disowned", worker=self._order.name)
            return CLOSED
        duty = self._work_alone if self._order.is_alone else self._work
        stop_listening = self._store.listen(f"worker-{self._me.id}", self._heard)
        try:
            await duty()
        finally:
            stop_listening()
        self._telemetry.emit(
            "worker.ended", worker=self._me.name, pid=self._pid, code=self._exit_code, given_back=self._given_back
        )
        return self._exit_code

    def drain(self) -> None:
        """Ask the worker to end in good order: finish what runs, give back the rest."""
        self._start_nothing()
        self._ending.set()

    async def _register(self) -> None:
        order = self._order
        queues = list(order.queues) or sorted({spec.queue for spec in self._specs.values()})
        new = NewWorker(
            node_id=order.node_id,
            name=order.name,
            proof=order.proof,
            queues=queues,
            tasks=sorted(self._specs),
            weight=order.weight,
            is_alone=order.is_alone,
            pid=self._pid,
        )
        self._me = await self._until_stored(lambda: self._store.register_worker(new))
        self._build(self._me)
        self._telemetry.emit(
            "worker.registered",
            worker=self._me.name,
            incarnation=self._me.id,
            pid=self._pid,
            epoch=self._me.epoch,
            queues=queues,
            tasks=len(self._specs),
            concurrency=order.concurrency,
        )

    def _build(self, me: Registered) -> None:
        order = self._order
        self._lines = [QueueLine(queue_id, name) for name, queue_id in me.queue_ids.items()]
        self._holdings = Holdings()
        self._pace = Pace()
        self._endings = Endings(me.name, clock=self._clock, entropy=self._entropy, telemetry=self._telemetry)
        self._settler = Settler(
            self._store,
            me.id,
            me.name,
            self._holdings,
            telemetry=self._telemetry,
            entropy=self._entropy,
            settled=self._settled,
        )
        self._attempts = Attempts(
            {task_id: self._specs[name] for name, task_id in me.task_ids.items()},
            {queue_id: name for name, queue_id in me.queue_ids.items()},
            running=self._running,
            settler=self._settler,
            endings=self._endings,
            clock=self._clock,
            telemetry=self._telemetry,
            timeout_grace_s=order.timeout_grace_s,
            overrun=self._overran,
        )
        self._hands = Hands(
            order.concurrency,
            self._attempts,
            settler=self._settler,
            clock=self._clock,
            wants_more=self._wants_more,
        )
        self._start_nothing = self._hands.start_nothing
        self._rings = RingFollower(
            self._store,
            me.name,
            self._lines,
            telemetry=self._telemetry,
            entropy=self._entropy,
            changed=self._wants_more,
        )
        self._claimer = Claimer(
            self._store,
            me.id,
            me.name,
            self._lines,
            list(me.task_ids.values()),
            hands=self._hands,
            holdings=self._holdings,
            pace=self._pace,
            clock=self._clock,
            entropy=self._entropy,
            telemetry=self._telemetry,
            affinity_wait_us=int(order.affinity_wait_s * 1e6),
            epoch_seen=self._rings.epoch_seen,
        )

    # ── work ─────────────────────────────────────────────────────────────────────────────────────────────────────────

    async def _work(self) -> None:
        """Claim, run and settle until asked to end, disowned, or broken."""
        loop = asyncio.get_running_loop()
        await self._until_stored(self._rings.look)
        settling = loop.create_task(self._settler.run())
        claiming = loop.create_task(self._claimer.run())
        rings = loop.create_task(self._rings.run())
        sweeping = loop.create_task(self._sweep())
        ending = loop.create_task(self._ending.wait())
        guard = LoopGuard(self._clock, lambda: self._hands.todo, self._loop_blocked) if self._give_back else None
        if guard is not None:
            guard.start()
        tasks = [claiming, rings, sweeping, ending, loop.create_task(self._hands.broken())]
        try:
            await asyncio.wait([*tasks, settling], return_when=asyncio.FIRST_COMPLETED)
            self._claimer.stop()
            await asyncio.wait([claiming], timeout=_LAST_CLAIM_S)
            await _cancel(tasks)
            if claiming.done() and not claiming.cancelled() and isinstance(claiming.exception(), NodeClosedError):
                self._telemetry.emit("worker.disowned", worker=self._me.name, incarnation=self._me.id)
                self._exit_code = CLOSED
            for task in (*tasks, settling):
                _raise_unless_closed(task)
            await self._finish(settling)
        finally:
            if guard is not None:
                guard.stop()
            await _cancel([*tasks, settling])

    async def run_until_idle(self) -> None:
        """Work in a test: until nothing that is due can be claimed, nothing runs and everything is settled."""
        await self._register()
        await self._rings.look()
        loop = asyncio.get_running_loop()
        settling = loop.create_task(self._settler.run())
        try:
            while True:
                for line in self._lines:
                    line.slots.suspect_all()
                if not await self._claimer.claim_once() and not self._hands.todo and not self._hands.busy:
                    break
                await self._hands.rest()
                await self._settler.drained()
        finally:
            await _cancel([settling])
            await self._hands.close()

    async def _work_alone(self) -> None:
        """Run one suspect, then end."""
        claim = await self._until_stored(lambda: self._store.claim_alone(self._me.id, list(self._me.task_ids.values())))
        if not claim.jobs:
            return
        settling = asyncio.get_running_loop().create_task(self._settler.run())
        ending = asyncio.get_running_loop().create_task(self._ending.wait())
        try:
            self._holdings.take(claim.jobs)
            self._hands.take(list(claim.jobs))
            resting = asyncio.get_running_loop().create_task(self._hands.rest())
            await asyncio.wait([resting, ending, settling], return_when=asyncio.FIRST_COMPLETED)
            resting.cancel()
            _raise_unless_closed(settling)
            await self._finish(settling)
        finally:
            await _cancel([settling, ending])

    async def _finish(self, settling: asyncio.Task[None]) -> None:
        """End in good order: nothing is started any more."""
        grace_s = self._order.grace_s
        self._telemetry.emit("worker.draining", worker=self._me.name, running=self._hands.busy, grace_s=grace_s)
        if not self._order.is_alone:
            with suppress(StoreError):
                await self._store.drain_worker(self._me.id)
        self._start_nothing()
        self._return(self._hands.take_back())
        with suppress(TimeoutError):
            async with asyncio.timeout(grace_s):
                await self._hands.rest()
        if self._hands.busy:
            self._attempts.interrupt()
            with suppress(TimeoutError):
                async with asyncio.timeout(1.0):
                    await self._hands.rest()
        drained = asyncio.get_running_loop().create_task(self._settler.drained())
        await asyncio.wait([drained, settling], return_when=asyncio.FIRST_COMPLETED)
        await _cancel([drained])
        self._leave_will()
        await self._hands.close()

    # ── news ─────────────────────────────────────────────────────────────────────────────────────────────────────────

    def _heard(self, wake: Wake) -> None:
        """Take a wake-up."""
        if wake.woken is None or wake.woken:
            self._claimer.heard(wake.woken)
        for token in wake.cancels:
            self._hands.cancel(token)
        if wake.is_epoch:
            self._rings.look_soon()

    def _settled(self, answer: Settled, batch: Sequence[Outcome]) -> None:
        """After a settle: the next jobs of its keys may be claimed, and retries fall due."""
        last = batch[-1]
        if last.started_at is not None and last.ended_at is not None:
            self._pace.finished(len(batch), max(0, last.ended_at - last.started_at))
        else:
            self._pace.finished(len(batch), self._pace.run_us)
        if answer.woken:
            self._claimer.heard(answer.woken)
        for outcome in batch:
            if outcome.due_at is not None:
                self._claimer.note_due(outcome.due_at)

    def _wants_more(self) -> None:
        self._claimer.nudge()

    async def _sweep(self) -> None:
        """Once a lease: look what the store says this worker holds."""
        while True:
            await asyncio.sleep(self._order.sweep_s * self._entropy.uniform(0.9, 1.1))
            self._claimer.look_soon()

    # ── what goes back ───────────────────────────────────────────────────────────────────────────────────────────────

    def _return(self, jobs: Sequence[ClaimedJob]) -> None:
        """Give jobs that were not started back to their places."""
        for job in jobs:
            self._settler.add(_given_back(job), job.claim_no)
        self._given_back += len(jobs)
        if jobs:
            self._telemetry.emit("jobs.given_back", worker=self._me.name, jobs=len(jobs), why="the worker ends")

    def _loop_blocked(self, seconds: float) -> None:
        """Give back, on the side thread, what cannot start because user code blocks the loop."""
        assert self._give_back is not None  # noqa: S101
        jobs = self._hands.take_back()
        if not jobs:
            return
        outcomes = [_given_back(job) for job in jobs]
        try:
            self._give_back(self._me.id, outcomes)
        except StoreError:
            self._hands.todo.extend(jobs)
            return
        loop = self._hands.loop
        loop.call_soon_threadsafe(self._holdings.forget, outcomes)
        loop.call_soon_threadsafe(self._holdings.finish, [job.claim_no for job in jobs])
        self._telemetry.emit("loop.blocked", worker=self._me.name, seconds=round(seconds, 3), jobs=len(jobs))

    def _overran(self, attempt: Attempt) -> None:
        """Recycle, since a ``def`` handler did not come back: its outcome can only be settled once this process is gone."""
        self._will.append(self._endings.of_error(attempt, self._endings.time_limit(attempt)))
        self._telemetry.emit(
            "worker.recycled", worker=self._me.name, why=f"a job of task {attempt.spec.name} overran its time limit"
        )
        self._exit_code = RECYCLE
        self._ending.set()

    def _leave_will(self) -> None:
        if self._will and self._running is not None:
            still = set(self._attempts.active)
            self._running.leave_will([outcome for outcome in self._will if outcome.token in still])

    async def _until_stored(self, ask: Callable[[], Awaitable[_T]]) -> _T:
        """Ask the store until it answers. Only for what is safe to ask twice, or harmless to have asked twice."""
        tries = 0
        while True:
            try:
                return await ask()
            except (NodeClosedError, StoreBrokenError):
                raise
            except StoreError as error:
                tries += 1
                self._telemetry.emit("store.lost", store=self._store.url, error=error)
                await asyncio.sleep(store_pause_s(tries, self._entropy))


def _given_back(job: ClaimedJob) -> Outcome:
    return Outcome(job.seq, job.token, job.fence, Kind.GIVEN_BACK)


async def _cancel(tasks: Sequence[asyncio.Task[Any]]) -> None:
    """Cancel tasks and wait for their end; what they raised is looked at elsewhere."""
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


def _raise_unless_closed(task: asyncio.Task[Any]) -> None:
    """Raise what ended a task, but for having been cancelled or declared dead."""
    if task.done() and not task.cancelled():
        error = task.exception()
        if error is not None and not isinstance(error, NodeClosedError):
            raise error
