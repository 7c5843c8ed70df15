"""A server that restarts, stays away, is full, or stands still."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import socket
import threading
from collections.abc import Iterator

import asyncpg
import psycopg
import pytest

from rota import Rota, State
from rota.errors import OutcomeUnknownError, StoreBusyError, StoreUnavailableError
from rota.model.job import NewJob
from rota.model.slot import hash16
from rota.runtime.clock import SystemClock
from rota.runtime.entropy import SystemEntropy
from rota.store.postgres.bounds import Bounds
from rota.store.postgres.server import CONNECTIONS_MAX
from rota.store.postgres.store import PostgresStore
from rota.submit.send import send
from scripts.postgres_server import NoServerError, reserved_port
from tests.contract.shop import BAKE, OVENS
from tests.postgres.through import ENDS_WITHIN_S, ended, open_through, schema_of
from tests.postgres_server import PostgresServer

PLACES = 12

pytestmark = [pytest.mark.postgres, pytest.mark.timed]


def whisk() -> None: ...


@pytest.fixture(scope="module")
def fragile() -> Iterator[PostgresServer]:
    """A small server that may be stopped, killed and started again."""
    try:
        server = PostgresServer.start_own(
            is_durable=False, settings={"max_connections": str(PLACES), "shared_buffers": "16MB"}
        )
    except NoServerError as problem:
        if os.environ.get("CI"):
            pytest.fail(f"PostgreSQL tests were NOT run: {problem}")
        pytest.skip(f"PostgreSQL tests were NOT run: {problem}")
    yield server
    server.stop()


async def test_a_restart_is_not_noticed_by_those_who_come_after(fragile: PostgresServer) -> None:
    """Killed and started again within a moment: submits in flight are made sure of, later ones wait for the server."""
    schema, entropy = await asyncio.to_thread(schema_of, fragile), SystemEntropy(SystemClock())
    store = await PostgresStore.open(fragile.url, schema=schema, bounds=Bounds(reconnect_s=60.0))
    tokens: list[bytes] = []
    is_over = asyncio.Event()

    async def submits() -> None:
        while not is_over.is_set():
            token = entropy.token()
            await send(store, [NewJob(token, OVENS, BAKE, b"{}", hash16(None, token), is_fresh=True)], asyncio.sleep)
            tokens.append(token)

    submitters = [asyncio.create_task(submits()) for _ in range(20)]
    for _ in range(2):
        await _until_grown(tokens)
        fragile.kill()
        await _until_refused(store)
        fragile.start()
    await _until_grown(tokens)
    is_over.set()
    await asyncio.gather(*submitters)

    states = [await store.states(tokens[start : start + 1_000]) for start in range(0, len(tokens), 1_000)]
    assert sum(map(len, states)) == len(tokens)
    await store.close()


def test_a_killed_server_starts_when_its_back_ends_are_gone(fragile: PostgresServer) -> None:
    """On a busy machine they outlive it for a moment, and no postmaster starts beside them."""
    assert fragile._home is not None
    log, left = fragile._home / "log", psycopg.connect(fragile.url)
    before = log.read_text().count("is still in use")
    is_over = threading.Event()

    def holds_out() -> None:
        while log.read_text().count("is still in use") == before and not is_over.wait(0.01):
            pass
        os.kill(left.info.backend_pid, signal.SIGCONT)

    os.kill(left.info.backend_pid, signal.SIGSTOP)
    fragile.kill()
    holding_out = threading.Thread(target=holds_out)
    holding_out.start()
    try:
        fragile.start()
    finally:
        is_over.set()
        holding_out.join()

    left.close()
    psycopg.connect(fragile.url).close()
    assert log.read_text().count("is still in use") > before


def test_a_port_is_kept_for_a_server_and_for_nobody_else() -> None:
    """While its data is made, and while it is dead: whatever listened there meanwhile would be taken for it."""
    with reserved_port() as kept:
        place = kept.getsockname()
        with socket.socket() as other, pytest.raises(OSError, match="in use"):
            other.bind(place)
        with socket.create_server(place):
            socket.create_connection(place).close()


async def test_a_server_that_stays_away_is_told_soon(fragile: PostgresServer) -> None:
    """Waited for once; from then on everybody is told at once, and the network is left in peace."""
    async with open_through(fragile) as through:
        through.proxy.refuses = True
        through.hurries()
        through.proxy.reset()
        first, _ = await ended(through.store.queues)
        knocks = through.proxy.accepted
        began = asyncio.get_running_loop().time()
        ends = await asyncio.gather(*(ended(through.store.queues) for _ in range(16)))
        seconds = asyncio.get_running_loop().time() - began

        assert isinstance(first, StoreUnavailableError)
        assert {type(problem) for problem, _ in ends} <= {StoreUnavailableError, StoreBusyError}
        assert (through.proxy.accepted - knocks) <= CONNECTIONS_MAX * (1 + seconds / 0.15)
        through.proxy.clear()
        through.has_time()
        assert await through.store.states([]) == {}


async def test_a_program_waits_for_a_server_as_long_as_it_said(fragile: PostgresServer) -> None:
    """One that said nothing is told while the server is still away; the other's submit goes through once it is back."""
    async with open_through(fragile) as through:
        schema = await asyncio.to_thread(schema_of, fragile)
        hasty, patient = Rota(through.url, schema=schema), Rota(through.url, schema=schema, busy_timeout=300)
        soon, late = hasty.task(whisk), patient.task(whisk)
        await soon.submit_async()
        await late.submit_async()
        through.proxy.refuses = True
        through.proxy.reset()

        waiting = asyncio.create_task(late.submit_async())
        with pytest.raises((StoreUnavailableError, OutcomeUnknownError)):
            await soon.submit_async()

        assert not waiting.done()
        through.proxy.clear()
        assert await (await waiting).status_async() is State.WAITING
        await hasty.close_async()
        await patient.close_async()


