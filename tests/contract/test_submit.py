"""The way in: what is accepted is on disk, once, whole and in order."""

from __future__ import annotations

import asyncio
from datetime import timedelta

import msgspec
import pytest

from rota.errors import InvalidTokenError, QueueFullError, TokenReusedError
from rota.model.job import NewJob
from rota.model.limits import KEY_BYTES_MAX, NAME_BYTES_MAX, PAYLOAD_BYTES_MAX, PRIORITY_MAX, PRIORITY_MIN
from rota.model.state import State
from rota.store.port import JobFilter, Store
from tests.contract.conftest import Opener
from tests.contract.engines import Engine
from tests.contract.outcomes import failed, succeeded
from tests.contract.shop import BAKE, OVENS, Shop, tokens

DAY = timedelta(days=1)
HOUR = timedelta(hours=1)


async def everything(store: Store) -> list[bytes]:
    return sorted(tokens(await store.jobs(JobFilter())))


async def test_an_accepted_job_outlives_the_process_that_submitted_it(
    engine: Engine, open_store: Opener, shop: Shop
) -> None:
    """The token is a promise: whoever holds one may turn the machine off."""
    if not engine.outlives_its_handle:
        pytest.skip("a database in memory ends with its process")
    token = await shop.submit_one(shop.job("mitte"))
    await shop.store.close()

    reopened = await open_store()

    assert await reopened.states([token]) == {token: State.WAITING}


async def test_an_accepted_job_is_seen_by_everybody_at_once(shop: Shop, other_store: Store) -> None:
    """A web process submits, another shows the status: it must not say "unknown" for a while."""
    token = await shop.submit_one(shop.job())

    assert await other_store.states([token]) == {token: State.WAITING}


async def test_a_job_comes_back_as_it_was_handed_in(shop: Shop) -> None:
    """Anything lost or changed on the way would be lost for the handler."""
    expires_at = shop.at(DAY)
    job = shop.job(
        "mitte", slot=700, payload=b'{"p":"\xc3\xa9"}', priority=-7, expires_at=expires_at, meta=b'{"timeout_ms":5}'
    )

    await shop.submit(job)

    row = await shop.row(job.token)
    assert (row.queue, row.task, row.key, row.slot, row.priority) == (OVENS, BAKE, "mitte", 700, -7)
    assert (row.payload, row.codec, row.meta, row.expires_at) == (job.payload, 1, job.meta, expires_at)
    assert (row.state, row.attempts, row.crashes) == (State.WAITING, 0, 0)


async def test_the_worker_gets_what_was_handed_in(shop: Shop) -> None:
    """The claim is the only read of a job on its way to the handler."""
    expires_at = shop.at(DAY)
    job = shop.job(
        "mitte", slot=1023, payload=b'{"p":1}', priority=100, expires_at=expires_at, meta=b'{"timeout_ms":5}'
    )
    await shop.submit(job)
    worker = await shop.worker()

    claimed = await worker.claim_one()

    assert (claimed.token, claimed.slot, claimed.key, claimed.priority) == (job.token, 1023, "mitte", 100)
    assert (claimed.payload, claimed.codec, claimed.meta, claimed.expires_at) == (job.payload, 1, job.meta, expires_at)
    assert claimed.task_id == worker.registered.task_ids[BAKE]
    assert (claimed.attempts, claimed.crashes, claimed.cancel_asked) == (0, 0, False)


@pytest.mark.parametrize(
    "changes",
    [
        {"payload": b"x" * PAYLOAD_BYTES_MAX},
        {"payload": b""},
        {"payload": bytes(range(256))},
        {"key": "k" * KEY_BYTES_MAX},
        {"key": "Größe 'XL'; -- \N{SNOWMAN}"},
        {"key": ""},
        {"priority": PRIORITY_MIN},
        {"priority": PRIORITY_MAX},
        {"queue": "q" * NAME_BYTES_MAX},
        {"task": "t" * NAME_BYTES_MAX},
    ],
    ids=lambda changes: "-".join(f"{name}-{len(str(value))}" for name, value in changes.items()),
)
async def test_everything_within_the_limits_is_taken(shop: Shop, changes: dict[str, object]) -> None:
    """A limit that holds in one engine only would be found in production, on the day of the move."""
    job = msgspec.structs.replace(shop.job(), **changes)

    await shop.submit(job)

    row = await shop.row(job.token)
    assert {name: getattr(row, name) for name in changes} == changes


async def test_submitting_the_same_again_does_nothing(shop: Shop) -> None:
    """A reply can be lost; whoever asks again must not order two pizzas."""
    job = shop.job("mitte")
    await shop.store.submit([job])

    again = await shop.store.submit([job])

    assert again.duplicates == {job.token}
    assert await everything(shop.store) == [job.token]


