"""Races about one job: submitted again, cancelled, claimed without a reply; and about what a cursor has passed."""

from __future__ import annotations

import asyncio
from typing import Final

from rota.model.slot import place_of
from rota.model.state import State
from rota.store.port import Blame, Wake
from tests.contract.outcomes import succeeded
from tests.contract.shop import KILLED, OVENS, tokens
from tests.postgres.case import Case, case, fresh
from tests.postgres.stepper import Mutant, Stage

PAST_EVERYTHING: Final = place_of(-100, 1 << 50)

LOOK_FIRST = Mutant(
    "the finished jobs are searched in a later statement than the insert",
    edits=(
        (
            "submit_jobs_again",
            "SELECT array_agg(i.token) INTO added FROM i;",
            "SELECT array_agg(i.token), (SELECT array_agg(f.token) FROM finished f WHERE f.token = ANY (p_tokens))\n"
            "      INTO added, known FROM i;",
        ),
        (
            "submit_jobs_again",
            "SELECT array_agg(f.token) INTO known\n      FROM unnest(added) a(token) "
            "CROSS JOIN LATERAL (SELECT x.token FROM finished x WHERE x.token = a.token LIMIT 1) f;",
            "",
        ),
    ),
)


@case(LOOK_FIRST)
async def a_resubmit_during_an_uncommitted_settle_does_not_bring_the_job_back(stage: Stage) -> None:
    """The client that retries and the worker that finishes meet here; the job must not run twice."""
    job = stage.shop.job()
    await stage.shop.submit(job)
    worker = await stage.shop.worker()
    (claimed,) = await worker.claim()
    settler, submitter = await stage.session("settler"), await stage.session("submitter")

    await settler.begins()
    await settler.does(settler.store.settle(worker.id, [succeeded(claimed)]))
    again = submitter.starts(submitter.store.submit([job]))
    await submitter.is_blocked_by(settler)
    await settler.commits()
    reply = await again

    assert await worker.claim() == [], "a finished job was claimed again"
    assert reply.duplicates == {job.token}
    assert await stage.shop.state(job.token) is State.SUCCEEDED


NO_CLAIMS_ROW = Mutant(
    "a claim writes its claims row in its own transaction",
    edits=(
        (
            "claim_jobs",
            "INSERT INTO claims (worker, tokens) SELECT p_worker, array_agg(c.token) FROM c HAVING count(*) > 0 RETURNING no",
            "SELECT 0::bigint AS no",
        ),
    ),
)


@case(NO_CLAIMS_ROW)
async def a_claim_whose_reply_was_lost_is_adopted(stage: Stage) -> None:
    """Committed or not, nobody is told; the worker must find out what it holds."""
    token = await stage.shop.submit_one(stage.shop.job())
    worker = await stage.shop.worker()
    cut, silent = await stage.session("cut"), await stage.session("silent")

    await stage.closes_gate(cut, "claim_jobs: rows chosen")
    cut.starts(cut.as_worker(worker).claim())
    await cut.is_at("claim_jobs: rows chosen")
    await cut.dies()
    assert await stage.shop.store.held(worker.id) == [], "a claim that was not committed is held"

    await silent.does(silent.as_worker(worker).claim())
    await silent.dies()
    adopted = await stage.shop.store.held(worker.id)

    assert tokens(adopted) == [token], "what was claimed without a reply is held by nobody's knowledge"
    await stage.shop.store.settle(worker.id, [succeeded(adopted[0])], [adopted[0].claim_no])
    assert await stage.shop.state(token) is State.SUCCEEDED


@case(NO_CLAIMS_ROW)
async def a_dead_workers_claim_without_a_reply_is_released(stage: Stage) -> None:
    """The worker died before it could ask; the rescuer finds the job by the claims row alone."""
    token = await stage.shop.submit_one(stage.shop.job())
    worker = await stage.shop.worker()
    silent = await stage.session("silent")

    await silent.does(silent.as_worker(worker).claim())
    await silent.dies()
    await stage.shop.lose(worker)

    assert await stage.shop.state(token) is State.WAITING, "it is held by a dead worker for ever"


NO_PLACE = Mutant(
    "a wake-up carries the lowest place that it makes claimable",
    edits=(
        ("submit_job", "new_slot, new_place,\n", "new_slot, 9223372036854775807,\n"),
        ("submit_jobs", "min(i.place) AS place", "9223372036854775807 AS place"),
    ),
)


@case(NO_PLACE)
async def a_submit_that_commits_after_the_cursor_passed_it_is_found(stage: Stage) -> None:
    """Numbers are given before the commit, so a job can appear behind the place where its worker looks."""
    shop = stage.shop
    worker = await shop.worker()
    heard: asyncio.Queue[Wake] = asyncio.Queue()
    stop = shop.store.listen("worker-1", heard.put_nowait)
    await heard.get()
    submitter = await stage.session("submitter")
    for count in (1, 2):
        late, early = [fresh(shop.job(slot=5)) for _ in range(count)], fresh(shop.job(slot=5))

        await submitter.begins()
        await submitter.does(submitter.store.submit(late))
        await shop.submit(early)
        (claimed,) = await worker.claim(slots=[5])
        cursor = place_of(claimed.priority, claimed.seq) + 1
        await submitter.commits()
        async with asyncio.timeout(10):
            (of_early,) = (await heard.get()).woken or ()
            (of_late,) = (await heard.get()).woken or ()
        found = await worker.claim(slots=[5], cursors=[min(cursor, of_early.place, of_late.place)])

        assert tokens(found) == tokens(late), "a job behind the cursor stays there until somebody looks everywhere"
    stop()


