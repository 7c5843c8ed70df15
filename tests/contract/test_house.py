"""Keeping house: pause, prune, sweep, the orchestrator's place, and what the store says of itself."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from pathlib import Path

import pytest

from rota.errors import NotAllowedError
from rota.model.state import State
from rota.store.port import Store
from tests.contract.engines import Engine, forget_claims, forget_head
from tests.contract.outcomes import failed, given_back, retry, succeeded
from tests.contract.shop import OVENS, Shop, a_node, tokens

DAY = timedelta(days=1)


async def test_a_paused_queue_accepts_and_starts_nothing(shop: Shop) -> None:
    """The bank is down: orders go on coming in, nobody calls it."""
    await shop.submit(shop.job())
    await shop.store.set_paused(OVENS, True)
    await shop.submit(shop.job("mitte"))

    assert await (await shop.worker()).claim() == []
    assert [(row.is_paused, row.waiting) for row in await shop.store.queues()] == [(True, 2)]


async def test_a_resumed_queue_goes_on_where_it_stood(shop: Shop) -> None:
    """Nothing is lost by a pause, not even the order."""
    submitted = await shop.submit(*[shop.job(slot=1) for _ in range(3)])
    await shop.store.set_paused(OVENS, True)
    submitted += await shop.submit(shop.job(slot=1))

    await shop.store.set_paused(OVENS, False)

    assert await (await shop.worker()).work() == submitted


async def test_what_runs_when_the_pause_comes_is_finished(shop: Shop) -> None:
    """A pause is for the door, not for the kitchen."""
    await shop.submit(shop.job("mitte"), shop.job("mitte"))
    worker = await shop.worker()
    job = await worker.claim_one()

    await shop.store.set_paused(OVENS, True)

    assert list((await worker.settle(succeeded(job))).stale) == []
    assert await worker.claim() == []


async def test_a_pause_of_one_queue_leaves_the_others(shop: Shop) -> None:
    """Only what was named."""
    token = await shop.submit_one(shop.job(queue="letters"))
    await shop.submit(shop.job())
    worker = await shop.worker(queues=[OVENS, "letters"])
    await shop.store.set_paused(OVENS, True)

    assert tokens(await worker.claim(queue="letters")) == [token]


async def test_pausing_twice_is_the_same_as_once(shop: Shop) -> None:
    """Two people saw the same alarm."""
    await shop.submit(shop.job())
    for is_paused in (True, True, False, False):
        await shop.store.set_paused(OVENS, is_paused)

    assert len(await (await shop.worker()).claim()) == 1


async def test_finished_jobs_are_removed_after_their_time(shop: Shop) -> None:
    """The disk is not endless."""
    token = await shop.submit_one(shop.job())
    worker = await shop.worker()
    await worker.settle(retry(await worker.claim_one(), shop.at(0)))
    await worker.settle(succeeded(await worker.claim_one()))
    shop.clock.advance(2 * DAY)

    assert await shop.store.prune(shop.at(0)) == 1

    assert await shop.store.find(token) is None
    assert await shop.store.states([token]) == {}
    assert await shop.store.history(token) == []


async def test_what_was_settled_later_is_kept(shop: Shop) -> None:
    """Retention counts from the end, not from the submission: a job may wait for months."""
    old, slow = await shop.submit(shop.job(), shop.job())
    worker = await shop.worker()
    await worker.settle(succeeded(await worker.claim_one()))
    job = await worker.claim_one()
    shop.clock.advance(3 * DAY)
    limit = shop.at(0)
    await worker.settle(failed(job))

    assert await shop.store.prune(limit) == 1
    assert await shop.store.states([old, slow]) == {slow: State.FAILED}


async def test_a_young_token_is_kept_whatever_the_retention(shop: Shop) -> None:
    """Within a day it may be submitted again, and must be recognised: otherwise it would run a second time."""
    job = shop.job()
    await shop.submit(job)
    await (await shop.worker()).work()
    shop.clock.advance(timedelta(hours=24, minutes=50))

    assert await shop.store.prune(shop.at(0)) == 0
    assert (await shop.store.submit([job])).duplicates == {job.token}

    shop.clock.advance(timedelta(minutes=20))
    assert await shop.store.prune(shop.at(0)) == 1


async def test_live_jobs_are_never_removed(shop: Shop) -> None:
    """However old: they are not done."""
    jobs = await shop.submit(shop.job("mitte"), shop.job("mitte"), shop.job(delay=3_600), shop.job())
    await (await shop.worker()).claim()
    shop.clock.advance(400 * DAY)

    assert await shop.store.prune(shop.at(0)) == 0
    assert len(await shop.store.states(jobs)) == 4


async def test_pruning_goes_in_portions(shop: Shop) -> None:
    """A million at once would hold up everybody's submits."""
    await shop.submit(*[shop.job() for _ in range(12)])
    await (await shop.worker()).work()
    shop.clock.advance(2 * DAY)

    assert [await shop.store.prune(shop.at(0), limit=5) for _ in range(4)] == [5, 5, 2, 0]


