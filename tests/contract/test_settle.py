"""Recording outcomes: once, only under the fence of the claim, and never silently refused."""

from __future__ import annotations

import pytest

from rota.model.limits import HISTORY_ENTRIES_MAX
from rota.model.outcome import Failure
from rota.model.state import State
from tests.contract.outcomes import (
    BURNT,
    FAR,
    FINALS,
    Settle,
    cancelled,
    expired,
    failed,
    given_back,
    retry,
    snooze,
    succeeded,
)
from tests.contract.shop import Shop, one_running, tokens


@pytest.mark.parametrize(("outcome", "state"), FINALS, ids=[state for _, state in FINALS])
async def test_a_final_outcome_ends_the_job(shop: Shop, outcome: Settle, state: State) -> None:
    """Every job ends in exactly one of four ways, and stays there."""
    worker, job = await one_running(shop)
    shop.clock.advance(5)

    reply = await worker.settle(outcome(job))

    row = await shop.row(job.token)
    assert list(reply.stale) == []
    assert (row.state, row.settled_at, row.fence) == (state, shop.clock.now_us(), job.fence)
    assert await worker.claim() == []
    assert await shop.store.held(worker.id) == []


@pytest.mark.parametrize("result", [b'{"pizza":"\xc3\xa9"}', b"null", b"", None], ids=repr)
async def test_a_result_is_kept_as_it_was(shop: Shop, result: bytes | None) -> None:
    """The submitter reads the bytes that the handler's value was turned into; no value is not the same as null."""
    worker, job = await one_running(shop)

    await worker.settle(succeeded(job, result))

    assert (await shop.row(job.token)).result == result


async def test_a_large_result_is_kept(shop: Shop) -> None:
    """One megabyte is allowed."""
    worker, job = await one_running(shop)
    result = b'"' + b"x" * (2**20 - 2) + b'"'

    await worker.settle(succeeded(job, result))

    assert (await shop.row(job.token)).result == result


async def test_a_failure_is_kept_with_its_traceback(shop: Shop) -> None:
    """It is all that the person who looks at the dead letter has."""
    worker, job = await one_running(shop)

    await worker.settle(failed(job))

    assert (await shop.row(job.token)).failure == BURNT


async def test_a_finished_job_keeps_what_it_was_made_of(shop: Shop) -> None:
    """A dead letter is put back from this row, so it must hold all of it."""
    job = shop.job("mitte", slot=9, priority=3, meta=b'{"timeout_ms":1}')
    await shop.submit(job)
    worker = await shop.worker()
    claimed = await worker.claim_one()

    await worker.settle(failed(claimed))

    row = await shop.row(job.token)
    assert (row.queue, row.task, row.key, row.slot, row.priority) == ("ovens", "bake", "mitte", 9, 3)
    assert (row.payload, row.codec, row.meta) == (job.payload, 1, job.meta)


async def test_when_a_run_began_is_kept(shop: Shop) -> None:
    """How long did it take, how long did it wait: both are asked of a finished job."""
    worker, job = await one_running(shop)
    outcome = succeeded(job)
    outcome.started_at, outcome.ended_at = shop.at(0), shop.at(2)
    shop.clock.advance(3)

    await worker.settle(outcome)

    assert (await shop.row(job.token)).started_at == outcome.started_at


async def test_a_retry_waits_for_its_backoff(shop: Shop) -> None:
    """Coming back at once would hit what is broken while it is broken."""
    worker, job = await one_running(shop)

    await worker.settle(retry(job, shop.at(30)))

    row = await shop.row(job.token)
    assert (row.state, row.due_at, row.holder, row.attempts) == (State.SCHEDULED, shop.at(30), None, 1)
    assert await worker.claim() == []


async def test_a_retry_without_backoff_is_ready_at_once(shop: Shop) -> None:
    """A wait that is drawn as zero is no wait."""
    worker, job = await one_running(shop)

    await worker.settle(retry(job, shop.at(0)))

    assert tokens(await worker.claim()) == [job.token]


async def test_failed_attempts_are_counted_and_told(shop: Shop) -> None:
    """Why did it take three attempts? The history has each failure."""
    worker, job = await one_running(shop)
    failures = [Failure(type="BurntError", message=f"attempt {number}") for number in (1, 2)]
    for failure in failures:
        await worker.settle(retry(job, shop.at(0), failure))
        job = await worker.claim_one()

    await worker.settle(failed(job))

    history = [entry for entry in await shop.store.history(job.token) if entry.kind == "failed"]
    assert [(entry.failure, entry.fence, entry.worker) for entry in history[:2]] == [
        (failures[0], 1, worker.name),
        (failures[1], 2, worker.name),
    ]
    assert (job.attempts, (await shop.row(job.token)).attempts) == (2, 3)


async def test_a_success_counts_as_the_last_attempt(shop: Shop) -> None:
    """ "Succeeded at the second attempt" is what a person wants to read."""
    worker, job = await one_running(shop)
    await worker.settle(retry(job, shop.at(0)))

    await worker.settle(succeeded(await worker.claim_one()))

    assert (await shop.row(job.token)).attempts == 2


