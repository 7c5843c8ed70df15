"""The supervisor: one node's process. It never runs user code, so nothing that a job does can hold it up.

    hold the proof of life ─▶ close what is dead (its names become free) ─▶ register ─▶ places, watch, isolator, guard, house
    first signal: drain    workers may finish within the grace; what they had not started goes back to its places
    another one: now       the workers are killed; what they held goes back, and nobody is blamed
    the keeper died        as the first signal, which the kernel sends then

A supervisor that dies takes its workers with it (the kernel sees to it); its keeper starts another, and until then the other
nodes rescue. Where its proof of life is a lock, a supervisor that is stopped is harmless: its workers go on and keep what they
hold. Where it is a lease, the kernel ends both before the lease runs out.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
from collections.abc import Awaitable, Callable, Sequence
from functools import partial

from rota.errors import StoreError
from rota.node.asked import Asked
from rota.node.crew import Crew
from rota.node.fenced import Fenced
from rota.node.identity import Identity, own_identity
from rota.node.lease import NoLease, Tenure
from rota.node.liveness import Liveness
from rota.node.order import NodeOrder
from rota.node.place import CONFIG
from rota.node.processes import Processes
from rota.node.registrar import Registrar
from rota.node.rescuer import Rescuer
from rota.node.shift import Shifts
from rota.node.watch import Watch
from rota.node.write_guard import WriteGuard
from rota.orchestrator.duty import Duty
from rota.orchestrator.orchestrator import Orchestrator
from rota.runtime.clock import Clock
from rota.runtime.entropy import Entropy
from rota.store.port import Registered, Store, Wake
from rota.store.relay import relay
from rota.telemetry.telemetry import Telemetry
from rota.worker.order import CLOSED, DRAINED

LAST_WORDS_S = 3.0
"""Beyond the grace: for a worker to settle and give back what it can, before it is killed."""
FAREWELL_S = 5.0
"""Until all that the workers held is released. A store that does not answer, such as a locked one, is not waited for any
longer, nor told that the node ends: what is left, other nodes do, or the next start.
"""
AT_ONCE_S = 2.0
"""The same for a node that was told twice to end, once its workers are reaped."""
TROUBLE_S = 1.0


class Supervisor:
    """Runs one node in this process, on the running loop of the main thread.

    Args:
        order: The node's orders.
        processes: Starts the workers.
        store: The store.
        liveness: How it proves that it lives, and sees that others do not.
        lease: By what right its workers run; ``None`` if that cannot run out.
        duties: What it does when it has the house.
        chores: What it does whoever has the house.
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
        lease: Tenure | None = None,
        duties: Sequence[Duty],
        chores: Sequence[Duty] = (),
        holds_lock: Callable[[int], bool | None],
        clock: Clock,
        entropy: Entropy,
        telemetry: Telemetry,
        host: Identity | None = None,
    ) -> None:
        self._order = order
        self._lease = lease or NoLease()
        self._processes = Fenced(processes, self._lease)
        self._store = store
        self._liveness = liveness
        self._duties = duties
        self._chores = chores
        self._holds_lock = holds_lock
        self._clock = clock
        self._entropy = entropy
        self._telemetry = telemetry
        self._proof = f"node-{entropy.hex(8)}"
        self._host = host or own_identity()
        self._rescuer = Rescuer(store, liveness, self._processes, clock=clock, entropy=entropy, telemetry=telemetry)
        self._watch = Watch(
            order.name,
            store=store,
            liveness=liveness,
            tenure=self._lease,
            rescuer=self._rescuer,
            clock=clock,
            telemetry=telemetry,
            own=self._host,
        )
        self._is_ending = asyncio.Event()
        self._is_over = asyncio.Event()
        self._asked = Asked()
        self._keeper = os.getppid()

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
        if self._asked.is_another(asyncio.get_running_loop().time()):
            parent = os.getppid()
            if parent == self._keeper:
                self._telemetry.emit("signal.received", signal=int(number), pid=os.getpid())
            else:
                self._telemetry.emit("keeper.died", pid=self._keeper)
                self._keeper = parent  # Told once; what comes now is a person's.
            self.drain()

    async def _live(self) -> int:
        registrar = Registrar(
            self._order,
            self._proof,
            self._host,
            store=self._store,
            watch=self._watch,
            lease_ms=self._liveness.lease_ms,
            runs_on=self._lease.runs_on,
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
        shifts = Shifts(
            self._order.processes,
            crew,
            self._processes,
            self._lease,
            store=self._store,
            rescuer=self._rescuer,
            entropy=self._entropy,
            telemetry=self._telemetry,
            tend=self._tend,
        )
        stop_listening = self._store.listen(f"node-{me.id}", lambda wake: self._heard(wake, shifts))
        stop_relaying = relay(self._store, self._liveness.folder, me.id)
        try:
            return await self._work(me, crew, shifts)
        finally:
            stop_relaying()
            stop_listening()

    async def _work(self, me: Registered, crew: Crew, shifts: Shifts) -> int:
        house = self._house(me)
        watching = [self._tend(name, work) for name, work in self._parts(me, crew, house)]
        turns = self._tend("shifts", shifts.run)
        try:
            code = await self._until_asked(shifts, house.broken)
            if house.broken.is_set():
                return code  # Nothing can be written down any more: neither what is given back, nor who has ended.
            turns.cancel()
            shifts.start_nothing()
            is_accounted_for = await self._end(crew, shifts, is_gentle=code == DRAINED)
        finally:
            for task in (turns, *watching):
                task.cancel()
            await shifts.dissolve()
            await asyncio.gather(turns, *watching, return_exceptions=True)
            crew.end_now("the supervisor ends")
        if is_accounted_for:
            await self._say_farewell(me)
        self._telemetry.emit("supervisor.ended", node=me.name, pid=os.getpid(), code=0)
        return code

    def _house(self, me: Registered) -> Orchestrator:
        return Orchestrator(
            self._store,
            me.id,
            me.name,
            self._duties,
            clock=self._clock,
            entropy=self._entropy,
            telemetry=self._telemetry,
        )

    def _parts(
        self, me: Registered, crew: Crew, house: Orchestrator
    ) -> list[tuple[str, Callable[[], Awaitable[None]]]]:
        """Return what goes on beside the workers, with its name."""
        guard = WriteGuard(
            crew, self._order.write_limit_s, self._clock, self._telemetry, self._holds_lock, self._processes.states
        )
        return [
            ("lease", lambda: self._lease.run(me.id, me.name)),
            ("watch", self._watch.run),
            ("write guard", guard.run),
            ("orchestrator", house.run),
            *((chore.name, partial(_repeat, chore)) for chore in self._chores),
        ]

    async def _until_asked(self, shifts: Shifts, broken: asyncio.Event) -> int:
        """Wait for a reason to end; return the exit code that it means."""
        asked = asyncio.create_task(_wait(self._is_ending))
        # A handle on a disk that has failed stays closed. The keeper starts another supervisor, which opens the store anew.
        disowned = [asyncio.create_task(_wait(by)) for by in (self._watch.disowned, self._lease.closed, broken)]
        reasons = [asked, *disowned, asyncio.create_task(shifts.hopeless())]
        await asyncio.wait(reasons, return_when=asyncio.FIRST_COMPLETED)
        code = DRAINED if asked.done() else CLOSED if any(task.done() for task in disowned) else CONFIG
        for task in reasons:
            task.cancel()
        self._is_ending.set()
        return code

    async def _end(self, crew: Crew, shifts: Shifts, *, is_gentle: bool) -> bool:
        """See the workers out: gently first, then not. Return whether all could be accounted for."""
        if is_gentle:
            self._telemetry.emit("node.draining", node=crew.node, grace_s=self._order.grace_s)
            crew.ask_to_end()
            enough = [
                asyncio.create_task(reason) for reason in (shifts.gone(), _wait(self._is_over), self._lease.lapsed())
            ]
            await asyncio.wait(enough, timeout=self._order.grace_s + LAST_WORDS_S, return_when=asyncio.FIRST_COMPLETED)
            for task in enough:
                task.cancel()
        crew.end_now("its node ends")
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(FAREWELL_S) as end:
                await shifts.reaped()
                if self._is_over.is_set():
                    end.reschedule(asyncio.get_running_loop().time() + AT_ONCE_S)
                await shifts.gone()
                await self._rescuer.drained()
                return True
        return False

    async def _own_counter(self, node_id: int) -> int | None:
        """Return the counter of the own lease as the store has it; ``None`` if the own row is closed."""
        seen = await self._store.membership()
        return next((node.counter for node in seen.nodes if node.id == node_id), None)

    async def _say_farewell(self, me: Registered) -> None:
        """Close the own row. If that cannot be done now, others will: the proof of life ends with this process."""
        try:
            async with asyncio.timeout(FAREWELL_S):
                # A renewal that was on its way may raise the counter in between: then once more.
                while (counter := await self._own_counter(me.id)) is not None:
                    if await self._store.close_node(me.id, counter):
                        break
        except (StoreError, TimeoutError) as error:
            self._telemetry.emit("store.lost", store=self._store.url, error=error)

    def _heard(self, wake: Wake, shifts: Shifts) -> None:
        if wake.is_alone:
            shifts.notice()

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


async def _wait(event: asyncio.Event) -> None:
    await event.wait()


async def _repeat(chore: Duty) -> None:
    while True:
        with contextlib.suppress(StoreError):  # Its next turn comes.
            await chore.do()
        await asyncio.sleep(chore.period_s)
