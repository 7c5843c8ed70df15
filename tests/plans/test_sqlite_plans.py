"""The hot statements stay on their indexes, and do a bounded amount of work, whatever waits and whatever the statistics say.

Work is counted in steps of SQLite's virtual machine, which do not depend on the machine or on what else it does.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable, Iterator
from typing import Any, Final

import apsw
import pytest

from rota.model.limits import SLOT_COUNT
from rota.model.outcome import Kind, Outcome
from rota.runtime.entropy import SystemEntropy
from rota.store.port import JobFilter, NewNode, NewWorker, Registered
from rota.store.sqlite import listing, reading
from rota.store.sqlite.bulk import blobs, numbers, repeated
from rota.store.sqlite.connection import MEMORY
from rota.store.sqlite.stage import next_due
from rota.store.sqlite.store import SqliteStore
from rota.store.statements import load
from rota.testing.clock import ManualClock

SQL: Final = load("sqlite")
MILLION: Final = 1_000_000
HOUR_US: Final = 3_600_000_000
ALL_SLOTS: Final = tuple(range(SLOT_COUNT))

FILL: Final = """
WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < ?1)
INSERT INTO live (seq, token, queue_id, task_id, hash16, priority, key, head, ready, due_at, submitted_at, codec, payload)
SELECT i, unhex(printf('%012x70008000%012x', 1767225600000 + i / 1000, i)), 1, 1,
       (i * 40503) & 65535, 0, ?2 || (i % 10000), ?2 IS NOT NULL AND i <= 10000,
       ?3 IS NULL AND (?2 IS NULL OR i <= 10000), ?3 + i, 1, 1, x'7b7d'
  FROM n;
"""

EXPECTED: Final = {
    "keys_with_head": ["live_head (queue_id=? AND key=?)"],
    "same_job": ["live_token", "finished_token"],
    "next_in_line": ["live_line", "live_head", "INTEGER PRIMARY KEY"],
    "stage_keys": ["INTEGER PRIMARY KEY"],
    "next_due": ["live_due"],
    "stage_due": ["live_due"],
    "ready_due": ["INTEGER PRIMARY KEY"],
    "claim_facts": ["INTEGER PRIMARY KEY"],
    "interrupted": ["live_interrupted"],
    "next_stretch": ["live_claimable"],
    "outer_stretches": ["live_claimable"],
    "slots_in_stretch": ["live_claimable"],
    "slot_fronts": ["live_claimable"],
    "claimable": ["live_claimable"],
    "still_claimable": ["INTEGER PRIMARY KEY"],
    "claim_jobs": ["INTEGER PRIMARY KEY"],
    "read_jobs": ["INTEGER PRIMARY KEY"],
    "claim_alone": ["live_alone"],
    "worker_claims": ["claims_worker"],
    "held_jobs": ["live_token"],
    "finish_job": ["INTEGER PRIMARY KEY"],
    "leaving_keys": ["INTEGER PRIMARY KEY"],
    "delete_jobs": ["INTEGER PRIMARY KEY"],
    "keep_job": ["INTEGER PRIMARY KEY"],
    "note_failure": ["INTEGER PRIMARY KEY"],
    "standing": ["INTEGER PRIMARY KEY"],
    "recorded_before": ["finished_token", "live_token", "PRIMARY KEY"],
    "release_job": ["INTEGER PRIMARY KEY"],
    "reopen_job": ["finished_token", "live_head"],
    "cancel_job": ["INTEGER PRIMARY KEY"],
    "find_waiting": ["live_token"],
    "finished_state": ["finished_token"],
    "state_of": ["live_token", "finished_token"],
    "find_job": ["live_token", "finished_token"],
    "page_of_jobs": ["live_token", "finished_token"],
    "head_of": ["live_head"],
    "list_jobs": ["live_token"],
    "list_key": ["live_head", "live_line"],
    "list_finished": ["finished_token"],
    "list_unwell": ["finished_unwell"],
    "list_alone": ["live_alone"],
    "expirable": ["live_expires"],
    "ready_elsewhere": ["live_claimable"],
    "job_history": ["PRIMARY KEY"],
    "last_number": ["INTEGER PRIMARY KEY"],
    "count_up": ["INTEGER PRIMARY KEY (rowid>? AND rowid<?)"],
    "list_queues": ["INTEGER PRIMARY KEY (rowid>?)"],
    "count_running": ["live_token"],
    "count_scheduled": ["live_due"],
}
"""For each statement what it must be answered from."""

READS_A_TABLE: Final = re.compile(r"^SCAN (live|finished|history|l|f|h|n)\b(?!.*(USING|VIRTUAL))")


def empty(_: apsw.Connection) -> None:
    """No job at all, and statistics that say so."""


def waiting(db: apsw.Connection) -> None:
    db.execute(FILL, (20_000, None, None))


def keyed(db: apsw.Connection) -> None:
    db.execute(FILL, (20_000, "k", None))


def scheduled(db: apsw.Connection) -> None:
    db.execute(FILL, (20_000, None, 2**52))


Filling = Callable[[apsw.Connection], None]


def a_store(clock: ManualClock) -> SqliteStore:
    return SqliteStore.open(MEMORY, clock=clock, entropy=SystemEntropy(clock))


def connection(store: SqliteStore) -> apsw.Connection:
    return store._desk.writer._db


async def a_worker(store: SqliteStore) -> Registered:
    node = await store.register_node(NewNode(name="mitte", proof="", host="{}"))
    return await store.register_worker(NewWorker(node_id=node.id, name="mitte/1", proof="", queues=["q"], tasks=["t"]))


def plan(db: apsw.Connection, sql: str) -> list[str]:
    """Return the lines of a statement's plan."""
    names = re.findall(r":(\w+)", sql)
    numbered = max(map(int, re.findall(r"\?(\d+)", sql)), default=0) + len(re.findall(r"\?(?!\d)", sql))
    values: Any = dict.fromkeys(names) if names else (None,) * numbered
    return [str(row[3]) for row in db.execute(f"EXPLAIN QUERY PLAN {sql}", values)]


