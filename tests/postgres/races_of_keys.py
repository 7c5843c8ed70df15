"""Races about a key's turn: submits, stages, settles and cancels of one key at the same time."""

from __future__ import annotations

from rota.model.job import ClaimedJob
from tests.contract.outcomes import succeeded
from tests.contract.shop import Worker, tokens
from tests.postgres.case import Case, case, fresh
from tests.postgres.stepper import Mutant, Session, Stage

KEY = "mitte"

NO_TURN = Mutant(
    "a submit notes its key in turns",
    edits=(("submit_job", "IF p_key IS NOT NULL AND p_due_at IS NULL THEN", "IF false THEN"),),
)

NO_TURN_IN_BATCHES = Mutant(
    "a submit of many notes their keys in turns",
    edits=(("submit_jobs", "FROM i WHERE i.key IS NOT NULL AND i.due_at IS NULL", "FROM i WHERE false"),),
)

LOCK_OF_SLOTS = "pg_try_advisory_xact_lock(lock_class, (p_queue::integer * 1024 + p.s) % 4096)"
LOCK_OF_KEYS = "pg_try_advisory_xact_lock(lock_class, x.line % 4096)"

NO_SLOT_LOCK = Mutant(
    "a slot is staged under its lock",
    edits=(("stage_slots", LOCK_OF_SLOTS, "true"), ("stage_keys", LOCK_OF_KEYS, "true")),
)

LATE_LOCK = Mutant(
    "the slot's lock is taken in an earlier statement than the look",
    edits=(
        ("stage_slots", LOCK_OF_SLOTS, "true"),
        (
            "stage_keys",
            f"""SELECT x.line
          FROM (SELECT DISTINCT u.q::integer * 1024 + u.s AS line FROM unnest(p_queues, p_slots) u(q, s)) x
         WHERE {LOCK_OF_KEYS}""",
            "SELECT 0",
        ),
        (
            "stage_keys",
            "    WITH t AS MATERIALIZED (\n",
            f"""    WITH g AS MATERIALIZED (
        SELECT gate('late lock')
    ), m AS MATERIALIZED (
        SELECT x.line
          FROM (SELECT DISTINCT u.q::integer * 1024 + u.s AS line FROM unnest(p_queues, p_slots) u(q, s)) x
         WHERE (SELECT count(*) FROM g) = 1 AND {LOCK_OF_KEYS}
    ), t AS MATERIALIZED (
""",
        ),
        ("stage_keys", "WHERE t.line = ANY (mine)", "WHERE t.line IN (SELECT m.line FROM m)"),
        ("stage_keys", "WHERE NOT t.line = ANY (mine)", "WHERE t.line NOT IN (SELECT m.line FROM m)"),
    ),
)

SKIPS_THE_LINE = Mutant(
    "the lowest job of a key is picked without skipping locked ones",
    edits=(("stage_keys", "LIMIT 1) n\n", "LIMIT 1 FOR UPDATE SKIP LOCKED) n\n"),),
)

WAITS_FOR_THE_ROW = Mutant(
    "the lowest job of a key is taken or left, never waited for",
    edits=(("stage_keys", "FOR UPDATE SKIP LOCKED) x\n", "FOR UPDATE) x\n"),),
)

FORGETS_THE_TURN = Mutant(
    "a turn is given back when the row that it is for is locked",
    edits=(("stage_keys", "FROM c WHERE (c.q, c.k) NOT IN (SELECT u.queue_id, u.key FROM u)", "FROM c WHERE false"),),
)

STAGED_AT_ONCE = Mutant(
    "a settle stages its keys, in its own transaction",
    edits=(("settle_jobs", "    IF keys IS NOT NULL THEN\n", "    IF false THEN\n"),),
)


async def _key_in_progress(stage: Stage) -> tuple[Worker, ClaimedJob]:
    """Submit the first job of the key and have it claimed."""
    await stage.shop.submit(stage.shop.job(KEY))
    worker = await stage.shop.worker()
    (claimed,) = await worker.claim()
    return worker, claimed


