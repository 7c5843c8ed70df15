"""Each line of the doctor, its state planted on a real server."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from datetime import timedelta

import pytest

from rota.model.state import State
from rota.store.port import Check
from rota.store.postgres import doctor, doctor_safety, doctor_vacuum
from rota.store.postgres.store import PostgresStore
from rota.testing.clock import ManualClock
from tests.postgres.house import House, open_house, own_server_or_skip
from tests.postgres_server import PostgresServer

pytestmark = pytest.mark.postgres

PATIENCE_S = 20


@pytest.fixture(scope="module")
def spare() -> Iterator[PostgresServer]:
    """A server of these tests' own, whose settings may be spoilt."""
    server = own_server_or_skip(settings={"max_prepared_transactions": "2"})
    yield server
    server.stop()


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is usually said after minutes, megabytes or many rows is said at once."""
    for name in ("_IDLE_S", "_OLD_S", "_WAL_BYTES_LARGE", "_DEAD_ROWS_MANY"):
        monkeypatch.setattr(doctor_vacuum, name, 0)
    monkeypatch.setattr(doctor, "_REST_BYTES_LARGE", 0)


async def told(house: House, name: str, store: PostgresStore | None = None) -> list[Check]:
    """Return what the doctor says under a name."""
    return [check for check in await (store or house.store).doctor() if check.name == name]


async def one(house: House, name: str, store: PostgresStore | None = None) -> Check:
    """Return the one thing that the doctor says under a name."""
    (check,) = await told(house, name, store)
    return check


@asynccontextmanager
async def set_to(house: House, name: str, value: str) -> AsyncIterator[None]:
    """Spoil a setting of the whole server, and mend it."""
    await house.look.execute(f"ALTER SYSTEM SET {name} = {value}")
    await reload(house, name, value.strip("'"))
    try:
        yield
    finally:
        await house.look.execute(f"ALTER SYSTEM RESET {name}")
        await reload(house, name, None, not_=value.strip("'"))


async def reload(house: House, name: str, value: str | None, not_: str | None = None) -> None:
    """Have the settings read, and wait until a session of the store sees the new one."""
    await house.look.execute("SELECT pg_reload_conf()")
    async with asyncio.timeout(PATIENCE_S):
        while True:
            async with house.store._server.connection() as connection:
                seen = await connection.fetchval(f"SELECT current_setting('{name}')")
            if seen == value or (value is None and seen != not_):
                return
            await asyncio.sleep(0.005)


async def test_a_good_server_gives_nothing_to_do(server: PostgresServer, clock: ManualClock) -> None:
    """An alarm that is always on is no alarm; and each thing that was looked at is named."""
    async with open_house(server, clock) as house:
        await house.store.tend_partitions(house.shop.at(timedelta(days=-7)))
        checks = await house.store.doctor()

    assert [check for check in checks if check.level in ("warning", "error")] == []
    assert {check.name for check in checks if check.level == "note"} == {"fail-over", "vacuum", "jobs"}
    assert [check.name for check in checks] == [
        "engine",
        "schema",
        "rights",
        "durability",
        "fail-over",
        "snapshots",
        "vacuum",
        "bloat",
        "connections",
        "notifications",
        "partitions",
        "stuck jobs",
        "jobs",
    ]
    assert "version 1, functions " in checks[1].says


@pytest.mark.parametrize("name", ["full_page_writes", "synchronous_commit"])
async def test_what_is_not_on_disk_is_not_accepted(spare: PostgresServer, clock: ManualClock, name: str) -> None:
    """P9: weaker durability is never quiet."""
    async with open_house(spare, clock) as house:
        assert (await one(house, "durability")).level == "ok"
        async with set_to(house, name, "off"):
            check = await one(house, "durability")

    assert (check.level, name in check.says) == ("error", True)
    assert f"ALTER SYSTEM SET {name} = on" in check.advice


async def test_what_a_role_has_switched_off_for_itself_is_switched_on_for_it(
    spare: PostgresServer, clock: ManualClock
) -> None:
    """A role's setting wins over the server's: whoever types what helps a server would be told the same again."""
    async with open_house(spare, clock) as house:
        role = await house.look.fetchval("SELECT current_user")
        async with house.store._server.connection() as connection:
            await connection.execute("SET synchronous_commit = off")
        check = await one(house, "durability")

    assert (check.level, check.advice.endswith(f"ALTER ROLE {role} SET synchronous_commit = on;")) == ("error", True)


async def test_a_server_without_fsync_and_without_vacuum(clock: ManualClock) -> None:
    """Somebody copied a configuration from a benchmark."""
    settings = {"autovacuum": "off", "max_connections": "9", "superuser_reserved_connections": "1"}
    spoilt = own_server_or_skip(is_durable=False, settings=settings)
    try:
        async with open_house(spoilt, clock) as house:
            others = [await house.connect() for _ in range(6)]
            durability, vacuum = await one(house, "durability"), await one(house, "vacuum")
            async with asyncio.timeout(PATIENCE_S):
                # Whose client is gone has a place for a moment longer.
                while "8 of 8 connections" not in (connections := await one(house, "connections")).says:
                    await asyncio.sleep(0.005)
            for other in others:
                await other.close()
    finally:
        spoilt.stop()

    assert (durability.level, "fsync is off" in durability.says) == ("error", True)
    assert (vacuum.level, "ALTER SYSTEM SET autovacuum = on" in vacuum.advice) == ("error", True)
    assert (connections.level, "8 of 8 connections of the server" in connections.says) == ("warning", True)


async def test_a_standby_that_is_waited_for_in_vain(spare: PostgresServer, clock: ManualClock) -> None:
    """Every submit hangs, and nobody knows why."""
    async with open_house(spare, clock) as house:
        assert (await one(house, "fail-over")).level == "note"
        async with set_to(house, "synchronous_standby_names", "'elsewhere'"):
            check = await one(house, "fail-over")
        async with set_to(house, "synchronous_commit", "local"), set_to(house, "synchronous_standby_names", "'far'"):
            given_up = await one(house, "fail-over")

    assert (check.level, "elsewhere, and no standby is connected" in check.says) == ("error", True)
    assert (given_up.level, "synchronous_commit is local" in given_up.says) == ("warning", True)


@pytest.mark.usefixtures("impatient")
async def test_a_session_that_forgot_its_transaction(server: PostgresServer, clock: ManualClock) -> None:
    """A console left open over the week-end."""
    async with open_house(server, clock) as house:
        other = await house.connect()
        await other.execute("BEGIN; INSERT INTO tasks (name) VALUES ('x')")
        checks = [check for check in await told(house, "snapshots") if str(other.get_server_pid()) in check.says]
        await other.close()

    assert ["does nothing in an open transaction" in check.says for check in checks] == [True]
    assert f"pg_terminate_backend({other.get_server_pid()})" in checks[0].advice


@pytest.mark.usefixtures("impatient")
async def test_a_long_query(server: PostgresServer, clock: ManualClock) -> None:
    """A report that reads for hours."""
    async with open_house(server, clock) as house:
        other = await house.connect()
        query = asyncio.create_task(other.execute("SELECT pg_sleep(60)"))
        async with asyncio.timeout(PATIENCE_S):
            while not (checks := [c for c in await told(house, "snapshots") if str(other.get_server_pid()) in c.says]):
                await asyncio.sleep(0.005)
        await house.look.execute("SELECT pg_terminate_backend($1)", other.get_server_pid())
        await asyncio.wait([query])
        assert query.exception() is not None

    assert "has had a transaction open" in checks[0].says


@pytest.mark.usefixtures("impatient")
async def test_a_prepared_transaction_that_nobody_decides(spare: PostgresServer, clock: ManualClock) -> None:
    """It outlives its session and even the server, with all its locks."""
    async with open_house(spare, clock) as house:
        await house.look.execute("BEGIN; INSERT INTO tasks (name) VALUES ('x'); PREPARE TRANSACTION 'forgotten'")
        check = await one(house, "snapshots")
        await house.look.execute("ROLLBACK PREPARED 'forgotten'")

        assert (await one(house, "snapshots")).level == "ok"

    assert (check.level, "'forgotten' of postgres" in check.says) == ("warning", True)
    assert "ROLLBACK PREPARED 'forgotten'" in check.advice


@pytest.mark.usefixtures("impatient")
async def test_a_replication_slot_that_nobody_uses(spare: PostgresServer, clock: ManualClock) -> None:
    """Its standby is gone, and the disk fills up with the log kept for it."""
    async with open_house(spare, clock) as house:
        await house.look.execute("SELECT pg_create_physical_replication_slot('gone', true)")
        check = await one(house, "snapshots")
        await house.look.execute("SELECT pg_drop_replication_slot('gone')")

    assert "slot 'gone'" in check.says
    assert "pg_drop_replication_slot('gone')" in check.advice


@pytest.mark.usefixtures("impatient")
async def test_dead_rows_that_nobody_clears_away(server: PostgresServer, clock: ManualClock) -> None:
    """Claims read them all."""
    async with open_house(server, clock) as house:
        await house.look.execute("ALTER TABLE live SET (autovacuum_enabled = false)")
        await house.shop.submit(*[house.shop.job() for _ in range(20)])
        await (await house.shop.worker()).work()
        async with asyncio.timeout(PATIENCE_S):
            while not (bloat := [c for c in await told(house, "bloat") if c.says.startswith("live has ")]):
                await asyncio.sleep(0.01)
                await house.store._server.close()
                house.store = await PostgresStore.open(house.url, clock=clock, schema=house.schema)
        _, off = await told(house, "vacuum")

    assert bloat[0].level == "warning"
    assert "ALTER TABLE live RESET (autovacuum_enabled)" in off.advice


async def test_a_role_that_has_few_connections_left(server: PostgresServer, clock: ManualClock) -> None:
    """The server has room, and the role has none."""
    async with open_house(server, clock) as house, a_role(house) as (role, url):
        await house.look.execute(f"ALTER ROLE {role} CONNECTION LIMIT 1")
        store = await PostgresStore.open(url, clock=clock, schema=house.schema)
        check = await one(house, "connections", store)
        await store.close()

    assert (check.level, f"1 of 1 connections of role {role}" in check.says) == ("warning", True)


async def test_a_role_whose_transactions_see_too_little(server: PostgresServer, clock: ManualClock) -> None:
    """A setting made for another program breaks every step that must see the commit before it. Ours is sent; behind a pooler
    it cannot be.
    """
    async with open_house(server, clock) as house, a_role(house) as (role, url):
        await house.look.execute(f"ALTER ROLE {role} SET default_transaction_isolation = 'repeatable read'")
        await house.look.execute(f"ALTER ROLE {role} SET default_transaction_read_only = on")
        for where, levels in ((url, []), (f"{url}?pooler=transaction", ["error"])):
            store = await PostgresStore.open(where, clock=clock, schema=house.schema)
            isolation, read_only = await told(house, "isolation", store), await one(house, "read-only", store)
            await store.close()

            assert [check.level for check in isolation] == levels
            assert f"ALTER ROLE {role} SET default_transaction_read_only = off" in read_only.advice


async def test_a_role_that_cannot_see_others(server: PostgresServer, clock: ManualClock) -> None:
    """What it cannot see it must not call well."""
    async with open_house(server, clock) as house, a_role(house) as (role, url):
        store = await PostgresStore.open(url, clock=clock, schema=house.schema)
        check = await one(house, "sight", store)
        await house.look.execute(f"GRANT pg_read_all_stats TO {role}")
        assert await told(house, "sight", store) == []
        await store.close()

    assert check.advice == f"For the whole picture: GRANT pg_read_all_stats TO {role};"


@pytest.mark.usefixtures("impatient")
async def test_days_without_partitions(server: PostgresServer, clock: ManualClock) -> None:
    """Nobody keeps the house; and what has no partition has become much."""
    async with open_house(server, clock) as house:
        clock.advance(timedelta(days=400))
        large, missing = await told(house, "partitions")

    assert "finished_rest holds" in large.says
    assert "tomorrow have no partition" in missing.says


async def test_what_stands_still(server: PostgresServer, clock: ManualClock) -> None:
    """A worker was closed and nobody released its jobs; a key was forgotten."""
    async with open_house(server, clock) as house:
        first, _ = await house.shop.submit(house.shop.job("mitte"), house.shop.job("mitte"))
        worker = await house.shop.worker()
        await worker.claim()
        await house.store.close_worker(worker.id)
        await house.look.execute("UPDATE live SET head = false, ready = false")

        (dead,), (keys,) = await told(house, "dead workers"), await told(house, "stuck jobs")

        assert await house.shop.state(first) is State.RUNNING
    assert dead.says == "1 closed worker(s) still hold jobs"
    assert keys.says == "1 key(s) with waiting jobs and neither head nor turn"


async def test_what_no_server_shows_here() -> None:
    """A server that is too old, and a notification queue that is nearly full, are known by their facts alone."""
    old = doctor.engine({"server_version": "13.9", "server_version_num": 130_009}, "rota")
    full = doctor.notifications({"notify_usage": 0.5})
    half = doctor_safety.fail_over(
        {"synchronous_standby_names": "a", "synchronous_commit": "remote_write", "role_name": "x"},
        [{"name": "a", "state": "streaming", "sync_state": "sync"}],
    )
    unseen = doctor_safety.fail_over(
        {"synchronous_standby_names": "a", "synchronous_commit": "on", "role_name": "x"},
        [{"name": "a", "state": None, "sync_state": None}],
    )
    other = doctor_safety.fail_over(
        {"synchronous_standby_names": "a", "synchronous_commit": "on", "role_name": "x"},
        [{"name": "b", "state": "streaming", "sync_state": "async"}],
    )

    assert [check.level for check in (old, full, half, unseen, other)] == ["error", "warning", "note", "note", "error"]
    assert "50% full" in full.says
    assert "which is none of them" in other.says


@asynccontextmanager
async def a_role(house: House) -> AsyncIterator[tuple[str, str]]:
    """Make a plain role that may work in the schema; yields its name and the URL with which it comes."""
    role = f"r_{house.schema}"
    await house.look.execute(f"CREATE ROLE {role} LOGIN")
    await house.look.execute(f'GRANT USAGE ON SCHEMA "{house.schema}" TO {role}')
    await house.look.execute(f'GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA "{house.schema}" TO {role}')
    head, _, tail = house.url.partition("://")
    try:
        yield role, f"{head}://{role}@{tail.rpartition('@')[2]}"
    finally:
        await house.look.execute(f"DROP OWNED BY {role}; DROP ROLE {role}")