@pytest.fixture
def store(clock: ManualClock, runner: asyncio.Runner) -> Iterator[SqliteStore]:
    """An empty store in memory."""
    store = a_store(clock)
    yield store
    runner.run(store.close())


@pytest.mark.parametrize("is_analyzed", [False, True], ids=["no statistics", "analyzed"])
@pytest.mark.parametrize("fill", [empty, waiting, keyed, scheduled], ids=lambda fill: fill.__name__)
def test_every_hot_statement_uses_its_index(store: SqliteStore, fill: Filling, is_analyzed: bool) -> None:
    """One that falls back to reading the table is not noticed before there is a million of jobs."""
    db = connection(store)
    fill(db)
    if is_analyzed:
        db.execute("ANALYZE")

    for name, indexes in EXPECTED.items():
        lines = plan(db, SQL[name])

        assert lines, f"{name} has no plan: EXPLAIN was not understood"
        for index in indexes:
            assert any(f"{index}" in line for line in lines), f"{name} does not use {index}: {lines}"
        assert not [line for line in lines if READS_A_TABLE.match(line)], f"{name} reads a whole table: {lines}"


def test_statistics_of_an_empty_table_do_no_harm_later(store: SqliteStore) -> None:
    """Somebody ran ANALYZE on the first day. On PostgreSQL that once cost five sixths of the speed."""
    db = connection(store)
    db.execute("ANALYZE")
    before = {name: plan(db, SQL[name]) for name in EXPECTED}

    waiting(db)

    assert {name: plan(db, SQL[name]) for name in EXPECTED} == before


@pytest.mark.parametrize("name", ["finish_job", "keep_job", "note_failure"])
def test_a_statement_for_many_rows_has_the_plan_of_one(store: SqliteStore, name: str) -> None:
    """The row of values is repeated by the program; the reviewed text has one."""
    db = connection(store)
    keyed(db)

    lines = plan(db, repeated(SQL[name], 200))

    for index in EXPECTED[name]:
        assert any(index in line for line in lines), lines
    assert not [line for line in lines if READS_A_TABLE.match(line)]


def test_every_statement_that_reads_all_of_a_table_is_known(store: SqliteStore) -> None:
    """Three may: none of them is on a job's way."""
    db = connection(store)

    scans = {name for name, sql in SQL.items() if [line for line in plan(db, sql) if READS_A_TABLE.match(line)]}

    assert scans == {"sweep_held", "prunable"}


# ── work, counted ────────────────────────────────────────────────────────────────────────────────────────────────────


