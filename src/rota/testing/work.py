"""Doing the jobs in the test's own process, by the same worker that runs in production."""

from __future__ import annotations

import asyncio

from rota.app.blocking import is_in_loop
from rota.app.rota import Rota
from rota.errors import UsageError
from rota.model.outcome import WORKER_ENDED, Failure
from rota.store.port import Blame, NewNode, Store
from rota.telemetry.telemetry import Telemetry
from rota.testing.given import check_app, check_concurrency
from rota.worker.order import WorkerOrder
from rota.worker.worker import Worker

_LEFT = Failure(WORKER_ENDED, "the test's worker has ended")


def run_until_idle(app: Rota, *, concurrency: int = 8) -> None:
    """Run every job that is due, and those that they submit, until there is nothing left to do; then return.

    A job that is scheduled for later, or backs off, is left until the clock has been moved. What a handler raises goes where
    it goes in production: into the job. ``token.result()`` raises it.

    Args:
        concurrency: Jobs at once.

    Raises:
        UsageError: Called in a running event loop; await ``run_until_idle_async`` there.
        TypeError: ``app`` is no app, or ``concurrency`` no whole number.
        ValueError: ``concurrency`` is below 1.
    """
    if is_in_loop():
        raise UsageError(
            "run_until_idle() was called in a running event loop. Write `await run_until_idle_async(app)`."
        )
    check_app(app, "run_until_idle")
    asyncio.run(_in_own_loop(app, concurrency))


async def run_until_idle_async(app: Rota, *, concurrency: int = 8) -> None:
    """Do the same as ``run_until_idle`` from async code."""
    check_app(app, "run_until_idle")
    check_concurrency(concurrency, "run_until_idle")
    store = (await app._session()).store
    queues = sorted({*app.queues, *(queue.name for queue in await store.queues())})
    node = await store.register_node(NewNode(name="test", proof="", host="{}"))
    order = WorkerOrder(
        node_id=node.id, name=f"{node.name}/1", proof="", table="", queues=queues, concurrency=concurrency
    )
    worker = Worker(
        store, app.specs, order, running=None, clock=app._clock, entropy=app._entropy, telemetry=Telemetry(sinks=())
    )
    try:
        await worker.run_until_idle()
    finally:
        await _leave(store, node.id)


async def _in_own_loop(app: Rota, concurrency: int) -> None:
    try:
        await run_until_idle_async(app, concurrency=concurrency)
    finally:
        await app._connection.leave_loop()


async def _leave(store: Store, node_id: int) -> None:
    """Take the worker and its node out again; what it still holds goes back, blaming nobody."""
    for row in (await store.membership()).workers:
        if row.node_id == node_id:
            await store.close_worker(row.id)
            while not (await store.release(row.id, Blame(running=(), failure=_LEFT, forgives=True))).is_complete:
                pass
    await store.close_node(node_id, 0)
