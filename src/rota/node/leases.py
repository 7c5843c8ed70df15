"""How nodes on many machines see that one of them is dead: by a counter that stands still.

    node ──renew──▶ counter 17, 18, 19, 19, 19 …        seen twice a second by every other node
                             ▲
                             first seen ── a full lease, on the observer's own clock ──▶ still 19? dead

An observer counts from the *return* of the read in which it first saw a value, and judges by a read that was *begun* a full
lease later. The holder counts from before it *sent* the renewal, and its kernel kills it and its workers at 5.5/8 of the
lease (``rota.node.lease``). So no two clocks are ever compared, and the holder is gone before the observer can be sure, as
long as their clocks' rates differ by less than 8 to 5.5.

Beside that every process holds a file lock in a folder of its host. Where the lock can be found, it tells more, and sooner:
free, and the process has ended, now; held, and it has not, whatever a lease says.

Workers have no lease of their own: the kernel ends them with their node. So a worker is dead

    - when its lock is found free; or
    - when *this* observer has seen its node's lease run out, by a read in which the worker was there; or
    - when it has been seen without an open node for a full lease. That its node is closed is no proof by itself: whoever closed
      it may have known of the supervisor's end alone, and the workers' comes some milliseconds later.

Invariants, each with the test that holds it:
    Judged only by a read begun a full lease after the first sight.         tests/unit/node/test_leases.py
    After a failed or slow read the count starts over.                      tests/unit/node/test_leases.py
    So it does while our own renewals are not answered.                     tests/unit/node/test_watch.py
    A worker under a closed node is given a full lease.                     tests/unit/node/test_leases.py
    Nobody whose lock is seen held is dead.                                 tests/unit/node/test_leases.py

Not here: how a node keeps its lease, and what it does when it cannot (``rota.node.lease``).
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Protocol

from msgspec import Struct

from rota.node.liveness import Dead
from rota.runtime.clock import Clock
from rota.store.port import Membership, NodeRow, WorkerRow

SLOW_PART = 4
"""A read that takes longer than this part of the lease counts as failed: the store hung, and so did the renewals."""


class Locks(Protocol):
    """File locks of the processes that live on this host; ``rota.node.liveness.FileLocks``."""

    @property
    def folder(self) -> str:
        """Where their files lie."""
        ...

    def hold(self, proof: str) -> None:
        """Take the lock of this name until the process ends."""
        ...

    def refresh(self) -> None:
        """Mend what others did to the locks that this process holds."""
        ...

    def is_dead(self, proof: str) -> bool:
        """Whether the lock was found and is free."""
        ...

    def is_held(self, proof: str) -> bool:
        """Whether the lock was found and is held."""
        ...

    def forget(self, proof: str) -> None:
        """Remove the file of a process that has ended."""
        ...


class _Sight(Struct):
    """A counter's value, and when it was first seen."""

    counter: int
    first_ns: int


class Leases:
    """``rota.node.liveness.Liveness`` by counter leases, and by file locks for those who live beside us.

    Args:
        locks: The locks of this host.
        lease_ms: Length of the own node's lease. Others are judged by theirs.
        clock: The observer's own time.
    """

    def __init__(self, locks: Locks, lease_ms: int, clock: Clock) -> None:
        self.lease_ms = lease_ms
        self._locks = locks
        self._clock = clock
        self._sights: dict[int, _Sight] = {}
        self._lost: dict[int, int] = {}
        self._orphaned: dict[int, int] = {}

    @property
    def folder(self) -> str:
        """Where files of this host's processes lie."""
        return self._locks.folder

    @property
    def remembered(self) -> int:
        """How many facts of others are kept, for tests of leaks."""
        return len(self._sights) + len(self._lost) + len(self._orphaned)

    def hold(self, proof: str) -> None:
        """Take the file lock. The lease is kept by ``rota.node.lease``.

        Raises:
            OSError: The file cannot be made.
        """
        self._locks.hold(proof)

    def refresh(self) -> None:
        """Keep the file lock."""
        self._locks.refresh()

    def forget(self, proof: str) -> None:
        """Remove the lock file of a process that has ended, if it lies here."""
        self._locks.forget(proof)

    def sees(self, proof: str) -> bool:
        """Whether the holder's lock lies here: then its end shows at once."""
        return self._locks.is_held(proof)

    def missed(self) -> None:
        """Start over: while the store could not be read, or written by us, nobody could renew either."""
        self._sights.clear()

    def dead(self, seen: Membership, read_began_ns: int) -> Dead:
        """Judge everyone who was seen open, by a read that began at that instant and has just returned."""
        now = self._clock.boot_ns()
        if now - read_began_ns > self.lease_ms * 1_000_000 // SLOW_PART:
            self.missed()
        free = frozenset(node.id for node in seen.nodes if self._locks.is_dead(node.proof))
        expired = frozenset(node.id for node in seen.nodes if self._has_expired(node, read_began_ns, now)) - free
        self._forget_the_gone(seen)
        self._lost.update({worker.id: worker.node_id for worker in seen.workers if worker.node_id in expired})
        has_node = {node.id for node in seen.nodes}
        workers = frozenset(
            worker.id
            for worker in seen.workers
            if self._is_worker_dead(worker, now, has_node=worker.node_id in has_node)
        )
        return Dead(free | expired, workers, expired)

    def _has_expired(self, node: NodeRow, read_began_ns: int, now_ns: int) -> bool:
        sight = self._sights.get(node.id)
        if sight is None or sight.counter != node.counter:
            self._sights[node.id] = _Sight(node.counter, now_ns)
            self._forgive(node.id)
            return False
        return node.lease_ms > 0 and read_began_ns - sight.first_ns >= node.lease_ms * 1_000_000

    def _forgive(self, node_id: int) -> None:
        """Take back what was said of a node's workers: it has renewed after all, and answers for them itself."""
        self._lost = {worker: node for worker, node in self._lost.items() if node != node_id}

    def _is_worker_dead(self, worker: WorkerRow, now_ns: int, *, has_node: bool) -> bool:
        if self._locks.is_dead(worker.proof):
            return True
        if has_node:
            self._orphaned.pop(worker.id, None)
            is_over = worker.id in self._lost
        else:
            since = self._orphaned.setdefault(worker.id, now_ns)
            lease_ms = worker.lease_ms or self.lease_ms
            is_over = worker.id in self._lost or now_ns - since >= lease_ms * 1_000_000
        return is_over and not self._locks.is_held(worker.proof)

    def _forget_the_gone(self, seen: Membership) -> None:
        _keep_only(self._sights, (node.id for node in seen.nodes))
        workers = [worker.id for worker in seen.workers]
        _keep_only(self._lost, workers)
        _keep_only(self._orphaned, workers)


def _keep_only(facts: dict[int, int] | dict[int, _Sight], ids: Iterable[int]) -> None:
    for gone in facts.keys() - set(ids):
        del facts[gone]
