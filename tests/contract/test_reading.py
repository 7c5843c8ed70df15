"""Looking things up: every state told as it is, lists in order, counts that add up."""

from __future__ import annotations

import pytest
from msgspec.structs import replace

from rota.model.state import State
from rota.store.port import JobFilter
from tests.contract.outcomes import cancelled, expired, failed, given_back, retry, succeeded
from tests.contract.shop import OVENS, Shop, tokens

pytestmark = pytest.mark.sample


async def one_in_every_state(shop: Shop) -> dict[State, bytes]:
    """Return the token of a job in each of the seven states."""
    jobs = await shop.submit(*[shop.job(slot=1) for _ in range(5)])
    worker = await shop.worker()
    success, failure, cancel, expiry, _ = await worker.claim()
    await worker.settle(succeeded(success), failed(failure), cancelled(cancel), expired(expiry))
    scheduled = await shop.submit_one(shop.job(delay=60))
    waiting = await shop.submit_one(shop.job())
    return dict(zip(State, [waiting, scheduled, jobs[4], *jobs[:4]], strict=True))


async def test_every_state_is_told_by_its_name(shop: Shop) -> None:
    """It is the question that is asked most."""
    expected = await one_in_every_state(shop)

    states = await shop.store.states(list(expected.values()))

    assert states == {token: state for state, token in expected.items()}
    assert {(await shop.row(token)).state: token for token in expected.values()} == expected


async def test_a_finished_job_names_who_ran_it_last(shop: Shop) -> None:
    """The log lines of that process are the next thing a person will look for."""
    token = await shop.submit_one(shop.job())
    worker = await shop.worker("mitte/1")
    await worker.work()

    assert (await shop.row(token)).holder == "mitte/1"


async def test_unknown_tokens_are_left_out(shop: Shop) -> None:
    """ "Unknown" is no state; whoever asks decides whether it is too old or was never there."""
    token = await shop.submit_one(shop.job())

    assert await shop.store.states([shop.token(), token]) == {token: State.WAITING}
    assert await shop.store.find(shop.token()) is None


async def test_asking_for_nothing_is_answered(shop: Shop) -> None:
    """An empty list is a list."""
    assert await shop.store.states([]) == {}


async def test_hundreds_are_looked_up_in_one_question(shop: Shop) -> None:
    """Waiting for a batch must not be a round trip a job."""
    jobs = [shop.job() for _ in range(1_500)]
    await shop.submit(*jobs)

    assert len(await shop.store.states(tokens(jobs))) == 1_500


async def test_the_story_of_an_unknown_job_is_empty(shop: Shop) -> None:
    """There is nothing to tell."""
    assert await shop.store.history(shop.token()) == []


async def test_the_story_is_told_in_order(shop: Shop) -> None:
    """Cause before effect."""
    token = await shop.submit_one(shop.job())
    for _ in range(2):
        worker = await shop.worker()
        job = await worker.claim_one()
        shop.clock.advance(1)
        await worker.settle(retry(job, shop.at(0)))
    victim = await shop.worker()
    await victim.claim_one()
    shop.clock.advance(1)
    await shop.lose(victim, running=[token])

    history = await shop.store.history(token)

    assert [entry.kind for entry in history] == ["failed", "failed", "crashed"]
    assert [entry.at for entry in history] == sorted(entry.at for entry in history)


async def test_the_head_of_a_key_can_be_asked_for(shop: Shop) -> None:
    """ "What is customer 17 waiting for?" is answered by this row."""
    first, _ = await shop.submit(shop.job("mitte"), shop.job("mitte"))
    worker = await shop.worker()
    await worker.claim()

    head = await shop.store.head_of(OVENS, "mitte")

    assert head is not None
    assert (head.token, head.is_head, head.holder) == (first, True, worker.name)


async def test_a_key_or_queue_that_is_not_there_has_no_head(shop: Shop) -> None:
    """A question about nothing is no error."""
    await shop.submit(shop.job("mitte"))

    assert await shop.store.head_of(OVENS, "wedding") is None
    assert await shop.store.head_of("letters", "mitte") is None


async def test_jobs_are_listed_newest_first(shop: Shop) -> None:
    """The one that was just submitted is the one that is looked for."""
    submitted = [await shop.submit_one(shop.job()) for _ in range(5)]
    await (await shop.worker()).work(3)

    assert tokens(await shop.store.jobs(JobFilter())) == submitted[::-1]


