"""LISTEN and NOTIFY: one notification a commit, one connection a node, and nobody stuck when it is lost."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import asyncpg
import pytest

from rota.store.port import Wake, Woken
from rota.store.postgres.notices import settled_channel
from rota.store.relay import relay, relay_folder
from tests.contract.outcomes import failed, retry, succeeded
from tests.contract.shop import ALL_SLOTS, Worker
from tests.postgres.hearing import PATIENCE_S, Ear, is_everything, names, worker_store
from tests.postgres.through import QUICK, Through, open_through
from tests.postgres_server import PostgresServer

PATIENT_CALLS = replace(QUICK, call_s=PATIENCE_S * 2)

pytestmark = [pytest.mark.postgres, pytest.mark.timed]


async def test_a_silent_connection_is_found_out(server: PostgresServer) -> None:
    """Nobody asks anything on the connection that listens: it must be looked after, or it would listen to nothing for ever."""
    async with open_through(server) as through:
        ear = Ear(through.store, "worker-1")
        await ear.until(is_everything)
        through.proxy.black_hole()
        through.hurries()
        await through.until("query LIKE 'LISTEN%' OR query LIKE 'SELECT 1'", 1)
        accepted = through.proxy.accepted
        async with asyncio.timeout(PATIENCE_S):
            while through.proxy.accepted < accepted + 2:
                await asyncio.sleep(0.01)
        through.proxy.clear()
        through.has_time()

        await ear.until(is_everything)
        through.store.tell(Wake(woken=[Woken(1, 9, 0)]))
        await ear.until(names(9))
        ear.stop()


async def test_a_silent_connection_is_found_out_while_listeners_come_and_go(server: PostgresServer) -> None:
    """Each makes the ear look what is wanted; the question whether the server answers must not begin anew with each."""
    async with open_through(server) as through:
        ear = Ear(through.store, "worker-1")
        await ear.until(is_everything)
        through.proxy.black_hole()
        through.hurries()
        accepted = through.proxy.accepted
        async with asyncio.timeout(PATIENCE_S):
            while through.proxy.accepted == accepted:
                Ear(through.store, "worker-2").stop()
                await asyncio.sleep(0.001)
        through.proxy.clear()
        through.has_time()

        await ear.until(is_everything)
        ear.stop()


async def test_a_connection_that_is_silent_when_somebody_begins_to_wait_is_found_out_as_soon(
    server: PostgresServer,
) -> None:
    """To listen is a question too; its reply must not be waited for as long as one to a call that moves jobs."""
    async with open_through(server) as through:
        ear = Ear(through.store, "worker-1")
        await ear.until(is_everything)
        through.proxy.black_hole()
        through.hurries(PATIENT_CALLS)
        waiting = Ear(through.store, "wait-1")

        await _is_given_up(through)

        await waiting.until(lambda wake: wake.settled is None)
        ear.stop()
        waiting.stop()


async def test_a_connection_that_is_silent_when_nobody_waits_any_more_is_found_out_as_soon(
    server: PostgresServer,
) -> None:
    """Neither must the reply to the request to hear less."""
    async with open_through(server) as through:
        ear, waiting = Ear(through.store, "worker-1"), Ear(through.store, "wait-1")
        await waiting.until(lambda wake: wake.settled is None)
        through.proxy.black_hole()
        through.hurries(PATIENT_CALLS)
        waiting.stop()
        ear.heard.clear()

        await _is_given_up(through)

        await ear.until(is_everything)
        ear.stop()


async def test_a_server_that_is_away_is_not_run_at(server: PostgresServer) -> None:
    """The pauses grow; and when it is back, all is well within a second or so."""
    async with open_through(server) as through:
        ear = Ear(through.store, "worker-1")
        await ear.until(is_everything)
        through.proxy.refuses = True
        before, now = through.proxy.accepted, asyncio.get_running_loop().time
        through.proxy.reset()
        began = now()
        async with asyncio.timeout(PATIENCE_S):
            while through.proxy.accepted < before + 6:
                await asyncio.sleep(0.001)
        grew_s = now() - began
        through.proxy.clear()

        await ear.until(is_everything)
        ear.stop()
        # Six tries are five pauses, each at least half of 20, 40, 80, 160 and 320 ms.
        assert grew_s >= 0.3


async def test_a_commit_sends_one_notification_a_channel(server: PostgresServer) -> None:
    """Each costs a lock on the whole database at the commit, and wakes up every listener's back end."""
    async with open_through(server) as through, _listening(through) as notices:
        shop = through.shop
        worker = await shop.worker()
        await _drain(worker)
        later = shop.job(delay=3_600)
        await through.store.submit([later])
        jobs = [shop.job(key, slot=slot) for slot, key in ((1, "a"), (1, "a"), (2, None), (3, "b"), (3, "b"))]
        counts = {}
        await notices()

        await through.store.submit(jobs[:1])
        counts["submit"] = await notices()
        await through.store.submit(jobs[1:])
        counts["submit many"] = await notices()
        claimed = await worker.claim(10)
        counts["claim"] = await notices()
        first, second, third = claimed
        await worker.settle(succeeded(first), failed(second), retry(third, shop.at(0)))
        counts["settle"] = await notices()
        await worker.settle(*map(succeeded, await worker.claim(10)))
        counts["claim and settle"] = await notices()
        await through.store.cancel(later.token)
        counts["cancel"] = await notices()

        assert counts == {
            "submit": (1, 0), "submit many": (1, 0), "claim": (0, 0), "settle": (1, 1), "claim and settle": (1, 1),
            "cancel": (0, 1),
        }  # fmt: skip


