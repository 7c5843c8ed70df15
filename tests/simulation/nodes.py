"""Nodes: the real supervisor and the real worker, in simulated processes that a simulated kernel starts and ends.

    keeper ──▶ supervisor (rota.node.supervisor) ──▶ workers (rota.worker.worker)

What is simulated here is what ``rota.app.node_main`` and ``rota.app.worker_main`` do with a real kernel.
"""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Sequence
from datetime import timedelta

from rota.model.outcome import Outcome
from rota.node.identity import Identity
from rota.node.keeper import FINAL_CODES, deaths_in_a_row, wait_s
from rota.node.order import NodeOrder, WorkerStart
from rota.node.process import Ending
from rota.node.remains import Remains, remains_of
from rota.node.supervisor import Supervisor
from rota.orchestrator.duty import Duty
from rota.orchestrator.expirer import Expirer
from rota.orchestrator.pruner import Pruner
from rota.orchestrator.sweeper import Sweeper
from rota.store.port import Settled, Store
from rota.worker.station import GiveBack
from rota.worker.worker import Worker
from tests.simulation.clocks import Machine
from tests.simulation.line import Call, Network
from tests.simulation.liveness import SimLocks, lease_of, liveness_of
from tests.simulation.tables import SimTable
from tests.simulation.tasks import QUEUES, Tasks
from tests.simulation.threads import SimThreads, ask
from tests.simulation.world import KILL, Process, World

START_S = (0.02, 0.25)
"""How long an interpreter takes to start."""

GRACE_S = 2.0


class Nodes:
    """All nodes of a history.

    Args:
        world: Where they are.
        network: Their way to the store.
        tasks: What their workers can do.
    """

    def __init__(self, world: World, network: Network, tasks: Tasks) -> None:
        self.world = world
        self.network = network
        self.tasks = tasks
        self.machines: dict[str, Machine] = {}
        self.is_old: dict[int, bool] = {}

    def start(self, name: str, *, is_old: bool = False) -> Process:
        """Start a node, by its keeper."""
        world = self.world
        if name not in self.machines:
            shared = self.machines and world.chance.random() < world.plan.shared
            self.machines[name] = self.machines[min(self.machines)] if shared else world.add_machine(name)

        async def keep(keeper: Process) -> int:
            return await self._keep(keeper, name, is_old=is_old)

        keeper = world.start("keeper", f"{name}/keeper", self.machines[name], keep)
        self.is_old[keeper.pid] = is_old
        return keeper

    async def _keep(self, keeper: Process, name: str, *, is_old: bool) -> int:
        """Start supervisors, one after another, as ``rota.node.keeper`` does."""
        world, deaths = self.world, 0
        ending = asyncio.Event()
        supervisor: Process | None = None

        def end() -> None:
            ending.set()
            if supervisor is not None:
                world.signal(supervisor, signal.SIGTERM)

        keeper.signals[signal.SIGTERM] = end
        while True:
            started_ns = keeper.machine.boot_ns()
            supervisor = world.start(
                "supervisor", name, keeper.machine, lambda me: self._supervise(me, name, is_old=is_old), parent=keeper
            )
            code, _ = await asyncio.shield(supervisor.ended)
            if ending.is_set() or code in FINAL_CODES:
                return code or 0
            deaths = deaths_in_a_row(deaths, (keeper.machine.boot_ns() - started_ns) / 1e9)
            try:
                await asyncio.wait_for(ending.wait(), wait_s(deaths))
                return 0
            except TimeoutError:
                continue

    async def _supervise(self, me: Process, name: str, *, is_old: bool) -> int:
        world = self.world
        await asyncio.sleep(world.chance.uniform(*START_S))
        store = self.network.line(me)
        clock, telemetry = me.machine, me.telemetry
        duties: list[Duty] = [
            Expirer(store, telemetry),
            Pruner(store, timedelta(days=7), clock, telemetry),
            Sweeper(store, telemetry),
        ]
        supervisor = Supervisor(
            self._order(name),
            SimProcesses(self, me, is_old=is_old),
            store=store,
            liveness=liveness_of(world, me),
            lease=lease_of(world, me, store),
            duties=duties,
            holds_lock=lambda pid: self.network.locked_by is not None and self.network.locked_by.pid == pid,
            clock=clock,
            entropy=me.entropy,
            telemetry=telemetry,
            host=Identity("", 0, me.pid, 0),
        )
        return await supervisor.run()

    def _order(self, name: str) -> NodeOrder:
        plan = self.world.plan
        return NodeOrder(
            store="simulated",
            app="simulated",
            name=name,
            processes=plan.workers,
            concurrency=plan.concurrency,
            queues=list(QUEUES[: plan.queues]),
            grace_s=GRACE_S,
            timeout_grace_s=0.5,
            affinity_wait_s=1.0,
        )


