"""What runs in rota's client processes: `python -m bench.rota_client VERB …`; prints one JSON object."""

from __future__ import annotations

import asyncio
import json
import os
import sys
import time
from datetime import timedelta
from pathlib import Path
from typing import Any

import uvloop

from bench import counters
from bench.rota_app import LARGE, PAYLOAD, Load, keyed, noop, pickup, sleeper

KEYS = 10_000
CALLERS = 64
LATER = timedelta(hours=1)
RANKS = (0, 5, 10)
"""Three priorities, in turn."""

EVERY = {"all": 1, "half": 2, "tenth": 10}
"""Of so many jobs one has a key."""


def load(number: int, kind: str) -> Load:
    """Return a job's argument: with one of 10,000 keys on every job, every second or every tenth; or with the hot key."""
    if kind == "hot":
        return Load("the hot key", PAYLOAD)
    every = EVERY[kind]
    return Load(f"key-{number // every % KEYS}" if number % every == 0 else None, PAYLOAD)


def bulk(jobs: int, batch: int, kind: str) -> dict[str, Any]:
    """Submit in batches. The arguments are made before the clock starts; writing them down is part of submitting."""
    starts = range(0, jobs, batch)
    if kind in EVERY or kind == "hot":
        loads = [[load(number, kind) for number in range(start, min(start + batch, jobs))] for start in starts]
        began = time.monotonic()
        for some in loads:
            keyed.submit_many(some)
    elif kind == "ranked":
        tasks = [noop.options(priority=rank) for rank in RANKS]
        began = time.monotonic()
        for number, start in enumerate(starts):
            tasks[number % len(tasks)].submit_many([PAYLOAD] * min(batch, jobs - start))
    else:
        task = noop.options(delay=LATER) if kind == "scheduled" else noop
        payloads = [LARGE if kind == "large" else PAYLOAD] * batch
        began = time.monotonic()
        for start in starts:
            task.submit_many(payloads[: jobs - start])
    return {"rate": jobs / (time.monotonic() - began)}


def single(seconds: float) -> dict[str, Any]:
    """Submit one at a time, from one thread."""
    noop.submit(PAYLOAD)
    began, jobs = time.monotonic(), 0
    while time.monotonic() - began < seconds:
        noop.submit(PAYLOAD)
        jobs += 1
    return {"rate": jobs / (time.monotonic() - began)}


async def callers(seconds: float) -> dict[str, Any]:
    """Submit one at a time, from many coroutines at once."""
    await noop.submit_async(PAYLOAD)
    began, jobs = time.monotonic(), 0

    async def caller() -> None:
        nonlocal jobs
        while time.monotonic() - began < seconds:
            await noop.submit_async(PAYLOAD)
            jobs += 1

    await asyncio.gather(*(caller() for _ in range(CALLERS)))
    return {"rate": jobs / (time.monotonic() - began)}


def flow(seconds: float, batch: int, ahead_max: int) -> dict[str, Any]:
    """Submit in batches while a worker works, at most ``ahead_max`` jobs ahead of it."""
    folder = Path(os.environ[counters.VARIABLE])
    began, submitted = time.monotonic(), 0
    while time.monotonic() - began < seconds:
        if submitted - counters.read(folder).count >= ahead_max:
            time.sleep(0.001)
            continue
        noop.submit_many([PAYLOAD] * batch)
        submitted += batch
    return {"rate": counters.read(folder).count / (time.monotonic() - began)}


def pickups(jobs: int, gap_s: float, kind: str) -> dict[str, Any]:
    """Submit one job now and then to an idle worker."""
    for number in range(jobs):
        task = pickup.options(key=f"key-{number}") if kind == "all" else pickup
        task.submit(time.monotonic(), PAYLOAD)
        time.sleep(gap_s)
    return {}


def main(verb: str, *words: str) -> dict[str, Any]:
    """Do what the command line says."""
    match verb:
        case "bulk":
            return bulk(int(words[0]), int(words[1]), words[2])
        case "single":
            return single(float(words[0]))
        case "callers":
            return uvloop.run(callers(float(words[0])))
        case "flow":
            return flow(float(words[0]), int(words[1]), int(words[2]))
        case "pickups":
            return pickups(int(words[0]), float(words[1]), words[2])
        case "sleepers":
            for number in range(int(words[0])):
                sleeper.submit(number)
            return {}
    raise SystemExit(f"unknown verb {verb}")


if __name__ == "__main__":
    print(json.dumps(main(*sys.argv[1:])))
