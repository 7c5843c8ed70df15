"""The hot statements use their index, whatever the statistics say and however many jobs wait.

The server's own ``auto_explain`` tells what it did in every statement of every function, with the rows it really read: a plan
is good if it reads a few rows for each that it needs, by index, never a table.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import asyncpg
import msgspec
import pytest
from msgspec import structs

from rota.model.limits import WAITING_JOBS_MAX
from rota.store.port import Blame
from rota.store.postgres.migrate import migrate
from rota.store.postgres.server import quoted
from rota.store.postgres.store import PostgresStore
from rota.testing.clock import ManualClock
from tests.contract.outcomes import given_back, retry, snooze, succeeded
from tests.contract.shop import ALL_SLOTS, BAKE, KILLED, OVENS, CountingEntropy, Shop, Worker
from tests.postgres.stepper import SessionServer
from tests.postgres_server import PostgresServer, server_or_skip

pytestmark = [pytest.mark.postgres, pytest.mark.timeout(900)]

BIG_TABLES = {"live", "finished", "history", "turns", "claims"}
"""And the partitions of finished, whose names begin with its name."""
READ_ROWS_MAX = 4_500
"""A claim of 1,000 jobs may look at two or three rows of each of 1,024 slots."""

_FILL = """
INSERT INTO live (token, queue_id, task_id, hash16, key, priority, due_at, payload, codec, ready, ready_at, submitted_at,
                  slot, seq, place)
SELECT (lpad(to_hex($2::bigint / 1000), 12, '0') || '7fff' || 'b' || lpad(to_hex(n), 15, '0'))::uuid, 1, 1, h, k, 0,
       CASE WHEN n > $1 THEN $2 + 3600000000 + n END, '{}', 1, k IS NULL AND n <= $1, $2, $2,
       h >> 6, seq, place_of(0::smallint, seq)
  FROM (SELECT n, k, hashtext(coalesce(k, n::text)) & 65535 AS h, nextval('live_seq') AS seq
          FROM (SELECT n, CASE n % 20 WHEN 18 THEN 'hot' WHEN 19 THEN 'key ' || n % 10000 END AS k
                  FROM generate_series(1, 2 * $1) n) y) x
"""
"""Half of the jobs wait, half are scheduled; of each, a twentieth has one hot key and a twentieth five hundred others."""


class Plans:
    """What the server did in each statement since ``clear``."""

    def __init__(self) -> None:
        self.found: list[dict[str, Any]] = []

    def hear(self, _connection: object, message: Any) -> None:
        """Take a plan out of the server's log messages."""
        text = message.message
        if "plan:\n" in text:
            self.found.append(msgspec.json.decode(text.partition("plan:\n")[2]))

    def nodes(self) -> Iterator[tuple[str, dict[str, Any]]]:
        """Yield each plan's statement and each of its nodes."""
        for plan in self.found:
            waiting = [plan["Plan"]]
            while waiting:
                node = waiting.pop()
                waiting += node.get("Plans", [])
                yield plan["Query Text"], node

    def complaints(self) -> list[str]:
        """Return every node that read a big table whole, or far more rows than it needed."""
        bad = []
        for statement, node in self.nodes():
            table = node.get("Relation Name")
            if table is None or table.partition("_")[0] not in BIG_TABLES:
                continue
            loops = node["Actual Loops"]
            read = loops * (node["Actual Rows"] + node.get("Rows Removed by Filter", 0))
            if node["Node Type"] == "Seq Scan" or read > READ_ROWS_MAX:
                index = node.get("Index Name", "")
                bad.append(f"{node['Node Type']} {index} on {table} read {read:.0f} rows in: {statement[:300]}")
        return bad


