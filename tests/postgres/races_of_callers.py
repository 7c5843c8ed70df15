"""Races of jobs that are submitted within somebody else's transaction, which may stay open for long, or end badly."""

from __future__ import annotations

import asyncpg
from msgspec import structs

from rota.model.job import NewJob
from rota.model.state import State
from tests.contract.outcomes import succeeded
from tests.contract.shop import tokens
from tests.postgres.case import Case, case, fresh
from tests.postgres.races_of_keys import KEY, NO_TURN, WAITS_FOR_STRANGERS
from tests.postgres.stepper import Mutant, Session, Stage

NOT_AMONG_FINISHED = Mutant(
    "a token of the caller's is looked for among finished jobs, after the insert",
    edits=(("submit_once", "FROM finished f WHERE f.token = p_token", "FROM finished f WHERE false"),),
)

NOT_AMONG_LIVE = Mutant(
    "a token of the caller's is looked for among live jobs",
    edits=(("submit_once", "FROM live l WHERE l.token = p_token AND new_place IS NULL", "FROM live l WHERE false"),),
)

ENDS_THE_TRANSACTION = Mutant(
    "a token that exists is no error of the server",
    edits=(("submit_once", "            ON CONFLICT (token) DO NOTHING\n", ""),),
)

NO_TURN_OF_ITS_OWN = Mutant(
    "a submit with a token of the caller's notes its key in turns",
    edits=(("submit_once", "IF p_key IS NOT NULL AND due IS NULL THEN", "IF false THEN"),),
)


async def submits(stage: Stage, caller: Session, *jobs: NewJob) -> str:
    """Put jobs in through a session as a caller's connection, and return what it is told."""
    call = await stage.shop.store.foreign_call(jobs, is_new=False)  # type: ignore[attr-defined]
    try:
        row = await caller._connection.fetchrow(call.submit.numbered, *call.submit.arguments)
    except asyncpg.PostgresError as problem:
        raise AssertionError(f"the caller's transaction was ended: {problem}") from problem
    return str(row[0])


@case(WAITS_FOR_STRANGERS)
async def a_callers_open_transaction_holds_up_nobody(stage: Stage) -> None:
    """It stays open over lunch. The key's other jobs are accepted, run, settled and cancelled meanwhile."""
    shop = stage.shop
    worker = await shop.worker()
    caller, customer = await stage.session("caller"), await stage.session("customer")
    for count in (1, 2):
        slow, quick = ([fresh(shop.job(KEY)) for _ in range(n)] for n in (count, 3 - count))

        await caller.begins()
        assert await caller.does(submits(stage, caller, *slow)) == "done"
        await customer.does(customer.store.submit(quick))
        assert await worker.work() == tokens(quick)
        (extra,) = await shop.submit(fresh(shop.job(KEY)))
        await customer.does(customer.store.cancel(extra))
        assert await shop.state(extra) is State.CANCELLED
        await caller.commits()

        assert await worker.work() == tokens(slow)


@case(NO_TURN)
async def a_late_commit_waits_for_the_job_that_runs(stage: Stage) -> None:
    """Its number is lower, and the key's turn is taken: a head is not displaced, and there is no second one."""
    shop = stage.shop
    worker, other = await shop.worker(), await shop.worker()
    caller = await stage.session("caller")
    slow = fresh(shop.job(KEY))

    await caller.begins()
    await caller.does(submits(stage, caller, slow))
    await shop.submit(fresh(shop.job(KEY)))
    claimed = await worker.claim()
    assert len(claimed) == 1, "a key has a job and no head, and nobody knows"
    running = claimed[0]
    await caller.commits()

    assert await other.claim() == []
    assert await stage.count("live WHERE head") == 1
    await worker.settle(succeeded(running))
    assert await other.work() == [slow.token], "a key has a job and no head, and nobody knows"


@case(NO_TURN_OF_ITS_OWN)
async def a_caller_that_dies_leaves_nothing_of_its_job(stage: Stage) -> None:
    """Neither a key that waits for it, nor a token that others wait for."""
    shop = stage.shop
    worker = await shop.worker()
    caller, second = await stage.session("caller"), await stage.session("second")
    job = shop.job(KEY)

    await caller.begins()
    await caller.does(submits(stage, caller, job))
    await caller.dies()

    assert await stage.count("turns") == 0
    assert await second.does(submits(stage, second, job)) == "done"
    assert await worker.work() == [job.token], "a key has a job and no head, and nobody knows"


@case(NOT_AMONG_FINISHED)
async def a_callers_job_that_is_settled_meanwhile_does_not_come_back(stage: Stage) -> None:
    """The insert waits for the settle, and then finds its place free."""
    shop = stage.shop
    worker = await shop.worker()
    settler, caller = await stage.session("settler"), await stage.session("caller")
    job = shop.job(KEY)
    await shop.submit(job)
    (claimed,) = await worker.claim()

    await settler.begins()
    await settler.does(settler.store.settle(worker.id, [succeeded(claimed)]))
    submitting = caller.starts(submits(stage, caller, job))
    await caller.is_blocked_by(settler)
    await settler.commits()

    assert await submitting == "duplicate", "a job that was finished runs again"
    assert await shop.state(job.token) is State.SUCCEEDED


@case(NOT_AMONG_FINISHED)
async def a_callers_job_that_is_settled_between_two_looks_is_still_known(stage: Stage) -> None:
    """It was live at the insert, and is finished at the look."""
    shop = stage.shop
    worker = await shop.worker()
    caller = await stage.session("caller")
    job = shop.job(KEY)
    await shop.submit(job)
    (claimed,) = await worker.claim()

    await stage.closes_gate(caller, "submit_once: inserted")
    submitting = caller.starts(submits(stage, caller, job))
    await caller.is_at("submit_once: inserted")
    await worker.settle(succeeded(claimed))
    await stage.opens_gate(caller, "submit_once: inserted")

    assert await submitting == "duplicate", "a job that is known is taken for another"


@case(ENDS_THE_TRANSACTION, NOT_AMONG_LIVE)
async def two_callers_of_one_token_wait_for_each_other(stage: Stage) -> None:
    """Only the first one's end says whether the second's is a repetition, another job, or the only one."""
    shop = stage.shop
    first, second = await stage.session("first"), await stage.session("second")
    for ends, expected in ((first.rolls_back, "done"), (first.commits, "duplicate"), (first.commits, "reused")):
        job = shop.job(KEY)
        other = structs.replace(job, payload=b'{"pizza":"another"}') if expected == "reused" else job
        await first.begins()
        await first.does(submits(stage, first, job))
        await second.begins()
        waiting = second.starts(submits(stage, second, other))
        await second.is_blocked_by(first)
        await ends()

        assert await waiting == expected
        await second.commits()
        assert await shop.state(job.token) is State.WAITING


@case(ENDS_THE_TRANSACTION)
async def a_token_that_is_repeated_in_its_own_transaction_is_known(stage: Stage) -> None:
    """A caller that goes through its own list twice; the transaction goes on."""
    shop = stage.shop
    worker = await shop.worker()
    caller = await stage.session("caller")
    job = shop.job(KEY)

    await caller.begins()
    told = [await caller.does(submits(stage, caller, each)) for each in (job, job, structs.replace(job, key="other"))]
    await caller.commits()

    assert told == ["done", "duplicate", "reused"]
    assert await worker.work() == [job.token]


CASES: list[Case] = [found for found in list(globals().values()) if isinstance(found, Case)]
