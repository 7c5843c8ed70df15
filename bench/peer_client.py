"""What the client processes of the peers on PostgreSQL have in common: the verbs. Each peer says how it does them."""

from __future__ import annotations

import asyncio
import json
import os
import sys
import time
from pathlib import Path
from typing import Any

import uvloop

from bench import counters, run_log

PAYLOAD = "x" * 180
LARGE = "x" * 10_240
CALLERS = 64
LATER_S = 3_600
RANKS = (0, 5, 10)
"""Three priorities, in turn."""


class Peer:
    """One peer. Tasks are called ``noop``, ``pickup`` and ``sleeper``."""

    async def setup(self) -> None:
        """Make the tables."""
        raise NotImplementedError

    async def open(self, callers: int) -> None:
        """Connect, to submit from so many coroutines at once."""
        raise NotImplementedError

    async def close(self) -> None:
        """Let go."""
        raise NotImplementedError

    async def one(self, task: str, arguments: dict[str, Any]) -> None:
        """Submit one job."""
        raise NotImplementedError

    async def many(self, payload: str, priorities: list[int], delay_s: int) -> None:
        """Submit no-op jobs in one call, one a priority."""
        raise NotImplementedError

    async def work(self, mode: str) -> None:
        """Be a worker until killed; call ``at_gate`` when all is ready."""
        raise NotImplementedError


async def at_gate() -> None:
    """Tell that this worker is ready, and wait for the gate to open."""
    gate = os.environ["BENCH_GATE"]
    Path(gate).with_name(f"ready-{os.getpid()}").touch()
    while not os.path.exists(gate):  # noqa: ASYNC110, ASYNC240
        await asyncio.sleep(0.001)


def picked_up(called_at: float) -> None:
    """Write down how long a job waited."""
    waited = time.monotonic() - called_at
    with Path(os.environ["BENCH_PICKUP_LOG"]).open("a") as log:
        log.write(f"{waited * 1000:.4f}\n")


async def sleep(number: int) -> None:
    """Be the handler that takes a while."""
    run_log.tell("start", number)
    await asyncio.sleep(run_log.SLEEP_S)
    run_log.tell("end", number)


async def bulk(peer: Peer, jobs: int, batch: int, kind: str) -> dict[str, Any]:
    """Submit in batches."""
    payload = LARGE if kind == "large" else PAYLOAD
    delay_s = LATER_S if kind == "scheduled" else 0
    ranks = RANKS if kind == "ranked" else (0,)
    batches = [
        [ranks[number % len(ranks)] for number in range(start, min(start + batch, jobs))]
        for start in range(0, jobs, batch)
    ]
    began = time.monotonic()
    for priorities in batches:
        await peer.many(payload, priorities, delay_s)
    return {"rate": jobs / (time.monotonic() - began)}


async def callers(peer: Peer, seconds: float, callers: int) -> dict[str, Any]:
    """Submit one at a time, from so many coroutines at once."""
    await peer.one("noop", {"payload": PAYLOAD})
    began, jobs = time.monotonic(), 0

    async def caller() -> None:
        nonlocal jobs
        while time.monotonic() - began < seconds:
            await peer.one("noop", {"payload": PAYLOAD})
            jobs += 1

    await asyncio.gather(*(caller() for _ in range(callers)))
    return {"rate": jobs / (time.monotonic() - began)}


async def flow(peer: Peer, seconds: float, batch: int, ahead_max: int) -> dict[str, Any]:
    """Submit in batches while a worker works, at most ``ahead_max`` jobs ahead of it."""
    folder = Path(os.environ[counters.VARIABLE])
    began, submitted = time.monotonic(), 0
    while time.monotonic() - began < seconds:
        if submitted - counters.read(folder).count >= ahead_max:
            await asyncio.sleep(0.001)
            continue
        await peer.many(PAYLOAD, [0] * batch, 0)
        submitted += batch
    return {"rate": counters.read(folder).count / (time.monotonic() - began)}


async def pickups(peer: Peer, jobs: int, gap_s: float) -> dict[str, Any]:
    """Submit one job now and then to an idle worker."""
    for _ in range(jobs):
        await peer.one("pickup", {"called_at": time.monotonic(), "payload": PAYLOAD})
        await asyncio.sleep(gap_s)
    return {}


async def do(peer: Peer, verb: str, words: list[str]) -> dict[str, Any]:
    """Do what the command line says."""
    if verb == "setup":
        await peer.setup()
        return {}
    if verb == "worker":
        await peer.work(os.environ["BENCH_MODE"])
        return {}
    await peer.open(CALLERS if verb == "callers" else 1)
    try:
        match verb:
            case "bulk":
                return await bulk(peer, int(words[0]), int(words[1]), words[2])
            case "single":
                return await callers(peer, float(words[0]), 1)
            case "callers":
                return await callers(peer, float(words[0]), CALLERS)
            case "flow":
                return await flow(peer, float(words[0]), int(words[1]), int(words[2]))
            case "pickups":
                return await pickups(peer, int(words[0]), float(words[1]))
            case "sleepers":
                for number in range(int(words[0])):
                    await peer.one("sleeper", {"number": number})
                return {}
    finally:
        await peer.close()
    raise SystemExit(f"unknown verb {verb}")


def main(peer: Peer) -> None:
    """Run the client."""
    print(json.dumps(uvloop.run(do(peer, sys.argv[1], sys.argv[2:]))))