async def test_a_snooze_is_no_failed_attempt(shop: Shop) -> None:
    """Asking every minute whether the file is there must not use up the retries."""
    worker, job = await one_running(shop)
    for _ in range(3):
        await worker.settle(snooze(job, shop.at(60)))
        assert await shop.state(job.token) == State.SCHEDULED
        shop.clock.advance(60)
        job = await worker.claim_one()

    assert job.attempts == 0
    assert "failed" not in await shop.told(job.token)


async def test_a_job_given_back_is_ready_and_uncounted(shop: Shop) -> None:
    """A drain is nobody's failure."""
    worker, job = await one_running(shop)

    await worker.settle(given_back(job))

    row = await shop.row(job.token)
    assert (row.state, row.holder, row.attempts, row.fence) == (State.WAITING, None, 0, job.fence)
    assert await shop.told(job.token) == []
    assert tokens(await worker.claim()) == [job.token]


async def test_a_job_given_back_keeps_its_place(shop: Shop) -> None:
    """It was first in line and still is."""
    first, *rest = await shop.submit(*[shop.job(slot=5) for _ in range(3)])
    worker = await shop.worker()
    await worker.settle(given_back(await worker.claim_one()))

    assert tokens(await worker.claim()) == [first, *rest]


async def test_a_batch_of_all_kinds_is_recorded_each_for_itself(shop: Shop) -> None:
    """A worker hands over whatever has come together."""
    await shop.submit(*[shop.job(f"key {number}") for number in range(7)])
    worker = await shop.worker()
    jobs = await worker.claim()
    success, failure, cancel, expiry, again, later, back = jobs

    reply = await worker.settle(
        succeeded(success),
        failed(failure),
        cancelled(cancel),
        expired(expiry),
        retry(again, FAR),
        snooze(later, FAR),
        given_back(back),
    )

    states = await shop.store.states(tokens(jobs))
    assert list(reply.stale) == []
    assert [states[job.token] for job in jobs] == [
        State.SUCCEEDED,
        State.FAILED,
        State.CANCELLED,
        State.EXPIRED,
        State.SCHEDULED,
        State.SCHEDULED,
        State.WAITING,
    ]


async def test_an_empty_batch_is_fine(shop: Shop) -> None:
    """Dropping a claims row alone is a settle of nothing."""
    worker = await shop.worker()

    reply = await shop.store.settle(worker.id, [])

    assert (list(reply.stale), list(reply.woken)) == ([], [])


async def test_a_run_that_ends_by_itself_clears_the_suspicion(shop: Shop) -> None:
    """It has shown that it does not kill: the crash was somebody else's."""
    await shop.submit(shop.job())
    victim = await shop.worker()
    job = await victim.claim_one()
    await shop.lose(victim, running=[job.token])
    worker = await shop.worker()
    again = await worker.claim_one()
    assert again.crashes == 1

    await worker.settle(retry(again, shop.at(0)))

    assert (await worker.claim_one()).crashes == 0


async def test_giving_back_does_not_clear_the_suspicion(shop: Shop) -> None:
    """It has not been run, so it has shown nothing."""
    await shop.submit(shop.job())
    victim = await shop.worker()
    job = await victim.claim_one()
    await shop.lose(victim, running=[job.token])
    worker = await shop.worker()

    await worker.settle(given_back(await worker.claim_one()))

    assert (await worker.claim_one()).crashes == 1


async def test_a_crash_is_no_failed_attempt(shop: Shop) -> None:
    """The handler did not fail, its process did: the retries are for the handler."""
    await shop.submit(shop.job())
    victim = await shop.worker()
    job = await victim.claim_one()

    await shop.lose(victim, running=[job.token])

    assert (await (await shop.worker()).claim_one()).attempts == 0


async def test_a_settled_claim_leaves_nothing_behind(shop: Shop) -> None:
    """Rows of settled claims would be read again at every rescue, more of them each day."""
    await shop.submit(*[shop.job() for _ in range(6)])
    worker = await shop.worker()
    jobs = [*await worker.claim(3), *await worker.claim(3)]
    assert (await shop.worker_row(worker)).held == 6

    await worker.settle(*map(succeeded, jobs))

    assert (await shop.worker_row(worker)).held == 0


async def test_a_claim_that_is_half_settled_stays_known(shop: Shop) -> None:
    """The other half must be found if the worker dies now."""
    await shop.submit(*[shop.job() for _ in range(4)])
    worker = await shop.worker()
    jobs = await worker.claim()
    await worker.settle(*map(succeeded, jobs[:2]))

    released = await shop.lose(worker)

    assert sorted(released.tokens) == sorted(tokens(jobs[2:]))


async def test_the_history_does_not_grow_for_ever(shop: Shop) -> None:
    """A job that fails every minute for a month must not fill the disk; the newest entries tell most."""
    worker, job = await one_running(shop)
    for _ in range(HISTORY_ENTRIES_MAX + 10):
        await worker.settle(retry(job, shop.at(0)))
        job = await worker.claim_one()

    fences = [entry.fence for entry in await shop.store.history(job.token)]

    assert len(fences) <= HISTORY_ENTRIES_MAX
    assert fences == list(range(job.fence - len(fences), job.fence))