async def _claims(session: Session, worker: Worker) -> list[bytes]:
    """Claim once, and return the tokens."""
    return tokens((await session.does(session.as_worker(worker).ask())).jobs)


@case(NO_TURN, NO_TURN_IN_BATCHES)
async def a_job_that_its_keys_settle_did_not_see_gets_its_turn(stage: Stage) -> None:
    """Its submit is not committed when the settle looks for a next one, and finds none."""
    shop = stage.shop
    submitter = await stage.session("submitter")
    for count in (1, 2):
        worker, claimed = await _key_in_progress(stage)
        late = [fresh(shop.job(KEY)) for _ in range(count)]

        await submitter.begins()
        await submitter.does(submitter.store.submit(late))
        await worker.settle(succeeded(claimed))
        await submitter.commits()

        assert await worker.work() == tokens(late), "a key has a job and no head, and nobody knows"


@case(NO_SLOT_LOCK, LATE_LOCK, NO_TURN)
async def an_arrival_staged_during_an_uncommitted_settle_is_not_forgotten(stage: Stage) -> None:
    """The stager sees the old head, whose end is not committed; it must not take the arrival's turn away."""
    shop = stage.shop
    worker, claimed = await _key_in_progress(stage)
    other = await shop.worker()
    settler, stager = await stage.session("settler"), await stage.session("stager")

    await settler.begins()
    await settler.does(settler.store.settle(worker.id, [succeeded(claimed)]))
    arrival = fresh(shop.job(KEY))
    await shop.submit(arrival)
    await stage.closes_gate(stager, "late lock")
    staging = stager.starts(stager.as_worker(other).ask())
    await stager.ends_or_is_at("late lock")
    await settler.commits()
    await stage.opens_gate(stager, "late lock")
    assert (await staging).jobs == []

    assert tokens(await other.claim()) == [arrival.token], "a key has a job and no head, and nobody knows"


@case(STAGED_AT_ONCE)
async def a_settle_gives_the_turn_to_the_next_job(stage: Stage) -> None:
    """Nobody else will: the next job's turn was taken out of the table while the first one ran."""
    shop = stage.shop
    first, second = await shop.submit(shop.job(KEY), shop.job(KEY))
    worker, other = await shop.worker(), await shop.worker()
    settler, stager = await stage.session("settler"), await stage.session("stager")
    (claimed,) = await worker.claim()
    assert claimed.token == first

    await settler.begins()
    await settler.does(settler.store.settle(worker.id, [succeeded(claimed)]))
    assert await _claims(stager, other) == []
    await settler.commits()

    assert await _claims(stager, other) == [second], "a key has a job and no head, and nobody knows"


@case(NO_SLOT_LOCK)
async def a_second_stager_neither_waits_nor_takes_the_key_from_the_first(stage: Stage) -> None:
    """The first may abort: then the key is as it was, and its lowest job is the next one's."""
    shop = stage.shop
    first, second = await shop.submit(shop.job(KEY), shop.job(KEY))
    one, two = await shop.worker(), await shop.worker()
    aborting, following = await stage.session("aborting"), await stage.session("following")

    await aborting.begins()
    assert await _claims(aborting, one) == [first]
    reply = await following.does(following.as_worker(two).ask())
    assert (list(reply.jobs), len(reply.skipped)) == ([], 1)
    await aborting.rolls_back()

    assert await _claims(following, two) == [first]
    assert await stage.count("live WHERE head") == 1
    assert await shop.state(second) == "waiting"


