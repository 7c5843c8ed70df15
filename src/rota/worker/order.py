"""What a worker process is told by its supervisor, as JSON."""

from __future__ import annotations

from msgspec import Struct

DRAINED = 0
"""Exit code of a worker that was asked to end and has nothing left to do."""

CLOSED = 70
"""Exit code of a worker that found itself declared dead, or could not register."""

RECYCLE = 75
"""Exit code of a worker that must be replaced: a handler overran its time limit and did not come back."""


class WorkerOrder(Struct, frozen=True):
    """One worker process's orders.

    Attributes:
        node_id: Incarnation of the node that it belongs to.
        name: Its name on the ring, ``node/1``; its successor after a crash gets the same.
        proof: Name under which it proves that it lives; see ``rota.node.liveness``.
        table: Path of its running table, made by the supervisor.
        queues: Queues to serve; empty for all that the app's tasks name.
        concurrency: Jobs at once, 1 to 1,024.
        weight: Its weight on the ring.
        is_alone: Run one suspect alone, then end.
        grace_s: How long running jobs may go on after it was asked to end.
        timeout_grace_s: How long a ``def`` handler may overrun its time limit before the process is recycled.
        affinity_wait_s: The longest that a keyed job waits for the worker whose slot it is before another takes it.
        sweep_s: How often it compares what it holds with what the store says.
    """

    node_id: int
    name: str
    proof: str
    table: str
    queues: list[str] = []
    concurrency: int = 8
    weight: int = 1
    is_alone: bool = False
    grace_s: float = 25.0
    timeout_grace_s: float = 10.0
    affinity_wait_s: float = 5.0
    sweep_s: float = 8.0