async def test_a_commit_that_names_too_many_slots_says_from_which_place_on(server: PostgresServer) -> None:
    """A notification holds 7,999 bytes. Without the place, each bulk submit would send every worker to the beginning of its
    lines, to read all that has died there.
    """
    async with open_through(server) as through:
        shop, ear = through.shop, Ear(through.store, "worker-1")
        await ear.until(is_everything)
        await through.store.submit([shop.job() for _ in range(5)])

        await through.store.submit([shop.job(slot=slot) for slot in range(200)])

        wake = await ear.until(is_everything)
        ear.stop()
        last = await through.look.fetch("SELECT place FROM live ORDER BY seq DESC LIMIT 200")
        assert wake.from_place == last[-1]["place"]


async def test_a_node_listens_once(server: PostgresServer, tmp_path: Path) -> None:
    """The supervisor hears and passes on; its workers' processes have no connection for it."""
    async with open_through(server) as through:
        folder = str(tmp_path)
        hall = relay_folder(folder, 7)
        workers = [await worker_store(through, hall) for _ in range(3)]
        ears = [Ear(store, f"worker-{number}") for number, store in enumerate(workers)]
        waiting = Ear(workers[0], "wait-1")
        for ear in ears:
            await ear.until(is_everything)
        stop = relay(through.store, folder, 7)
        for ear in ears:
            await ear.until(is_everything)

        token = await through.shop.submit_one(through.shop.job(slot=9))

        for ear in ears:
            await ear.until(names(9))
        await through.store.cancel(token)
        await waiting.until(lambda wake: token in (wake.settled or ()))
        assert len(await through.pids("query LIKE 'LISTEN%' OR query LIKE 'SELECT 1'")) == 1
        stop()
        for store in workers:
            await store.close()


async def test_when_the_relay_has_lost_the_server_workers_are_told_to_look(
    server: PostgresServer, tmp_path: Path
) -> None:
    """As soon as it hears again: nobody knows what it missed."""
    async with open_through(server) as through:
        worker = await worker_store(through, relay_folder(str(tmp_path), 7))
        ear = Ear(worker, "worker-1")
        stop = relay(through.store, str(tmp_path), 7)
        await ear.until(is_everything)
        await through.until("query LIKE 'LISTEN%' OR query LIKE 'SELECT 1'", 1)
        ear.heard.clear()
        through.proxy.reset()

        await ear.until(is_everything)
        stop()
        await worker.close()


async def test_a_worker_whose_node_s_folder_cannot_be_used_listens_for_itself(
    server: PostgresServer, tmp_path: Path
) -> None:
    """Slower for the server, but not slower for its jobs."""
    (tmp_path / "wake-7").write_text("no folder")
    async with open_through(server) as through:
        worker = await worker_store(through, relay_folder(str(tmp_path), 7))
        ear = Ear(worker, "worker-1")
        await ear.until(is_everything)

        await through.shop.submit(through.shop.job(slot=9))

        await ear.until(names(9))
        await worker.close()


async def _is_given_up(through: Through) -> None:
    """Wait until the connection that listens has been replaced; then let the server be heard again."""
    accepted = through.proxy.accepted
    async with asyncio.timeout(PATIENCE_S):
        while through.proxy.accepted == accepted:
            await asyncio.sleep(0.001)
    through.proxy.clear()
    through.has_time()


async def _drain(worker: Worker) -> None:
    """Finish what other tests have left in the schema."""
    while jobs := await worker.claim(1_000, slots=ALL_SLOTS):
        await worker.settle(*map(succeeded, jobs))


@asynccontextmanager
async def _listening(through: Through) -> AsyncIterator[Any]:
    """Listen as the server sees it; yield what counts the notifications since the last count: of work, of what was settled."""
    connection: asyncpg.Connection = await asyncpg.connect(through.server_url)
    heard: list[tuple[str, str]] = []
    channels = (schema := through.store._server.schema), settled_channel(schema)
    for channel in channels:
        await connection.add_listener(channel, lambda *notice: heard.append(notice[2:]))

    async def count() -> tuple[int, ...]:
        # A notification of one's own comes after all that were committed before it.
        await connection.execute("SELECT pg_notify($1, 'end')", schema)
        async with asyncio.timeout(PATIENCE_S):
            while (schema, "end") not in heard:
                await asyncio.sleep(0.001)
        told = [channel for channel, text in heard if text != "end"]
        heard.clear()
        return tuple(map(told.count, channels))

    try:
        yield count
    finally:
        await connection.close()


async def test_a_listener_that_fails_does_not_end_the_hearing(
    server: PostgresServer, caplog: pytest.LogCaptureFixture
) -> None:
    """An error that nobody foresaw, in code that was told: it is logged, and what comes later is heard."""
    async with open_through(server) as through:
        heard: list[Wake] = []

        def listener(wake: Wake) -> None:
            heard.append(wake)
            if len(heard) == 1:
                raise LookupError("not foreseen")

        stop = through.store.listen("worker-1", listener)
        async with asyncio.timeout(PATIENCE_S):
            while len(heard) < 2:
                await asyncio.sleep(0.001)
        stop()

    assert "not foreseen" in caplog.text