async def test_what_a_clock_that_was_ahead_settled_holds_up_nothing(shop: Shop) -> None:
    """The host's clock stood in another year for a while: those jobs will be kept long, the others must not be."""
    shop.clock.jump(400 * DAY)
    await shop.submit(*[shop.job() for _ in range(20)])
    await (await shop.worker()).work()
    shop.clock.jump(-400 * DAY)
    await shop.submit(*[shop.job() for _ in range(3)])
    await (await shop.worker()).work()
    shop.clock.advance(2 * DAY)

    assert await shop.store.prune(shop.at(0), limit=5) == 3


async def test_partitions_may_be_tended_at_any_time(shop: Shop) -> None:
    """Whoever keeps the house does it every minute, and a new keeper at once; nothing that is kept goes by it."""
    before, waiting = await shop.submit(shop.job("mitte"), shop.job("mitte"))
    worker = await shop.worker()
    await worker.settle(failed(await worker.claim_one()))

    for _ in range(3):
        assert await shop.store.tend_partitions(shop.at(-7 * DAY)) == 0
        token = await shop.submit_one(shop.job())
        await worker.settle(*map(succeeded, [job for job in await worker.claim() if job.token == token]))
        shop.clock.advance(DAY)

    assert await shop.store.states([before, waiting]) == {before: State.FAILED, waiting: State.RUNNING}
    await shop.store.reopen(before)
    assert await shop.state(before) is State.WAITING


async def test_a_healthy_store_gives_the_sweep_nothing_to_do(shop: Shop) -> None:
    """Every find of the sweep is a mistake of ours; so it must not find what is none."""
    await shop.submit(*[shop.job("mitte", delay=delay) for delay in (None, None, 60)], shop.job(), shop.job("wedding"))
    worker, victim = await shop.worker(), await shop.worker()
    await worker.claim(2)
    await victim.claim()
    await shop.lose(victim)
    await shop.suspect(shop.job("moabit", queue="letters"))

    assert (await shop.store.sweep()).total == 0


async def test_the_sweep_finds_a_key_that_was_forgotten(shop: Shop, engine: Engine) -> None:
    """A key without a head stands still for ever, and nobody complains but the customer."""
    first, second = await shop.submit(shop.job("mitte"), shop.job("mitte"))
    worker = await shop.worker()
    await worker.settle(given_back(await worker.claim_one()))
    await forget_head(engine, shop.store, first)
    assert await worker.claim() == []

    swept = await shop.store.sweep()

    assert swept.keys_without_head == 1
    assert await worker.work() == [first, second]


async def test_the_sweep_frees_what_a_closed_worker_holds_without_a_claim(shop: Shop, engine: Engine) -> None:
    """The claims row is lost, so no release can find the job."""
    token = await shop.submit_one(shop.job())
    victim = await shop.worker()
    await victim.claim()
    await forget_claims(engine, shop.store)
    await shop.store.close_worker(victim.id)

    swept = await shop.store.sweep()

    assert swept.jobs_of_closed_workers == 1
    assert await (await shop.worker()).work() == [token]


async def test_the_sweep_drops_claims_of_which_nothing_is_held(shop: Shop) -> None:
    """A worker died after its settle and before it could name the claim as done."""
    await shop.submit(shop.job(), shop.job())
    worker = await shop.worker()
    jobs = await worker.claim()
    await shop.store.settle(worker.id, [succeeded(job) for job in jobs], done_claims=())

    swept = await shop.store.sweep()

    assert swept.claims_rows_dropped == 1
    assert (await shop.worker_row(worker)).held == 0