async def test_a_full_server_says_so(fragile: PostgresServer) -> None:
    """And what can be done about it; it is tried again when there is room."""
    async with open_through(fragile) as through:
        through.hurries()
        through.proxy.reset()
        crowd: list[asyncpg.Connection] = []
        async with asyncio.timeout(ENDS_WITHIN_S):
            # One place is that of ``look``; whose client is gone has one for a moment longer.
            while len(crowd) < PLACES - 1:
                with contextlib.suppress(asyncpg.TooManyConnectionsError):
                    crowd.append(await asyncpg.connect(fragile.url))
        problem, _ = await ended(through.store.queues)
        for each in crowd:
            await through.look.execute("SELECT pg_terminate_backend($1, 10000)", each.get_server_pid())
            each.terminate()
        through.has_time()

        assert type(problem) is StoreUnavailableError
        assert "max_connections" in str(problem)
        assert await through.store.states([]) == {}


async def test_a_server_whose_back_ends_stand_still_is_left(fragile: PostgresServer) -> None:
    """They are stopped, not dead: nothing is closed, nothing is answered."""
    async with open_through(fragile) as through:
        store = through.store
        await asyncio.gather(*(store.queues() for _ in range(CONNECTIONS_MAX)))
        pids = await through.pids()
        with _stopped(*pids):
            through.hurries()
            ends = await asyncio.gather(*(ended(store.membership) for _ in range(CONNECTIONS_MAX)))
            through.has_time()
            after, _ = await ended(store.membership)
        assert {type(problem) for problem, _ in ends} == {StoreUnavailableError}
        assert after is None
        await through.until_gone(pids)


async def test_a_postmaster_that_stands_still_lets_nobody_in(fragile: PostgresServer) -> None:
    """The kernel accepts in its name: who connects is waited for, but not for ever."""
    async with open_through(fragile) as through:
        assert fragile.pid is not None
        through.hurries()
        through.proxy.reset()
        with _stopped(fragile.pid):
            problem, _ = await ended(through.store.queues)
        through.has_time()

        assert type(problem) is StoreUnavailableError
        assert await through.store.states([]) == {}


@contextlib.contextmanager
def _stopped(*pids: int) -> Iterator[None]:
    """Stop processes for a while."""
    for pid in pids:
        os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        for pid in pids:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGCONT)


async def _until_refused(store: PostgresStore) -> None:
    async with asyncio.timeout(60):
        while not store._server._refusals:
            await asyncio.sleep(0.01)


async def _until_grown(tokens: list[bytes]) -> None:
    before = len(tokens)
    async with asyncio.timeout(60):
        while len(tokens) < before + 50:
            await asyncio.sleep(0.01)
