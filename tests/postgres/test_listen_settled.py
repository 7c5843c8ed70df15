"""What was settled is heard where somebody waits, whenever that begins, and nowhere else."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from pathlib import Path
from typing import Any

import asyncpg
import pytest

from rota.store.port import Wake
from rota.store.postgres.notices import read, settled_channel
from rota.store.relay import relay, relay_folder
from tests.postgres.hearing import PATIENCE_S, Ear, is_everything, names, worker_store
from tests.postgres.through import PATIENT, open_through
from tests.postgres_server import PostgresServer

pytestmark = [pytest.mark.postgres, pytest.mark.timed]


async def test_a_settle_is_not_heard_where_nobody_waits(
    server: PostgresServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of twenty supervisors each would be woken up for it; once somebody waits, it is heard."""
    said: list[str] = []

    def noted(text: str) -> Wake:
        said.append(text)
        return read(text)

    monkeypatch.setattr("rota.store.postgres.ear.read", noted)
    async with open_through(server) as through:
        shop, ear = through.shop, Ear(through.store, "worker-1")
        await ear.until(is_everything)
        first, second = await shop.submit(shop.job(), shop.job())

        await through.store.cancel(first)
        # One that was told later than the cancellation, so that this one has been told, too.
        through.store.tell(Wake(is_epoch=True))
        await ear.until(lambda wake: wake.is_epoch)
        heard_before = [text for text in said if '"s"' in text]
        waiting = Ear(through.store, "wait-1")
        await waiting.until(lambda wake: wake.settled is None)
        await through.store.cancel(second)

        wake = await waiting.until(lambda wake: wake.settled is not None)
        ear.stop()
        waiting.stop()
        assert heard_before == []
        assert wake.settled == [second]


async def test_who_waits_on_a_node_hears_though_it_began_after_the_relay(
    server: PostgresServer, tmp_path: Path
) -> None:
    """The relay is told of it, and begins to listen; nothing else that happens would make it look."""
    async with open_through(server) as through:
        hall = relay_folder(str(tmp_path), 7)
        worker = await worker_store(through, hall)
        ear, token = Ear(worker, "worker-1"), await through.shop.submit_one(through.shop.job())
        await ear.until(is_everything)
        stop = relay(through.store, str(tmp_path), 7)
        await ear.until(is_everything)
        waiting = Ear(worker, "wait-1")
        # First what may have been missed until it listened; then again when the server has been asked.
        for _ in range(2):
            await waiting.until(lambda wake: wake.settled is None)

        await through.store.cancel(token)

        await waiting.until(lambda wake: token in (wake.settled or ()))
        ear.stop()
        waiting.stop()
        stop()
        await worker.close()


async def test_who_begins_to_wait_as_the_ear_stops_listening_hears(
    server: PostgresServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The request to hear less is on its way when somebody wants to hear more."""
    late: list[Ear] = []
    async with open_through(server) as through:
        forget = asyncpg.Connection.remove_listener

        async def forgets(*arguments: Any) -> None:
            forgetting = asyncio.ensure_future(forget(*arguments))
            await asyncio.sleep(0)  # so that it has been sent
            late.append(Ear(through.store, "wait-2"))
            await forgetting

        monkeypatch.setattr(asyncpg.Connection, "remove_listener", forgets)
        ear, early = Ear(through.store, "worker-1"), Ear(through.store, "wait-1")
        await early.until(lambda wake: wake.settled is None)
        token = await through.shop.submit_one(through.shop.job())
        early.stop()
        async with asyncio.timeout(PATIENCE_S):
            while not late:
                await asyncio.sleep(0.001)

        await late[0].until(lambda wake: wake.settled is None)
        await through.store.cancel(token)

        await late[0].until(lambda wake: token in (wake.settled or ()))
        for each in (ear, *late):
            each.stop()


async def test_who_begins_to_wait_as_the_ear_begins_to_listen_hears(
    server: PostgresServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is wanted has been asked already when somebody wants more; the next question to the server is far away."""
    late: list[Ear] = []
    async with open_through(server, replace(PATIENT, beat_s=PATIENCE_S * 2)) as through:
        listen = asyncpg.Connection.add_listener

        async def listens(*arguments: Any) -> None:
            if not late:
                late.append(Ear(through.store, "wait-1"))
            await listen(*arguments)

        monkeypatch.setattr(asyncpg.Connection, "add_listener", listens)
        ear, token = Ear(through.store, "worker-1"), await through.shop.submit_one(through.shop.job())
        await ear.until(is_everything)
        # First what may have been missed until the ear listened at all, then until it listened to what was settled.
        for _ in range(2):
            await late[0].until(lambda wake: wake.settled is None)

        await through.store.cancel(token)

        await late[0].until(lambda wake: token in (wake.settled or ()))
        ear.stop()
        late[0].stop()


async def test_a_connection_that_was_lost_is_replaced_by_one_that_hears_the_same(server: PostgresServer) -> None:
    """Work, and what was settled; and each is told to look first."""
    async with open_through(server) as through:
        ear, waiting = Ear(through.store, "worker-1"), Ear(through.store, "wait-1")
        for each in (ear, waiting):
            await each.until(lambda wake: wake is not None)
        await through.until("query LIKE 'LISTEN%' OR query LIKE 'SELECT 1'", 1)
        ear.heard.clear()
        waiting.heard.clear()
        through.proxy.reset()
        await ear.until(is_everything)
        await waiting.until(lambda wake: wake.settled is None)

        token = await through.shop.submit_one(through.shop.job(slot=9))
        await through.store.cancel(token)

        await ear.until(names(9))
        await waiting.until(lambda wake: token in (wake.settled or ()))
        ear.stop()
        waiting.stop()


async def test_the_channel_of_what_was_settled_is_cut_as_the_server_cuts_a_name(server: PostgresServer) -> None:
    """Who listens to another name than is told hears nothing, and nobody says so."""
    async with open_through(server) as through:
        for schema in (
            "rota",
            'Ro "ta"',
            "a" * 55,
            "a" * 56,
            "a" * 63,
            "é" * 31,
            "é" * 27 + "a",
            "a" * 54 + "€",
            "€" * 21,
        ):
            told = await through.look.fetchval("SELECT ($1::name || ' settled')::name::text", schema)
            assert settled_channel(schema) == told
