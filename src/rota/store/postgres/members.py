"""Who is there. The protocol is in the functions; see ``rota.store.port``."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from rota.errors import NodeClosedError
from rota.store.port import DepartedRow, Membership, NewNode, NewWorker, NodeRow, Registered, WorkerRow
from rota.store.postgres.errors import node_closed
from rota.store.postgres.subject import Subject, numbers_of

_nodes = msgspec.json.Decoder(list[NodeRow])
_workers = msgspec.json.Decoder(list[WorkerRow])


class PostgresMembers(Subject):
    """``rota.store.port.Members`` on PostgreSQL."""

    async def register_node(self, node: NewNode) -> Registered:
        """Make a node known. Each call is a new incarnation."""
        record = await self._server.row("register_node", self._now(), node.name, node.proof, node.host, node.lease_ms)
        return Registered(record["id"], record["name"], record["epoch"])

    async def renew(self, node_id: int, counter: int) -> None:
        """Raise the node's lease counter; see the port."""
        if not await self._server.value("renew_node", node_id, counter):
            raise node_closed(node_id)

    async def close_node(self, node_id: int, counter: int) -> bool:
        """Declare a node dead if its counter still is ``counter``; see the port."""
        return bool(await self._server.value("close_node", self._now(), node_id, counter))

    async def register_worker(self, worker: NewWorker) -> Registered:
        """Make a worker known and raise the epoch; see the port."""
        await self._names.learn(worker.queues, worker.tasks)
        record = await self._server.row(
            "register_worker",
            self._now(),
            worker.node_id,
            worker.name,
            worker.proof,
            list(worker.queues),
            list(worker.tasks),
            worker.weight,
            worker.is_alone,
            worker.pid,
        )
        return Registered(
            record["id"],
            record["name"],
            record["epoch"],
            numbers_of(worker.queues, self._names.queues),
            numbers_of(worker.tasks, self._names.tasks),
        )

    async def drain_worker(self, worker: int) -> None:
        """Take a worker out of the ring; it may still settle."""
        await self._server.call("drain_worker", worker)

    async def close_worker(self, worker: int) -> bool:
        """Declare a worker dead; see the port."""
        return bool(await self._server.value("close_worker", self._now(), worker))

    async def closed_workers_with_jobs(self) -> Sequence[WorkerRow]:
        """Return closed workers that still have claims rows."""
        return _workers.decode(await self._server.value("worker_rows", False, writes=False))

    async def departed(self, limit: int = 100) -> Sequence[DepartedRow]:
        """Return the workers that were closed last, newest first."""
        return [DepartedRow(*record) for record in await self._server.call("list_departed", limit, writes=False)]

    async def membership(self, known: Membership | None = None) -> Membership:
        """Return everyone who is open, at one moment; see the port."""
        record = await self._server.row("membership", known and known.epoch, writes=False)
        workers = _workers.decode(record["workers"])
        if known is not None and known.epoch == record["epoch"]:
            on_the_ring = (worker for worker in known.workers if not worker.is_alone)
            workers = sorted((*on_the_ring, *workers), key=lambda worker: worker.id)
        return Membership(record["epoch"], _nodes.decode(record["nodes"]), workers, record["orchestrator"])

    async def take_house(self, node_id: int) -> int:
        """Become orchestrator if the place is vacant; see the port."""
        holder = await self._server.value("take_house", node_id)
        if holder is None:
            raise NodeClosedError(f"node {node_id} is closed and cannot keep the house.", node=node_id)
        return int(holder)
