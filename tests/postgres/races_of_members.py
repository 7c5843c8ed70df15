"""Races about who is there: a worker closed while it claims, a node closed by two, or while it renews."""

from __future__ import annotations

from rota.errors import NodeClosedError
from rota.model.state import State
from rota.store.port import Blame, NewWorker
from tests.contract.shop import BAKE, KILLED, OVENS, a_node
from tests.postgres.case import Case, case
from tests.postgres.stepper import Mutant, Session, Stage

PLAIN_CLOSE = Mutant(
    "close takes the worker's row FOR UPDATE before it updates it",
    edits=(("close_worker", "PERFORM FROM workers WHERE id = p_worker FOR UPDATE;", ""),),
)

ONE_STATEMENT = Mutant(
    "close and release are transactions of their own, and not parts of one statement",
    edits=(
        (
            "close_worker",
            "    PERFORM FROM workers WHERE id = p_worker FOR UPDATE;",
            """    WITH w AS MATERIALIZED (
        SELECT w.id FROM workers w WHERE w.id = p_worker FOR UPDATE
    )
    UPDATE live l SET holder = NULL, claimed_at = NULL FROM w WHERE l.holder = w.id;""",
        ),
        ("release_jobs", "l.holder = p_worker FOR UPDATE SKIP LOCKED) x;", "false FOR UPDATE SKIP LOCKED) x;"),
        ("release_jobs", "SELECT count(*) = 0 INTO is_complete", "SELECT true INTO is_complete"),
    ),
)


async def _rescue(session: Session, worker: int) -> bool:
    """Do what a rescuer does once it knows that a worker is dead."""
    was_open = await session.store.close_worker(worker)
    blame = Blame(running=(), failure=KILLED)
    while not (await session.store.release(worker, blame)).is_complete:
        pass
    return was_open


@case(PLAIN_CLOSE, ONE_STATEMENT)
async def a_close_waits_for_a_claim_in_flight(stage: Stage) -> None:
    """What that claim takes must be among what is released, or it is held by a dead worker for ever."""
    token = await stage.shop.submit_one(stage.shop.job())
    worker = await stage.shop.worker()
    claimer, rescuer = await stage.session("claimer"), await stage.session("rescuer")

    await claimer.begins()
    await claimer.does(claimer.as_worker(worker).claim())
    rescuing = rescuer.starts(_rescue(rescuer, worker.id))
    await rescuer.ends_or_waits_for(claimer)
    await claimer.commits()
    await rescuing

    assert await stage.shop.state(token) is State.WAITING, "it is held by a closed worker for ever"


NO_SHARE = Mutant(
    "a claim takes its worker's row for key share",
    edits=(("claim_jobs", "w.closed_at IS NULL FOR KEY SHARE;", "w.closed_at IS NULL;"),),
)


@case(NO_SHARE)
async def a_claim_waits_for_a_close_in_flight_and_takes_nothing(stage: Stage) -> None:
    """The release that follows the close has already looked when the claim would commit."""
    token = await stage.shop.submit_one(stage.shop.job())
    worker = await stage.shop.worker()
    claimer, closer = await stage.session("claimer"), await stage.session("closer")

    await closer.begins()
    assert await closer.does(closer.store.close_worker(worker.id))
    claiming = claimer.starts(claimer.as_worker(worker).ask())
    await claimer.ends_or_waits_for(closer)
    await closer.commits()
    try:
        jobs = (await claiming).jobs
    except NodeClosedError:
        jobs = ()

    assert not jobs, "a closed worker claimed a job"
    assert await stage.shop.state(token) is State.WAITING


TWICE_CLOSED = Mutant(
    "a node is closed only if it is open",
    edits=(("close_node", "AND counter = p_counter AND NOT is_closed;", "AND counter = p_counter;"),),
)


@case(TWICE_CLOSED)
async def of_two_closers_of_a_node_one_did_it(stage: Stage) -> None:
    """Every supervisor watches every node; what follows a close must be done once."""
    node = await stage.shop.node()
    first, second = await stage.session("first"), await stage.session("second")

    await first.begins()
    assert await first.does(first.store.close_node(node.id, 0))
    closing = second.starts(second.store.close_node(node.id, 0))
    await second.is_blocked_by(first)
    await first.commits()

    assert not await closing, "both say that they closed it"


@case()
async def a_close_that_is_undone_leaves_the_node_to_the_next_closer(stage: Stage) -> None:
    """The first closer may die before its commit."""
    node = await stage.shop.node()
    first, second = await stage.session("first"), await stage.session("second")

    await first.begins()
    await first.does(first.store.close_node(node.id, 0))
    closing = second.starts(second.store.close_node(node.id, 0))
    await second.is_blocked_by(first)
    await first.dies()

    assert await closing


BLIND_CLOSE = Mutant(
    "a node is closed only if its counter is still the one that was seen",
    edits=(("close_node", "AND counter = p_counter AND NOT is_closed;", "AND NOT is_closed;"),),
)


@case(BLIND_CLOSE)
async def a_renewal_in_flight_saves_its_node(stage: Stage) -> None:
    """An observer judges by what it saw; a renewal since then proves it wrong."""
    node = await stage.shop.node()
    holder, closer = await stage.session("holder"), await stage.session("closer")

    await holder.begins()
    await holder.does(holder.store.renew(node.id, 1))
    closing = closer.starts(closer.store.close_node(node.id, 0))
    await closer.is_blocked_by(holder)
    await holder.commits()

    assert not await closing, "a node that had just renewed its lease was closed"


NO_NODE_SHARE = Mutant(
    "a worker that registers takes its node's row for key share",
    edits=(("register_worker", "n.closed_at IS NULL FOR KEY SHARE;", "n.closed_at IS NULL;"),),
)


@case(NO_NODE_SHARE)
async def a_worker_cannot_register_under_a_node_that_is_being_closed(stage: Stage) -> None:
    """Whoever closed the node closes the workers that it finds; one that slips in later would be missed."""
    node = await stage.shop.node()
    closer, newcomer = await stage.session("closer"), await stage.session("newcomer")
    worker = NewWorker(node_id=node.id, name="mitte/9", proof="", queues=[OVENS], tasks=[BAKE])

    await closer.begins()
    await closer.does(closer.store.close_node(node.id, 0))
    registering = newcomer.starts(newcomer.store.register_worker(worker))
    await newcomer.ends_or_waits_for(closer)
    await closer.commits()
    try:
        await registering
    except NodeClosedError:
        return

    raise AssertionError("a worker was registered under a closed node")


BLIND_TAKE = Mutant(
    "the house is locked before it is seen to be vacant",
    edits=(("take_house", "PERFORM FROM house FOR UPDATE;", ""),),
)


@case(BLIND_TAKE)
async def of_two_who_want_the_house_one_gets_it(stage: Stage) -> None:
    """All supervisors see the vacancy at the same moment; both would do what wants one hand."""
    nodes = [await stage.shop.store.register_node(a_node(name)) for name in ("mitte", "wedding")]
    first, second = await stage.session("first"), await stage.session("second")

    await first.begins()
    assert await first.does(first.store.take_house(nodes[0].id)) == nodes[0].id
    taking = second.starts(second.store.take_house(nodes[1].id))
    await second.is_blocked_by(first)
    await first.commits()

    assert await taking == nodes[0].id, "two nodes keep the house"


CASES: list[Case] = [found for found in list(globals().values()) if isinstance(found, Case)]
