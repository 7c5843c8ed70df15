"""Plain roles: an owner of one schema, and a role that only works in it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta

import asyncpg
import pytest

from rota.errors import StoreUnavailableError
from rota.model.state import State
from rota.store.port import JobFilter
from rota.store.postgres.migrate import migrate, pending
from rota.store.postgres.rights import grants
from rota.store.postgres.store import PostgresStore
from rota.testing.clock import ManualClock
from tests.contract.outcomes import failed
from tests.contract.shop import CountingEntropy, Shop
from tests.postgres_server import PostgresServer

pytestmark = pytest.mark.postgres

WEEK = timedelta(days=7)


@dataclass
class Roles:
    """An owner and a worker, neither with a right on the database, and a superuser's connection beside them."""

    schema: str
    owner: str
    worker: str
    look: asyncpg.Connection
    server: str

    def url(self, role: str) -> str:
        """Return the address with which a role comes."""
        head, _, tail = self.server.partition("://")
        return f"{head}://{role}@{tail.rpartition('@')[2]}"

    async def as_owner(self, statement: str) -> None:
        """Let the owner say something."""
        connection = await asyncpg.connect(self.url(self.owner))
        await connection.execute(statement)
        await connection.close()


@asynccontextmanager
async def two_roles(server: PostgresServer) -> AsyncIterator[Roles]:
    """Make the roles and an empty schema of the owner's."""
    schema = server.fresh_schema()
    owner, worker = f"o_{schema}", f"w_{schema}"
    look = await asyncpg.connect(server.url)
    database = await look.fetchval("SELECT current_database()")
    await look.execute(
        f"CREATE ROLE {owner} LOGIN; CREATE ROLE {worker} LOGIN; CREATE SCHEMA {schema} AUTHORIZATION {owner}"
    )
    try:
        assert not await look.fetchval("SELECT has_database_privilege($1, $2, 'CREATE')", owner, database)
        yield Roles(schema, owner, worker, look, server.url)
    finally:
        await look.execute(f"DROP SCHEMA IF EXISTS {schema} CASCADE; DROP OWNED BY {owner}, {worker}")
        await look.execute(f"DROP ROLE {owner}, {worker}")
        await look.close()


async def a_month_of_work(url: str, schema: str, clock: ManualClock) -> None:
    """Submit, claim, settle, lose a worker, reopen, cancel, expire, sweep, prune, and let partitions come and go."""
    store = await PostgresStore.open(url, clock=clock, schema=schema)
    try:
        shop = Shop(store, clock, CountingEntropy(clock))
        await store.tend_partitions(shop.at(-WEEK))
        tokens = await shop.submit(*[shop.job(key) for key in (None, "mitte", "mitte")])
        worker = await shop.worker()
        job = await worker.claim_one()
        await worker.settle(failed(job))
        await store.reopen(job.token)
        await shop.lose(worker, running=None)
        await store.cancel(job.token)
        await (await shop.worker()).work()
        assert set((await store.states(tokens)).values()) <= {State.CANCELLED, State.SUCCEEDED}
        await store.set_paused("ovens", True)
        assert (await store.sweep()).total == 0
        await store.expire()
        for _ in range(4):
            clock.advance(WEEK)
            await store.tend_partitions(shop.at(-WEEK))
            await store.prune(shop.at(-WEEK))
        assert await store.states(tokens) == {}
        assert [check for check in await store.doctor() if check.level == "error"] == []
    finally:
        await store.close()


async def test_the_owner_of_a_schema_needs_no_other_right(server: PostgresServer, clock: ManualClock) -> None:
    """Hosted databases give a role one schema and nothing else."""
    async with two_roles(server) as roles:
        assert await migrate(roles.url(roles.owner), schema=roles.schema) == ["001_first", "functions"]

        await a_month_of_work(roles.url(roles.owner), roles.schema, clock)


