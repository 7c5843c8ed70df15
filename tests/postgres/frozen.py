"""A worker's process that is stopped in the middle of a claim whose reply does not fit into the network's buffers.

Run as ``python -m tests.postgres.frozen URL SCHEMA WORKER QUEUE SILENCE_S``; it says ``claiming`` and stops itself. Until its
rows are sent the server holds the claim's transaction open, and with it the rows and the worker's own.
"""

from __future__ import annotations

import asyncio
import os
import signal
import sys

from rota.store.postgres.bounds import Bounds
from rota.store.postgres.store import PostgresStore
from tests.contract.shop import ALL_SLOTS, BAKE, OVENS


async def _claim_and_stop(url: str, schema: str, worker: int, queue: int, silence_s: float) -> None:
    store = await PostgresStore.open(url, schema=schema, bounds=Bounds(silence_s=silence_s))
    _, tasks = await store.intern([OVENS], [BAKE])
    # Once for nothing, so that the next goes out in one piece.
    await store.claim(worker, queue, [0], 1, tasks=[])
    claiming = asyncio.create_task(store.claim(worker, queue, ALL_SLOTS, 1_000, tasks=[tasks[BAKE]]))
    await asyncio.sleep(0)
    print("claiming", flush=True)
    os.kill(os.getpid(), signal.SIGSTOP)
    await claiming


if __name__ == "__main__":
    _url, _schema, _worker, _queue, _silence_s = sys.argv[1:]
    asyncio.run(_claim_and_stop(_url, _schema, int(_worker), int(_queue), float(_silence_s)))
