"""Who is there: nodes, workers, the ring epoch, the orchestrator's place."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import apsw
import msgspec

from rota.errors import NodeClosedError
from rota.store.port import DepartedRow, Membership, NewNode, NewWorker, NodeRow, Registered, Wake, WorkerRow
from rota.store.sqlite.bulk import fetch
from rota.store.sqlite.writer import MUST_WRITE, News
from rota.store.statements import load

SQL = load("sqlite")


def register_node(db: apsw.Connection, node: NewNode, now: int) -> Registered:
    """Make a node known under a name that no open node has; one with the same proof is itself, asking again."""
    epoch = db.execute(SQL["membership"]).get[0]
    known = db.execute(SQL["node_by_proof"], (node.proof,)).get if node.proof else None
    if known is not None:
        return Registered(id=known[0], name=known[1], epoch=epoch)
    name = _free_name(db, "node_named", node.name)
    node_id = db.execute(SQL["insert_node"], (name, node.proof, node.host, node.lease_ms, now)).get
    return Registered(id=node_id, name=name, epoch=epoch)


def renew(db: apsw.Connection, node_id: int, counter: int) -> None:
    """Raise a node's lease counter.

    Raises:
        NodeClosedError: The node has been closed.
    """
    if db.execute(SQL["renew_node"], (node_id, counter)).get is None:
        raise _closed_node(node_id)


def close_node(db: apsw.Connection, news: News, node_id: int, counter: int, now: int) -> bool:
    """Declare a node dead if its counter is still the one that was seen."""
    is_closed = db.execute(SQL["close_node"], (node_id, counter, now)).get is not None
    if is_closed:
        news.tell(Wake(is_epoch=True))
    return is_closed


def register_worker(
    db: apsw.Connection, news: News, worker: NewWorker, queues: Mapping[str, int], tasks: Mapping[str, int], now: int
) -> Registered:
    """Make a worker known under a name that no open worker has; one with the same proof is itself, asking again.

    Raises:
        NodeClosedError: Its node has been closed.
    """
    if db.execute(SQL["node_is_open"], (worker.node_id,)).get is None:
        raise _closed_node(worker.node_id)
    known = db.execute(SQL["worker_by_proof"], (worker.node_id, worker.proof)).get if worker.proof else None
    if known is None:
        name = _free_name(db, "worker_named", worker.name)
        knows = (_json(worker.queues), _json(worker.tasks))
        row = (worker.node_id, name, worker.proof, *knows, worker.weight, worker.is_alone, worker.pid, now)
        known = (db.execute(SQL["insert_worker"], row).get, name)
        if not worker.is_alone:
            _raise_epoch(db, news)
    worker_id, name = known
    epoch = db.execute(SQL["membership"]).get[0]
    return Registered(
        id=worker_id,
        name=name,
        epoch=epoch,
        queue_ids={queue: queues[queue] for queue in worker.queues},
        task_ids={task: tasks[task] for task in worker.tasks},
    )


def drain_worker(db: apsw.Connection, news: News, worker: int) -> None:
    """Take a worker out of the ring."""
    if db.execute(SQL["drain_worker"], (worker,)).get == 0:
        _raise_epoch(db, news)


def close_worker(db: apsw.Connection, news: News, worker: int, now: int) -> bool:
    """Declare a worker dead; return whether this call did."""
    is_alone = db.execute(SQL["close_worker"], (worker, now)).get
    if is_alone == 0:
        _raise_epoch(db, news)
    return is_alone is not None


def look_before_house(db: apsw.Connection) -> Any:
    """Return who keeps the house, or ``MUST_WRITE`` when the place is vacant."""
    holder = db.execute(SQL["membership"]).get[1]
    return MUST_WRITE if holder is None else holder


def take_house(db: apsw.Connection, node_id: int) -> int:
    """Become orchestrator if the place is vacant; return who it is.

    Raises:
        NodeClosedError: The node that asks has been closed.
    """
    if db.execute(SQL["node_is_open"], (node_id,)).get is None:
        raise _closed_node(node_id)
    holder: int = db.execute(SQL["take_house"], (node_id,)).get
    return holder


def membership(db: apsw.Connection) -> Membership:
    """Return everyone who is open."""
    epoch, orchestrator = db.execute(SQL["membership"]).get
    workers = [_worker_row(row) for row in db.execute(SQL["open_workers"])]
    drains: dict[int, bool] = {}
    for worker in workers:
        if not worker.is_alone:
            drains[worker.node_id] = drains.get(worker.node_id, True) and worker.is_draining
    nodes = [NodeRow(*(*row, drains.get(row[0], False))) for row in fetch(db, SQL["open_nodes"])]
    return Membership(epoch=epoch, nodes=nodes, workers=workers, orchestrator=orchestrator)


def closed_workers_with_jobs(db: apsw.Connection) -> Sequence[WorkerRow]:
    """Return the closed workers that have claims left."""
    return [_worker_row(row) for row in db.execute(SQL["closed_workers"])]


def departed(db: apsw.Connection, limit: int) -> Sequence[DepartedRow]:
    """Return the workers that were closed last, newest first."""
    rows: list[tuple[Any, ...]] = db.execute(SQL["list_departed"], (limit,)).fetchall()
    return [
        DepartedRow(
            id=worker_id,
            name=name,
            queues=msgspec.json.decode(queues),
            weight=weight,
            is_alone=bool(is_alone),
            registered_at=registered_at,
            closed_at=closed_at,
        )
        for worker_id, name, queues, weight, is_alone, registered_at, closed_at in rows
    ]


def _worker_row(row: tuple[Any, ...]) -> WorkerRow:
    (
        worker_id,
        node_id,
        name,
        proof,
        queues,
        tasks,
        weight,
        is_alone,
        is_draining,
        pid,
        registered_at,
        held,
        lease_ms,
    ) = row
    return WorkerRow(
        id=worker_id,
        node_id=node_id,
        name=name,
        proof=proof,
        queues=msgspec.json.decode(queues),
        tasks=msgspec.json.decode(tasks),
        weight=weight,
        is_alone=bool(is_alone),
        is_draining=bool(is_draining),
        pid=pid,
        registered_at=registered_at,
        held=held or 0,
        lease_ms=lease_ms or 0,
    )


def _raise_epoch(db: apsw.Connection, news: News) -> None:
    news.tell(Wake(is_epoch=True))
    db.execute(SQL["raise_epoch"])


def _free_name(db: apsw.Connection, statement: str, wanted: str) -> str:
    """Return the name, or with the first suffix from 2 on that makes it unique among the living."""
    name, number = wanted, 1
    while db.execute(SQL[statement], (name,)).get is not None:
        number += 1
        name = f"{wanted}~{number}"
    return name


def _closed_node(node_id: int) -> NodeClosedError:
    return NodeClosedError(
        f"node {node_id} was declared dead, or was never there. Nothing was written. Its workers are being ended and their "
        "jobs given to others; start the node again.",
        node=node_id,
    )


def _json(names: Sequence[str]) -> str:
    return msgspec.json.encode(list(names)).decode()
