"""A network that is silent, slow or cut, and a server that refuses: every call ends, and says what is known."""

from __future__ import annotations

import asyncio
import socket
import tracemalloc
from collections.abc import Awaitable, Callable
from dataclasses import replace
from uuid import UUID

import pytest
from msgspec import structs

from rota.errors import (
    ConfigError,
    InvalidArgumentsError,
    OutcomeUnknownError,
    StoreBusyError,
    StoreError,
    StoreUnavailableError,
)
from rota.model.job import NewJob
from rota.model.limits import KIB
from rota.store.port import Blame, JobFilter, NewNode, NewWorker
from rota.store.postgres.bounds import BOUNDS
from rota.store.postgres.connect import read_url, without_secrets
from rota.store.postgres.server import CONNECTIONS_MAX, Server
from rota.store.postgres.store import PostgresStore
from tests.contract.outcomes import succeeded
from tests.contract.shop import ALL_SLOTS, BAKE, KILLED, OVENS
from tests.postgres.case import fresh
from tests.postgres.through import PATIENT, ended, open_through
from tests.postgres_server import PostgresServer

pytestmark = [pytest.mark.postgres, pytest.mark.timed]


def _every_call(store: PostgresStore, job: NewJob) -> dict[str, Callable[[], Awaitable[object]]]:
    """Return the port's calls that go to the server, by name."""
    token = job.token
    blame = Blame(running=(), failure=KILLED)
    worker = NewWorker(1, "mitte/1", "", [OVENS], [BAKE])
    return {
        "submit": lambda: store.submit([job]),
        "cancel": lambda: store.cancel(token),
        "reopen": lambda: store.reopen(token),
        "claim": lambda: store.claim(1, 1, ALL_SLOTS, 1, tasks=[1]),
        "claim_alone": lambda: store.claim_alone(1, [1]),
        "settle": lambda: store.settle(1, [], [1]),
        "release": lambda: store.release(1, blame),
        "register_node": lambda: store.register_node(NewNode("mitte", "", "{}")),
        "renew": lambda: store.renew(1, 1),
        "close_node": lambda: store.close_node(1, 1),
        "register_worker": lambda: store.register_worker(worker),
        "drain_worker": lambda: store.drain_worker(1),
        "close_worker": lambda: store.close_worker(1),
        "take_house": lambda: store.take_house(1),
        "set_paused": lambda: store.set_paused(OVENS, False),
        "expire": store.expire,
        "prune": lambda: store.prune(0),
        "sweep": store.sweep,
        "intern": lambda: store.intern(["another"], []),
        "held": lambda: store.held(1),
        "membership": store.membership,
        "closed_workers_with_jobs": store.closed_workers_with_jobs,
        "departed": store.departed,
        "states": lambda: store.states([token]),
        "find": lambda: store.find(token),
        "history": lambda: store.history(token),
        "head_of": lambda: store.head_of(OVENS, "mitte"),
        "jobs": lambda: store.jobs(JobFilter()),
        "queues": store.queues,
        "finished_counts": store.finished_counts,
        "alone": store.alone,
        "ready_elsewhere": lambda: store.ready_elsewhere(1, [], keyed_before=0),
        "doctor": store.doctor,
    }


READS = frozenset(
    {
        "alone",
        "closed_workers_with_jobs",
        "departed",
        "doctor",
        "find",
        "finished_counts",
        "head_of",
        "held",
        "history",
        "jobs",
        "membership",
        "queues",
        "ready_elsewhere",
        "states",
    }
)


async def test_every_call_ends_in_a_black_hole(server: PostgresServer) -> None:
    """The server is silent and nobody says so: the connection of each call is a good one, and gets no answer."""
    async with open_through(server, connections_max=40) as through:
        calls = _every_call(through.store, fresh(through.shop.job()))
        await asyncio.gather(*(through.store.queues() for _ in calls))
        through.proxy.black_hole()
        through.hurries()

        ends = await asyncio.gather(*map(ended, calls.values()))

        for name, (problem, _) in zip(calls, ends, strict=True):
            expected = StoreUnavailableError if name in READS else OutcomeUnknownError
            assert type(problem) is expected, f"{name}: {problem!r}"
            assert "did not answer in time" in str(problem), f"{name}: {problem}"


async def test_a_crowd_of_callers_ends_in_a_black_hole(server: PostgresServer) -> None:
    """Those who wait for a connection, or for the commit of others, get an answer as well; then all goes on."""
    async with open_through(server) as through:
        store, shop = through.store, through.shop
        jobs = [fresh(shop.job()) for _ in range(200)]
        calls = [*_every_call(store, jobs.pop()).values()] * 2 + [_submitting(store, job) for job in jobs]
        through.proxy.black_hole()
        through.hurries()

        ends = await asyncio.gather(*map(ended, calls))

        assert {type(problem) for problem, _ in ends} <= {OutcomeUnknownError, StoreUnavailableError, StoreBusyError}
        through.proxy.clear()
        through.has_time()
        again = [structs.replace(job, is_fresh=False) for job in jobs]
        await asyncio.gather(*(store.submit([job]) for job in again))
        assert len(await store.states([job.token for job in jobs])) == len(jobs)
        await through.until_few()


