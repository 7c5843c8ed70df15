"""Who listens for a moment only: `rota wait` of a job that was done long ago."""

from __future__ import annotations

import asyncio
import gc
from typing import Any

import pytest

from tests.postgres.through import open_through
from tests.postgres_server import PostgresServer

pytestmark = [pytest.mark.postgres, pytest.mark.timed]


async def test_whoever_stops_to_listen_as_the_connection_is_made_leaves_no_error_behind(server: PostgresServer) -> None:
    """asyncio tells an error that nobody asked for to everybody, in words that only its makers understand."""
    told: list[dict[str, Any]] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: told.append(context))

    for turns in range(40):
        async with open_through(server) as through:
            stop = through.store.listen("wait-1", lambda _: None)
            for _ in range(turns % 10):
                await asyncio.sleep(0)
            if turns < 20:
                stop()

    gc.collect()
    assert told == []