class Scene:
    """A schema full of jobs, and a store that is watched."""

    def __init__(self, url: str, schema: str, clock: ManualClock) -> None:
        self.clock = clock
        self.url, self.schema = url, schema

    async def prepare(self) -> None:
        """Make the tables, and statistics that say that they are empty."""
        await migrate(self.url, schema=self.schema)
        store = await PostgresStore.open(self.url, clock=self.clock, schema=self.schema)
        await store.intern([OVENS], [BAKE])
        await store.tend_partitions(self.clock.now_us() - 7 * 86_400 * 10**6)
        await store.close()
        connection = await self.connect()
        partitions = [record["part"] for record in await connection.fetch("SELECT part FROM list_partitions()")]
        for table in ("live", "turns", "history", "claims", *partitions):
            # No plan looks at what is in the log, and to write it takes a third of the time.
            await connection.execute(f"ALTER TABLE {table} SET UNLOGGED")
            await connection.execute(f"ALTER TABLE {table} SET (autovacuum_enabled = false)")
            await connection.execute(f"VACUUM ANALYZE {table}")
        await connection.close()

    async def fill(self, size: int) -> None:
        """Fill the tables. Statistics, and the plans of open sessions, stay those of empty ones."""
        connection = await self.connect()
        await connection.execute(_FILL, size, self.clock.now_us(), timeout=600)
        await connection.execute(
            "INSERT INTO turns (queue_id, slot, key, since) SELECT DISTINCT queue_id, slot, key, $1::bigint FROM live "
            "WHERE key IS NOT NULL AND due_at IS NULL",
            self.clock.now_us(),
            timeout=600,
        )
        await connection.close()

    async def analyze(self) -> None:
        """Take statistics of the full tables."""
        connection = await self.connect()
        await connection.execute("VACUUM ANALYZE live, turns, finished, history, claims", timeout=600)
        await connection.close()

    async def drop(self) -> None:
        """Remove everything."""
        connection = await self.connect()
        await connection.execute(f"DROP SCHEMA {quoted(self.schema)} CASCADE", timeout=600)
        await connection.close()

    async def connect(self) -> asyncpg.Connection:
        """Open a session in the schema."""
        connection = await asyncpg.connect(self.url, command_timeout=600)
        await connection.execute(f"SET search_path = {quoted(self.schema)}, pg_temp")
        return connection

    async def watched(self) -> tuple[Shop, Plans, asyncpg.Connection]:
        """Return a shop on a new session, whose plans are told."""
        server = SessionServer(self.url, self.schema, await SessionServer(self.url, self.schema).connect())
        connection = server.only
        try:
            await connection.execute("LOAD 'auto_explain'")
        except (asyncpg.InsufficientPrivilegeError, asyncpg.UndefinedFileError) as problem:
            await connection.close()
            pytest.skip(f"plans were NOT looked at: this server does not load auto_explain: {problem}")
        for setting in (
            "log_min_duration = 0",
            "log_analyze = on",
            "log_timing = off",
            "log_nested_statements = on",
            "log_format = json",
        ):
            await connection.execute(f"SET auto_explain.{setting}")
        await connection.execute("SET client_min_messages = log")
        plans = Plans()
        connection.add_log_listener(plans.hear)
        store = PostgresStore(server, self.clock, WAITING_JOBS_MAX)
        await store.intern([OVENS], [BAKE])
        return Shop(store, self.clock, CountingEntropy(self.clock)), plans, connection


async def a_day_of_work(shop: Shop) -> None:
    """Call every hot function once or twice, with batches as they come."""
    shop.clock.advance(1)
    worker = await shop.worker()
    for keys in ([None] * 100, [f"key {number}" for number in range(100)], ["hot"] * 20):
        await shop.store.submit([structs.replace(shop.job(key), is_fresh=True) for key in keys])
        await shop.submit(*[shop.job(key) for key in keys])
    for _ in range(3):
        jobs = await worker.claim(1_000)
        await worker.settle(*map(succeeded, jobs[:700]))
        await worker.settle(*[retry(job, shop.at(60)) for job in jobs[700:720]])
        await worker.settle(*[snooze(job, shop.at(60)) for job in jobs[720:740]])
        await worker.settle(*[given_back(job) for job in jobs[740:760]])
    shop.clock.advance(61)
    reply = await worker.ask(100, slots=ALL_SLOTS[:100], cursors=[1 << 58] * 100)
    assert reply.epoch
    await shop.submit(*[shop.job(priority=number % 7) for number in range(50)])
    for _ in range(3):
        reply = await worker.ask(4, cursors=[1] * len(ALL_SLOTS))
        assert reply.ranks
        await worker.settle(*map(succeeded, reply.jobs))
    await shop.store.held(worker.id)
    await look_around(shop, worker)
    victim = await shop.worker()
    held = await victim.claim(500)
    await shop.store.close_worker(victim.id)
    await shop.release(victim, Blame(running=[job.token for job in held[:8]], failure=KILLED))


