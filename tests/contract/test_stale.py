"""Late, lost and repeated settles: refused and told when stale, recognised when they had been recorded before."""

from __future__ import annotations

import pytest

from rota.model.outcome import Kind, Outcome
from rota.model.state import State
from tests.contract.outcomes import FAR, FINALS, Settle, failed, given_back, retry, snooze, succeeded
from tests.contract.shop import Shop, one_running


async def test_a_settle_of_an_older_run_is_refused(shop: Shop) -> None:
    """The run that was given up came back from the dead: its result must not pass for the newer run's."""
    late, job = await one_running(shop)
    await shop.lose(late)
    holder = await shop.worker()
    newer = await holder.claim_one()

    reply = await late.settle(succeeded(job, b'"late"'))

    assert list(reply.stale) == [(job.token, job.fence)]
    assert (await shop.row(job.token)).holder == holder.name
    assert list((await holder.settle(succeeded(newer, b'"newer"'))).stale) == []
    assert (await shop.row(job.token)).result == b'"newer"'


async def test_a_settle_after_the_newer_run_s_end_is_refused(shop: Shop) -> None:
    """Settled once: what is recorded stays recorded."""
    late, job = await one_running(shop)
    await shop.lose(late)
    await (await shop.worker()).work()

    reply = await late.settle(failed(job))

    assert list(reply.stale) == [(job.token, job.fence)]
    assert await shop.state(job.token) == State.SUCCEEDED


async def test_a_settle_after_a_cancel_is_refused_and_told(shop: Shop) -> None:
    """Released by mistake, cancelled while it waited: the work was done all the same, and a person should know."""
    late, job = await one_running(shop)
    await shop.lose(late)
    await shop.store.cancel(job.token)

    reply = await late.settle(succeeded(job))

    assert list(reply.stale) == [(job.token, job.fence)]
    assert await shop.state(job.token) == State.CANCELLED
    assert "stale" in await shop.told(job.token)


async def test_a_success_from_before_a_reopening_is_refused_and_told(shop: Shop) -> None:
    """Released by mistake, cancelled, put back; then the first run's success arrives. No such thing was ever recorded."""
    late, job = await one_running(shop)
    await shop.lose(late)
    await shop.store.cancel(job.token)
    await shop.store.reopen(job.token)

    reply = await late.settle(succeeded(job))

    assert list(reply.stale) == [(job.token, job.fence)]
    assert await shop.state(job.token) == State.WAITING
    assert "stale" in await shop.told(job.token)


@pytest.mark.parametrize("is_finished", [False, True], ids=["still running", "finished meanwhile"])
async def test_a_refused_settle_is_told_in_the_story(shop: Shop, is_finished: bool) -> None:
    """Somebody's handler did run twice: whoever looks for the second e-mail must find it here."""
    late, job = await one_running(shop)
    await shop.lose(late)
    holder = await shop.worker()
    newer = await holder.claim_one()
    if is_finished:
        await holder.settle(succeeded(newer))

    await late.settle(succeeded(job))

    entry = await shop.entry(job.token, "stale")
    assert (entry.fence, entry.worker, entry.at) == (job.fence, late.name, shop.clock.now_us())


@pytest.mark.parametrize(
    "kind",
    [failed, lambda job: retry(job, FAR), lambda job: snooze(job, FAR), given_back],
    ids=["failed", "retry", "snooze", "given back"],
)
async def test_no_outcome_of_an_older_run_moves_the_job(shop: Shop, kind: Settle) -> None:
    """Neither its failure nor its retry may touch the run that goes on."""
    late, job = await one_running(shop)
    await shop.lose(late)
    holder = await shop.worker()
    newer = await holder.claim_one()

    reply = await late.settle(kind(job))

    row = await shop.row(job.token)
    assert list(reply.stale) == [(job.token, job.fence)]
    assert (row.state, row.holder, row.attempts) == (State.RUNNING, holder.name, 0)
    assert list((await holder.settle(succeeded(newer))).stale) == []


