"""How simulated nodes prove that they live: file locks of simulated kernels, and under leases the line and the timer.

A lock is what a kernel makes of it: it is dropped exactly when its holder ends, paused or not. Under leases each machine has
a kernel, and a folder, of its own, which is empty after the machine was lost.
"""

from __future__ import annotations

import asyncio
from typing import Any

from rota.errors import StoreUnavailableError
from rota.node.kernel_timer import NoTimer
from rota.node.lease import Lease, Tenure
from rota.node.leases import Leases
from rota.node.liveness import MISSING_LOOKS, MISSING_S, Dead, Liveness
from rota.store.port import Membership
from tests.simulation.loop import Handle
from tests.simulation.world import KILL, Process, World


def liveness_of(world: World, process: Process) -> Liveness:
    """Return the policy of a history, for one process."""
    locks = SimLocks(world, process)
    return locks if world.plan.policy == "locks" else Leases(locks, world.plan.lease_ms, process.machine)


def lease_of(world: World, process: Process, store: Any) -> Tenure | None:
    """Return by what right a supervisor runs workers; ``None`` where it cannot run out."""
    if world.plan.policy == "locks":
        return None
    return Lease(
        world.plan.lease_ms,
        SimLine(store),
        NoTimer() if world.plan.runs_on else SimTimer(world, process),
        stops=not world.plan.runs_on,
        clock=process.machine,
        entropy=process.entropy,
        telemetry=process.telemetry,
    )


class SimLocks:
    """Locks of simulated files.

    Args:
        world: Who holds which.
        process: Who holds and looks.
    """

    lease_ms = 0
    folder = "/proof"

    def __init__(self, world: World, process: Process) -> None:
        self._world = world
        self._process = process
        self._is_everyone_here = world.plan.policy == "locks"
        self._missing: dict[str, tuple[int, int]] = {}

    def hold(self, proof: str) -> None:
        """Hold a lock until the process ends."""
        self._world.holders[proof] = self._process

    def refresh(self) -> None:
        """Do nothing: nobody removes files here."""

    def dead(self, seen: Membership, read_began_ns: int) -> Dead:
        """Test the lock of everyone who was seen."""
        return Dead(
            frozenset(node.id for node in seen.nodes if self.is_dead(node.proof)),
            frozenset(worker.id for worker in seen.workers if self.is_dead(worker.proof)),
        )

    def missed(self) -> None:
        """Do nothing: locks are not counted from read to read."""

    def sees(self, proof: str) -> bool:
        """Whether the end of this proof's holder would show here at once."""
        return self.is_held(proof)

    def is_held(self, proof: str) -> bool:
        """Whether the lock was found and is held."""
        holder = self._found(proof)
        return holder is not None and holder.is_alive

    def is_dead(self, proof: str) -> bool:
        """Whether the holder of this proof has ended."""
        holder = self._found(proof)
        if holder is not None:
            self._missing.pop(proof, None)
            return not holder.is_alive
        return self._is_everyone_here and self._is_long_missing(proof)

    def forget(self, proof: str) -> None:
        """Remove the file of a process that has ended."""
        holder = self._found(proof)
        if holder is not None and not holder.is_alive:
            del self._world.holders[proof]

    def _found(self, proof: str) -> Process | None:
        holder = self._world.holders.get(proof)
        return holder if holder is not None and holder.machine is self._process.machine else None

    def _is_long_missing(self, proof: str) -> bool:
        now = self._process.machine.boot_ns()
        first, looks = self._missing.get(proof, (now, 0))
        self._missing[proof] = (first, looks + 1)
        return looks >= MISSING_LOOKS and now - first >= MISSING_S * 1e9


class SimLine:
    """The way on which renewals go."""

    def __init__(self, store: Any) -> None:
        self._store = store

    async def renew(self, node_id: int, counter: int, limit_s: float) -> None:
        """Raise the counter, or say within the limit that it is not known to have been raised."""
        try:
            async with asyncio.timeout(limit_s):
                await self._store.renew(node_id, counter)
        except TimeoutError:
            raise StoreUnavailableError(f"no answer within {limit_s:.3f} s") from None

    def close(self) -> None:
        """Do nothing: calls on their way go on."""


class SimTimer:
    """The kernel's timer: it ends its process at an instant of the machine's clock, whatever the process does."""

    def __init__(self, world: World, process: Process) -> None:
        self._world = world
        self._process = process
        self._timer: Handle | None = None

    def arm(self, at_ns: int) -> None:
        """Let it fall at this instant, and not at the one before."""
        self.disarm()
        machine = self._process.machine
        seconds = max(0, at_ns - machine.boot_ns()) / 1e9 / machine.rate
        self._timer = self._world.loop.after(seconds, self._fall)

    def disarm(self) -> None:
        """Let it not fall."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _fall(self) -> None:
        if self._process.is_alive:
            self._world.counts["seen timer fell"] += 1
            self._world.tell(self._process, "timer falls")
            self._world.signal(self._process, KILL)
