"""What a node is told, and what it passes on to each worker process, as JSON."""

from __future__ import annotations

from msgspec import Struct

from rota.worker.order import WorkerOrder


class NodeOrder(Struct, frozen=True):
    """One node's orders, from the command line.

    They reach the supervisor on its standard input and never as arguments or environment: the store's address may hold a
    password, and both can be read by others.

    Attributes:
        store: The store's address.
        app: The application, ``module:name``; imported by the workers only.
        name: The node's name on the ring.
        processes: Worker processes, 1 to 256.
        concurrency: Jobs at once in each of them.
        queues: Queues to serve; empty for all that the app's tasks name.
        weight: Weight of each worker on the ring.
        grace_s: How long running jobs may go on after the node was asked to end.
        timeout_grace_s: How long a ``def`` handler may overrun its time limit before its process is recycled.
        affinity_wait_s: The longest that a keyed job waits for its own worker before another takes it.
        write_limit_s: How long a worker may stand still inside a write before it is killed.
        retention_days: How long finished jobs are kept.
        log_format: ``lines`` for people, ``json`` for machines.
        is_again: The keeper starts the supervisor again: the node was up, so a store that cannot be reached is waited for.
        settings: How the app wants its store opened, by the names of ``rota.app.config.Config``; what is not named is
            looked for in environment and files.
    """

    store: str
    app: str
    name: str
    processes: int = 1
    concurrency: int = 8
    queues: list[str] = []
    weight: int = 1
    grace_s: float = 25.0
    timeout_grace_s: float = 10.0
    affinity_wait_s: float = 5.0
    write_limit_s: float = 2.0
    retention_days: float = 7.0
    log_format: str = "lines"
    is_again: bool = False
    settings: dict[str, str | int | float] = {}


class WorkerStart(Struct, frozen=True):
    """All that a worker process needs to begin; it reads this from its standard input.

    Attributes:
        order: What the worker itself is told.
        app: The application to import, ``module:name``.
        store: The store's address.
        folder: Where proofs of life and running tables lie.
        log_format: As in ``NodeOrder``.
    """

    order: WorkerOrder
    app: str
    store: str
    folder: str
    log_format: str = "lines"