async def test_live_and_finished_jobs_are_one_list(shop: Shop) -> None:
    """That they are kept apart is the store's affair."""
    expected = await one_in_every_state(shop)

    listed = await shop.store.jobs(JobFilter())

    assert {job.token: job.state for job in listed} == {token: state for state, token in expected.items()}
    assert tokens(listed) == sorted(expected.values(), reverse=True)
    for job in listed:
        assert job == replace(await shop.row(job.token), payload=b"", result=None), "a list says the same as a look"


@pytest.mark.parametrize("state", list(State))
async def test_jobs_of_one_state_can_be_listed(shop: Shop, state: State) -> None:
    """All that failed; all that is running."""
    expected = await one_in_every_state(shop)

    assert tokens(await shop.store.jobs(JobFilter(states=[state]))) == [expected[state]]


async def test_jobs_of_several_states_can_be_listed(shop: Shop) -> None:
    """All that is not done yet."""
    expected = await one_in_every_state(shop)
    wanted = [State.WAITING, State.RUNNING, State.FAILED]

    listed = await shop.store.jobs(JobFilter(states=wanted))

    assert tokens(listed) == sorted((expected[state] for state in wanted), reverse=True)


@pytest.mark.parametrize(
    ("which", "expected"),
    [
        (JobFilter(queue="letters"), [2]),
        (JobFilter(task="fry"), [1]),
        (JobFilter(key="mitte"), [3, 2]),
        (JobFilter(key="mitte", queue=OVENS), [3]),
        (JobFilter(queue="nowhere"), []),
        (JobFilter(task="nothing"), []),
        (JobFilter(key="nobody"), []),
        (JobFilter(states=[]), []),
    ],
    ids=str,
)
@pytest.mark.parametrize("is_finished", [False, True], ids=["live", "finished"])
async def test_jobs_can_be_listed_by_queue_task_and_key(
    shop: Shop, which: JobFilter, expected: list[int], is_finished: bool
) -> None:
    """A person looks for the jobs of one customer, or one task."""
    jobs = [shop.job(), shop.job(task="fry"), shop.job("mitte", queue="letters"), shop.job("mitte")]
    await shop.submit(*jobs)
    if is_finished:
        worker = await shop.worker(queues=[OVENS, "letters"], tasks=["bake", "fry"])
        await worker.work()
        await worker.work(queue="letters")

    assert tokens(await shop.store.jobs(which)) == [jobs[number].token for number in expected]


async def test_pages_follow_each_other_without_gap_or_overlap(shop: Shop) -> None:
    """Also across the border between live and finished."""
    submitted = await shop.submit(*[shop.job() for _ in range(11)])
    await (await shop.worker()).claim(2)
    worker = await shop.worker()
    await worker.settle(*map(succeeded, await worker.claim(4)))
    pages: list[list[bytes]] = []
    before: bytes | None = None
    while page := tokens(await shop.store.jobs(JobFilter(limit=4, before=before))):
        pages.append(page)
        before = page[-1]

    assert [len(page) for page in pages] == [4, 4, 3]
    assert [token for page in pages for token in page] == submitted[::-1]


async def test_a_list_leaves_out_payloads_and_results(shop: Shop) -> None:
    """A hundred megabytes for one screen would be a bad surprise."""
    await shop.submit(shop.job(), shop.job())
    worker = await shop.worker()
    await worker.settle(succeeded(await worker.claim_one()))

    listed = await shop.store.jobs(JobFilter())

    assert [(job.payload, job.result or b"") for job in listed] == [(b"", b"")] * 2


async def test_a_list_tells_the_rest(shop: Shop) -> None:
    """Without asking for each row again."""
    await shop.submit(shop.job("mitte", priority=4))
    worker = await shop.worker("mitte/1")
    await worker.claim()

    (row,) = await shop.store.jobs(JobFilter())

    assert (row.queue, row.task, row.key, row.priority, row.holder) == (OVENS, "bake", "mitte", 4, "mitte/1")


async def test_queues_are_counted_by_state(shop: Shop) -> None:
    """How long is the line? The first question of every morning."""
    await one_in_every_state(shop)
    await shop.submit(shop.job("mitte"), shop.job("mitte"), shop.job(queue="letters"))
    await shop.store.set_paused("letters", True)

    rows = await shop.store.queues()

    counts = [(row.name, row.is_paused, row.waiting, row.scheduled, row.running) for row in rows]
    assert counts == [("letters", True, 1, 0, 0), (OVENS, False, 3, 1, 1)]


