"""What runs in Procrastinate's processes: `python -m bench.procrastinate_client VERB …`; prints one JSON object.

Procrastinate at its fastest settings: psycopg 3 in C, uvloop, four jobs at once a worker (more made it slower), finished jobs
kept as it comes and as rota does. For the measurement of recovery four at once too: once as it comes, once with heartbeats
every half second, workers stalled after two, and the periodic task that its documentation shows, every second.
"""

from __future__ import annotations

import os
from typing import Any

from procrastinate import App, JobContext, PsycopgConnector
from procrastinate.tasks import Task

from bench.counters import Counter
from bench.peer_client import Peer, at_gate, main, picked_up, sleep

CONCURRENCY = 4
STALLED_S = 2.0
SETTINGS: dict[str, dict[str, Any]] = {
    "speed": {},
    "default": {},
    "recovery": {"update_heartbeat_interval": 0.5, "stalled_worker_timeout": STALLED_S},
}

app = App(connector=PsycopgConnector(conninfo=os.environ["BENCH_URL"], min_size=4, max_size=20))
counter = Counter()


@app.task(name="noop", queue="bench")
async def noop(payload: str) -> None:
    counter.add()


@app.task(name="pickup", queue="bench")
async def pickup(called_at: float, payload: str) -> None:
    picked_up(called_at)


@app.task(name="sleeper", queue="bench")
async def sleeper(number: int) -> None:
    await sleep(number)


async def retry_stalled(context: JobContext, timestamp: int) -> None:
    for job in await app.job_manager.get_stalled_jobs(seconds_since_heartbeat=STALLED_S):
        await app.job_manager.retry_job(job)


TASKS: dict[str, Task[Any, Any, Any]] = {"noop": noop, "pickup": pickup, "sleeper": sleeper}


class Procrastinate(Peer):
    """Procrastinate."""

    async def setup(self) -> None:
        async with app.open_async():
            await app.schema_manager.apply_schema_async()

    async def open(self, callers: int) -> None:
        await app.open_async()

    async def close(self) -> None:
        await app.close_async()

    async def one(self, task: str, arguments: dict[str, Any]) -> None:
        await TASKS[task].defer_async(**arguments)

    async def many(self, payload: str, priorities: list[int], delay_s: int) -> None:
        rank = priorities[0]
        if any(each != rank for each in priorities):
            # A call has one priority for all its jobs: one call a priority.
            for each in sorted(set(priorities)):
                await self.many(payload, [each] * priorities.count(each), delay_s)
            return
        options: dict[str, Any] = {"schedule_in": {"seconds": delay_s}} if delay_s else {}
        await noop.configure(priority=rank, **options).batch_defer_async(*[{"payload": payload}] * len(priorities))

    async def work(self, mode: str) -> None:
        if mode == "recovery":
            app.periodic(cron="* * * * * *")(
                app.task(name="retry_stalled", queue="bench", pass_context=True)(retry_stalled)
            )
        async with app.open_async():
            await at_gate()
            await app.run_worker_async(
                queues=["bench"], concurrency=CONCURRENCY, install_signal_handlers=False, **SETTINGS[mode]
            )


if __name__ == "__main__":
    main(Procrastinate())
