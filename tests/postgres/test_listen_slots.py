"""In a large cluster work in a slot is heard where somebody wants to be told of it, whenever that begins; else everywhere."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

import asyncpg
import pytest

from rota.model.limits import SLOT_COUNT
from rota.store.owners import write_own
from rota.store.port import Wake
from rota.store.postgres.store import PostgresStore
from rota.store.relay import relay, relay_folder
from tests.postgres.case import fresh
from tests.postgres.hearing import PATIENCE_S, Ear, is_everything, names, worker_store
from tests.postgres.through import PATIENT, Through, open_through
from tests.postgres_server import PostgresServer

pytestmark = [pytest.mark.postgres, pytest.mark.timed]

LARGE = 41
"""So many open workers make a cluster large."""


@asynccontextmanager
async def cluster_of(through: Through, workers: int) -> AsyncIterator[None]:
    """Register so many workers, and have nobody else there: other tests share the schema."""
    await close_all(through)
    for _ in range(workers):
        await through.shop.worker()
    try:
        yield
    finally:
        await close_all(through)


async def close_all(through: Through) -> None:
    """Close everybody."""
    for worker in (await through.store.membership()).workers:
        await through.store.close_worker(worker.id)


@asynccontextmanager
async def another_node(through: Through) -> AsyncIterator[PostgresStore]:
    """Open another store on the same schema."""
    schema = through.store._server.schema
    store = await PostgresStore.open(through.url, clock=through.shop.clock, schema=schema, bounds=PATIENT)
    try:
        yield store
    finally:
        await store.close()


async def listener(store: PostgresStore, name: str, *slots: int) -> Ear:
    """Return somebody who owns these slots and is told all that it should be from now on."""
    ear = Ear(store, name)
    await ear.until(is_everything)
    store.tell_own(name, {1: slots})
    await store.membership()
    return ear


async def submit_to(through: Through, *slots: int, is_fresh: bool = True) -> None:
    """Submit one job to each slot, in one commit."""
    jobs = [through.shop.job(slot=slot) for slot in slots]
    await through.shop.submit(*(map(fresh, jobs) if is_fresh else jobs))


def named(wakes: list[Wake]) -> list[int]:
    """Return the slots that were named, in order."""
    return [news.slot for wake in wakes for news in wake.woken or ()]


async def test_work_in_a_slot_is_heard_where_it_is_wanted_and_nowhere_else(server: PostgresServer) -> None:
    """Of twenty supervisors one would be meant, and all were woken."""
    async with open_through(server) as through, another_node(through) as other, cluster_of(through, LARGE):
        mine, theirs = await listener(through.store, "worker-1", 3), await listener(other, "worker-2", 5)
        # Once the ear listens to the slots, too.
        for ear in (mine, theirs):
            await ear.until(is_everything)

        await submit_to(through, 3)
        await submit_to(through, 5)
        await submit_to(through, 700)
        await submit_to(through, 3, is_fresh=False)
        await submit_to(through, 3, 5)

        heard: list[list[int]] = []
        for ear in (mine, theirs):
            slots: list[int] = []
            while 3 not in slots or 5 not in slots:
                slots += named([await ear.until(lambda wake: bool(wake.woken))])
            heard.append(sorted(slots))
            ear.stop()
        assert heard == [[3, 3, 3, 5], [3, 5, 5]]


async def test_in_a_small_cluster_everybody_hears_of_everything(server: PostgresServer) -> None:
    """There the others help."""
    async with open_through(server) as through, cluster_of(through, LARGE - 1):
        ear = await listener(through.store, "worker-1", 3)

        await submit_to(through, 9)

        await ear.until(names(9))
        ear.stop()


async def test_a_slot_that_comes_to_a_worker_is_heard_of(server: PostgresServer) -> None:
    """The ring changes all the time; what was committed before the ear listened is found by a look."""
    async with open_through(server) as through, cluster_of(through, LARGE):
        ear = await listener(through.store, "worker-1", 3)
        await ear.until(is_everything)

        through.store.tell_own("worker-1", {1: [3, 8]})
        await ear.until(is_everything)
        await submit_to(through, 8)

        await ear.until(names(8))
        ear.stop()


@pytest.mark.parametrize("is_word_lost", [False, True], ids=["told", "its word is lost"])
async def test_a_node_hears_of_what_its_workers_say_is_their_own(
    server: PostgresServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, *, is_word_lost: bool
) -> None:
    """Nothing is passed on that could make the relay look: a worker's word does, or else the ear's next question."""
    if is_word_lost:
        monkeypatch.setattr("rota.store.postgres.wakes.tell_relay", lambda _: None)
    bounds = PATIENT if is_word_lost else replace(PATIENT, beat_s=PATIENCE_S * 2)
    async with open_through(server, bounds) as through, cluster_of(through, LARGE):
        hall = relay_folder(str(tmp_path), 7)
        stop = relay(through.store, str(tmp_path), 7)
        await through.store.membership()
        worker = await worker_store(through, hall)
        ear = Ear(worker, "worker-1")
        worker.tell_own("worker-1", {1: range(10)})

        async with asyncio.timeout(PATIENCE_S):
            while 9 not in named(ear.heard):
                await submit_to(through, 9)
                await asyncio.sleep(0.01)
        ear.stop()
        stop()
        await worker.close()


async def test_a_node_that_helps_in_all_slots_listens_first_to_those_that_are_its_own(
    server: PostgresServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """To listen to a thousand takes a second where the server is a millisecond away."""
    begun: list[str] = []

    async def note(_connection: asyncpg.Connection, channel: str, _callback: object) -> None:
        begun.append(channel)

    monkeypatch.setattr(asyncpg.Connection, "add_listener", note)
    own = range(900, 1_000)
    write_own(make_hall(tmp_path), "worker-1", {1: own})
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as worker:
        worker.bind(f"{make_hall(tmp_path)}/worker-1")
        async with open_through(server) as through, cluster_of(through, LARGE):
            stop = relay(through.store, str(tmp_path), 7)
            await through.store.membership()
            async with asyncio.timeout(PATIENCE_S):
                while sum(" slot " in channel for channel in begun) < SLOT_COUNT:
                    await asyncio.sleep(0.01)
            stop()

    slots = [int(channel.rpartition(" ")[2]) for channel in begun if " slot " in channel]
    assert sorted(slots[: len(own)]) == list(own)
    assert sorted(slots) == list(range(SLOT_COUNT))


def make_hall(folder: Path) -> str:
    """Return the folder of a node's relay."""
    hall = relay_folder(str(folder), 7)
    Path(hall).mkdir(exist_ok=True)
    return hall