async def test_the_sweep_leaves_a_claim_whose_jobs_are_held(shop: Shop) -> None:
    """It is how they are found if their worker dies."""
    token = await shop.submit_one(shop.job())
    worker = await shop.worker()
    await worker.claim()

    await shop.store.sweep()

    assert list((await shop.lose(worker)).tokens) == [token]


async def test_the_orchestrator_s_place_is_taken_by_the_first(shop: Shop) -> None:
    """One hand for the duties that want one."""
    first, second = [await shop.store.register_node(a_node(name)) for name in ("mitte", "wedding")]
    assert (await shop.store.membership()).orchestrator is None

    assert await shop.store.take_house(first.id) == first.id
    assert await shop.store.take_house(second.id) == first.id
    assert (await shop.store.membership()).orchestrator == first.id


async def test_the_place_is_vacant_when_its_holder_is_closed(shop: Shop) -> None:
    """Duties go on with the next one."""
    first, second = [await shop.store.register_node(a_node(name)) for name in ("mitte", "wedding")]
    await shop.store.take_house(first.id)

    await shop.store.close_node(first.id, 0)

    assert await shop.store.take_house(second.id) == second.id


async def test_who_holds_the_place_may_ask_again(shop: Shop) -> None:
    """Its reply may have been lost."""
    node = await shop.node()
    await shop.store.take_house(node.id)

    assert await shop.store.take_house(node.id) == node.id


async def test_many_who_want_the_place_agree_on_one(shop: Shop, other_store: Store) -> None:
    """All supervisors see the vacancy at the same moment."""
    nodes = [await shop.store.register_node(a_node(f"node {number}")) for number in range(6)]
    stores = [shop.store, other_store] * 3

    holders = await asyncio.gather(*(store.take_house(node.id) for store, node in zip(stores, nodes, strict=True)))

    assert len(set(holders)) == 1


async def test_a_healthy_store_says_so(shop: Shop) -> None:
    """An alarm that is always on is no alarm."""
    await shop.submit(shop.job("mitte"), shop.job())

    checks = await shop.store.doctor()

    assert checks
    assert {check.level for check in checks} <= {"ok", "note", "warning", "error"}
    assert [check for check in checks if check.level == "error"] == []


async def test_the_doctor_names_the_durability(shop: Shop) -> None:
    """Promise P9: what a power cut would cost must be written somewhere."""
    assert [check for check in await shop.store.doctor() if "durab" in f"{check.name} {check.says}".lower()]


async def test_a_copy_holds_all_that_was_accepted(shop: Shop, engine: Engine, tmp_path: Path) -> None:
    """The day the disk dies, this is what is left."""
    if not engine.copies_itself:
        pytest.skip("this engine has tools of its own for copies")
    live, done = await shop.submit(shop.job("mitte"), shop.job())
    worker = await shop.worker()
    await worker.settle(*[succeeded(job) for job in await worker.claim() if job.token == done])
    pages: list[tuple[int, int]] = []

    await shop.store.backup(str(tmp_path / "copy.db"), progress=lambda left, total: pages.append((left, total)))

    copy = await engine.open_copy(tmp_path / "copy.db")
    try:
        assert await copy.states([live, done]) == {live: State.RUNNING, done: State.SUCCEEDED}
    finally:
        await copy.close()
    assert pages[-1][0] == 0


async def test_a_copy_never_overwrites(shop: Shop, engine: Engine, tmp_path: Path) -> None:
    """Yesterday's copy may be the last good one."""
    there = tmp_path / "copy.db"
    there.write_bytes(b"precious")

    with pytest.raises(NotAllowedError):
        await shop.store.backup(str(there))

    assert there.read_bytes() == b"precious"


async def test_an_engine_with_tools_of_its_own_names_them(shop: Shop, engine: Engine, tmp_path: Path) -> None:
    """A copy that we could only make badly is refused."""
    if engine.copies_itself:
        pytest.skip("this engine makes its own copies")

    with pytest.raises(NotAllowedError):
        await shop.store.backup(str(tmp_path / "copy.db"))


async def test_letting_go_twice_is_fine(shop: Shop) -> None:
    """Both a context manager and a careful person close it."""
    await shop.store.close()
    await shop.store.close()