class SimProcesses:
    """Starts simulated workers for one supervisor."""

    def __init__(self, nodes: Nodes, supervisor: Process, *, is_old: bool) -> None:
        self._nodes = nodes
        self._supervisor = supervisor
        self._is_old = is_old

    def table_path(self, proof: str) -> str:
        """Return the name of a table."""
        return proof

    def start(self, start: WorkerStart, *, keeps_log: bool = False) -> SimStarted:
        """Start a worker."""
        world, order = self._nodes.world, start.order

        async def main(process: Process) -> int:
            return await _work(self._nodes, process, start, is_old=self._is_old)

        kind = "alone" if order.is_alone else "worker"
        process = world.start(kind, order.name, self._supervisor.machine, main, parent=self._supervisor)
        table = SimTable(order.table, process)
        world.tables[order.proof] = table
        return SimStarted(world, process, order.proof, table)

    def states(self, pid: int) -> str:
        """Return that nobody waits for a disk."""
        return "S"

    def remains(self, proof: str) -> Remains:
        """Return what a dead worker left."""
        table = self._nodes.world.tables.get(proof)
        return Remains(None, None) if table is None else remains_of(table)

    def remove(self, proof: str) -> None:
        """Remove what a dead worker left."""
        self._nodes.world.tables.pop(proof, None)


class SimStarted:
    """A simulated worker process, as its supervisor has it."""

    def __init__(self, world: World, process: Process, proof: str, table: SimTable) -> None:
        self.pid = process.pid
        self.name = process.name
        self.proof = proof
        self.table = table
        self._world = world
        self._process = process
        self._is_asked = False
        self._killed_why: str | None = None

    def tell(self, number: signal.Signals) -> None:
        """Send it a signal."""
        self._is_asked = self._is_asked or number == signal.SIGTERM
        self._world.signal(self._process, int(number))

    def kill(self, why: str) -> bool:
        """Kill it."""
        is_first = self._process.is_alive and self._killed_why is None
        if self._process.is_alive:
            self._killed_why = self._killed_why or why
        self._world.signal(self._process, KILL)
        return is_first

    def wipe_table(self) -> None:
        """Clear its table."""
        self.table.wipe()

    async def ended(self) -> Ending:
        """Wait for its end."""
        code, number = await asyncio.shield(self._process.ended)
        seconds = self._world.now - self._process.born
        return Ending(code, number, 0, seconds, self._killed_why, self._is_asked)


def _give_back(network: Network, process: Process) -> GiveBack:
    """Return what settles in a thread, while the loop is blocked."""

    def give_back(worker: int, outcomes: Sequence[Outcome]) -> Settled:
        return ask(process, lambda take: network.send(Call(process, "settle", (worker, outcomes), {}, take)))

    return give_back


async def _work(nodes: Nodes, process: Process, start: WorkerStart, *, is_old: bool) -> int:
    """Do what ``rota.app.worker_main`` does."""
    world, order = nodes.world, start.order
    await asyncio.sleep(world.chance.uniform(*START_S) / 2)
    SimLocks(world, process).hold(order.proof)
    await asyncio.sleep(world.chance.uniform(*START_S) / 2)
    store: Store = nodes.network.line(process)
    threads = SimThreads(world, process)
    worker = Worker(
        store,
        nodes.tasks.specs(is_old=is_old),
        order,
        running=world.tables[order.proof],
        clock=process.machine,
        entropy=process.entropy,
        telemetry=process.telemetry,
        give_back=_give_back(nodes.network, process) if world.plan.is_guarded else None,
        threads=threads,
        pid=process.pid,
    )
    process.signals[signal.SIGTERM] = worker.drain
    return await worker.run()
