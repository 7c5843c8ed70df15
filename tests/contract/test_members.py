"""Who is there: nodes and workers, their names, leases and incarnations, and the epoch of the ring."""

from __future__ import annotations

import asyncio

import pytest

from rota.errors import NodeClosedError
from rota.store.port import NewNode, NewWorker, Store
from tests.contract.outcomes import succeeded
from tests.contract.shop import BAKE, OVENS, Shop, a_node


async def test_a_node_is_seen_by_the_others(shop: Shop) -> None:
    """Every supervisor watches every node: it needs all that proves life."""
    node = await shop.store.register_node(a_node("mitte", proof="n1.lock", lease_ms=8_000))

    (row,) = (await shop.store.membership()).nodes
    assert (row.id, row.name, row.proof, row.host, row.lease_ms) == (node.id, "mitte", "n1.lock", "{}", 8_000)
    assert (row.registered_at, row.is_draining) == (shop.clock.now_us(), False)


async def test_a_worker_is_seen_by_the_others(shop: Shop) -> None:
    """The ring is made of these rows."""
    worker = await shop.worker("mitte/1", queues=["ovens", "letters"], tasks=["bake", "write"])

    row = await shop.worker_row(worker)
    assert (row.node_id, row.name, row.weight, row.is_alone) == ((await shop.node()).id, "mitte/1", 1, False)
    assert (sorted(row.queues), sorted(row.tasks)) == (["letters", "ovens"], ["bake", "write"])
    assert (row.proof, row.pid, row.held) == ("proof-1", 1_001, 0)


async def test_a_worker_learns_the_numbers_of_its_queues_and_tasks(shop: Shop) -> None:
    """Claims speak in numbers; the same name has the same number for everybody."""
    first = await shop.worker(queues=["ovens", "letters"], tasks=["bake"])
    second = await shop.worker(queues=["letters"], tasks=["write", "bake"])

    assert set(first.registered.queue_ids) == {"ovens", "letters"}
    assert first.registered.queue_ids["letters"] == second.registered.queue_ids["letters"]
    assert first.registered.task_ids["bake"] == second.registered.task_ids["bake"]
    assert len(set(second.registered.task_ids.values())) == 2


async def test_who_knows_the_workers_is_told_what_is_new(shop: Shop) -> None:
    """Every supervisor asks twice a second. What it knew must be told whenever it is not so any more, alone workers, too."""
    leaving, staying = await shop.worker("mitte/1"), await shop.worker("mitte/2")
    seen = await shop.store.membership()

    async def told() -> list[tuple[str, bool]]:
        nonlocal seen
        seen = await shop.store.membership(seen)
        assert seen == await shop.store.membership()
        return [(worker.name, worker.is_draining) for worker in seen.workers]

    assert await told() == [("mitte/1", False), ("mitte/2", False)]
    alone = await shop.worker("mitte/alone", is_alone=True)
    assert await told() == [("mitte/1", False), ("mitte/2", False), ("mitte/alone", False)]
    await shop.store.drain_worker(leaving.id)
    assert await told() == [("mitte/1", True), ("mitte/2", False), ("mitte/alone", False)]
    await shop.store.close_worker(alone.id)
    assert await told() == [("mitte/1", True), ("mitte/2", False)]
    await shop.store.close_worker(leaving.id)
    assert await told() == [("mitte/2", False)]
    await shop.store.drain_worker(staying.id)
    await shop.store.renew((await shop.node()).id, 7)
    assert await told() == [("mitte/2", True)]
    assert [(node.counter, node.is_draining) for node in seen.nodes] == [(7, True)]


async def test_names_are_unique_among_the_living_nodes(shop: Shop) -> None:
    """Two machines cloned from one image would share a place on the ring."""
    first, second = [await shop.store.register_node(a_node("mitte")) for _ in range(2)]

    assert first.name == "mitte"
    assert second.name != "mitte"
    assert second.name.startswith("mitte")


