"""The app under measurement: jobs that do nothing but say that they ran."""

from __future__ import annotations

import asyncio
import os
import time
from pathlib import Path

from msgspec import Struct

from bench import run_log
from bench.counters import Counter
from rota import Rota

PAYLOAD = "x" * 180
LARGE = "x" * 10_240
PICKUP_LOG = "BENCH_PICKUP_LOG"

app = Rota()
counter = Counter()


@app.task
async def noop(payload: str) -> None:
    counter.add()


class Load(Struct):
    """The argument of a job with a key."""

    key: str | None
    payload: str


@app.task(key=lambda load: load.key)
async def keyed(load: Load) -> None:
    counter.add()


@app.task
async def pickup(called_at: float, payload: str) -> None:
    waited = time.monotonic() - called_at
    with Path(os.environ[PICKUP_LOG]).open("a") as log:
        log.write(f"{waited * 1000:.4f}\n")


@app.task
async def sleeper(number: int) -> None:
    run_log.tell("start", number)
    await asyncio.sleep(run_log.SLEEP_S)
    run_log.tell("end", number)
