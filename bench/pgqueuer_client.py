"""What runs in PgQueuer's processes: `python -m bench.pgqueuer_client VERB …`; prints one JSON object.

PgQueuer at its fastest settings: asyncpg, uvloop, a pool of four connections a worker, batches of 500, no limit on tasks at
once. For the measurement of recovery four jobs at once, which asks for batches of two: once as it comes (a heartbeat is
stale after 30 s), once with heartbeats that are stale after a second, looked at every half second.
"""

from __future__ import annotations

import json
import os
from datetime import timedelta
from typing import Any

import asyncpg
from pgqueuer import PgQueuer
from pgqueuer.db import AsyncpgDriver, AsyncpgPoolDriver
from pgqueuer.models import Job
from pgqueuer.queries import Queries

from bench.counters import Counter
from bench.peer_client import Peer, at_gate, main, picked_up, sleep

POOL = 16
"""Connections of 64 callers: commits of several reach the disk together."""

SETTINGS: dict[str, dict[str, Any]] = {
    "speed": {"batch_size": 500},
    "default": {"batch_size": 2, "max_concurrent_tasks": 4},
    "recovery": {
        "batch_size": 2,
        "max_concurrent_tasks": 4,
        "heartbeat_timeout": timedelta(seconds=1),
        "dequeue_timeout": timedelta(seconds=0.5),
    },
}


class Pgqueuer(Peer):
    """PgQueuer."""

    async def setup(self) -> None:
        connection = await asyncpg.connect(os.environ["BENCH_URL"])
        await Queries(AsyncpgDriver(connection)).install()
        await connection.close()

    async def open(self, callers: int) -> None:
        # One connection is the fastest for one caller: a pool asks the server for a reset at every release.
        self.connection: Any
        if callers == 1:
            self.connection = await asyncpg.connect(os.environ["BENCH_URL"])
            self.queries = Queries(AsyncpgDriver(self.connection))
        else:
            self.connection = await asyncpg.create_pool(os.environ["BENCH_URL"], min_size=POOL, max_size=POOL)
            self.queries = Queries(AsyncpgPoolDriver(self.connection))

    async def close(self) -> None:
        await self.connection.close()

    async def one(self, task: str, arguments: dict[str, Any]) -> None:
        await self.queries.enqueue(task, json.dumps(arguments).encode())

    async def many(self, payload: str, priorities: list[int], delay_s: int) -> None:
        jobs = len(priorities)
        data: list[bytes | None] = [json.dumps({"payload": payload}).encode()] * jobs
        delays: list[timedelta | None] | None = [timedelta(seconds=delay_s)] * jobs if delay_s else None
        await self.queries.enqueue(["noop"] * jobs, data, priorities, delays)

    async def work(self, mode: str) -> None:
        counter = Counter()
        pool = await asyncpg.create_pool(os.environ["BENCH_URL"], min_size=2, max_size=4)
        queuer = PgQueuer.from_asyncpg_pool(pool)

        @queuer.entrypoint("noop")
        async def noop(job: Job) -> None:
            counter.add()

        @queuer.entrypoint("pickup")
        async def pickup(job: Job) -> None:
            picked_up(json.loads(job.payload or b"")["called_at"])

        @queuer.entrypoint("sleeper")
        async def sleeper(job: Job) -> None:
            await sleep(json.loads(job.payload or b"")["number"])

        await at_gate()
        await queuer.run(**SETTINGS[mode])


if __name__ == "__main__":
    main(Pgqueuer())
