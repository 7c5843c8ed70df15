"""Claims on SQLite: looks that are overtaken, and payloads that would not fit in memory."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import pytest

from rota.model.job import NewJob
from rota.model.outcome import Kind, Outcome
from rota.model.slot import place_of
from rota.model.state import State
from rota.store.port import NewNode, NewWorker, Ranks, Registered, Wake
from rota.store.sqlite import claims
from rota.store.sqlite.candidates import STRETCH
from rota.store.sqlite.store import SqliteStore

MakeJob = Callable[..., NewJob]
ALL_SLOTS = tuple(range(1_024))


async def hire(store: SqliteStore, name: str) -> Registered:
    node = await store.register_node(NewNode(name=name, proof="", host="{}"))
    return await store.register_worker(NewWorker(node.id, f"{name}/1", "", queues=["ovens"], tasks=["bake"]))


async def test_two_that_look_at_the_same_jobs_do_not_share_them(store: SqliteStore, new_job: MakeJob) -> None:
    """Both looks are done before either has the lock: what the first has taken, the second must not."""
    jobs = [new_job(None if number % 2 else f"key {number}") for number in range(50)]
    await store.submit(jobs)
    workers = [await hire(store, name) for name in ("mitte", "wedding", "moabit")]
    with store._desk.writer._mutex:
        calls = [
            asyncio.ensure_future(store.claim(worker.id, worker.queue_ids["ovens"], ALL_SLOTS, 20, tasks=[1]))
            for worker in (*workers, workers[0])
        ]
        await asyncio.sleep(0)

    replies = await asyncio.gather(*calls)

    taken = [job.token for reply in replies for job in reply.jobs]
    assert [len(reply.jobs) for reply in replies] == [20, 20, 10, 0]
    assert sorted(taken) == sorted(job.token for job in jobs)


async def test_a_claim_takes_no_more_than_fits_in_memory(
    store: SqliteStore, new_job: MakeJob, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A thousand of the largest payloads are 16 GiB; the rest stays for the next claim, and its slots are named."""
    monkeypatch.setattr(claims, "CLAIM_BYTES_MAX", 2_500)
    large = [new_job(payload=b"x" * 1_000) for _ in range(5)]
    await store.submit(large)
    worker = await hire(store, "mitte")
    queue_id = worker.queue_ids["ovens"]

    replies = [await store.claim(worker.id, queue_id, ALL_SLOTS, 10, tasks=[1]) for _ in range(4)]

    assert [len(reply.jobs) for reply in replies] == [2, 2, 1, 0]
    assert [len(reply.skipped) for reply in replies] == [1_024, 1_024, 0, 0]
    assert [job.token for reply in replies for job in reply.jobs] == [job.token for job in large]


async def test_a_job_that_alone_does_not_fit_is_taken_alone(
    store: SqliteStore, new_job: MakeJob, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Otherwise it would wait for ever, and all that is behind it."""
    monkeypatch.setattr(claims, "CLAIM_BYTES_MAX", 500)
    await store.submit([new_job(payload=b"x" * 1_000) for _ in range(2)])
    worker = await hire(store, "mitte")

    reply = await store.claim(worker.id, worker.queue_ids["ovens"], ALL_SLOTS, 10, tasks=[1])

    assert len(reply.jobs) == 1


async def test_what_is_cut_off_is_what_comes_last(
    store: SqliteStore, new_job: MakeJob, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A cursor that moves past what was taken must not pass what was left."""
    monkeypatch.setattr(claims, "CLAIM_BYTES_MAX", 1_500)
    low, high = new_job(payload=b"x" * 1_000, hash16=0), new_job(payload=b"x" * 1_000, hash16=0, priority=5)
    await store.submit([low, high])
    worker = await hire(store, "mitte")

    reply = await store.claim(worker.id, worker.queue_ids["ovens"], ALL_SLOTS, 10, tasks=[1])

    assert [job.token for job in reply.jobs] == [high.token]


async def test_many_held_jobs_are_read_in_portions(store: SqliteStore, new_job: MakeJob) -> None:
    """What a worker holds may be more than one value of the database can be."""
    jobs = [new_job() for _ in range(130)]
    await store.submit(jobs)
    worker = await hire(store, "mitte")
    claim = await store.claim(worker.id, worker.queue_ids["ovens"], ALL_SLOTS, 1_000, tasks=[1])

    assert await store.held(worker.id) == claim.jobs


async def test_a_token_twice_in_one_settle_is_recorded_once(store: SqliteStore, new_job: MakeJob) -> None:
    """The settler put a lost outcome back and had it already."""
    job = new_job("mitte")
    await store.submit([job])
    worker = await hire(store, "mitte")
    (claimed,) = (await store.claim(worker.id, worker.queue_ids["ovens"], ALL_SLOTS, 1, tasks=[1])).jobs
    outcome = Outcome(seq=claimed.seq, token=claimed.token, fence=claimed.fence, kind=Kind.SUCCEEDED)

    reply = await store.settle(worker.id, [outcome, outcome])

    assert list(reply.stale) == []
    counts = await store.finished_counts()
    assert (counts[State.SUCCEEDED], sum(counts.values())) == (1, 1)


async def test_news_of_a_job_says_whether_it_must_be_made_ready(store: SqliteStore, new_job: MakeJob) -> None:
    """What is ready from the start spares its worker a look at what falls due."""
    told: list[Wake] = []
    store.listen("worker-1", told.append)
    soon = store._desk.clock.now_us() + 1_000_000

    for jobs in ([new_job()], [new_job("mitte")], [new_job(due_at=soon)], [new_job(), new_job(due_at=soon)]):
        await store.submit(jobs)
        await asyncio.sleep(0)

    assert [(len(wake.woken or ()), wake.is_staged) for wake in told] == [(1, True), (1, True), (1, False), (2, False)]


async def test_a_few_jobs_of_few_slots_are_taken_whatever_their_size(store: SqliteStore, new_job: MakeJob) -> None:
    """An idle worker's claim does not ask for sizes that cannot matter; and never takes what another has."""
    jobs = [new_job("mitte", payload=b"x" * 1_000)]
    await store.submit(jobs)
    worker, other = await hire(store, "mitte"), await hire(store, "wedding")
    slots = [jobs[0].hash16 >> 6]

    replies = [
        await store.claim(each.id, each.queue_ids["ovens"], slots, 10, tasks=[1], stages=(), is_loop_idle=True)
        for each in (worker, other)
    ]

    assert [[job.token for job in reply.jobs] for reply in replies] == [[jobs[0].token], []]


async def test_a_claim_says_how_far_it_need_not_be_looked_again(store: SqliteStore, new_job: MakeJob) -> None:
    """Else each small claim would pass all that others have not come to, a stretch at a time."""
    theirs, mine, usual = (
        new_job(hash16=slot << 6, priority=priority) for slot, priority in ((900, 5), (1, 5), (1, 0))
    )
    await store.submit([theirs])
    await store._write(lambda db, _: db.execute("UPDATE counters SET n = ?1 WHERE id = 0", (3 * STRETCH,)).fetchall())
    await store.submit([mine, usual])
    worker = await hire(store, "mitte")

    reply = await store.claim(worker.id, worker.queue_ids["ovens"], range(100), 1, tasks=[1])

    (job,) = reply.jobs
    assert job.token == mine.token
    assert reply.ranks == Ranks(nothing_before=place_of(5, 3 * STRETCH))
