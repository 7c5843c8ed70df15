"""A process of ours that stands still must not hold up the others: bounds at the server's side."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from rota.errors import StoreBusyError
from rota.model.limits import KIB
from rota.store.port import Blame
from rota.store.postgres.bounds import BOUNDS
from rota.store.postgres.server import Server
from rota.store.postgres.store import PostgresStore
from rota.testing.clock import ManualClock
from tests.contract.shop import KILLED, OVENS, Worker
from tests.postgres.house import House, open_house
from tests.postgres_server import PostgresServer
from tests.processes import state_of

ROOT = Path(__file__).resolve().parents[2]
LARGE_JOBS, LARGE_BYTES = 120, 256 * KIB
PATIENCE_S = 60.0
SILENCE_S = 4.0
"""Long enough for whoever looks to see the claim stand still before it is let go, also where he stands still for a while."""

pytestmark = pytest.mark.postgres


@pytest.mark.slow(seconds=6)
async def test_a_worker_stopped_in_the_middle_of_a_claim_lets_go(server: PostgresServer, clock: ManualClock) -> None:
    """Its rows, and its own row, which the rescuer must lock, are held until the server gives up sending to it."""
    async with open_house(server, clock) as house:
        worker = await _full_shop(house)
        queue = worker.registered.queue_ids[OVENS]
        rescuer = await PostgresStore.open(
            house.url, clock=clock, schema=house.schema, bounds=replace(BOUNDS, lock_s=PATIENCE_S)
        )
        async with _frozen(house, worker.id, queue, silence_s=SILENCE_S):
            await _until(house, "state = 'active' AND wait_event = 'ClientWrite'")

            began = _now()
            await rescuer.close_worker(worker.id)
            waited_s = _now() - began
            released = await house.shop.release(worker, Blame(running=(), failure=KILLED))
            taken = await (await house.shop.worker()).claim(1_000)

            print(
                f"\na claim of {LARGE_JOBS} rows let go {waited_s:.2f} s after its client was stopped; bound {SILENCE_S} s"
            )
            assert waited_s > 0.1
            assert list(released.tokens) == []
            assert len(taken) == LARGE_JOBS
        await rescuer.close()


async def test_without_that_bound_it_would_hold_on(server: PostgresServer, clock: ManualClock) -> None:
    """The other bounds do not reach a server that is sending: whoever waits is told so, in its own time."""
    async with open_house(server, clock) as house:
        worker = await _full_shop(house)
        queue = worker.registered.queue_ids[OVENS]
        patient = await PostgresStore.open(
            house.url, clock=clock, schema=house.schema, bounds=replace(BOUNDS, lock_s=0.6)
        )
        async with _frozen(house, worker.id, queue, silence_s=600.0):
            await _until(house, "state = 'active' AND wait_event = 'ClientWrite'")

            with pytest.raises(StoreBusyError, match="lock timeout"):
                await patient.close_worker(worker.id)
        await patient.close()


async def test_a_transaction_that_nobody_goes_on_with_is_ended(server: PostgresServer, clock: ManualClock) -> None:
    """As of a process that was stopped between two statements."""
    async with open_house(server, clock) as house:
        await house.shop.submit(house.shop.job())
        road = Server(house.url, house.schema, bounds=replace(BOUNDS, idle_in_transaction_s=0.2))
        frozen = await road.connect()
        await frozen.execute(f'BEGIN; SELECT FROM "{house.schema}".live FOR UPDATE')

        async with asyncio.timeout(PATIENCE_S):
            await house.look.execute("SELECT FROM live FOR UPDATE")

        frozen.terminate()


async def test_a_statement_of_a_client_that_is_gone_is_ended(server: PostgresServer, clock: ManualClock) -> None:
    """Its process was killed while it waited for a lock: nobody else should have to wait behind it."""
    async with open_house(server, clock) as house:
        await house.shop.submit(house.shop.job())
        road = Server(house.url, house.schema, bounds=replace(BOUNDS, gone_s=0.1))
        gone = await road.connect()
        await house.look.execute("BEGIN; SELECT FROM live FOR UPDATE")
        waiting = asyncio.create_task(gone.execute(f'SELECT FROM "{house.schema}".live FOR UPDATE'))
        await _until(house, "wait_event_type = 'Lock'")

        gone.terminate()

        await asyncio.gather(waiting, return_exceptions=True)
        await _until(house, "wait_event_type = 'Lock'", count=0)


async def _full_shop(house: House) -> Worker:
    payload = b'"' + bytes([65]) * (LARGE_BYTES - 2) + b'"'
    await house.shop.submit(*[house.shop.job(payload=payload) for _ in range(LARGE_JOBS)])
    return await house.shop.worker()


@asynccontextmanager
async def _frozen(house: House, worker: int, queue: int, *, silence_s: float) -> AsyncIterator[int]:
    """Start the process and wait until it stands still."""
    arguments = (house.url, house.schema, str(worker), str(queue), str(silence_s))
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "tests.postgres.frozen", *arguments, cwd=ROOT, stdout=asyncio.subprocess.PIPE
    )
    try:
        assert process.stdout is not None
        async with asyncio.timeout(PATIENCE_S):
            assert await process.stdout.readline() == b"claiming\n"
            while state_of(process.pid) != "T":
                await asyncio.sleep(0.01)
        yield process.pid
    finally:
        os.kill(process.pid, signal.SIGKILL)
        await process.wait()


async def _until(house: House, what: str, count: int = 1) -> None:
    """Wait until so many back ends of ours are in this state."""
    async with asyncio.timeout(PATIENCE_S):
        while count != await house.look.fetchval(
            f"SELECT count(*) FROM pg_stat_activity WHERE application_name = $1 AND {what}", f"rota {house.schema}"
        ):
            await house.look.execute("SELECT pg_stat_clear_snapshot()")
            await asyncio.sleep(0.01)


def _now() -> float:
    return asyncio.get_running_loop().time()