async def test_only_the_known_ones_of_a_batch_are_duplicates(shop: Shop) -> None:
    """Half a batch that is known must not keep out the other half."""
    known, new = shop.job(), shop.job()
    await shop.submit(known)

    reply = await shop.store.submit([new, known])

    assert reply.duplicates == {known.token}
    assert await everything(shop.store) == sorted([known.token, new.token])


async def test_the_same_job_twice_in_a_batch_is_one_job(shop: Shop) -> None:
    """A caller that builds its batch from a list with a repeated line has ordered once."""
    job = shop.job("mitte")

    await shop.store.submit([job, job])

    assert await everything(shop.store) == [job.token]
    assert await (await shop.worker()).work() == [job.token]


async def test_submitting_again_after_the_end_does_nothing(shop: Shop) -> None:
    """The slow repeat of a request must not run a job that is long done."""
    job = shop.job()
    await shop.submit(job)
    worker = await shop.worker()
    await worker.work()

    again = await shop.store.submit([job])

    assert again.duplicates == {job.token}
    assert await shop.state(job.token) == State.SUCCEEDED
    assert await worker.claim() == []


async def test_submitting_again_while_it_runs_does_nothing(shop: Shop) -> None:
    """The repeat must neither start it twice nor take it from its worker."""
    job = shop.job()
    await shop.submit(job)
    worker = await shop.worker()
    claimed = await worker.claim_one()

    await shop.store.submit([job])

    assert await worker.claim() == []
    assert (await worker.settle(succeeded(claimed))).stale == []


async def test_many_who_submit_the_same_at_once_make_one_job(shop: Shop, other_store: Store) -> None:
    """Eight web workers that retry the same request at the same moment are still one order."""
    job = shop.job("mitte")

    replies = await asyncio.gather(*(store.submit([job]) for store in [shop.store, other_store] * 4))

    assert sum(job.token not in reply.duplicates for reply in replies) == 1
    assert await everything(shop.store) == [job.token]


async def test_submitting_again_against_its_settle_never_revives_it(shop: Shop, other_store: Store) -> None:
    """Seen on PostgreSQL: a repeat beside an uncommitted settle brought the job back to life."""
    worker = await shop.worker()
    jobs = [shop.job() for _ in range(20)]
    await shop.submit(*jobs)

    for claimed in await worker.claim():
        (job,) = [job for job in jobs if job.token == claimed.token]
        await asyncio.gather(worker.settle(succeeded(claimed)), other_store.submit([job]))

    assert await worker.claim() == []
    assert set((await shop.store.states(tokens(jobs))).values()) == {State.SUCCEEDED}


@pytest.mark.parametrize("change", [{"payload": b'{"pizza":"tonno"}'}, {"task": "fry"}, {"key": "wedding"}], ids=str)
@pytest.mark.parametrize("is_settled", [False, True], ids=["live", "finished"])
async def test_a_token_cannot_be_used_for_something_else(
    shop: Shop, change: dict[str, object], is_settled: bool
) -> None:
    """Two orders under one token: one of them would silently never be baked."""
    job = shop.job("mitte")
    await shop.submit(job)
    if is_settled:
        await (await shop.worker()).work()

    with pytest.raises(TokenReusedError):
        await shop.submit(msgspec.structs.replace(job, **change))

    assert (await shop.row(job.token)).payload == job.payload


async def test_a_token_cannot_stand_for_two_things_in_one_batch(shop: Shop) -> None:
    """The same mistake in one call must be told, not decided by chance."""
    job = shop.job()

    with pytest.raises(TokenReusedError):
        await shop.submit(job, msgspec.structs.replace(job, payload=b'{"pizza":"tonno"}'))

    assert await everything(shop.store) == []


async def test_a_batch_goes_in_whole_or_not_at_all(shop: Shop) -> None:
    """Who is told "no" tries the whole batch again: a half that went in would be done twice or never."""
    taken = shop.job()
    await shop.submit(taken)
    reused = msgspec.structs.replace(taken, payload=b'{"pizza":"tonno"}')

    with pytest.raises(TokenReusedError):
        await shop.submit(shop.job("mitte"), shop.job(), reused, shop.job())

    assert await everything(shop.store) == [taken.token]


async def test_an_empty_batch_is_fine(shop: Shop) -> None:
    """A list that happens to be empty is no reason to fail."""
    reply = await shop.store.submit([])

    assert (reply.duplicates, list(reply.woken)) == (frozenset(), [])