class Steps:
    """Counts steps of SQLite's virtual machine, by the hundred."""

    def __init__(self, db: apsw.Connection) -> None:
        self._db = db
        self.count = 0

    def _tick(self) -> bool:
        self.count += 100
        return False

    def __enter__(self) -> Steps:
        self._db.set_progress_handler(self._tick, 100)
        return self

    def __exit__(self, *_: object) -> None:
        self._db.set_progress_handler(None)


async def steps_of_work(store: SqliteStore, worker: Registered, slots: tuple[int, ...], limit: int) -> int:
    """Claim and settle once; return the steps. There must be something."""
    with Steps(connection(store)) as steps:
        claim = await store.claim(worker.id, worker.queue_ids["q"], slots, limit, tasks=[1])
        assert claim.jobs
        outcomes = [Outcome(seq=job.seq, token=job.token, fence=job.fence, kind=Kind.SUCCEEDED) for job in claim.jobs]
        await store.settle(worker.id, outcomes, [claim.jobs[0].claim_no])
    return steps.count


FULL: Final[dict[tuple[int, str | None, int | None], apsw.Connection]] = {}
"""What has been filled once: to copy a million jobs takes a tenth of the time of making them."""


@pytest.fixture(scope="module", autouse=True)
def _no_longer_needed() -> Iterator[None]:
    """Let go of a hundred megabytes each."""
    yield
    FULL.clear()


async def filled(clock: ManualClock, count: int, key: str | None, due_at: int | None) -> tuple[SqliteStore, Registered]:
    store = a_store(clock)
    worker = await a_worker(store)
    db = connection(store)
    full = FULL.get((count, key, due_at))
    if full is None:
        db.execute(FILL, (count, key, due_at))
        db.execute("UPDATE counters SET n = ?1 WHERE id IN (0, 1)", (count,))
        full = FULL[count, key, due_at] = apsw.Connection(":memory:")
        copy(db, full)
    else:
        copy(full, db)
    return store, worker


def copy(source: apsw.Connection, target: apsw.Connection) -> None:
    with target.backup("main", source, "main") as pages:
        pages.step(-1)


@pytest.mark.parametrize("key", [None, "k"], ids=["keyless", "keyed"])
@pytest.mark.parametrize("limit", [8, 1_000])
async def test_a_claim_among_a_million_waiting_costs_what_it_costs_among_few(
    clock: ManualClock, key: str | None, limit: int
) -> None:
    """The fuller the queue the more it matters that the workers are quick."""
    few, worker_of_few = await filled(clock, 20_000, key, None)
    many, worker_of_many = await filled(clock, MILLION, key, None)

    for slots in (ALL_SLOTS, ALL_SLOTS[::2], (3,)):
        wanted = min(limit, 8) if len(slots) == 1 else limit
        small = await steps_of_work(few, worker_of_few, slots, wanted)
        large = await steps_of_work(many, worker_of_many, slots, wanted)

        assert large <= 1.3 * small + 2_000, f"{len(slots)} slots: {small} steps among few, {large} among a million"
    await few.close()
    await many.close()


async def test_a_claim_among_a_million_scheduled_costs_what_it_costs_among_few(clock: ManualClock) -> None:
    """What is for next week must not be in the way of what is for now."""
    later = clock.now_us() + HOUR_US
    few, worker_of_few = await filled(clock, 20_000, None, later)
    many, worker_of_many = await filled(clock, MILLION, None, later)
    for store, count in ((few, 20_000), (many, MILLION)):
        # A hundred jobs of now, behind all that is scheduled.
        connection(store).execute("UPDATE live SET due_at = NULL, ready = 1 WHERE seq > ?1", (count - 100,))

    for slots in (ALL_SLOTS, (0, 1, 2, 3)):
        with Steps(connection(few)) as small:
            await few.claim(worker_of_few.id, 1, slots, 8, tasks=[1])
        with Steps(connection(many)) as large:
            await many.claim(worker_of_many.id, 1, slots, 8, tasks=[1])

        assert large.count <= 1.3 * small.count + 2_000
    await few.close()
    await many.close()


async def test_a_worker_whose_own_slots_are_empty_finds_that_out_cheaply(clock: ManualClock) -> None:
    """A million jobs of others: an idle worker's look must not read them."""
    store, worker = await filled(clock, MILLION, None, None)
    own = (5, 6, 7, 8)
    connection(store).execute("DELETE FROM live WHERE slot IN (5, 6, 7, 8)")

    with Steps(connection(store)) as steps:
        claim = await store.claim(worker.id, 1, own, 100, tasks=[1])

    assert not claim.jobs
    # 62 stretches, a probe for each slot in each.
    assert steps.count < 20_000
    await store.close()


