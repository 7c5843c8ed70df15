"""How a node becomes known: under its own name, even if the one before it died under that name a moment ago."""

from __future__ import annotations

import asyncio
import os

from rota.errors import OutcomeUnknownError
from rota.node.identity import Identity
from rota.node.insist import until_answered
from rota.node.order import NodeOrder
from rota.node.unfenced import said
from rota.node.watch import Watch
from rota.runtime.entropy import Entropy
from rota.store.port import NewNode, Registered, Store
from rota.telemetry.telemetry import Telemetry

CLEAR_S = 3.0
SLOW_S = 0.5
"""The store was perhaps away for longer than this, and nobody could renew."""


class Registrar:
    """Registers one node.

    Args:
        order: The node's orders.
        proof: Its proof of life, held already.
        host: Which process it is.
        store: Where it registers.
        watch: Closes what is dead first, so that its names are free.
        lease_ms: Length of its lease; 0 for a proof that needs no clock.
        runs_on: Whether its workers go on when that has run out, which is told to whoever asks.
        entropy: Jitter between tries.
        telemetry: Who is told.
    """

    def __init__(
        self,
        order: NodeOrder,
        proof: str,
        host: Identity,
        *,
        store: Store,
        watch: Watch,
        lease_ms: int,
        runs_on: bool,
        entropy: Entropy,
        telemetry: Telemetry,
    ) -> None:
        self._order = order
        self._new = NewNode(order.name, proof, said(host, runs_on=runs_on), lease_ms)
        self._store = store
        self._watch = watch
        self._entropy = entropy
        self._telemetry = telemetry

    async def register(self) -> Registered:
        """Make the node known, however long the store takes to answer."""
        await self._watch.clear_the_way(CLEAR_S)
        loop = asyncio.get_running_loop()
        began_s = loop.time()
        me = await until_answered(self._once, self._entropy, self._store_is_lost)
        if loop.time() - began_s > SLOW_S:
            self._watch.count_anew()
        self._tell(me)
        return me

    async def _once(self) -> Registered:
        """Register, or find that an attempt whose reply was lost had succeeded: a second row would never be closed."""
        try:
            return await self._store.register_node(self._new)
        except OutcomeUnknownError:
            seen = await self._store.membership()
            for node in seen.nodes:
                if node.proof == self._new.proof:
                    return Registered(node.id, node.name, seen.epoch)
            raise

    def _tell(self, me: Registered) -> None:
        new, order, tell = self._new, self._order, self._telemetry.emit
        tell(
            "node.registered",
            node=me.name,
            incarnation=me.id,
            epoch=me.epoch,
            proof=new.proof,
            lease_ms=new.lease_ms,
        )
        if me.name != order.name:
            tell("node.renamed", node=me.name, asked=order.name)
        tell(
            "supervisor.started",
            node=me.name,
            pid=os.getpid(),
            processes=order.processes,
            concurrency=order.concurrency,
            store=self._store.url,
        )

    def _store_is_lost(self, error: Exception) -> None:
        self._telemetry.emit("store.lost", store=self._store.url, error=error)