@pytest.mark.parametrize("age", [DAY + HOUR, -(DAY + HOUR)], ids=["old", "ahead"])
async def test_a_token_from_another_day_is_refused(shop: Shop, age: timedelta) -> None:
    """Finished jobs are forgotten by age: an old token could not be told from one that was settled long ago."""
    with pytest.raises(InvalidTokenError):
        await shop.submit(shop.job(token=shop.token(age=age)))

    assert await everything(shop.store) == []


@pytest.mark.parametrize("age", [DAY - HOUR, -(DAY - HOUR)], ids=["old", "ahead"])
async def test_a_token_of_the_same_day_is_taken(shop: Shop, age: timedelta) -> None:
    """Clocks differ, and a request may lie in a phone for hours."""
    token = shop.token(age=age)

    await shop.submit(shop.job(token=token))

    assert await shop.state(token) == State.WAITING


@pytest.mark.parametrize("is_settled", [False, True], ids=["live", "finished"])
async def test_a_token_that_is_known_may_be_old(shop: Shop, is_settled: bool) -> None:
    """The age guards against what cannot be recognised; this one is."""
    job = shop.job()
    await shop.submit(job)
    if is_settled:
        await (await shop.worker()).work()
    shop.clock.advance(2 * DAY)

    reply = await shop.store.submit([job])

    assert reply.duplicates == {job.token}


@pytest.mark.parametrize("token", [b"\x01" * 16, bytes(16), bytes.fromhex("0198c2f17b3a4cc080003d2f5e6a7b8c")])
async def test_a_token_of_another_kind_is_refused(shop: Shop, token: bytes) -> None:
    """A UUID that carries no time cannot be looked for where its time says."""
    with pytest.raises(InvalidTokenError):
        await shop.submit(shop.job(token=token))


async def test_a_batch_is_worked_off_in_its_order(shop: Shop) -> None:
    """First come, first served, also within one call."""
    jobs = [shop.job(slot=number * 37 % 1_024) for number in range(50)]
    await shop.submit(*jobs)

    assert await (await shop.worker()).work() == tokens(jobs)


async def test_batches_are_worked_off_in_the_order_of_their_submission(shop: Shop) -> None:
    """The store numbers jobs itself, whatever the tokens' clocks say."""
    early = [shop.job(slot=3, token=shop.token(age=-HOUR)) for _ in range(3)]
    late = [shop.job(slot=3, token=shop.token(age=HOUR)) for _ in range(3)]
    await shop.submit(*early)
    await shop.submit(*late)

    assert await (await shop.worker()).work() == tokens([*early, *late])


async def test_a_full_queue_says_so(open_store: Opener, shop: Shop) -> None:
    """Where nobody takes the jobs, the disk fills up: better a clear no while there is time."""
    small = await open_store(waiting_max=3)
    counter = Shop(small, shop.clock, shop.entropy)
    first = [counter.job(), counter.job("mitte"), counter.job(delay=60)]
    await counter.submit(*first)

    with pytest.raises(QueueFullError):
        await counter.submit(counter.job())

    assert await everything(small) == sorted(tokens(first))


async def test_a_full_queue_does_not_close_another(open_store: Opener, shop: Shop) -> None:
    """A stuck newsletter must not keep out the orders."""
    small = await open_store(waiting_max=1)
    counter = Shop(small, shop.clock, shop.entropy)
    await counter.submit(counter.job(queue="letters"))

    await counter.submit(counter.job(queue=OVENS))

    assert len(await everything(small)) == 2


async def test_a_full_queue_still_knows_what_it_has_taken(open_store: Opener, shop: Shop) -> None:
    """The repeat of a lost reply asks for no room."""
    small = await open_store(waiting_max=1)
    counter = Shop(small, shop.clock, shop.entropy)
    job = counter.job()
    await counter.submit(job)

    assert (await counter.store.submit([job])).duplicates == {job.token}


async def test_a_queue_has_room_again_when_jobs_are_done(open_store: Opener, shop: Shop) -> None:
    """The limit is on what waits, not on what ever came."""
    small = await open_store(waiting_max=2)
    counter = Shop(small, shop.clock, shop.entropy)
    worker = await counter.worker()
    for _ in range(3):
        await counter.submit(counter.job(), counter.job())
        await worker.settle(*[failed(job) for job in await worker.claim()])

    assert len(await everything(small)) == 6


async def test_jobs_may_carry_what_only_looks_like_the_same(shop: Shop) -> None:
    """Equal payloads under two tokens are two orders."""
    jobs: list[NewJob] = [shop.job(), shop.job()]

    await shop.submit(*jobs)

    assert await everything(shop.store) == sorted(tokens(jobs))
