"""Several servers in one address: the primary is found, also when another of them is a hole in the network."""

from __future__ import annotations

import asyncio
import socket
from typing import Any
from urllib.parse import urlsplit

import asyncpg
import pytest

from rota.errors import OutcomeUnknownError, StoreReadOnlyError, StoreUnavailableError
from rota.store.postgres.hosts import HEAD_START_S, Hosts, each_of
from rota.store.postgres.store import PostgresStore
from tests.postgres.through import PATIENT, QUICK, ended, open_through
from tests.postgres_server import PostgresServer
from tests.tcp_proxy import TcpProxy

PATIENCE_S = 20.0

pytestmark = [pytest.mark.postgres, pytest.mark.timed]


def _address(url: str, *ports: int) -> str:
    """Return a server's address with these ports of this machine as its hosts."""
    parts = urlsplit(url)
    hosts = ",".join(f"127.0.0.1:{port}" for port in ports)
    return f"{parts.scheme}://{parts.username}@{hosts}{parts.path}"


def _port(url: str) -> int:
    port = urlsplit(url).port
    assert port is not None
    return port


async def test_a_host_that_has_vanished_costs_a_moment_once(
    server: PostgresServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its machine is off: it will never answer, and must not use up the time that is the other's."""
    async with open_through(server) as through, TcpProxy.before(server.url) as vanished:
        vanished.black_hole()
        url = _address(server.url, vanished.port, _port(server.url))
        now = asyncio.get_running_loop().time
        schema = through.store._server.schema

        began = now()
        store = await PostgresStore.open(url, schema=schema, bounds=PATIENT)
        first_s, asked = now() - began, vanished.accepted
        # The other is the first now, and is given its time.
        monkeypatch.setattr("rota.store.postgres.hosts.HEAD_START_S", PATIENCE_S)
        await asyncio.gather(*(store.queues() for _ in range(4)))

        assert first_s >= HEAD_START_S
        assert asked == vanished.accepted == 1
        await store.close()


async def test_the_primary_is_found_again_after_a_fail_over(
    server: PostgresServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The first host is cut off in the middle of work; the second takes over."""
    async with (
        open_through(server) as through,
        TcpProxy.before(server.url) as first,
        TcpProxy.before(server.url) as second,
    ):
        url = _address(server.url, first.port, second.port)
        with monkeypatch.context() as patience:
            patience.setattr("rota.store.postgres.hosts.HEAD_START_S", PATIENCE_S)
            store = await PostgresStore.open(url, schema=through.store._server.schema, bounds=PATIENT)
            await store.queues()
        first.black_hole()
        store._server.bounds = QUICK
        problem, _ = await ended(store.queues)
        store._server.bounds = PATIENT
        after, _ = await ended(store.queues)

        assert isinstance(problem, StoreUnavailableError)
        assert after is None
        assert second.accepted == 1
        await store.close()


async def test_hosts_that_all_refuse_are_told(server: PostgresServer) -> None:
    """With what the last of them said."""
    async with open_through(server) as through:
        with socket.socket() as nobody:
            nobody.bind(("127.0.0.1", 0))
            url = _address(server.url, *[nobody.getsockname()[1]] * 2)
            with pytest.raises(StoreUnavailableError, match="refused"):
                await PostgresStore.open(url, schema=through.store._server.schema)


async def test_a_server_that_was_made_a_standby_is_left(server: PostgresServer) -> None:
    """Its connections stay open, but lead to nowhere: the next call looks for the primary."""
    async with open_through(server) as through:
        await through.store.queues()
        before = set(await through.pids())
        await through.look.execute("ALTER DATABASE postgres SET default_transaction_read_only = on")
        try:
            await through.look.execute("SELECT pg_terminate_backend(pid) FROM unnest($1::int[]) pid", list(before))
            problem: Any = None
            async with asyncio.timeout(PATIENCE_S):
                while not isinstance(problem, StoreReadOnlyError):
                    problem, _ = await ended(lambda: through.store.set_paused("ovens", False))
                    assert problem is None or isinstance(problem, OutcomeUnknownError | StoreReadOnlyError)
            standbys = set(await through.pids())
        finally:
            await through.look.execute("SET default_transaction_read_only = off")
            await through.look.execute("ALTER DATABASE postgres RESET default_transaction_read_only")

        problem, _ = await ended(lambda: through.store.set_paused("ovens", False))

        assert problem is None
        await through.until_gone(standbys)


async def test_who_comes_too_late_leaves_nothing_open() -> None:
    """Both answer at last: one is used, the other is closed again."""
    closed: list[str] = []

    class Connection:
        def __init__(self, dsn: str) -> None:
            self.dsn = dsn

        def terminate(self) -> None:
            closed.append(self.dsn)

    may_answer = asyncio.Event()

    async def open_one(dsn: str) -> asyncpg.Connection:
        if dsn.startswith("postgresql://a"):
            # Its answer is there before anybody can call it off.
            await asyncio.shield(asyncio.ensure_future(may_answer.wait()))
        may_answer.set()
        await asyncio.sleep(0)
        return Connection(dsn)

    hosts = Hosts("postgresql://a,b/shop")
    used: Any = await hosts.first(open_one)
    again: Any = await hosts.first(open_one)

    assert used.dsn.startswith("postgresql://b/")
    assert again.dsn.startswith("postgresql://b/")
    assert set(closed) <= {"postgresql://a/shop?target_session_attrs=read-write"}


@pytest.mark.parametrize(
    ("dsn", "expected"),
    [
        ("postgresql://cook@db/shop?x=1", ["postgresql://cook@db/shop?x=1"]),
        ("postgresql:///shop?host=/run/postgresql", ["postgresql:///shop?host=/run/postgresql"]),
        (
            "postgresql://cook:a,b@db1:5433,[::1]:5434/shop?x=1",
            [
                "postgresql://cook:a,b@db1:5433/shop?x=1&target_session_attrs=read-write",
                "postgresql://cook:a,b@[::1]:5434/shop?x=1&target_session_attrs=read-write",
            ],
        ),
        (
            "postgres://db1,db2/shop?target_session_attrs=any",
            ["postgres://db1/shop?target_session_attrs=any", "postgres://db2/shop?target_session_attrs=any"],
        ),
    ],
)
def test_an_address_names_servers(dsn: str, expected: list[str]) -> None:
    """Of several the one is wanted that may be written, unless somebody says otherwise."""
    assert each_of(dsn) == expected
