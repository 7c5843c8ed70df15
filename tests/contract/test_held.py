"""What a worker holds, as the store sees it: how jobs are found whose claim's reply was lost."""

from __future__ import annotations

from tests.contract.outcomes import given_back, retry, succeeded
from tests.contract.shop import Shop, tokens


async def test_jobs_of_a_lost_reply_are_found_and_done(shop: Shop) -> None:
    """The claim was written, the answer was not heard: without this they would be held for ever and run by nobody."""
    submitted = await shop.submit(shop.job(), shop.job("mitte"))
    worker = await shop.worker()
    await worker.claim()

    adopted = await shop.store.held(worker.id)

    assert tokens(adopted) == submitted
    assert list((await worker.settle(*map(succeeded, adopted))).stale) == []
    assert await shop.store.held(worker.id) == []


async def test_an_adopted_job_is_as_it_was_claimed(shop: Shop) -> None:
    """It is run from this reading alone."""
    await shop.submit(shop.job("mitte", payload=b"[1]", meta=b'{"timeout_ms":5}', priority=3, expires_at=shop.at(99)))
    worker = await shop.worker()

    claimed = await worker.claim()

    assert list(await shop.store.held(worker.id)) == claimed


async def test_held_jobs_come_in_the_order_of_accept(shop: Shop) -> None:
    """Adopted jobs are started in this order."""
    submitted = await shop.submit(*[shop.job(slot=900 - number, priority=number) for number in range(5)])
    worker = await shop.worker()
    await worker.claim(2)
    await worker.claim()

    assert tokens(await shop.store.held(worker.id)) == submitted


async def test_nobody_s_jobs_but_its_own(shop: Shop) -> None:
    """Adopting a neighbour's job would be a double run."""
    await shop.submit(*[shop.job() for _ in range(4)])
    worker, colleague = await shop.worker(), await shop.worker()
    mine = await worker.claim(2)
    await colleague.claim()

    assert tokens(await shop.store.held(worker.id)) == tokens(mine)


async def test_what_has_been_settled_is_not_held(shop: Shop) -> None:
    """It would be run again."""
    await shop.submit(*[shop.job() for _ in range(4)])
    worker = await shop.worker()
    done, again, back, kept = await worker.claim()

    await worker.settle(succeeded(done), retry(again, shop.at(60)), given_back(back))

    assert tokens(await shop.store.held(worker.id)) == [kept.token]


async def test_what_was_released_is_not_held(shop: Shop) -> None:
    """A worker that was declared dead by mistake must not adopt what others run now."""
    await shop.submit(shop.job())
    worker = await shop.worker()
    await worker.claim()

    await shop.lose(worker)

    assert await shop.store.held(worker.id) == []


async def test_adopted_jobs_name_their_claim(shop: Shop) -> None:
    """Once they are settled its row can be dropped, although its reply was never heard."""
    await shop.submit(*[shop.job() for _ in range(3)])
    worker = await shop.worker()
    await worker.claim()
    adopted = await shop.store.held(worker.id)

    await shop.store.settle(worker.id, [succeeded(job) for job in adopted], sorted({job.claim_no for job in adopted}))

    assert (await shop.worker_row(worker)).held == 0


async def test_an_idle_worker_holds_nothing(shop: Shop) -> None:
    """Most looks find this."""
    assert await shop.store.held((await shop.worker()).id) == []