def _submitting(store: PostgresStore, job: NewJob) -> Callable[[], Awaitable[object]]:
    return lambda: store.submit([job])


async def test_a_reply_that_is_lost_leaves_no_doubt_behind(server: PostgresServer) -> None:
    """The order arrived and was carried out; asked again, the store knows."""
    async with open_through(server) as through:
        is_there = False
        while not is_there:
            # Else it came so late, on a machine that stood still, that it had been given up before.
            job = fresh(through.shop.job())
            await through.store.states([])
            through.proxy.down.is_black_hole = True
            through.hurries()
            with pytest.raises(OutcomeUnknownError):
                await through.store.submit([job])
            through.proxy.clear()
            through.has_time()
            is_there = await through.look.fetchval("SELECT true FROM live WHERE token = $1", UUID(bytes=job.token))

        again = await through.store.submit([job])

        assert again.duplicates == {job.token}


async def test_a_connection_that_is_reset_or_half_closed_is_replaced(server: PostgresServer) -> None:
    """Whoever was in the middle of something is told; the next one does not notice."""
    async with open_through(server) as through:
        proxy, store = through.proxy, through.store
        for cut in (proxy.reset, lambda: proxy.half_close(up=True), lambda: proxy.half_close(up=False)):
            await store.states([])
            proxy.down.is_black_hole = True
            writing = asyncio.create_task(ended(lambda: store.set_paused(OVENS, False)))
            await through.until("query LIKE '%set_paused%'", 1)
            cut()
            proxy.clear()
            problem, _ = await writing

            assert problem is None or isinstance(problem, OutcomeUnknownError)
            assert await store.states([]) == {}
        await through.until_few()


async def test_connections_that_lay_idle_are_not_trusted_after_a_silence(server: PostgresServer) -> None:
    """A firewall that forgot one of them has forgotten all: else each would cost a call its whole bound."""
    async with open_through(server) as through:
        store = through.store
        await asyncio.gather(*(store.queues() for _ in range(CONNECTIONS_MAX)))
        forgotten = set(await through.pids())
        through.proxy.black_hole()
        through.hurries()
        await ended(store.membership)
        through.proxy.clear()
        through.has_time()

        problem, _ = await ended(store.membership)

        assert len(forgotten) == CONNECTIONS_MAX
        assert problem is None
        await through.until_gone(forgotten)


async def test_a_slow_network_is_no_error(server: PostgresServer) -> None:
    """Latency and a thin line cost time."""
    async with open_through(server) as through:
        through.proxy.up.latency_s = through.proxy.down.latency_s = 0.02
        through.proxy.down.bytes_per_s = 50_000
        shop = through.shop
        jobs = [fresh(shop.job(payload=b'"' + b"x" * 500 + b'"')) for _ in range(20)]
        await through.store.submit(jobs)
        worker = await shop.worker(store=through.store)
        taken = await worker.claim(20)
        await worker.settle(*map(succeeded, taken))

        assert len(taken) == 20


async def test_a_caller_who_gives_up_leaves_nothing_behind(server: PostgresServer) -> None:
    """What it asked for is cancelled at the server: nobody must wait behind it."""
    async with open_through(server) as through:
        await through.look.execute("BEGIN; LOCK TABLE queues IN ACCESS EXCLUSIVE MODE")
        callers = [asyncio.create_task(through.store.set_paused(OVENS, False)) for _ in range(CONNECTIONS_MAX)]
        await through.until("wait_event_type = 'Lock'", CONNECTIONS_MAX)
        for caller in callers:
            caller.cancel()
        await asyncio.gather(*callers, return_exceptions=True)
        await through.until("wait_event_type = 'Lock'", 0)
        await through.look.execute("ROLLBACK")

        assert await through.store.states([]) == {}
        await through.until("true", 1)


async def test_nobody_waits_for_a_lock_for_long(server: PostgresServer) -> None:
    """The server itself gives up, and says for certain that nothing was written."""
    async with open_through(server, replace(PATIENT, lock_s=0.2)) as through:
        await through.look.execute("BEGIN; LOCK TABLE queues IN ACCESS EXCLUSIVE MODE")
        problem, seconds = await ended(lambda: through.store.set_paused(OVENS, True))
        await through.look.execute("ROLLBACK")

        assert type(problem) is StoreBusyError
        assert seconds >= 0.2


