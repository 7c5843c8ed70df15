"""The supervisor: one node's process. It never runs user code, so nothing that a job does can hold it up.

    hold the proof of life ─▶ close what is dead (its names become free) ─▶ register ─▶ places, watch, isolator, guard, house
    first signal: drain    workers may finish within the grace; what they had not started goes back to its places
    second signal: now     the workers are killed; what they held goes back, and nobody is blamed

A supervisor that dies takes its workers with it (the kernel sees to it); its keeper starts another, and until then the other
nodes rescue. A supervisor that is stopped is harmless: its workers go on and keep what they hold.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

from rota.errors import StoreError
from rota.node.crew import Crew
from rota.node.identity import Identity, own_identity
from rota.node.isolator import Isolator
from rota.node.liveness import Liveness
from rota.node.order import NodeOrder
from rota.node.place import CONFIG, Place
from rota.node.processes import Processes
from rota.node.registrar import Registrar
from rota.node.rescuer import Rescuer
from rota.node.watch import Watch
from rota.node.write_guard import WriteGuard
from rota.orchestrator.duty import Duty
from rota.orchestrator.orchestrator import Orchestrator
from rota.runtime.clock import Clock
from rota.runtime.entropy import Entropy
from rota.store.port import Registered, Store, Wake
from rota.telemetry.telemetry import Telemetry
from rota.worker.order import CLOSED, DRAINED

LAST_WORDS_S = 3.0
"""Beyond the grace: for a worker to settle and give back what it can, before it is killed."""
FAREWELL_S = 5.0
TROUBLE_S = 1.0


class Supervisor:
    """Runs one node in this process, on the running loop of the main thread.

    Args:
        order: The node's orders.
        processes: Starts the workers.
        store: The store.
        liveness: How it proves that it lives, and sees that others do not.
        duties: What it does when it has the house.
        holds_lock: Whether a process has the store's write lock now; ``None`` if that cannot be told.
        clock: Time.
        entropy: Chance.
        telemetry: Who is told.
        host: Which process this is; ``None`` for what the kernel says.
    """

    def __init__(
        self,
        order: NodeOrder,
        processes: Processes,
        *,
        store: Store,
        liveness: Liveness,
        duties: Sequence[Duty],
        holds_lock: Callable[[int], bool | None],
        clock: Clock,
        entropy: Entropy,
        telemetry: Telemetry,
        host: Identity | None = None,
    ) -> None:
        self._order = order
        self._processes = processes
        self._store = store
        self._liveness = liveness
        self._duties = duties
        self._holds_lock = holds_lock
        self._clock = clock
        self._entropy = entropy
        self._telemetry = telemetry
        self._proof = f"node-{entropy.hex(8)}"
        self._host = host or own_identity()
        self._rescuer = Rescuer(store, liveness, processes, clock=clock, entropy=entropy, telemetry=telemetry)
        self._watch = Watch(
            order.name,
            store=store,
            liveness=liveness,
            rescuer=self._rescuer,
            clock=clock,
            telemetry=telemetry,
            own=self._host,
        )
        self._is_ending = asyncio.Event()
        self._is_over = asyncio.Event()

    async def run(self) -> int:
        """Run the node until it is asked to end; return the exit code."""
        signals = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)
        loop = asyncio.get_running_loop()
        for number in signals:
            loop.add_signal_handler(number, self._heard_signal, number)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {*signals, signal.SIGCHLD})
        self._liveness.hold(self._proof)
        try:
            return await self._live()
        finally:
            self._rescuer.cancel()
            for number in signals:
                loop.remove_signal_handler(number)

    def drain(self) -> None:
        """End in good order. A second call ends at once."""
        if self._is_ending.is_set():
            self._is_over.set()
        self._is_ending.set()

    def _heard_signal(self, number: signal.Signals) -> None:
        self._telemetry.emit("signal.received", signal=int(number), pid=os.getpid())
        self.drain()

    async def _live(self) -> int:
        registrar = Registrar(
            self._order,
            self._proof,
            self._host,
            store=self._store,
            watch=self._watch,
            lease_ms=self._liveness.lease_ms,
            entropy=self._entropy,
            telemetry=self._telemetry,
        )
        registering = asyncio.create_task(registrar.register())
        if not await self._unless_ending(registering):
            return DRAINED
        me = registering.result()
        crew = Crew(
            me.id,
            me.name,
            self._order,
            self._processes,
            liveness=self._liveness,
            entropy=self._entropy,
            telemetry=self._telemetry,
        )
        self._watch.node_id, self._watch.is_ours = me.id, crew.has
        isolator = Isolator(self._store, crew, self._rescuer, entropy=self._entropy, ending=self._is_ending)
        stop_listening = self._store.listen(f"node-{me.id}", lambda wake: self._heard(wake, isolator))
        try:
            return await self._work(me, crew, isolator)
        finally:
            stop_listening()

    async def _work(self, me: Registered, crew: Crew, isolator: Isolator) -> int:
        order, ending = self._order, self._is_ending
        places = [
            Place(f"{me.name}/{number}", crew, self._rescuer, self._telemetry, ending)
            for number in range(1, order.processes + 1)
        ]
        house = Orchestrator(
            self._store,
            me.id,
            me.name,
            self._duties,
            clock=self._clock,
            entropy=self._entropy,
            telemetry=self._telemetry,
        )
        guard = WriteGuard(
            crew, order.write_limit_s, self._clock, self._telemetry, self._holds_lock, self._processes.states
        )
        kept = [self._tend(place.name, place.keep) for place in places] + [self._tend("isolator", isolator.keep)]
        watching = [
            self._tend("watch", self._watch.run),
            self._tend("write guard", guard.run),
            self._tend("orchestrator", house.run),
        ]
        try:
            code = await self._until_asked(places)
            isolator.notice()
            await self._end(crew, kept, is_gentle=code == DRAINED)
        finally:
            for task in (*kept, *watching):
                task.cancel()
            await asyncio.gather(*kept, *watching, return_exceptions=True)
            crew.end_now("the supervisor ends")
        await self._say_farewell(me)
        return code

    async def _until_asked(self, places: Sequence[Place]) -> int:
        """Wait for a reason to end; return the exit code that it means."""
        hopeless = [asyncio.create_task(place.is_hopeless.wait()) for place in places]
        asked = asyncio.create_task(self._is_ending.wait())
        disowned = asyncio.create_task(self._watch.disowned.wait())
        no_hope = asyncio.create_task(_all_done(hopeless))
        reasons: list[asyncio.Task[Any]] = [asked, disowned, no_hope]
        await asyncio.wait(reasons, return_when=asyncio.FIRST_COMPLETED)
        code = DRAINED if asked.done() else CLOSED if disowned.done() else CONFIG
        for task in (*reasons, *hopeless):
            task.cancel()
        self._is_ending.set()
        return code

    async def _end(self, crew: Crew, kept: Sequence[asyncio.Task[None]], *, is_gentle: bool) -> None:
        """See the workers out: gently first, then not; and account for all of them."""
        if is_gentle:
            self._telemetry.emit("node.draining", node=crew.node, grace_s=self._order.grace_s)
            crew.ask_to_end()
            over = asyncio.create_task(self._is_over.wait())
            gone = asyncio.create_task(_all_done(kept))
            await asyncio.wait(
                [gone, over], timeout=self._order.grace_s + LAST_WORDS_S, return_when=asyncio.FIRST_COMPLETED
            )
            gone.cancel()
            over.cancel()
        crew.end_now("its node ends")
        await asyncio.wait(kept, timeout=FAREWELL_S)
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(FAREWELL_S):
                await self._rescuer.drained()

    async def _say_farewell(self, me: Registered) -> None:
        """Close the own row. If that cannot be done now, others will: the proof of life ends with this process."""
        try:
            async with asyncio.timeout(FAREWELL_S):
                seen = await self._store.membership()
                counter = next((node.counter for node in seen.nodes if node.id == me.id), None)
                if counter is not None:
                    await self._store.close_node(me.id, counter)
        except (StoreError, TimeoutError) as error:
            self._telemetry.emit("store.lost", store=self._store.url, error=error)
        self._telemetry.emit("supervisor.ended", node=me.name, pid=os.getpid(), code=0)

    def _heard(self, wake: Wake, isolator: Isolator) -> None:
        if wake.is_alone:
            isolator.notice()

    async def _unless_ending(self, task: asyncio.Task[Registered]) -> bool:
        """Wait for a task, or until the node is asked to end; return whether the task is done."""
        ending = asyncio.create_task(self._is_ending.wait())
        await asyncio.wait([task, ending], return_when=asyncio.FIRST_COMPLETED)
        ending.cancel()
        if not task.done():
            task.cancel()
            return False
        return True

    def _tend(self, name: str, work: Callable[[], Awaitable[None]]) -> asyncio.Task[None]:
        """Run a part of the node, and again when it fails: no fault in one part may end the workers."""
        return asyncio.create_task(self._tend_to(name, work), name=name)

    async def _tend_to(self, name: str, work: Callable[[], Awaitable[None]]) -> None:
        while True:
            try:
                return await work()
            except Exception as error:  # Told, and tried again; what it would have done waits a second.
                self._telemetry.emit("duty.failed", duty=name, error=error, wait_s=TROUBLE_S)
                await asyncio.sleep(TROUBLE_S)


async def _all_done(tasks: Sequence[asyncio.Task[Any]]) -> None:
    await asyncio.wait(tasks)
