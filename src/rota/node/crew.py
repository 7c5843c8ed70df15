"""The crew: a node's worker processes, and how one is started."""

from __future__ import annotations

import signal
from collections.abc import Iterator

from rota.node.liveness import Liveness
from rota.node.order import NodeOrder, WorkerStart
from rota.node.processes import Processes, Started
from rota.runtime.entropy import Entropy
from rota.telemetry.telemetry import Telemetry
from rota.worker.order import WorkerOrder


class Crew:
    """Starts the worker processes of one node and knows which are not accounted for yet.

    Args:
        node_id: The node's incarnation.
        node: Its ring name.
        order: The node's orders.
        processes: Starts them.
        liveness: Where their files lie.
        entropy: Names of proofs.
        telemetry: Who is told.
    """

    def __init__(
        self,
        node_id: int,
        node: str,
        order: NodeOrder,
        processes: Processes,
        *,
        liveness: Liveness,
        entropy: Entropy,
        telemetry: Telemetry,
    ) -> None:
        self.node_id = node_id
        self.node = node
        self._order = order
        self._processes = processes
        self._liveness = liveness
        self._entropy = entropy
        self._telemetry = telemetry
        self._members: dict[str, Started] = {}

    def __iter__(self) -> Iterator[Started]:
        return iter(list(self._members.values()))

    def has(self, proof: str) -> bool:
        """Whether the holder of this proof was started here and has not been made up for yet."""
        return proof in self._members

    def start(self, name: str, *, is_alone: bool = False) -> Started:
        """Start a worker under this ring name.

        Raises:
            NotNowError: None may be at this moment.
            OSError: No process can be started.
        """
        proof = f"worker-{self._entropy.hex(8)}"
        start = WorkerStart(
            order=self._worker_order(name, proof, is_alone=is_alone),
            app=self._order.app,
            store=self._order.store,
            folder=self._liveness.folder,
            log_format=self._order.log_format,
        )
        process = self._processes.start(start, keeps_log=is_alone)
        self._members[proof] = process
        self._telemetry.emit("worker.started", worker=name, node=self.node, pid=process.pid, alone=is_alone)
        return process

    def dismiss(self, process: Started) -> None:
        """Forget a process that has been reaped and whose row is closed."""
        self._members.pop(process.proof, None)

    def ask_to_end(self) -> None:
        """Ask every process to drain."""
        for process in self:
            process.tell(signal.SIGTERM)

    def end_now(self, why: str) -> None:
        """Kill every process, and its group, on behalf of whoever asked the node to end: nobody is blamed."""
        for process in self:
            process.tell(signal.SIGTERM)
            if process.kill(why):
                self._telemetry.emit("worker.killed", worker=process.name, pid=process.pid, why=why)

    def _worker_order(self, name: str, proof: str, *, is_alone: bool) -> WorkerOrder:
        order = self._order
        return WorkerOrder(
            node_id=self.node_id,
            name=name,
            proof=proof,
            table=self._processes.table_path(proof),
            queues=order.queues,
            concurrency=1 if is_alone else order.concurrency,
            weight=order.weight,
            is_alone=is_alone,
            grace_s=order.grace_s,
            timeout_grace_s=order.timeout_grace_s,
            affinity_wait_s=order.affinity_wait_s,
        )
