"""The rescuer: what a dead worker held goes back to its places.

    seen dead ──▶ close ──▶ settle its will ──▶ release, until nothing is held ──▶ remove its files

Two calls and never one: a claim that was in flight when the process died is waited for by the close, and seen only by a
release that begins after it. Each step may be done by several supervisors at once, and again: the second finds nothing left.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence

from rota.model.outcome import Failure, Outcome
from rota.node.blame import blame_of_ending, blame_of_loss
from rota.node.insist import Answer, until_answered
from rota.node.liveness import Liveness
from rota.node.process import Ending
from rota.node.processes import Processes, Started
from rota.node.remains import remains_of
from rota.runtime.clock import Clock
from rota.runtime.entropy import Entropy
from rota.store.port import Blame, Released, Store, WorkerRow
from rota.telemetry.telemetry import Telemetry

_LOCKED_PAUSE_S = 0.01


class Rescuer:
    """Rescues on behalf of one supervisor. A rescue that has begun goes on in the background until it is done.

    Args:
        store: Where the jobs are.
        liveness: Told of the dead that need no proof any more.
        processes: What dead ones left behind.
        clock: How long it took.
        entropy: Jitter between tries.
        telemetry: Who is told.
    """

    def __init__(
        self,
        store: Store,
        liveness: Liveness,
        processes: Processes,
        *,
        clock: Clock,
        entropy: Entropy,
        telemetry: Telemetry,
    ) -> None:
        self._store = store
        self._liveness = liveness
        self._processes = processes
        self._clock = clock
        self._entropy = entropy
        self._telemetry = telemetry
        self._tasks: dict[int, asyncio.Task[None]] = {}

    def is_at_work_on(self, worker: int) -> bool:
        """Whether a rescue of this worker goes on."""
        return worker in self._tasks

    async def drained(self) -> None:
        """Wait until every rescue that has begun is done."""
        while self._tasks:
            await asyncio.wait(list(self._tasks.values()))

    def cancel(self) -> None:
        """Leave the rest to other supervisors."""
        for task in self._tasks.values():
            task.cancel()

    async def make_up_for(self, process: Started, ending: Ending, *, is_alone: bool) -> bool:
        """Close a worker that this supervisor has reaped, and begin to release what it held.

        Returns once the row is closed, so that its successor finds the name free: whether there was a row, that is,
        whether the process had got as far as registering.
        """
        remains = remains_of(process.table)
        running = remains.running or frozenset()
        has_will = remains.will is not None
        blame = blame_of_ending(process.name, ending, running, is_alone=is_alone, has_will=has_will)
        if blame.forgives:
            process.wipe_table()
        else:
            self._tell_of_death(process, ending, len(running))
        workers = await self._find(process)
        if not workers:
            self._forget(process.proof)
        for worker in workers:
            await self.rescue(worker, blame, remains.will or ()).wait()
        return bool(workers)

    def rescue_lost(self, worker: WorkerRow, *, is_node_lost: bool) -> None:
        """Begin to rescue a worker whose proof of life is gone."""
        remains = self._processes.remains(worker.proof)
        has_will = remains.will is not None
        blame = blame_of_loss(worker, remains.running, has_will=has_will, is_node_lost=is_node_lost)
        self.rescue(worker, blame, remains.will or ())

    def close_double(self, worker: WorkerRow) -> None:
        """Begin to close a row whose process lives and goes by another row."""
        nobody = Blame(frozenset(), Failure("WorkerCrashed", "registered twice"), forgives=True)
        self.rescue(worker, nobody, (), keeps_files=True)

    def rescue(
        self, worker: WorkerRow, blame: Blame, will: Sequence[Outcome], *, keeps_files: bool = False
    ) -> asyncio.Event:
        """Begin to rescue, unless it has begun; returns what is set once the worker's row is closed."""
        closed = asyncio.Event()
        if worker.id in self._tasks:
            closed.set()
            return closed
        task = asyncio.create_task(
            self._rescue(worker, blame, will, closed, keeps_files=keeps_files), name=f"rescue {worker.name}"
        )
        self._tasks[worker.id] = task
        task.add_done_callback(lambda done: self._has_ended(worker, done, closed))
        return closed

    async def _rescue(
        self, worker: WorkerRow, blame: Blame, will: Sequence[Outcome], closed: asyncio.Event, *, keeps_files: bool
    ) -> None:
        began = self._clock.boot_ns()
        store, name = self._store, worker.name
        await self._insist(name, lambda: store.close_worker(worker.id))
        closed.set()
        if will:
            await self._insist(name, lambda: store.settle(worker.id, will))
        freed = condemned = suspects = 0
        is_complete = False
        while not is_complete:
            released = await self._insist(name, lambda: store.release(worker.id, blame))
            is_complete = released.is_complete
            freed, suspects = freed + len(released.tokens), suspects + len(released.suspects)
            condemned += len(released.condemned)
            self._tell_of_jobs(name, released)
            if not is_complete and not released.tokens:
                await asyncio.sleep(_LOCKED_PAUSE_S)
        if not keeps_files:
            self._forget(worker.proof)
        if freed or condemned:
            self._telemetry.emit(
                "worker.rescued",
                worker=name,
                incarnation=worker.id,
                jobs=freed,
                suspects=suspects,
                condemned=condemned,
                seconds=(self._clock.boot_ns() - began) / 1e9,
            )

    def _has_ended(self, worker: WorkerRow, task: asyncio.Task[None], closed: asyncio.Event) -> None:
        """Let go of a rescue. One that failed is begun anew by the watch, which finds the worker as it was left."""
        self._tasks.pop(worker.id, None)
        closed.set()
        if not task.cancelled() and (error := task.exception()) is not None:
            self._telemetry.emit("rescue.failed", worker=worker.name, error=error)

    def _tell_of_jobs(self, name: str, released: Released) -> None:
        for token in released.suspects:
            self._telemetry.emit("job.suspected", token=token, worker=name)
        for token in released.condemned:
            self._telemetry.emit("job.condemned", token=token, worker=name)

    async def _find(self, process: Started) -> list[WorkerRow]:
        """Find the row of a process by its proof; two if it registered again after a lost reply.

        Somebody may have closed it already: then it matters only as long as it holds something.
        """
        seen = await self._insist(process.name, self._store.membership)
        left = await self._insist(process.name, self._store.closed_workers_with_jobs)
        return [worker for worker in (*seen.workers, *left) if worker.proof == process.proof]

    def _tell_of_death(self, process: Started, ending: Ending, running: int) -> None:
        self._telemetry.emit(
            "worker.died",
            worker=process.name,
            pid=process.pid,
            signal=ending.signal,
            code=ending.code,
            running=running,
            memory_bytes=ending.memory_bytes,
            seconds=round(ending.seconds, 3),
        )

    async def _insist(self, name: str, ask: Callable[[], Awaitable[Answer]]) -> Answer:
        def trouble(error: Exception) -> None:
            self._telemetry.emit("rescue.failed", worker=name, error=error)

        return await until_answered(ask, self._entropy, trouble)

    def _forget(self, proof: str) -> None:
        self._processes.remove(proof)
        self._liveness.forget(proof)
