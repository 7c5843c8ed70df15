"""A worker: claim, run, settle.

      store ──claim──▶ Claimer ──todo──▶ Hands ──outcomes──▶ Settler ──settle──▶ store
        │                 ▲ news           │ room               │ woken
        └──wake-ups───────┴────────────────┴────────────────────┘

What a worker relies on: its supervisor holds the lease and watches it; the row decides who runs a job; the fence decides
whose outcome counts. So nothing here waits for anybody, and a worker that is killed at any instruction leaves only rows that
name it, which its supervisor releases.

Ending. *Drain*: leave the ring, give back what has not been started, let running jobs finish within the grace, cancel
``async def`` handlers that did not, settle everything, exit 0; what a ``def`` handler still runs is released by the
supervisor after the reap, blaming nobody. *Recycle*: the same, because a handler overran its time limit for good. Once the
others are done it is not waited for, and its failure is left as a will; exit 75. *Disowned*: declared dead by others; start
nothing more, exit 70.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Coroutine, Mapping, Sequence
from contextlib import suppress
from typing import Any, TypeVar

from rota.errors import NodeClosedError, StoreBrokenError, StoreError
from rota.model.task import TaskSpec
from rota.runtime.clock import Clock
from rota.runtime.entropy import Entropy
from rota.runtime.patience import store_pause_s
from rota.store.port import NewWorker, Store
from rota.telemetry.telemetry import Telemetry
from rota.worker.guard import LoopGuard
from rota.worker.order import CLOSED, DRAINED, RECYCLE, WorkerOrder
from rota.worker.running import RunningTable
from rota.worker.station import GiveBack, Station
from rota.worker.threads import SYSTEM_THREADS, Threads

_T = TypeVar("_T")

_LAST_CLAIM_S = 5.0
"""How long a worker that ends waits for the claim that is on its way. What it misses is released after its end."""

_MOMENT_S = 0.02
"""How soon ``run_until_idle`` looks again while jobs run."""

_INTERRUPTED_S = 1.0
"""How long ``async def`` handlers may take to end once they were cancelled after the grace."""

_LEAVE_S = 1.0
"""How long a worker that is done waits for the store to take it out of the ring. Its supervisor does it, too."""


class Worker:
    """One process's worker.

    Args:
        store: The store.
        specs: The tasks that it knows, by name.
        order: What its supervisor told it.
        running: Where running jobs are marked for after a crash; ``None`` when nobody would look.
        give_back: Settles outcomes from another thread while the loop is blocked; ``None`` where that cannot be.
        threads: Makes the threads for ``def`` handlers, and the one that watches the loop.
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
        give_back: GiveBack | None = None,
        threads: Threads = SYSTEM_THREADS,
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
        self._threads = threads
        self._pid = pid
        self._exit_code = DRAINED
        self._ending = asyncio.Event()
        self._station: Station | None = None
        self._incarnation = 0

    # ── life ─────────────────────────────────────────────────────────────────────────────────────────────────────────

    async def run(self) -> int:
        """Register, work until asked to end, and return the exit code.

        Raises:
            StoreBrokenError: The store reported a disk error. Nothing was settled past it.
        """
        given_back = 0
        try:
            station = await self._unless_ended(self._register())
            if station is not None:
                await self._work_at(station)
                given_back = station.given_back
        except NodeClosedError:
            self._disowned()
        except StoreBrokenError as error:
            self._telemetry.emit("store.broken", store=self._store.url, error=error)
            raise
        counters = self._telemetry.counters
        self._telemetry.emit(
            "worker.ended",
            worker=self._order.name,
            pid=self._pid,
            code=self._exit_code,
            given_back=given_back,
            own=counters["claims.own"],
            stolen=counters["claims.stolen"],
            idle_s=round(counters["hands.idle_us"] / 1e6, 3),
        )
        return self._exit_code

    def drain(self) -> None:
        """Ask the worker to end in good order: finish what runs, give back the rest."""
        if self._station is not None:
            self._station.hands.start_nothing()
        self._ending.set()

    async def _register(self) -> Station:
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
        me = self._me = await self._until_stored(lambda: self._store.register_worker(new))
        self._incarnation = me.id
        self._station = Station(
            self._store,
            me,
            self._specs,
            order,
            running=self._running,
            clock=self._clock,
            entropy=self._entropy,
            telemetry=self._telemetry,
            give_back=self._give_back,
            threads=self._threads,
            recycle=self._recycle,
        )
        self._telemetry.emit(
            "worker.registered",
            worker=me.name,
            incarnation=me.id,
            pid=self._pid,
            epoch=me.epoch,
            queues=queues,
            tasks=len(self._specs),
            concurrency=order.concurrency,
        )
        return self._station

    async def _work_at(self, station: Station) -> None:
        stop_listening = self._store.listen(f"worker-{self._incarnation}", station.heard)
        try:
            await (self._work_alone(station) if self._order.is_alone else self._work(station))
        finally:
            stop_listening()

    # ── work ─────────────────────────────────────────────────────────────────────────────────────────────────────────

    async def _work(self, station: Station) -> None:
        """Claim, run and settle until asked to end, disowned, or broken."""
        await self._unless_ended(self._until_stored(station.rings.look))
        if self._ending.is_set():
            return
        create = asyncio.get_running_loop().create_task
        settling, claiming = create(station.settler.run()), create(station.claimer.run())
        following = create(station.rings.run())
        tasks = [
            claiming,
            following,
            create(self._sweep(station)),
            create(self._ending.wait()),
            create(station.hands.broken()),
        ]
        guard = self._guard_of(station)
        if guard is not None:
            guard.start()
        try:
            await asyncio.wait([*tasks, settling], return_when=asyncio.FIRST_COMPLETED)
            station.hands.start_nothing()
            station.claimer.stop()
            await asyncio.wait([claiming], timeout=_LAST_CLAIM_S)
            await _cancel(tasks)
            if _has_raised(claiming, NodeClosedError) or _has_raised(following, NodeClosedError):
                self._disowned()
            for task in (*tasks, settling):
                _raise_unless_closed(task)
            await self._finish(station, settling)
        finally:
            if guard is not None:
                guard.stop()
            await _cancel([*tasks, settling])
            await station.hands.close()

    def _guard_of(self, station: Station) -> LoopGuard | None:
        if self._give_back is None:
            return None
        return LoopGuard(self._clock, station.hands.todo, station.loop_blocked, self._threads)

    async def run_until_idle(self) -> None:
        """Work in a test: until nothing that is due can be claimed, nothing runs and everything is settled."""
        station = await self._register()
        hands = station.hands
        await station.rings.look()
        create = asyncio.get_running_loop().create_task
        settling, broken = create(station.settler.run()), create(hands.broken())
        at_rest = True
        try:
            while True:
                for line in station.lines:
                    line.slots.suspect_all()
                # What still ran before the claim may have ended during it, unsettled, and may have left more to do.
                if not await station.claimer.claim_once() and at_rest and not hands.todo and not hands.busy:
                    break
                with suppress(TimeoutError):  # One that runs may wait for one that it has submitted.
                    async with asyncio.timeout(_MOMENT_S):
                        await _first_of(hands.rest(), settling, broken)
                at_rest = not hands.todo and not hands.busy
                await _first_of(station.settler.drained(), settling, broken)
        finally:
            await _cancel([settling, broken])
            await hands.close()

    async def _work_alone(self, station: Station) -> None:
        """Run one suspect, then end."""
        tasks = list(self._me.task_ids.values())
        claiming = self._until_stored(lambda: self._store.claim_alone(self._incarnation, tasks))
        claim = await self._unless_ended(claiming)
        if claim is None or not claim.jobs:
            return
        create = asyncio.get_running_loop().create_task
        settling, ending, broken = (
            create(station.settler.run()),
            create(self._ending.wait()),
            create(station.hands.broken()),
        )
        try:
            station.holdings.take(claim.jobs)
            station.hands.take(list(claim.jobs))
            await _first_of(station.hands.rest(), ending, settling, broken)
            _raise_unless_closed(settling)
            _raise_unless_closed(broken)
            await self._finish(station, settling)
        finally:
            await _cancel([settling, ending, broken])
            await station.hands.close()

    async def _finish(self, station: Station, settling: asyncio.Task[None]) -> None:
        """End in good order: nothing is started any more."""
        grace_s, hands = self._order.grace_s, station.hands
        self._telemetry.emit("worker.draining", worker=self._me.name, running=hands.busy, grace_s=grace_s)
        hands.start_nothing()
        station.put_back(hands.take_back(), "the worker ends")
        leaving = asyncio.get_running_loop().create_task(self._leave_ring())
        with suppress(TimeoutError):
            async with asyncio.timeout(grace_s):
                await hands.rest_but_lost()
        if hands.busy:
            station.attempts.interrupt()
            with suppress(TimeoutError):
                async with asyncio.timeout(_INTERRUPTED_S):
                    await hands.rest_but_lost()
        # A thread may have handed a job across while the first were taken back.
        station.put_back(hands.take_back(), "the worker ends")
        await asyncio.wait([leaving], timeout=_LEAVE_S)
        await _cancel([leaving])
        await _first_of(station.settler.drained(), settling)
        station.leave_will()

    async def _leave_ring(self) -> None:
        """Leave the ring, while the jobs finish: a store that is slow to answer must not use up the grace."""
        if not self._order.is_alone:
            with suppress(StoreError):
                await self._store.drain_worker(self._incarnation)

    async def _sweep(self, station: Station) -> None:
        """Once a lease: look what the store says this worker holds."""
        while True:
            await asyncio.sleep(self._order.sweep_s * self._entropy.uniform(0.9, 1.1))
            station.claimer.look_soon()

    # ── ends ─────────────────────────────────────────────────────────────────────────────────────────────────────────

    def _disowned(self) -> None:
        self._exit_code = CLOSED
        self._telemetry.emit("worker.disowned", worker=self._order.name, incarnation=self._incarnation)

    def _recycle(self) -> None:
        self._exit_code = RECYCLE
        self._ending.set()

    async def _unless_ended(self, doing: Coroutine[Any, Any, _T]) -> _T | None:
        """Return what something comes to; ``None`` when the worker is asked to end before."""
        create = asyncio.get_running_loop().create_task
        task, ending = create(doing), create(self._ending.wait())
        try:
            await asyncio.wait([task, ending], return_when=asyncio.FIRST_COMPLETED)
            return task.result() if task.done() else None
        finally:
            await _cancel([task, ending])

    async def _until_stored(self, ask: Callable[[], Awaitable[_T]]) -> _T:
        """Ask the store until it answers. Only for what is safe to ask twice, or harmless to have asked twice."""
        tries, since = 0, asyncio.get_running_loop().time()
        while True:
            try:
                answer = await ask()
            except (NodeClosedError, StoreBrokenError):
                raise
            except StoreError as error:
                if not tries:
                    self._telemetry.emit("store.lost", store=self._store.url, error=error)
                tries += 1
                await asyncio.sleep(store_pause_s(tries, self._entropy))
            else:
                if tries:
                    seconds = round(asyncio.get_running_loop().time() - since, 3)
                    self._telemetry.emit("store.returned", store=self._store.url, seconds=seconds)
                return answer


async def _first_of(doing: Coroutine[Any, Any, None], *others: asyncio.Task[Any]) -> None:
    """Do something until it is done or one of the others ends; raise what it raised."""
    task = asyncio.get_running_loop().create_task(doing)
    try:
        await asyncio.wait([task, *others], return_when=asyncio.FIRST_COMPLETED)
        if task.done():
            task.result()
    finally:
        await _cancel([task])


async def _cancel(tasks: Sequence[asyncio.Task[Any]]) -> None:
    """Cancel tasks and wait for their end; what they raised is looked at elsewhere."""
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


def _has_raised(task: asyncio.Task[Any], kind: type[BaseException]) -> bool:
    return task.done() and not task.cancelled() and isinstance(task.exception(), kind)


def _raise_unless_closed(task: asyncio.Task[Any]) -> None:
    """Raise what ended a task, but for having been cancelled or declared dead."""
    if task.done() and not task.cancelled():
        error = task.exception()
        if error is not None and not isinstance(error, NodeClosedError):
            raise error
