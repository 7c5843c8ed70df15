"""The watch: every supervisor watches every node, twice a second, and rescues what the dead held.

    read who is open ─▶ judge by proof of life ─┬─ node dead       ─▶ close it; then each worker of it, once *its own* proof
                                                │                     is gone, is closed and what it held released
                                                ├─ worker dead,
                                                │  its node alive  ─▶ the same, if its supervisor has not done it within a
                                                │                     second (it is stopped, or cut off)
                                                └─ closed, and holds jobs still ─▶ somebody died half way: release

A read that fails ends the look and proves nothing; what is counted from read to read starts over. So it does while our own
renewals are not answered: a store that can be read and not written, as with a full disk, silences everybody. Looks are safe to
repeat and may be done by any number of supervisors at once: closing is compare-and-set, a second release finds nothing left.
While a second is given to somebody, the next look is at its end, and not half a second after the last that came too early.

Invariants, each with the test that holds it:
    Nothing is closed on a failed read.                            tests/unit/node/test_watch.py
    A worker is rescued only once its own proof is gone.           tests/unit/node/test_watch.py
    A living node's worker is left to its own supervisor first.    tests/unit/node/test_watch.py
    The look that ends its second is not late.                     tests/unit/node/test_watch.py
    Silence is no evidence for who is not heard either.            tests/unit/node/test_watch.py
    Nor for who had to wait for its own registration.              tests/unit/node/test_registrar.py
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Collection, Mapping

from rota.errors import StoreError
from rota.node.identity import Identity, members_of_group, read_identity
from rota.node.insist import ANSWER_S
from rota.node.lease import Tenure
from rota.node.liveness import Liveness
from rota.node.peers import Peers
from rota.node.process import PROOF_VARIABLE, kill_strays
from rota.node.rescuer import Rescuer
from rota.runtime.clock import Clock
from rota.store.port import Membership, NodeRow, Store, WorkerRow
from rota.telemetry.telemetry import Telemetry

LOOK_S = 0.5
SOON_S = 0.01
SOON_LOOKS_MAX = 300
OWN_SUPERVISOR_S = 1.0
READ_S = 5.0
WHOLE_LOOKS = 20
"""So often a look reads all workers, whatever the epoch: one of a server that lost commits may mean others."""


class Watch:
    """One supervisor's look at all nodes.

    Args:
        name: Ring name of the node that looks.
        store: Where everyone is registered.
        liveness: Who is dead.
        tenure: The node's own lease, which says whether its renewals are answered.
        rescuer: Rescues.
        clock: How long something has been so.
        telemetry: Who is told.
        own: Which process this supervisor is.

    Attributes:
        node_id: The node's own incarnation, once it has one.
        is_ours: Whether this supervisor has the holder of a proof in hand; of its own node's workers it has all.
        disowned: Set when others have closed this node.
    """

    def __init__(
        self,
        name: str,
        *,
        store: Store,
        liveness: Liveness,
        tenure: Tenure,
        rescuer: Rescuer,
        clock: Clock,
        telemetry: Telemetry,
        own: Identity,
    ) -> None:
        self.node_id: int | None = None
        self.is_ours: Callable[[str], bool] = lambda _: False
        self.disowned = asyncio.Event()
        self._name = name
        self._store = store
        self._liveness = liveness
        self._tenure = tenure
        self._outages = 0
        self._rescuer = rescuer
        self._clock = clock
        self._telemetry = telemetry
        self._own = own
        self._peers = Peers(own, self.notice)
        self._news = asyncio.Event()
        self._since: dict[int, int] = {}
        self._due_ns: int | None = None
        self._hosts: dict[int, Identity | None] = {}
        self._seen: Membership | None = None
        self._looks = 0
        self._soon = 0
        self._failures = 0

    def notice(self) -> None:
        """Look now."""
        self._news.set()

    async def run(self) -> None:
        """Look twice a second, when a second that was given is over, and at once when there is news, until cancelled."""
        try:
            while True:
                is_waiting = await self.look()
                self._soon = self._soon + 1 if is_waiting else 0
                await self._pause(SOON_S if 0 < self._soon <= SOON_LOOKS_MAX else self.rest_s)
        finally:
            self._peers.close()

    @property
    def rest_s(self) -> float:
        """How long after a look the next one is: half a second, or until the first second is over that it found begun."""
        if self._due_ns is None:
            return LOOK_S
        return min(LOOK_S, max(SOON_S, (self._due_ns - self._clock.boot_ns()) / 1e9))

    def count_anew(self) -> None:
        """Take no silence until now for death: there may have been an outage in which this supervisor did not look."""
        self._liveness.missed()

    async def clear_the_way(self, seconds: float) -> None:
        """Before registering: close what is dead, so that its names are free again. Gives up after so many seconds."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                while await self.look():  # noqa: ASYNC110 - what is awaited is another process's end.
                    await asyncio.sleep(SOON_S)
                await self._rescuer.drained()

    async def look(self) -> bool:
        """Look once; return whether a death has begun that should be looked at again at once."""
        with contextlib.suppress(OSError):
            self._liveness.refresh()
        began = self._clock.boot_ns()
        self._due_ns = None
        is_read = False
        try:
            async with asyncio.timeout(READ_S):
                seen = self._seen = await self._store.membership(self._known())
            is_read = True
            self._doubt_silence()
            async with asyncio.timeout(ANSWER_S):
                has_begun = await self._judge(seen, began)
        except (StoreError, TimeoutError) as error:
            if not is_read:
                self._liveness.missed()
            self._failures += 1
            if self._failures.bit_count() == 1:  # The 1st, 2nd, 4th, 8th … in a row: it looks twice a second.
                self._telemetry.emit("watch.failed", node=self._name, error=error)
            return False
        self._failures = 0
        return has_begun

    def _known(self) -> Membership | None:
        """Return what was seen last, to be told only what is new; now and then nothing, for a server that was set back."""
        self._looks += 1
        return self._seen if self._looks % WHOLE_LOOKS else None

    def _doubt_silence(self) -> None:
        """Count anew while our own renewals are not answered, and once more when they are: only then can others' be, too."""
        outages = self._tenure.outages
        if self._tenure.is_unheard or outages != self._outages:
            self._outages = outages
            self._liveness.missed()

    async def _judge(self, seen: Membership, began_ns: int) -> bool:
        dead = self._liveness.dead(seen, began_ns)
        self._remember(seen)
        gone = [node for node in seen.nodes if node.id in dead.nodes and node.id != self.node_id]
        closed = {node.id for node in gone if await self._close(node, has_expired=node.id in dead.expired)}
        open_nodes = {node.id for node in seen.nodes} - closed
        if self.node_id is not None and self.node_id not in open_nodes:
            self.disowned.set()
        newest = {worker.proof: worker.id for worker in sorted(seen.workers, key=lambda worker: worker.id)}
        waiting = [
            self._look_at_own(worker, newest)
            if worker.node_id == self.node_id
            else self._look_at(worker, is_dead=worker.id in dead.workers, has_node=worker.node_id in open_nodes)
            for worker in seen.workers
        ]
        await self._look_at_closed(open_nodes, seen)
        return any(waiting) or len(closed) < len(gone)

    async def _close(self, node: NodeRow, *, has_expired: bool) -> bool:
        """Close a node if it is still as it was seen; ``False`` if somebody was quicker, which the next look will show."""
        began = self._clock.boot_ns()
        is_closed = await self._store.close_node(node.id, node.counter)
        if is_closed:
            lease = f"its lease of {node.lease_ms / 1_000:g} s ran out at counter {node.counter}"
            if not has_expired:
                self._liveness.forget(node.proof)
            self._telemetry.emit(
                "node.closed",
                node=node.name,
                incarnation=node.id,
                by=self._name,
                evidence=lease if has_expired else f"its proof of life {node.proof} is gone",
                seconds=(self._clock.boot_ns() - began) / 1e9,
            )
        return is_closed

    def _look_at_own(self, worker: WorkerRow, newest: Mapping[str, int]) -> bool:
        """Close rows of this node that no process stands behind.

        A registration can arrive after its sender's end; and a worker whose registration was answered only at the second
        try has two rows, of which it goes by the newer.
        """
        if not self.is_ours(worker.proof):
            self._rescue(worker, is_node_lost=False)
        elif newest[worker.proof] != worker.id:
            self._rescuer.close_double(worker)
        return False

    def _look_at(self, worker: WorkerRow, *, is_dead: bool, has_node: bool) -> bool:
        """Judge an open worker of another node; return whether its end should be awaited soon."""
        if not is_dead:
            self._since.pop(worker.id, None)
            return not has_node and self._liveness.sees(worker.proof)
        if has_node and not self._has_lasted(worker.id):
            return False
        self._rescue(worker, is_node_lost=not has_node)
        return False

    async def _look_at_closed(self, open_nodes: Collection[int], seen: Membership) -> None:
        """Go on with releases that somebody has left off, once they have had a second."""
        left = await self._store.closed_workers_with_jobs()
        for worker in left:
            if self._has_lasted(worker.id):
                self._rescue(worker, is_node_lost=worker.node_id not in open_nodes)
        known = {worker.id for worker in (*seen.workers, *left)}
        self._since = {id_: since for id_, since in self._since.items() if id_ in known}

    def _has_lasted(self, worker: int) -> bool:
        """Whether a worker has been given its second; else the next look is when it will have been."""
        now = self._clock.boot_ns()
        over = self._since.setdefault(worker, now) + round(OWN_SUPERVISOR_S * 1e9)
        if now < over:
            self._due_ns = over if self._due_ns is None else min(over, self._due_ns)
        return now >= over

    def _rescue(self, worker: WorkerRow, *, is_node_lost: bool) -> None:
        if self._rescuer.is_at_work_on(worker.id):
            return
        host = self._hosts.get(worker.node_id)
        if host is not None and host.is_beside(self._own):
            strays = members_of_group(worker.pid, f"{PROOF_VARIABLE}={worker.proof}")
            kill_strays(strays)
            if strays:
                self._telemetry.emit("workers.left", worker=worker.name, pid=worker.pid, processes=len(strays))
        self._rescuer.rescue_lost(worker, is_node_lost=is_node_lost)

    def _remember(self, seen: Membership) -> None:
        """Keep each node's host for as long as it has workers, since a closed node is not seen any more."""
        needed = {worker.node_id for worker in seen.workers} | {node.id for node in seen.nodes}
        self._hosts = {id_: host for id_, host in self._hosts.items() if id_ in needed}
        self._hosts.update({node.id: read_identity(node.host) for node in seen.nodes})
        self._peers.follow(seen.nodes)

    async def _pause(self, seconds: float) -> None:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._news.wait()
        self._news.clear()
