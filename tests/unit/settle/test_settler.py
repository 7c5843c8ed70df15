"""Outcomes on their way to the store."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any

from msgspec.structs import replace

from rota.model.job import ClaimedJob
from rota.model.limits import SETTLE_BYTES_MAX
from rota.model.outcome import Failure, Kind, Outcome
from rota.model.state import State
from rota.settle.settler import Holdings, Settler
from rota.store.port import Blame, Settled, Store
from tests.faults import Fault, FaultyStore, ScriptedPlan
from tests.unit.worker.kitchen import Kitchen


async def bake() -> None: ...


async def claimed(kitchen: Kitchen, count: int) -> tuple[int, Sequence[ClaimedJob]]:
    """Put jobs in and claim them; return the worker and the jobs."""
    await kitchen.submit(bake, count)
    worker = await kitchen.worker()
    await worker._register()
    me = (await kitchen.store.membership()).workers[0].id
    queues, tasks = await kitchen.store.intern(["ovens"], ["bake"])
    claim = await kitchen.store.claim(me, queues["ovens"], range(1024), count, tasks=list(tasks.values()))
    return me, claim.jobs


def settler(kitchen: Kitchen, store: Store, me: int, holdings: Holdings, told: list[Settled]) -> Settler:
    return Settler(
        store,
        me,
        "mitte/1",
        holdings,
        telemetry=kitchen.telemetry,
        entropy=kitchen.entropy,
        settled=lambda answer, _: told.append(answer),
    )


def done(job: ClaimedJob) -> Outcome:
    return Outcome(job.seq, job.token, job.fence, Kind.SUCCEEDED)


async def settle_all(one: Settler, jobs: Sequence[ClaimedJob]) -> None:
    for job in jobs:
        one.add(done(job), job.claim_no)
    running = asyncio.create_task(one.run())
    await one.drained()
    running.cancel()


async def test_an_outcome_is_kept_until_the_store_has_answered_for_it() -> None:
    """Refused, lost on the way, or done with its reply lost: it is sent again."""
    kitchen = Kitchen.of(bake)
    me, jobs = await claimed(kitchen, 3)
    holdings, told = Holdings(), list[Settled]()
    holdings.take(jobs)
    plan = ScriptedPlan({("settle", 1): Fault.REFUSED, ("settle", 2): Fault.LOST_CALL, ("settle", 3): Fault.LOST_REPLY})

    await settle_all(settler(kitchen, FaultyStore(kitchen.store, plan), me, holdings, told), jobs)

    states = await kitchen.store.states([job.token for job in jobs])
    assert set(states.values()) == {State.SUCCEEDED}
    assert [list(answer.stale) for answer in told] == [[]]
    assert plan.calls["settle"] == 4
    assert holdings.jobs == {}


async def test_a_refused_outcome_is_told_counted_and_not_sent_again() -> None:
    """Its job belongs to another run now."""
    kitchen = Kitchen.of(bake)
    me, jobs = await claimed(kitchen, 1)
    holdings, told = Holdings(), list[Settled]()
    holdings.take(jobs)
    await kitchen.store.close_worker(me)
    await kitchen.store.release(me, Blame([], Failure("Planted", "by a test")))
    other = await kitchen.worker(name="mitte/2")
    await other._register()
    you = (await kitchen.store.membership()).workers[0].id
    queues, tasks = await kitchen.store.intern(["ovens"], ["bake"])
    await kitchen.store.claim(you, queues["ovens"], range(1024), 1, tasks=list(tasks.values()))

    await settle_all(settler(kitchen, kitchen.store, me, holdings, told), jobs)

    assert [list(answer.stale) for answer in told] == [[(jobs[0].token, jobs[0].fence)]]
    assert kitchen.telemetry.counters["job.stale"] == 1
    assert kitchen.telemetry.counters["settles.stale"] == 1


async def test_a_claims_row_is_dropped_with_the_last_of_its_jobs() -> None:
    """Releasing a dead worker reads these rows, so they must name what it held and no more."""
    kitchen = Kitchen.of(bake)
    _, jobs = await claimed(kitchen, 2)
    holdings = Holdings()
    holdings.take(jobs)

    first = holdings.finish([jobs[0].claim_no])
    second = holdings.finish([jobs[1].claim_no])

    assert (first, second) == ([], [jobs[0].claim_no])


async def test_a_job_settled_during_a_look_is_not_taken_for_a_lost_one() -> None:
    """The look may have read the store just before the settle."""
    kitchen = Kitchen.of(bake)
    _, jobs = await claimed(kitchen, 2)
    holdings = Holdings()
    holdings.take(jobs[:1])

    holdings.begin_look()
    holdings.forget([done(jobs[0])])

    assert holdings.unknown_of(jobs) == [jobs[1]]


async def test_a_job_claimed_again_is_adopted_though_its_run_before_was_settled_during_the_look() -> None:
    """Its claims row would be dropped with the other jobs of that claim, and nobody would ever find it."""
    kitchen = Kitchen.of(bake)
    _, jobs = await claimed(kitchen, 2)
    holdings = Holdings()
    before = jobs[0]
    again, other = (replace(job, fence=job.fence + 1, claim_no=job.claim_no + 1) for job in jobs)
    holdings.take([before])

    holdings.begin_look()
    holdings.forget([Outcome(before.seq, before.token, before.fence, Kind.SNOOZE)])

    assert holdings.unknown_of([again, other]) == [again, other]


async def test_no_batch_is_larger_than_the_store_can_take() -> None:
    """Seventy results of 16 MiB are more than PostgreSQL takes at once: the batch would be sent for ever, and never settled."""
    kitchen = Kitchen.of(bake)
    me, jobs = await claimed(kitchen, 7)
    holdings, told = Holdings(), list[Settled]()
    holdings.take(jobs)
    batches = list[list[bytes]]()
    one = settler(kitchen, Noted(kitchen.store, batches), me, holdings, told)
    large = bytes(SETTLE_BYTES_MAX // 2)

    for job in jobs[:4]:
        one.add(replace(done(job), result=large), job.claim_no)
    one.add(replace(done(jobs[4]), result=large + large + b"0"), jobs[4].claim_no)
    await settle_all(one, jobs[5:])

    tokens = [job.token for job in jobs]
    assert batches == [tokens[:2], tokens[2:4], tokens[4:5], tokens[5:]]
    assert holdings.jobs == {}
    assert set((await kitchen.store.states(tokens)).values()) == {State.SUCCEEDED}


class Noted:
    """A store that notes which outcomes come together."""

    def __init__(self, store: Store, batches: list[list[bytes]]) -> None:
        self._store = store
        self._batches = batches

    def __getattr__(self, name: str) -> Any:
        return getattr(self._store, name)

    async def settle(self, worker: int, outcomes: Sequence[Outcome], done_claims: Sequence[int] = ()) -> Settled:
        """Note the tokens and settle without the bulk."""
        self._batches.append([outcome.token for outcome in outcomes])
        return await self._store.settle(worker, [replace(each, result=None) for each in outcomes], done_claims)