@case(SKIPS_THE_LINE, WAITS_FOR_THE_ROW, FORGETS_THE_TURN)
async def a_cancel_that_is_undone_does_not_let_the_second_job_past(stage: Stage) -> None:
    """The lowest job is locked at this moment, and will be there again in the next."""
    shop = stage.shop
    first, second = await shop.submit(shop.job(KEY), shop.job(KEY))
    worker = await shop.worker()
    canceller, stager = await stage.session("canceller"), await stage.session("stager")

    await stage.closes_gate(canceller, "cancel_job: removed")
    canceller.starts(canceller.store.cancel(first))
    await canceller.is_at("cancel_job: removed")
    early = await _claims(stager, worker)
    await canceller.dies()

    assert early + await _claims(stager, worker) == [first], "the second job of a key came before the first"
    assert await shop.state(second) == "waiting"


@case(SKIPS_THE_LINE)
async def a_cancel_that_is_carried_out_lets_the_second_job_past(stage: Stage) -> None:
    """The turn that could not be given while the row was locked is still noted."""
    shop = stage.shop
    first, second = await shop.submit(shop.job(KEY), shop.job(KEY))
    worker = await shop.worker()
    canceller, stager = await stage.session("canceller"), await stage.session("stager")

    await stage.closes_gate(canceller, "cancel_job: removed")
    cancelling = canceller.starts(canceller.store.cancel(first))
    await canceller.is_at("cancel_job: removed")
    early = await _claims(stager, worker)
    await stage.opens_gate(canceller, "cancel_job: removed")
    await cancelling

    assert early == [], "a job started before it was known that the one before it would not"
    assert await _claims(stager, worker) == [second]


ONE_TURN = "CREATE UNIQUE INDEX turns_once ON turns (queue_id, slot, key)"

WAITS_FOR_STRANGERS = Mutant(
    "turns has no unique key",
    edits=(
        (
            "submit_job",
            "VALUES (p_queue, new_slot, p_key, now_us);",
            "VALUES (p_queue, new_slot, p_key, now_us) ON CONFLICT DO NOTHING;",
        ),
    ),
    ddl=ONE_TURN,
)

BATCHES_WAIT_FOR_STRANGERS = Mutant(
    "turns has no unique key, for a submit of many",
    edits=(
        (
            "submit_jobs",
            "FROM i WHERE i.key IS NOT NULL AND i.due_at IS NULL",
            "FROM i WHERE i.key IS NOT NULL AND i.due_at IS NULL ON CONFLICT DO NOTHING",
        ),
    ),
    ddl=ONE_TURN,
)


@case(WAITS_FOR_STRANGERS, BATCHES_WAIT_FOR_STRANGERS)
async def a_strangers_open_transaction_holds_up_nobody(stage: Stage) -> None:
    """A shop's own transaction submits a job and then stays open over lunch."""
    shop = stage.shop
    worker = await shop.worker()
    stranger, customer = await stage.session("stranger"), await stage.session("customer")
    for count in (2, 1):
        slow, quick = ([fresh(shop.job(KEY)) for _ in range(count)] for _ in range(2))

        await stranger.begins()
        await stranger.does(stranger.store.submit(slow))
        await customer.does(customer.store.submit(quick))
        assert await worker.work() == tokens(quick)
        await stranger.commits()

        assert await worker.work() == tokens(slow)


CACHED = Mutant(
    "the sequence of places has no cache",
    ddl="ALTER SEQUENCE live_seq CACHE 100",
)


@case(CACHED)
async def jobs_of_a_key_keep_their_order_whoever_submits_them(stage: Stage) -> None:
    """A cache gives each session numbers of its own, and the next job of the first session an old one."""
    shop = stage.shop
    worker = await shop.worker()
    one, other = await stage.session("one"), await stage.session("other")
    jobs = [fresh(shop.job(KEY)) for _ in range(3)]

    for session, job in zip((one, other, one), jobs, strict=True):
        await session.does(session.store.submit([job]))

    assert await worker.work() == tokens(jobs), "a job overtook another that had been accepted before it began"


CASES: list[Case] = [found for found in list(globals().values()) if isinstance(found, Case)]