async def test_names_are_unique_among_the_living_workers(shop: Shop) -> None:
    """Two members of one name would own each other's slots."""
    names = {(await shop.worker("mitte/1")).name for _ in range(3)}

    assert len(names) == 3


async def test_a_node_s_name_is_free_again_after_its_close(shop: Shop) -> None:
    """A machine that comes back takes its old place on the ring, and its keys with it."""
    node = await shop.store.register_node(a_node("mitte"))
    await shop.store.close_node(node.id, 0)

    assert (await shop.store.register_node(a_node("mitte"))).name == "mitte"


async def test_a_worker_s_name_is_free_again_after_its_close(shop: Shop) -> None:
    """The successor of a crashed process serves the same slots."""
    worker = await shop.worker("mitte/1")
    await shop.store.close_worker(worker.id)

    assert (await shop.worker("mitte/1")).name == "mitte/1"


async def test_incarnations_are_never_used_again(shop: Shop) -> None:
    """A late message of the dead must never be taken for one of the living."""
    nodes, workers = [], []
    for _ in range(4):
        node = await shop.store.register_node(a_node("mitte"))
        worker = await shop.worker("mitte/1", node_id=node.id)
        await shop.store.close_worker(worker.id)
        await shop.store.close_node(node.id, 0)
        nodes.append(node.id)
        workers.append(worker.id)

    assert len(set(nodes)) == len(set(workers)) == 4


async def test_a_renewal_is_seen_by_the_others(shop: Shop, other_store: Store) -> None:
    """A counter that rises is what they watch."""
    node = await shop.node()

    await shop.store.renew(node.id, 1)
    await shop.store.renew(node.id, 2)

    (row,) = (await other_store.membership()).nodes
    assert row.counter == 2


async def test_a_node_that_renewed_meanwhile_is_not_closed(shop: Shop) -> None:
    """The observer judged by an old number; the node is alive."""
    node = await shop.node()
    await shop.store.renew(node.id, 5)

    assert await shop.store.close_node(node.id, 4) is False
    assert [row.id for row in (await shop.store.membership()).nodes] == [node.id]


async def test_a_node_is_closed_by_one_only(shop: Shop, other_store: Store) -> None:
    """Two observers see it dead at once: one of them reports it, both may go on to rescue."""
    node = await shop.node()

    closed = await asyncio.gather(*(store.close_node(node.id, 0) for store in [shop.store, other_store] * 3))

    assert sorted(closed) == [False] * 5 + [True]
    assert (await shop.store.membership()).nodes == []


async def test_a_closed_node_cannot_renew(shop: Shop) -> None:
    """A machine that was frozen must learn that it has been declared dead, and stop."""
    node = await shop.node()
    await shop.store.close_node(node.id, 0)

    with pytest.raises(NodeClosedError):
        await shop.store.renew(node.id, 1)


async def test_no_worker_registers_under_a_closed_node(shop: Shop) -> None:
    """Its jobs would be watched by nobody."""
    node = await shop.node()
    await shop.store.close_node(node.id, 0)

    with pytest.raises(NodeClosedError):
        await shop.worker(node_id=node.id)


async def test_the_workers_of_a_closed_node_are_closed_one_by_one(shop: Shop) -> None:
    """Each has jobs to be released, so each must be found."""
    worker = await shop.worker()

    await shop.store.close_node((await shop.node()).id, 0)

    assert [row.id for row in (await shop.store.membership()).workers] == [worker.id]


async def test_every_change_of_the_ring_raises_the_epoch(shop: Shop) -> None:
    """A worker compares one number to know whether its ring is out of date."""
    epochs = [await shop.epoch()]
    worker = await shop.worker()
    epochs.append(await shop.epoch())
    await shop.store.drain_worker(worker.id)
    epochs.append(await shop.epoch())
    await shop.store.close_worker(worker.id)
    epochs.append(await shop.epoch())

    assert epochs == sorted(set(epochs))