async def test_a_stale_outcome_does_not_spoil_its_batch(shop: Shop) -> None:
    """The other results of the same round trip are good."""
    await shop.submit(shop.job(), shop.job())
    worker = await shop.worker()
    good, bad = await worker.claim()
    bad.fence += 7

    reply = await worker.settle(succeeded(bad), succeeded(good))

    assert list(reply.stale) == [(bad.token, bad.fence)]
    assert await shop.state(good.token) == State.SUCCEEDED
    assert await shop.state(bad.token) == State.RUNNING


async def test_an_outcome_of_a_job_that_never_was_is_stale(shop: Shop) -> None:
    """A store restored from yesterday's copy does not know today's job; that must be told, not fail the batch."""
    worker, job = await one_running(shop)
    stranger = Outcome(seq=999_999, token=shop.token(), fence=1, kind=Kind.SUCCEEDED)

    reply = await worker.settle(stranger, succeeded(job))

    assert list(reply.stale) == [(stranger.token, 1)]
    assert await shop.state(job.token) == State.SUCCEEDED


@pytest.mark.parametrize(("outcome", "state"), FINALS, ids=[state for _, state in FINALS])
async def test_a_final_settle_whose_reply_was_lost_is_recognised(shop: Shop, outcome: Settle, state: State) -> None:
    """Asking again is all that a worker can do; it must hear "done" and not "stale"."""
    worker, job = await one_running(shop)
    await worker.settle(outcome(job))
    before = await shop.row(job.token)
    shop.clock.advance(1)

    again = await worker.settle(outcome(job))

    assert list(again.stale) == []
    assert await shop.row(job.token) == before
    assert before.state == state
    assert "stale" not in await shop.told(job.token)


async def test_a_retry_whose_reply_was_lost_counts_once(shop: Shop) -> None:
    """Twice counted, the job would be a dead letter before its time."""
    worker, job = await one_running(shop)
    outcome = retry(job, shop.at(60))
    await worker.settle(outcome)

    again = await worker.settle(outcome)

    assert list(again.stale) == []
    assert (await shop.row(job.token)).attempts == 1
    assert await shop.told(job.token) == ["failed"]


async def test_a_retry_whose_reply_was_lost_is_recognised_when_the_next_attempt_runs(shop: Shop) -> None:
    """The worker may ask again only after its connection is back; the backoff may be over by then."""
    worker, job = await one_running(shop)
    outcome = retry(job, shop.at(1))
    await worker.settle(outcome)
    shop.clock.advance(1)
    holder = await shop.worker()
    await holder.claim_one()

    again = await worker.settle(outcome)

    assert list(again.stale) == []
    assert (await shop.row(job.token)).holder == holder.name
    assert await shop.told(job.token) == ["failed"]


@pytest.mark.parametrize("kind", [lambda job: snooze(job, FAR), given_back], ids=["snooze", "given back"])
async def test_a_snooze_or_return_whose_reply_was_lost_is_recognised(shop: Shop, kind: Settle) -> None:
    """Nothing was counted the first time, nothing is the second time."""
    worker, job = await one_running(shop)
    await worker.settle(kind(job))
    before = await shop.row(job.token)

    again = await worker.settle(kind(job))

    assert list(again.stale) == []
    assert await shop.row(job.token) == before
    assert await shop.told(job.token) == []


async def test_a_return_that_is_repeated_after_another_run_has_ended_is_recognised(shop: Shop) -> None:
    """Its reply was lost, and whoever claimed the job next was quicker than the second try."""
    worker, job = await one_running(shop)
    await worker.settle(given_back(job))
    other = await shop.worker("mitte/2")
    await other.settle(succeeded(await other.claim_one()))

    again = await worker.settle(given_back(job))

    assert list(again.stale) == []
    assert await shop.told(job.token) == []