async def test_a_role_that_only_works_there_may_do_all_that_work_needs(
    server: PostgresServer, clock: ManualClock
) -> None:
    """What runs on the web server's machine should not be able to change the schema; partitions are made all the same."""
    async with two_roles(server) as roles:
        await migrate(roles.url(roles.owner), schema=roles.schema)
        await roles.as_owner(grants(roles.schema, roles.worker))

        await a_month_of_work(roles.url(roles.worker), roles.schema, clock)

        worker = await asyncpg.connect(roles.url(roles.worker))
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            await worker.execute(f"DROP TABLE {roles.schema}.live")
        await worker.close()


async def test_grants_outlive_the_next_migration(server: PostgresServer, clock: ManualClock) -> None:
    """Functions are made anew with each version; a node must not stop working for it."""
    async with two_roles(server) as roles:
        await migrate(roles.url(roles.owner), schema=roles.schema)
        await roles.as_owner(grants(roles.schema, roles.worker))
        await roles.as_owner(f"UPDATE {roles.schema}.migrations SET name = 'functions of old' WHERE no = 0")
        assert await migrate(roles.url(roles.owner), schema=roles.schema) == ["functions"]

        await a_month_of_work(roles.url(roles.worker), roles.schema, clock)


async def test_who_may_do_nothing_is_told_what_is_missing(server: PostgresServer, clock: ManualClock) -> None:
    """By name, with the statement that gives it."""
    async with two_roles(server) as roles:
        await migrate(roles.url(roles.owner), schema=roles.schema)

        with pytest.raises(StoreUnavailableError) as caught:
            await PostgresStore.open(roles.url(roles.worker), clock=clock, schema=roles.schema)

    assert f"role {roles.worker} do nothing: it lacks USAGE on schema {roles.schema}" in str(caught.value)
    assert f'GRANT USAGE ON SCHEMA "{roles.schema}" TO "{roles.worker}"' in str(caught.value)


async def test_the_doctor_names_each_missing_right(server: PostgresServer, clock: ManualClock) -> None:
    """Somebody has granted most of it by hand."""
    async with two_roles(server) as roles:
        await migrate(roles.url(roles.owner), schema=roles.schema)
        await roles.as_owner(grants(roles.schema, roles.worker))
        await roles.as_owner(
            f"SET search_path = {roles.schema}; REVOKE INSERT, DELETE ON live FROM {roles.worker}; "
            "REVOKE EXECUTE ON FUNCTION sweep FROM PUBLIC"
        )
        await roles.as_owner(f"REVOKE EXECUTE ON FUNCTION {roles.schema}.sweep FROM {roles.worker}")
        store = await PostgresStore.open(roles.url(roles.worker), clock=clock, schema=roles.schema)
        (check,) = await store.doctor()
        await roles.as_owner(check.advice)
        mended = await store.doctor()
        await store.close()

    assert (check.level, check.name) == ("error", "rights")
    assert check.says == (f"role {roles.worker} lacks INSERT, DELETE on table live; EXECUTE on function sweep")
    assert [each.level for each in mended if each.name == "rights"] == ["ok"]


async def test_only_who_may_delete_sees_to_partitions_and_prunes(server: PostgresServer) -> None:
    """These functions act with their owner's rights: a role that may only look must not empty the store through them."""
    async with two_roles(server) as roles:
        await migrate(roles.url(roles.owner), schema=roles.schema)
        await roles.as_owner(
            f"GRANT USAGE ON SCHEMA {roles.schema} TO {roles.worker}; "
            f"GRANT SELECT ON ALL TABLES IN SCHEMA {roles.schema} TO {roles.worker}"
        )
        reader = await asyncpg.connect(roles.url(roles.worker))
        for call in ("make_partitions(NULL, 1)", "drop_partition(NULL, 1, 1)", "prune_finished(NULL, 1, 1)"):
            with pytest.raises(asyncpg.InsufficientPrivilegeError, match="table finished"):
                await reader.fetch(f"SELECT * FROM {roles.schema}.{call}")
        await reader.close()