NO_LOWERING = Mutant(
    "a claim lowers the cursor of a slot in which it staged something",
    edits=(("claim_jobs", "IF staged.woken_slots IS NOT NULL AND p_cursors IS NOT NULL THEN", "IF false THEN"),),
)


@case(NO_LOWERING)
async def a_job_that_falls_due_behind_the_cursor_is_found(stage: Stage) -> None:
    """It was given its number when it was submitted, long before those that have run since."""
    shop = stage.shop
    due = await shop.submit_one(shop.job(slot=5, delay=60))
    await shop.submit(shop.job(slot=5))
    worker = await shop.worker()
    (claimed,) = await worker.claim(slots=[5])
    cursor = place_of(claimed.priority, claimed.seq) + 1
    stage.clock.advance(61)

    found = await worker.claim(slots=[5], cursors=[cursor])

    assert tokens(found) == [due], "a due job is hidden by its worker's cursor"


TAKE_ANY = Mutant(
    "a cancel removes the job only while nobody holds it",
    edits=(("cancel_job", "l.token = p_token AND l.holder IS NULL RETURNING", "l.token = p_token RETURNING"),),
)


@case(TAKE_ANY)
async def a_cancel_against_a_claim_in_flight_asks_the_worker(stage: Stage) -> None:
    """Cancelled and running at once would be two ends of one job."""
    token = await stage.shop.submit_one(stage.shop.job())
    worker = await stage.shop.worker()
    claimer, canceller = await stage.session("claimer"), await stage.session("canceller")

    await claimer.begins()
    (claimed,) = await claimer.does(claimer.as_worker(worker).claim())
    cancelling = canceller.starts(canceller.store.cancel(token))
    await canceller.is_blocked_by(claimer)
    await claimer.commits()

    assert (await cancelling).was is State.RUNNING, "a running job was cancelled under its worker"
    settled = await stage.shop.store.settle(worker.id, [succeeded(claimed)])
    assert settled.stale == []


WAITS = Mutant(
    "release skips locked rows",
    edits=(("release_jobs", "l.holder = p_worker FOR UPDATE SKIP LOCKED) x;", "l.holder = p_worker FOR UPDATE) x;"),),
)


@case(WAITS)
async def a_release_does_not_wait_for_a_settle_in_flight(stage: Stage) -> None:
    """A dead worker's last settle may still be on its way through the server, and takes its rows in its own order."""
    shop = stage.shop
    await shop.submit(shop.job(), shop.job())
    worker = await shop.worker()
    first, second = sorted(await worker.claim(), key=lambda job: job.token)
    settler, rescuer = await stage.session("settler"), await stage.session("rescuer")
    await shop.store.close_worker(worker.id)

    await settler.begins()
    await settler.does(settler.store.settle(worker.id, [succeeded(second)]))
    releasing = rescuer.starts(rescuer.store.release(worker.id, Blame(running=(), failure=KILLED)))
    if await rescuer.ends_or_waits_for(settler):
        await settler.store.settle(worker.id, [succeeded(first)])
        raise AssertionError("the rescuer waits for a dead worker's settle, and for whatever that waits for")
    released = await releasing

    assert not released.is_complete, "it says complete while a row of the dead worker is locked"
    await settler.does(settler.store.settle(worker.id, [succeeded(first)]))
    await settler.commits()
    await shop.release(worker, Blame(running=(), failure=KILLED))
    assert set((await shop.store.states([first.token, second.token])).values()) == {State.SUCCEEDED}
    assert await stage.count("claims") == 0


NOT_REPEATED = Mutant(
    "a release is complete only when nothing is held any more",
    edits=(("release_jobs", "SELECT count(*) = 0 INTO is_complete", "SELECT true INTO is_complete"),),
)


@case(NOT_REPEATED)
async def a_release_is_repeated_until_an_undone_settle_has_let_go(stage: Stage) -> None:
    """The settle in flight may fail after all; then its job must be put back like the others."""
    shop = stage.shop
    token = await shop.submit_one(shop.job())
    worker = await shop.worker()
    (claimed,) = await worker.claim()
    settler = await stage.session("settler")
    await shop.store.close_worker(worker.id)

    await settler.begins()
    await settler.does(settler.store.settle(worker.id, [succeeded(claimed)]))
    first = await shop.store.release(worker.id, Blame(running=(), failure=KILLED))
    await settler.dies()
    if not first.is_complete:
        await shop.release(worker, Blame(running=(), failure=KILLED))

    other = await shop.worker()
    assert tokens(await other.claim(queue=OVENS)) == [token], "it is held by a dead worker for ever"


CASES: list[Case] = [found for found in list(globals().values()) if isinstance(found, Case)]