async def test_what_fell_due_counts_as_waiting(shop: Shop) -> None:
    """A line that nobody serves must show, whether or not it has been staged."""
    await shop.submit(shop.job(delay=60))
    shop.clock.advance(60)

    (row,) = await shop.store.queues()

    assert (row.waiting, row.scheduled) == (1, 0)


async def test_a_job_given_back_counts_as_waiting(shop: Shop) -> None:
    """Counts follow every move."""
    await shop.submit(shop.job())
    worker = await shop.worker()
    await worker.settle(given_back(await worker.claim_one()))

    (row,) = await shop.store.queues()

    assert (row.waiting, row.running) == (1, 0)


async def test_finished_jobs_are_counted_by_state(shop: Shop) -> None:
    """How many failed? The second question."""
    await one_in_every_state(shop)
    await (await shop.worker()).work()

    counts = {state: count for state, count in (await shop.store.finished_counts()).items() if count}

    assert counts == {State.SUCCEEDED: 2, State.FAILED: 1, State.CANCELLED: 1, State.EXPIRED: 1}


async def test_slots_with_work_elsewhere_are_named(shop: Shop) -> None:
    """An idle worker looks where it may help; its own slots it knows."""
    await shop.submit(shop.job(slot=1), shop.job(slot=2), shop.job(slot=3), shop.job(slot=3))
    worker = await shop.worker()

    elsewhere = await shop.store.ready_elsewhere(worker.registered.queue_ids[OVENS], [1, 7], keyed_before=0)

    assert sorted(elsewhere) == [2, 3]


async def test_keyed_jobs_are_stolen_only_after_they_have_waited(shop: Shop) -> None:
    """The owner has the warm cache; only when it is plainly busy is another better than none."""
    await shop.submit(shop.job("mitte", slot=2))
    submitted_at = shop.clock.now_us()
    shop.clock.advance(5)
    queue_id = (await shop.worker()).registered.queue_ids[OVENS]

    assert list(await shop.store.ready_elsewhere(queue_id, [], keyed_before=submitted_at)) == []
    assert list(await shop.store.ready_elsewhere(queue_id, [], keyed_before=submitted_at + 1)) == [2]


async def test_the_wait_of_a_keyed_job_begins_with_its_turn(shop: Shop) -> None:
    """Waiting for the one before it says nothing about its owner."""
    await shop.submit(shop.job("mitte", slot=2), shop.job("mitte", slot=2))
    worker = await shop.worker()
    job = await worker.claim_one()
    shop.clock.advance(60)
    turn_at = shop.clock.now_us()
    await worker.settle(succeeded(job))
    queue_id = worker.registered.queue_ids[OVENS]

    assert list(await shop.store.ready_elsewhere(queue_id, [], keyed_before=turn_at)) == []
    assert list(await shop.store.ready_elsewhere(queue_id, [], keyed_before=turn_at + 1)) == [2]


async def test_there_is_nothing_to_steal_in_what_is_held_or_not_ready(shop: Shop) -> None:
    """Coming for nothing costs the store as much as coming for something."""
    await shop.submit(shop.job(slot=1), shop.job("mitte", slot=2), shop.job("mitte", slot=2), shop.job(slot=3, delay=9))
    worker = await shop.worker()
    await worker.claim()
    shop.clock.advance(5)
    queue_id = worker.registered.queue_ids[OVENS]

    assert list(await shop.store.ready_elsewhere(queue_id, [], keyed_before=shop.at(60))) == []


async def test_only_so_many_slots_are_named(shop: Shop) -> None:
    """A thief with four hands needs no list of a thousand."""
    await shop.submit(*[shop.job(slot=slot) for slot in range(20)])
    queue_id = (await shop.worker()).registered.queue_ids[OVENS]

    elsewhere = await shop.store.ready_elsewhere(queue_id, range(10), keyed_before=0, limit=3)

    assert len(set(elsewhere)) == 3
    assert all(slot >= 10 for slot in elsewhere)


async def test_names_have_one_number_each(shop: Shop) -> None:
    """Everybody who asks gets the same, in whatever order."""
    queues, tasks = await shop.store.intern(["a", "b"], ["x"])
    again, more = await shop.store.intern(["b"], ["y", "x"])

    assert again["b"] == queues["b"] != queues["a"]
    assert more["x"] == tasks["x"] != more["y"]