async def test_a_role_that_may_only_look_can_look_at_everything(server: PostgresServer, clock: ManualClock) -> None:
    """Monitoring, and the person on call, get SELECT and no more; what writes is refused with whom to ask."""
    async with two_roles(server) as roles:
        await migrate(roles.url(roles.owner), schema=roles.schema)
        await roles.as_owner(
            f"GRANT USAGE ON SCHEMA {roles.schema} TO {roles.worker}; "
            f"GRANT SELECT ON ALL TABLES IN SCHEMA {roles.schema} TO {roles.worker}"
        )
        owner = await PostgresStore.open(roles.url(roles.owner), clock=clock, schema=roles.schema)
        shop = Shop(owner, clock, CountingEntropy(clock))
        [token] = await shop.submit(shop.job("mitte"))
        looker = await PostgresStore.open(roles.url(roles.worker), clock=clock, schema=roles.schema)

        assert await looker.states([token]) == {token: State.WAITING}
        assert await looker.find(token) is not None
        assert list(await looker.history(token)) == []
        assert await looker.head_of("ovens", "mitte") is None, "the next claim stages it"
        assert [row.token for row in await looker.jobs(JobFilter())] == [token]
        assert [row.waiting for row in await looker.queues()] == [1]
        assert sum((await looker.finished_counts()).values()) == 0
        assert not (await looker.membership()).workers
        assert not [*await looker.departed(), *await looker.alone()]
        checks = {check.name: check for check in await looker.doctor()}
        assert (checks["rights"].level, checks["rights"].says) == ("note", f"role {roles.worker} may only look")
        assert "error" not in {check.level for check in checks.values()}
        for write in (looker.cancel(token), looker.set_paused("ovens", True), looker.reopen(token)):
            with pytest.raises(StoreUnavailableError, match=r"Nothing was written\. This role may only look"):
                await write
        await looker.close()
        await owner.close()


async def test_a_schema_that_cannot_be_made_is_asked_for(server: PostgresServer) -> None:
    """Who may not make it is told what the database's owner has to say; nothing is left half done."""
    async with two_roles(server) as roles:
        name = f"{roles.schema}_x"
        assert [step.name for step in await pending(roles.url(roles.worker), schema=name)] == ["001_first", "functions"]

        with pytest.raises(StoreUnavailableError, match=f'CREATE SCHEMA "{name}" AUTHORIZATION'):
            await migrate(roles.url(roles.worker), schema=name)


@pytest.mark.parametrize("right", [None, "USAGE", "CREATE"])
async def test_who_may_not_fill_a_schema_is_told_who_owns_it(server: PostgresServer, right: str | None) -> None:
    """What a role may not use is left out of its path without a word: all would be made as temporary tables, and be gone."""
    async with two_roles(server) as roles:
        if right:
            await roles.as_owner(f"GRANT {right} ON SCHEMA {roles.schema} TO {roles.worker}")

        with pytest.raises(
            StoreUnavailableError, match=f"permission denied for schema .* as role {roles.owner}, which owns"
        ):
            await migrate(roles.url(roles.worker), schema=roles.schema)

        temporary = "SELECT count(*) FROM pg_class WHERE relname = 'turns' AND relpersistence = 't'"
        assert await roles.look.fetchval(temporary) == 0


async def test_who_does_not_own_a_schema_is_told_who_does(server: PostgresServer) -> None:
    """The role of the web server runs `rota migrate` by mistake."""
    async with two_roles(server) as roles:
        await migrate(roles.url(roles.owner), schema=roles.schema)
        await roles.as_owner(grants(roles.schema, roles.worker))
        await roles.as_owner(f"UPDATE {roles.schema}.migrations SET name = 'functions of old' WHERE no = 0")

        with pytest.raises(
            StoreUnavailableError, match=f"must be owner .* as role {roles.owner}, which owns the schema"
        ):
            await migrate(roles.url(roles.worker), schema=roles.schema)
