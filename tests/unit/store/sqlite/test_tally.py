"""Numbers for new jobs, and the count of those that are unfinished, though no submit writes it down."""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise

import apsw
import pytest

from rota.errors import QueueFullError
from rota.model.job import NewJob
from rota.model.outcome import Kind, Outcome
from rota.store.port import NewNode, NewWorker, Registered
from rota.store.sqlite import tally
from rota.store.sqlite.store import SqliteStore

MakeJob = Callable[..., NewJob]
Opener = Callable[..., SqliteStore]
ALL_SLOTS = tuple(range(1_024))


async def hire(store: SqliteStore) -> Registered:
    node = await store.register_node(NewNode(name="mitte", proof="", host="{}"))
    return await store.register_worker(NewWorker(node.id, "mitte/1", "", queues=["ovens"], tasks=["bake"]))


async def number_of(store: SqliteStore, job: NewJob) -> int:
    row = await store.find(job.token)
    assert row is not None
    assert row.seq is not None
    return row.seq


async def work_off(store: SqliteStore, worker: Registered, limit: int) -> None:
    claim = await store.claim(worker.id, worker.queue_ids["ovens"], ALL_SLOTS, limit, tasks=[1])
    done = [Outcome(seq=job.seq, token=job.token, fence=job.fence, kind=Kind.SUCCEEDED) for job in claim.jobs]
    await store.settle(worker.id, done, [claim.jobs[0].claim_no])


async def waiting_in(store: SqliteStore) -> dict[str, int]:
    return {queue.name: queue.waiting + queue.scheduled + queue.running for queue in await store.queues()}


@pytest.mark.parametrize("way", ["worked off", "cancelled"])
async def test_no_number_is_given_twice_though_live_is_empty_again(
    store: SqliteStore, open_store: Opener, new_job: MakeJob, way: str
) -> None:
    """Who looked at a job, and comes back for it, must not find another one under its number."""
    worker = await hire(store)
    given: list[int] = []

    for store_now in (store, store, open_store()):
        jobs = [new_job() for _ in range(3)]
        for job in jobs:
            await store_now.submit([job])
        given += [await number_of(store_now, job) for job in jobs]
        if way == "worked off":
            await work_off(store_now, worker, 3)
        else:
            for job in reversed(jobs):
                await store_now.cancel(job.token)
        assert await waiting_in(store_now) == {"ovens": 0}

    assert given == sorted(set(given))


async def test_a_reopened_job_gets_a_number_of_its_own(store: SqliteStore, new_job: MakeJob) -> None:
    """It is the last of its line, behind those that came while it was finished."""
    first, second, third = new_job(), new_job(), new_job()
    await store.submit([first])
    await store.cancel(first.token)
    await store.submit([second])

    await store.reopen(first.token)
    await store.submit([third])

    numbers = [await number_of(store, job) for job in (second, first, third)]
    assert numbers == sorted(set(numbers))
    assert await waiting_in(store) == {"ovens": 3}


@pytest.mark.parametrize("tail_max", [1, 4, 1_000])
async def test_queues_are_counted_whatever_has_been_written_down(
    store: SqliteStore, open_store: Opener, new_job: MakeJob, monkeypatch: pytest.MonkeyPatch, tail_max: int
) -> None:
    """The list of queues is right for every process, and before, in between and after a count."""
    monkeypatch.setattr(tally, "TAIL_MAX", tail_max)
    there = {"ovens": 0, "fridge": 0}
    other = open_store()

    for count, queue in ((3, "ovens"), (1, "fridge"), (2, "fridge"), (1, "ovens"), (7, "fridge")):
        jobs = [new_job(queue=queue) for _ in range(count)]
        await store.submit(jobs)
        await store.submit(jobs)
        await store.submit([*jobs, new_job(queue=queue)])
        await store.submit([new_job(queue=queue), new_job(queue="ovens")])
        await store.cancel(jobs[0].token)
        there[queue] += count + 1
        there["ovens"] += 1
        found = await waiting_in(other)
        assert found == {name: there[name] for name in found}

    assert found == there


async def test_the_uncounted_tail_stays_short(
    store: SqliteStore, path: str, new_job: MakeJob, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever counts, or lists queues, reads it: it must not grow with what waits."""
    monkeypatch.setattr(tally, "TAIL_MAX", 10)

    for batch in (1, 3, 5, 25, 9, 1, 1):
        await store.submit([new_job() for _ in range(batch)])

        db = store._desk.writer._db
        last, counted_to = db.execute("SELECT max(seq), (SELECT n FROM counters WHERE id = 0) FROM live").get
        assert last - counted_to < 10


async def test_a_lone_submit_writes_three_pages(store: SqliteStore, new_job: MakeJob) -> None:
    """The row, the index of tokens, the line of what can be claimed: each page more is a tenth of what a lone submit costs."""
    store = store.inline()
    for _ in range(20):
        await store.submit([new_job()])
    pages: list[int] = []
    db: apsw.Connection = store._desk.writer._db
    db.set_wal_hook(lambda _db, _name, in_log: pages.append(in_log) or apsw.SQLITE_OK)  # type: ignore[func-returns-value]

    for _ in range(20):
        await store.submit([new_job()])

    written = [after - before for before, after in pairwise(pages)]
    # Where a page was full, the one that follows it and the ones above it are written as well.
    assert min(written) == 3
    assert sorted(written)[len(written) // 2] == 3


async def test_a_queue_is_full_though_nothing_has_been_counted(open_store: Opener, new_job: MakeJob) -> None:
    """The limit holds to the job, not to the thousand."""
    small = open_store(waiting_max=5)
    for _ in range(5):
        await small.submit([new_job()])
    await small.submit([new_job(queue="fridge")])

    with pytest.raises(QueueFullError) as refused:
        await small.submit([new_job()])

    assert (refused.value.facts["waiting"], refused.value.facts["limit"]) == (5, 5)
    assert await waiting_in(small) == {"ovens": 5, "fridge": 1}