@pytest.mark.parametrize("first", [lambda job: snooze(job, 0), given_back], ids=["snooze", "given back"])
@pytest.mark.parametrize("later", [lambda job: snooze(job, 0), given_back, lambda job: retry(job, 0)])
async def test_a_snooze_or_return_is_recognised_whatever_has_been_recorded_since(
    shop: Shop, first: Settle, later: Settle
) -> None:
    """Others have run the job and given it back, too, before the second try came through."""
    worker, job = await one_running(shop)
    await worker.settle(first(job))
    for _ in range(3):
        await worker.settle(later(await worker.claim_one()))
    held = await worker.claim_one()

    again = await worker.settle(first(job))

    assert list(again.stale) == []
    assert "stale" not in await shop.told(job.token)
    assert list((await worker.settle(succeeded(held))).stale) == []
    assert list((await worker.settle(first(job))).stale) == []


@pytest.mark.parametrize("kind", [lambda job: snooze(job, 0), given_back], ids=["snooze", "given back"])
async def test_a_snooze_or_return_of_a_run_that_was_taken_away_is_stale_for_ever(shop: Shop, kind: Settle) -> None:
    """The job was released when its node was lost: that this run wanted to yield was never recorded."""
    late, job = await one_running(shop)
    await shop.lose(late)
    worker = await shop.worker()
    for _ in range(3):
        await worker.settle(given_back(await worker.claim_one()))

    refused = [list((await late.settle(kind(job))).stale) for _ in range(2)]

    assert refused == [[(job.token, job.fence)]] * 2


@pytest.mark.parametrize("kind", [lambda job: snooze(job, 60), given_back], ids=["snooze", "given back"])
@pytest.mark.parametrize("was_running", [False, True], ids=["released", "crashed"])
async def test_a_late_snooze_or_return_that_was_recorded_is_recognised(
    shop: Shop, kind: Settle, was_running: bool
) -> None:
    """Its worker was closed and nobody has claimed the job since: the outcome was taken, and its reply lost."""
    late, job = await one_running(shop)
    await shop.lose(late, running=[job.token] if was_running else ())

    replies = [list((await late.settle(kind(job))).stale) for _ in range(3)]

    assert replies == [[], [], []]
    assert "stale" not in await shop.told(job.token)


@pytest.mark.parametrize("kind", [lambda job: snooze(job, FAR), given_back], ids=["snooze", "given back"])
async def test_it_is_recognised_too_when_its_job_was_cancelled_meanwhile(shop: Shop, kind: Settle) -> None:
    """The record moves with the job."""
    late, job = await one_running(shop)
    await shop.lose(late)
    await late.settle(kind(job))
    await shop.store.cancel(job.token)

    assert list((await late.settle(kind(job))).stale) == []


async def test_what_was_recorded_first_stands(shop: Shop) -> None:
    """One run, one outcome: a second, different one under the same fence changes nothing."""
    worker, job = await one_running(shop)
    await worker.settle(succeeded(job))

    await worker.settle(failed(job))

    row = await shop.row(job.token)
    assert (row.state, row.failure) == (State.SUCCEEDED, None)


async def test_a_retry_that_was_recorded_is_not_overwritten_by_its_own_run(shop: Shop) -> None:
    """The job backs off under the same fence; a second outcome of the run that asked for it must not end it."""
    worker, job = await one_running(shop)
    await worker.settle(retry(job, shop.at(60)))

    await worker.settle(succeeded(job))

    assert await shop.state(job.token) == State.SCHEDULED


@pytest.mark.parametrize("key", [None, "mitte"])
async def test_released_by_mistake_and_settled_in_time_it_is_done(shop: Shop, key: str | None) -> None:
    """The work was done; doing it again because of a false alarm would be the only harm."""
    slow, job = await one_running(shop, key)
    await shop.lose(slow)

    reply = await slow.settle(succeeded(job))

    assert list(reply.stale) == []
    assert await shop.state(job.token) == State.SUCCEEDED
    assert await (await shop.worker()).claim() == []


async def test_released_by_mistake_its_retry_is_recorded_too(shop: Shop) -> None:
    """A failure is an outcome like another: its backoff holds."""
    slow, job = await one_running(shop)
    await shop.lose(slow)

    reply = await slow.settle(retry(job, shop.at(60)))

    assert list(reply.stale) == []
    assert await (await shop.worker()).claim() == []
    assert (await shop.row(job.token)).attempts == 1
