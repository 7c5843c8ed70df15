"""Suspects: run one by one, each in a process of its own, until they are proved innocent or guilty."""

from __future__ import annotations

import asyncio

import pytest

from rota.errors import NodeClosedError
from rota.model.state import State
from rota.store.port import Store
from tests.contract.outcomes import given_back, retry, succeeded
from tests.contract.shop import BAKE, OVENS, Shop, tokens


async def test_a_suspect_says_what_it_needs(shop: Shop) -> None:
    """A supervisor starts a process for it: it must know which queue and task."""
    token = await shop.suspect(shop.job())

    (row,) = await shop.store.alone()
    assert (row.token, row.queue, row.task) == (token, OVENS, BAKE)


async def test_suspects_are_listed_oldest_first(shop: Shop) -> None:
    """They wait for one another, so each should know how long."""
    suspects = [await shop.suspect(shop.job()) for _ in range(3)]

    assert [row.token for row in await shop.store.alone()] == suspects


async def test_one_suspect_is_run_at_a_time(shop: Shop) -> None:
    """Two together would again leave two to be suspected."""
    suspects = [await shop.suspect(shop.job()) for _ in range(2)]
    first, second = await shop.worker(is_alone=True), await shop.worker(is_alone=True)

    assert tokens(await first.claim_alone()) == suspects[:1]
    assert tokens(await second.claim_alone()) == suspects[1:]


async def test_without_a_suspect_there_is_nothing_to_run_alone(shop: Shop) -> None:
    """The process was started for one that another took meanwhile."""
    await shop.submit(shop.job())

    assert await (await shop.worker(is_alone=True)).claim_alone() == []


async def test_a_suspect_that_is_run_is_not_listed(shop: Shop) -> None:
    """Nobody need start a second process for it."""
    await shop.suspect(shop.job())
    await (await shop.worker(is_alone=True)).claim_alone()

    assert await shop.store.alone() == []


async def test_a_suspect_is_claimed_under_a_fence_of_its_own(shop: Shop) -> None:
    """Run alone or not, it is a run like another."""
    token = await shop.suspect(shop.job("mitte"))
    before = (await shop.row(token)).fence
    alone = await shop.worker(is_alone=True)

    (job,) = await alone.claim_alone()

    assert (job.fence, job.crashes, job.key) == (before + 1, 2, "mitte")
    assert tokens(await shop.store.held(alone.id)) == [token]


async def test_two_who_come_for_one_suspect_do_not_share_it(shop: Shop, other_store: Store) -> None:
    """Two nodes start a process for it at the same time."""
    token = await shop.suspect(shop.job())
    first, second = await shop.worker(is_alone=True), await shop.worker(is_alone=True, store=other_store)

    claims = await asyncio.gather(first.claim_alone(), second.claim_alone())

    assert [job.token for claim in claims for job in claim] == [token]


async def test_a_suspect_of_a_paused_queue_waits(shop: Shop) -> None:
    """Paused means that nothing is started, suspects least of all."""
    await shop.suspect(shop.job())
    await shop.store.set_paused(OVENS, True)

    assert await (await shop.worker(is_alone=True)).claim_alone() == []
    assert await shop.store.alone() == [], "a process would be started for it, in vain, again and again"


async def test_a_paused_suspect_does_not_hide_another(shop: Shop) -> None:
    """The other queue goes on."""
    await shop.suspect(shop.job())
    other = await shop.suspect(shop.job(queue="letters"))
    await shop.store.set_paused(OVENS, True)

    alone = await shop.worker(is_alone=True, queues=[OVENS, "letters"])

    assert tokens(await alone.claim_alone()) == [other]


async def test_a_suspect_of_an_unknown_task_waits_for_who_knows_it(shop: Shop) -> None:
    """A rolling deploy holds for suspects too."""
    await shop.suspect(shop.job(task="fry"))
    known = await shop.suspect(shop.job())

    assert tokens(await (await shop.worker(is_alone=True)).claim_alone()) == [known]


async def test_suspects_that_only_others_could_run_hide_none(shop: Shop) -> None:
    """A release that crashed a hundred jobs was taken back: nobody knows their task, and the next suspect is known."""
    unknown = await shop.submit(*[shop.job(task="fry") for _ in range(100)])
    for _ in range(2):
        victim = await shop.worker(tasks=["fry"])
        assert len(await victim.claim(limit=100)) == 100
        await shop.lose(victim, running=unknown)
    known, elsewhere = await shop.suspect(shop.job()), await shop.suspect(shop.job(queue="letters"))

    assert [row.token for row in await shop.store.alone([OVENS], [BAKE])] == [known]
    assert [row.token for row in await shop.store.alone(["letters"])] == [elsewhere]
    assert [row.token for row in await shop.store.alone(tasks=[BAKE])] == [known, elsewhere]
    assert len(await shop.store.alone()) == 100


async def test_a_suspect_that_succeeds_is_innocent(shop: Shop) -> None:
    """Two bad neighbours in a row, and yet nothing was wrong with it."""
    token = await shop.suspect(shop.job())
    alone = await shop.worker(is_alone=True)

    await alone.settle(*map(succeeded, await alone.claim_alone()))

    assert await shop.state(token) == State.SUCCEEDED


async def test_a_suspect_that_fails_by_itself_is_among_the_others_again(shop: Shop) -> None:
    """It raised an error like any job; it does not kill. Its next attempt needs no process of its own."""
    token = await shop.suspect(shop.job())
    alone = await shop.worker(is_alone=True)
    (job,) = await alone.claim_alone()

    await alone.settle(retry(job, shop.at(0)))

    row = await shop.row(token)
    assert (row.crashes, row.is_alone) == (0, False)
    assert tokens(await (await shop.worker()).claim()) == [token]


async def test_a_suspect_that_is_given_back_stays_one(shop: Shop) -> None:
    """It was not run: nothing has been proved."""
    token = await shop.suspect(shop.job())
    alone = await shop.worker(is_alone=True)

    await alone.settle(*map(given_back, await alone.claim_alone()))

    assert await (await shop.worker()).claim() == []
    assert [row.token for row in await shop.store.alone()] == [token]


async def test_a_closed_worker_takes_no_suspect(shop: Shop) -> None:
    """It has been declared dead."""
    await shop.suspect(shop.job())
    alone = await shop.worker(is_alone=True)
    await shop.store.close_worker(alone.id)

    with pytest.raises(NodeClosedError):
        await alone.claim_alone()


async def test_a_suspect_is_not_worth_stealing(shop: Shop) -> None:
    """Idle workers would come for it again and again and get nothing."""
    await shop.suspect(shop.job())
    worker = await shop.worker()

    elsewhere = await shop.store.ready_elsewhere(worker.registered.queue_ids[OVENS], [], keyed_before=shop.at(9))

    assert list(elsewhere) == []