async def test_the_network_is_watched_from_both_sides(server: PostgresServer) -> None:
    """Every bound that the kernels and the server keep for us, as they have it."""
    async with open_through(server, BOUNDS) as through:
        async with through.store._server.connection() as connection:
            end = connection._transport.get_extra_info("socket")
            ours = [
                end.getsockopt(*option)
                for option in (
                    (socket.SOL_SOCKET, socket.SO_KEEPALIVE),
                    (socket.IPPROTO_TCP, socket.TCP_KEEPIDLE),
                    (socket.IPPROTO_TCP, socket.TCP_KEEPINTVL),
                    (socket.IPPROTO_TCP, socket.TCP_KEEPCNT),
                    (socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT),
                )
            ]
            theirs = {name: await connection.fetchval(f"SHOW {name}") for name in BOUNDS.at_the_server()}

        assert ours == [1, 3, 1, 3, 6_000]
        assert theirs == {
            "default_transaction_isolation": "read committed",
            "lock_timeout": "5s",
            "statement_timeout": "2min",
            "idle_in_transaction_session_timeout": "10s",
            "client_connection_check_interval": "2s",
            "tcp_user_timeout": "6000",
            "tcp_keepalives_idle": "3",
            "tcp_keepalives_interval": "1",
            "tcp_keepalives_count": "3",
        }


async def test_a_small_reply_is_read_into_a_small_room(server: PostgresServer) -> None:
    """For 256 KiB at each reply, as asyncio asks for, the kernel is called three times: a twelfth of what a submit takes."""
    road = Server(server.url, "public")
    async with road.connection() as connection:
        await connection.fetchval("SELECT 1")
        tracemalloc.start()
        try:
            before, _ = tracemalloc.get_traced_memory()
            await connection.fetchval("SELECT 1")
            _, most = tracemalloc.get_traced_memory()
        finally:
            tracemalloc.stop()
    await road.close()

    assert most - before < 128 * KIB


async def test_a_serialisation_failure_is_tried_again(server: PostgresServer) -> None:
    """The server has undone everything, so the caller need not know. (Deadlocks: test_engine.py.)"""
    async with open_through(server) as through:
        await through.look.execute(
            "CREATE SEQUENCE calls; CREATE FUNCTION unlucky(p_calls integer) RETURNS bigint LANGUAGE plpgsql AS $$ "
            "DECLARE n bigint := nextval('calls'); BEGIN IF n < p_calls THEN "
            "RAISE EXCEPTION 'unlucky' USING ERRCODE = '40001'; END IF; RETURN n; END $$ SET search_path FROM CURRENT"
        )
        road = through.store._server

        assert await road.value("unlucky", 4) == 4
        with pytest.raises(StoreBusyError):
            await road.call("unlucky", 1_000)


async def test_what_the_driver_cannot_send_is_no_lost_connection(server: PostgresServer) -> None:
    """A number out of range would be asked again for ever."""
    async with open_through(server) as through:
        with pytest.raises(StoreError, match="Nothing was written") as caught:
            await through.store.claim(1, 1 << 40, [1], 1, tasks=[1])

        assert not isinstance(caught.value, OutcomeUnknownError)
        with pytest.raises(InvalidArgumentsError):
            await through.store.submit([through.shop.job("zero \0")])


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("postgresql://cook@db/shop", ("postgresql://cook@db/shop", None)),
        ("postgresql://db/shop?pooler=transaction", ("postgresql://db/shop", True)),
        (
            "postgresql://db/shop?sslmode=require&pooler=none&x=%2F",
            ("postgresql://db/shop?sslmode=require&x=%2F", False),
        ),
        ("postgresql://a:1,b:2/shop?pooler=none", ("postgresql://a:1,b:2/shop", False)),
    ],
)
def test_an_address_says_whether_there_is_a_pooler(url: str, expected: tuple[str, bool | None]) -> None:
    """The driver would take the word for a setting of the server."""
    assert read_url(url) == expected


def test_an_address_that_says_nonsense_of_a_pooler_is_refused() -> None:
    """It would be taken for something else than was meant."""
    with pytest.raises(ConfigError, match="pooler=session"):
        read_url("postgresql://db/shop?pooler=session")


@pytest.mark.parametrize("port", ["x", "99999", "0", "5432x", "-1"])
def test_a_port_that_is_none_is_refused_before_anything_is_opened(port: str) -> None:
    """No server that comes back makes it right: it is nothing to wait for, and the driver speaks of integers and overflows."""
    for host in (f"db:{port}", f"db:5432,other:{port}", f"[::1]:{port}"):
        with pytest.raises(ConfigError, match=rf"^\[ROTA-107\] {port} is no port, .*//db|//\[") as caught:
            read_url(f"postgresql://cook:secret@{host}/shop")
        assert "secret" not in str(caught.value)


@pytest.mark.parametrize("url", ["postgresql:///shop", "postgresql://"])
def test_an_address_without_a_host_is_shown_as_it_is_written(url: str) -> None:
    """Then the driver's environment says which."""
    assert read_url(url) == (url, None)
    assert without_secrets(url) == url
    assert without_secrets(url, "other") == f"{url}#other"