async def test_a_worker_for_one_suspect_does_not_stir_the_ring(shop: Shop) -> None:
    """It owns no slot; nobody has to think again."""
    before = await shop.epoch()

    worker = await shop.worker(is_alone=True)
    during = await shop.epoch()
    await shop.store.close_worker(worker.id)

    assert before == during == worker.registered.epoch == await shop.epoch()


async def test_a_draining_worker_is_marked_and_may_settle(shop: Shop) -> None:
    """Out of the ring, but what it has begun it ends."""
    await shop.submit(shop.job())
    worker = await shop.worker()
    job = await worker.claim_one()

    await shop.store.drain_worker(worker.id)

    assert (await shop.worker_row(worker)).is_draining
    assert list((await worker.settle(succeeded(job))).stale) == []


async def test_registering_again_after_a_lost_reply_makes_no_second_worker(shop: Shop) -> None:
    """A worker in the ring that nobody is would be given jobs that nobody runs."""
    node = await shop.store.register_node(NewNode("mitte", "node proof", "{}"))
    again = await shop.store.register_node(NewNode("mitte", "node proof", "{}"))
    new = NewWorker(node.id, "mitte/1", "worker proof", [OVENS], [BAKE])

    first, second = await shop.store.register_worker(new), await shop.store.register_worker(new)

    members = await shop.store.membership()
    assert (again.id, again.name) == (node.id, "mitte")
    assert (first.id, first.name, second.id, second.name) == (second.id, "mitte/1", first.id, "mitte/1")
    assert [worker.id for worker in members.workers] == [first.id]
    assert second.queue_ids == first.queue_ids


async def test_registering_again_under_a_closed_node_is_refused(shop: Shop) -> None:
    """The repeat comes after the node was declared dead: the answer of before does not hold any more."""
    node = await shop.store.register_node(NewNode("mitte", "node proof", "{}"))
    new = NewWorker(node.id, "mitte/1", "worker proof", [OVENS], [BAKE])
    first = await shop.store.register_worker(new)
    await shop.store.close_worker(first.id)
    await shop.store.close_node(node.id, 0)

    with pytest.raises(NodeClosedError):
        await shop.store.register_worker(new)


async def test_an_empty_proof_is_nobody_s(shop: Shop) -> None:
    """Nodes with a counter lease have none: two of them are two."""
    first, second = [await shop.store.register_node(a_node("mitte", proof="")) for _ in range(2)]

    assert first.id != second.id


async def test_who_has_left_is_told_newest_first(shop: Shop) -> None:
    """ "Why did these slots move?" Because this worker went, then."""
    workers = [await shop.worker(f"mitte/{number}") for number in range(3)]
    alone = await shop.worker("mitte/alone", is_alone=True)
    for worker in (workers[1], alone, workers[0]):
        shop.clock.advance(1)
        await shop.store.close_worker(worker.id)

    departed = await shop.store.departed()

    assert [(row.id, row.name, row.is_alone) for row in departed] == [
        (workers[0].id, "mitte/0", False),
        (alone.id, "mitte/alone", True),
        (workers[1].id, "mitte/1", False),
    ]
    assert (departed[0].closed_at, departed[0].weight, list(departed[0].queues)) == (shop.clock.now_us(), 1, [OVENS])
    assert [row.id for row in await shop.store.departed(limit=1)] == [workers[0].id]


async def test_a_worker_s_row_tells_its_node_s_lease(shop: Shop) -> None:
    """Also when the node is closed: then it says how long the worker may still be running."""
    node = await shop.store.register_node(a_node("mitte", lease_ms=30_000))
    worker = await shop.worker("mitte/1", node_id=node.id)
    assert (await shop.worker_row(worker)).lease_ms == 30_000

    await shop.store.close_node(node.id, 0)

    assert (await shop.worker_row(worker)).lease_ms == 30_000
