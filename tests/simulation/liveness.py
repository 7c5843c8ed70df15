"""How simulated nodes prove that they live.

``SimLocks`` is what file locks come to: the kernel drops a lock exactly when its holder ends, paused or not.
"""

from __future__ import annotations

from rota.node.liveness import MISSING_LOOKS, MISSING_S, Dead
from rota.store.port import Membership
from tests.simulation.world import Process, World


class SimLocks:
    """Locks of simulated files, all in one kernel.

    Args:
        world: Whose kernel.
        process: Who holds and looks.
    """

    lease_ms = 0
    folder = "/proof"

    def __init__(self, world: World, process: Process) -> None:
        self._world = world
        self._process = process
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
        """Whether the holder of this proof lives, as far as can be seen from here."""
        holder = self._world.holders.get(proof)
        return holder is not None and holder.is_alive

    def is_dead(self, proof: str) -> bool:
        """Whether the holder of this proof has ended."""
        holder = self._world.holders.get(proof)
        if holder is not None:
            self._missing.pop(proof, None)
            return not holder.is_alive
        now = self._process.machine.boot_ns()
        first, looks = self._missing.get(proof, (now, 0))
        self._missing[proof] = (first, looks + 1)
        return looks >= MISSING_LOOKS and now - first >= MISSING_S * 1e9

    def forget(self, proof: str) -> None:
        """Remove the file of a process that has ended."""
        holder = self._world.holders.get(proof)
        if holder is not None and not holder.is_alive:
            del self._world.holders[proof]