async def look_around(shop: Shop, worker: Worker) -> None:
    """Ask what people and waiting submitters ask."""
    (token,) = await shop.submit(shop.job("hot"))
    await shop.store.states([token])
    await shop.store.find(token)
    await shop.store.history(token)
    await shop.store.head_of(OVENS, "hot")
    await shop.store.cancel(token)
    await shop.store.reopen(token)
    queue_id = worker.registered.queue_ids[OVENS]
    await shop.store.ready_elsewhere(queue_id, ALL_SLOTS[:512], keyed_before=shop.clock.now_us())


@pytest.fixture
def server() -> PostgresServer:
    """A real server."""
    return server_or_skip()


@pytest.mark.parametrize("size", [20_000, pytest.param(1_000_000, marks=pytest.mark.slow(seconds=16))])
async def test_hot_statements_read_a_few_rows_by_index(size: int, server: PostgresServer, clock: ManualClock) -> None:
    """With a million waiting and a million scheduled, a claim costs what it costs with none."""
    scene = Scene(server.url, server.fresh_schema(), clock)
    try:
        await scene.prepare()
        shop, plans, connection = await scene.watched()
        await a_day_of_work(shop)
        plans.found.clear()
        await scene.fill(size)

        of_plans_made_while_empty = await complaints_of(shop, plans, connection)
        of_empty_statistics = await complaints_of(*await scene.watched())
        await scene.analyze()
        of_full_statistics = await complaints_of(*await scene.watched())
    finally:
        await scene.drop()

    assert of_plans_made_while_empty == []
    assert of_empty_statistics == []
    assert of_full_statistics == []


async def complaints_of(shop: Shop, plans: Plans, connection: asyncpg.Connection) -> list[str]:
    """Work in this session, close it, and return what was bad about its plans."""
    try:
        await a_day_of_work(shop)
    finally:
        await connection.close()
    assert len(plans.found) > 100, "the server told no plans"
    return sorted(set(plans.complaints()))


async def test_a_bad_plan_is_seen(server: PostgresServer, clock: ManualClock) -> None:
    """The look-out must see what it looks out for: here a count that reads the table."""
    scene = Scene(server.url, server.fresh_schema(), clock)
    try:
        await scene.prepare()
        await scene.fill(5_000)
        shop, plans, connection = await scene.watched()
        await shop.store.queues()
        await connection.close()
    finally:
        await scene.drop()

    assert any("on live read" in complaint for complaint in plans.complaints())


async def test_who_is_there_is_read_without_those_who_are_gone(server: PostgresServer, clock: ManualClock) -> None:
    """Every node asks twice a second; and a worker that dies every second leaves half a million rows in a week."""
    scene = Scene(server.url, server.fresh_schema(), clock)
    try:
        await scene.prepare()
        connection = await scene.connect()
        for table, columns in (
            ("nodes", "host, lease_ms"),
            ("workers", "node_id, queues, tasks, weight, is_alone, pid"),
        ):
            values = {"host": "'{}'", "queues": "'{}'", "tasks": "'{}'", "is_alone": "false"}
            more = ", ".join(values.get(column, "1") for column in columns.split(", "))
            await connection.execute(
                f"INSERT INTO {table} (name, proof, registered_at, closed_at, {columns}) "
                f"SELECT 'mitte', n::text, 1, 2, {more} FROM generate_series(1, 5000) n"
            )
        await connection.close()
        shop, plans, connection = await scene.watched()
        worker = await shop.worker()
        await shop.submit(shop.job())
        await worker.claim_one()
        plans.found.clear()

        assert [seen.id for seen in (await shop.store.membership()).workers] == [worker.id]
        assert await shop.store.closed_workers_with_jobs() == []

        await connection.close()
        read = sum(
            node["Actual Loops"] * (node["Actual Rows"] + node.get("Rows Removed by Filter", 0))
            for _, node in plans.nodes()
            if node.get("Relation Name") in ("nodes", "workers")
        )
        assert 0 < read < 50
    finally:
        await scene.drop()