async def test_a_submit_among_a_million_costs_what_it_costs_among_few(clock: ManualClock) -> None:
    """A long line is no reason to let the customer wait at the counter."""
    from rota.model.job import NewJob
    from rota.model.slot import hash16

    entropy = SystemEntropy(clock)
    counts = []
    for count in (20_000, MILLION):
        store, _ = await filled(clock, count, "k", None)
        jobs = [
            NewJob(
                token=(token := entropy.token()),
                queue="q",
                task="t",
                payload=b"{}",
                hash16=hash16("k7", token),
                key="k7",
            )
            for _ in range(100)
        ]
        with Steps(connection(store)) as steps:
            await store.submit(jobs)
        counts.append(steps.count)
        await store.close()

    assert counts[1] <= 1.2 * counts[0] + 1_000


async def test_a_page_of_jobs_is_read_without_reading_the_rest(clock: ManualClock) -> None:
    """`rota jobs` on a full store answers at once."""
    store, _ = await filled(clock, MILLION, "k", None)
    db, now = connection(store), clock.now_us()
    some = db.execute("SELECT token FROM live WHERE seq = 777777").get

    for which in (JobFilter(), JobFilter(before=some), JobFilter(key="k77"), JobFilter(queue="q", task="t")):
        with Steps(db) as steps:
            page = listing.jobs(db, which, now)

        assert len(page) == 100
        assert steps.count < 50_000, f"{which}: {steps.count} steps"
    for which in (JobFilter(states=["running"]), JobFilter(states=["failed"]), JobFilter(states=["scheduled"])):  # type: ignore[list-item]
        with Steps(db) as steps:
            assert listing.jobs(db, which, now) == []

        assert steps.count < 50_000, f"{which}: {steps.count} steps"
    await store.close()


async def test_the_few_scheduled_among_a_million_waiting_are_found(clock: ManualClock) -> None:
    """And the few waiting among a million scheduled: whichever is rare, it has an index that has just it."""
    later = clock.now_us() + HOUR_US
    for due_at, rare, make in (
        (None, "scheduled", f"UPDATE live SET due_at = {later}, ready = 0 WHERE seq IN (3, 4, 5)"),
        (later, "waiting", "UPDATE live SET due_at = NULL, ready = 1 WHERE seq IN (3, 4, 5)"),
    ):
        store, _ = await filled(clock, MILLION, None, due_at)
        db = connection(store)
        db.execute(make)

        with Steps(db) as steps:
            page = listing.jobs(db, JobFilter(states=[rare]), clock.now_us())  # type: ignore[list-item]

        assert [row.seq for row in page] == [5, 4, 3]
        assert steps.count < 60_000, f"{rare}: {steps.count} steps"
        await store.close()


async def test_a_thief_s_look_is_bounded(clock: ManualClock) -> None:
    """A million keyed jobs, none of them old enough to be taken: it must give up soon."""
    store, _ = await filled(clock, MILLION, "k", None)
    db = connection(store)
    db.execute("UPDATE live SET ready_at = 9 WHERE head")

    with Steps(db) as steps:
        assert reading.ready_elsewhere(db, 1, [], 5, 64) == []

    # 10,000 heads lie in one stretch; each slot of it is looked into as far as a hundred jobs.
    assert steps.count < 400_000
    await store.close()


def test_what_is_due_is_found_by_one_probe_a_slot(store: SqliteStore) -> None:
    """The claim asks for it each time."""
    db = connection(store)
    scheduled(db)

    with Steps(db) as steps:
        assert next_due(db, 1, ALL_SLOTS) == 2**52 + 1

    assert steps.count < 30 * SLOT_COUNT


def test_arrays_are_bound_without_a_statement_of_their_own() -> None:
    """A value for each would be a text for each length, and nothing would stay prepared."""
    db = apsw.Connection(":memory:")

    assert db.execute("SELECT sum(value) FROM carray(?)", (numbers([1, 2, 3]),)).get == 6
    assert db.execute("SELECT count(*) FROM carray(?)", (blobs([b"a", b"b"]),)).get == 2
    db.close()
