"""The watch: what is evidence, whose turn it is, and what a failed read means (nothing)."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from rota.node.identity import own_identity
from rota.node.lease import NoLease
from rota.node.liveness import Dead
from rota.node.processes import SystemProcesses
from rota.node.rescuer import Rescuer
from rota.node.watch import LOOK_S, OWN_SUPERVISOR_S, SOON_S, WHOLE_LOOKS, Watch
from rota.runtime.entropy import SystemEntropy
from rota.store.port import Membership
from rota.telemetry.telemetry import Telemetry
from rota.testing.clock import ManualClock
from tests.unit.node.scripted import ScriptedStore, node, worker


class Proofs:
    """A liveness policy that is told who is dead."""

    lease_ms = 0

    def __init__(self, folder: str) -> None:
        self.folder = folder
        self.gone: set[str] = set()
        self.expired: set[int] = set()
        self.elsewhere: set[str] = set()
        self.forgotten: list[str] = []
        self.misses = 0

    def hold(self, proof: str) -> None:
        """Do nothing."""

    def refresh(self) -> None:
        """Do nothing."""

    def dead(self, seen: Membership, read_began_ns: int) -> Dead:
        return Dead(
            frozenset(row.id for row in seen.nodes if row.proof in self.gone or row.id in self.expired),
            frozenset(row.id for row in seen.workers if row.proof in self.gone),
            frozenset(self.expired),
        )

    def missed(self) -> None:
        self.misses += 1

    def sees(self, proof: str) -> bool:
        return proof not in self.elsewhere

    def forget(self, proof: str) -> None:
        self.forgotten.append(proof)


@pytest.fixture
def store() -> ScriptedStore:
    made = ScriptedStore()
    made.nodes = [node(1), node(2)]
    made.workers = [worker(11, 1), worker(21, 2), worker(22, 2)]
    return made


@pytest.fixture
def proofs(tmp_path: Path) -> Proofs:
    return Proofs(str(tmp_path))


@pytest.fixture
def rescuer(store: ScriptedStore, proofs: Proofs, clock: ManualClock) -> Rescuer:
    scripted: Any = store
    processes = SystemProcesses("", proofs.folder)
    return Rescuer(scripted, proofs, processes, clock=clock, entropy=SystemEntropy(clock), telemetry=Telemetry())


@pytest.fixture
def tenure() -> NoLease:
    return NoLease()


@pytest.fixture
def telemetry() -> Telemetry:
    return Telemetry()


@pytest.fixture
def watch(
    store: ScriptedStore, proofs: Proofs, tenure: NoLease, rescuer: Rescuer, clock: ManualClock, telemetry: Telemetry
) -> Watch:
    """The watch of node 1."""
    scripted: Any = store
    made = Watch(
        "node1",
        store=scripted,
        liveness=proofs,
        tenure=tenure,
        rescuer=rescuer,
        clock=clock,
        telemetry=telemetry,
        own=own_identity(),
    )
    made.node_id = 1
    made.is_ours = lambda proof: proof == "worker-11"
    return made


async def test_while_everybody_lives_nothing_is_closed(watch: Watch, store: ScriptedStore) -> None:
    """Looking must not change anything."""
    assert not await watch.look()
    assert store.calls("close_node", "close_worker", "release") == []


async def test_a_dead_node_is_closed_with_the_counter_that_was_seen(
    watch: Watch, store: ScriptedStore, proofs: Proofs
) -> None:
    """Compare-and-set: if it has renewed meanwhile, nothing happens."""
    proofs.gone = {"node-2"}

    await watch.look()

    assert store.calls("close_node") == [("close_node", 2, 5)]


async def test_a_worker_is_rescued_only_once_its_own_proof_is_gone(
    watch: Watch, store: ScriptedStore, proofs: Proofs, rescuer: Rescuer
) -> None:
    """Its node is dead, but the worker may live for another moment, and run."""
    proofs.gone = {"node-2", "worker-21"}
    is_waiting = await watch.look()
    await rescuer.drained()

    assert is_waiting
    assert store.calls("close_worker") == [("close_worker", 21)]

    proofs.gone.add("worker-22")
    await watch.look()
    await rescuer.drained()
    assert store.calls("close_worker") == [("close_worker", 21), ("close_worker", 22)]
    assert {blame.failure.type for blame in store.blames} == {"NodeLost"}


async def test_the_watch_asks_for_what_is_new_and_now_and_then_for_all(watch: Watch, store: ScriptedStore) -> None:
    """A server that was set back may mean other workers by the number of an epoch."""
    for _ in range(2 * WHOLE_LOOKS):
        await watch.look()

    asked = [known is not None for _, known in store.calls("membership")]
    assert asked == ([False] + [True] * (WHOLE_LOOKS - 2) + [False] + [True] * (WHOLE_LOOKS - 1) + [False])


async def test_nothing_is_closed_on_a_failed_read(watch: Watch, store: ScriptedStore, proofs: Proofs) -> None:
    """That the store cannot be read says nothing of anybody."""
    proofs.gone = {"node-2", "worker-21", "worker-22"}
    store.failing = {"membership": 1}

    assert not await watch.look()
    assert store.calls("close_node", "close_worker") == []
    assert proofs.misses == 1


async def test_an_outage_is_told_again_less_and_less_often(
    watch: Watch, store: ScriptedStore, telemetry: Telemetry
) -> None:
    """It looks twice a second: an hour's outage must not be thousands of lines."""
    store.failing["membership"] = 100
    for _ in range(100):
        await watch.look()
    assert telemetry.counters["watch.failed"] == 7, "the 1st, 2nd, 4th, 8th, 16th, 32nd and 64th"

    await watch.look()
    store.failing["membership"] = 1
    await watch.look()

    assert telemetry.counters["watch.failed"] == 8, "another outage begins"


async def test_who_is_not_heard_takes_no_silence_for_death(watch: Watch, proofs: Proofs, tenure: NoLease) -> None:
    """A full disk can be read: everybody's counter stands still, and everybody lives."""
    await watch.look()
    assert proofs.misses == 0

    tenure.is_unheard = True
    await watch.look()
    await watch.look()

    assert proofs.misses == 2


async def test_who_is_heard_again_counts_anew_once(watch: Watch, proofs: Proofs, tenure: NoLease) -> None:
    """The others have had no time yet to renew; also if the outage came and went between two looks."""
    tenure.outages = 1

    await watch.look()
    await watch.look()

    assert proofs.misses == 1


async def test_a_close_that_failed_is_tried_at_the_next_look(
    watch: Watch, store: ScriptedStore, proofs: Proofs
) -> None:
    """A locked database delays a rescue and does not prevent it."""
    proofs.gone = {"node-2"}
    store.failing = {"close_node": 1}

    await watch.look()
    await watch.look()

    assert store.calls("close_node") == [("close_node", 2, 5)] * 2
    assert [row.id for row in store.nodes] == [1]
    assert proofs.misses == 0


async def test_the_end_of_a_worker_elsewhere_is_not_waited_for_in_a_hurry(
    watch: Watch, store: ScriptedStore, proofs: Proofs
) -> None:
    """Its lock lies on another host, so only its lease can tell; a hundred looks a second would show nothing."""
    proofs.gone = {"node-2"}
    proofs.elsewhere = {"worker-21", "worker-22"}

    assert not await watch.look()


async def test_a_node_whose_lease_ran_out_is_closed_and_its_file_is_left(
    watch: Watch, store: ScriptedStore, proofs: Proofs
) -> None:
    """It may lie here and be held: the supervisor lives, and cannot reach the store."""
    proofs.expired = {2}

    await watch.look()

    assert store.calls("close_node") == [("close_node", 2, 5)]
    assert proofs.forgotten == []


async def test_a_living_nodes_worker_is_left_to_its_own_supervisor_first(
    watch: Watch, store: ScriptedStore, proofs: Proofs, rescuer: Rescuer, clock: ManualClock
) -> None:
    """It knows how the process ended. Only if it does nothing for a second it is taken to stand still."""
    proofs.gone = {"worker-21"}
    await watch.look()
    clock.advance(OWN_SUPERVISOR_S - 0.1)
    await watch.look()
    assert store.calls("close_worker") == []

    clock.advance(0.2)
    await watch.look()
    await rescuer.drained()

    assert store.calls("close_worker") == [("close_worker", 21)]
    assert store.blames[0].failure.type == "WorkerCrashed"


async def test_the_look_that_ends_its_second_is_not_late(
    watch: Watch, store: ScriptedStore, proofs: Proofs, rescuer: Rescuer, clock: ManualClock
) -> None:
    """A look that comes a moment too early must not cost another half second, nor make hundreds of looks of the rest."""
    proofs.gone = {"worker-21"}
    await watch.look()
    assert watch.rest_s == LOOK_S

    clock.advance(0.8)
    proofs.gone.add("worker-22")
    await watch.look()
    assert watch.rest_s == pytest.approx(0.2)

    clock.advance(0.195)
    assert watch.rest_s == SOON_S
    await watch.look()
    assert store.calls("close_worker") == []

    clock.advance(watch.rest_s)
    await watch.look()
    await rescuer.drained()
    assert store.calls("close_worker") == [("close_worker", 21)]
    assert watch.rest_s == LOOK_S, "the second's second is over in 0.8 s"


async def test_who_has_been_given_its_second_is_looked_at_twice_a_second(
    watch: Watch, store: ScriptedStore, proofs: Proofs, rescuer: Rescuer, clock: ManualClock
) -> None:
    """It lives after all, is being rescued, or cannot be read of: no reason to look more often."""
    proofs.gone = {"worker-21"}
    await watch.look()
    clock.advance(0.7)
    store.failing = {"membership": 1}
    await watch.look()
    assert watch.rest_s == LOOK_S

    proofs.gone.clear()
    await watch.look()
    assert watch.rest_s == LOOK_S

    proofs.gone = {"worker-21"}
    store.failing = {"close_worker": 1}
    await watch.look()
    clock.advance(OWN_SUPERVISOR_S)
    await watch.look()
    assert watch.rest_s == LOOK_S
    await rescuer.drained()


async def test_a_proof_that_comes_back_starts_the_second_anew(
    watch: Watch, store: ScriptedStore, proofs: Proofs, clock: ManualClock
) -> None:
    """User code dropped the lock by mistake, and the worker took it again."""
    proofs.gone = {"worker-21"}
    await watch.look()
    proofs.gone.clear()
    await watch.look()
    proofs.gone = {"worker-21"}
    clock.advance(OWN_SUPERVISOR_S)
    await watch.look()

    assert store.calls("close_worker") == []


async def test_a_half_done_rescue_is_gone_on_with(
    watch: Watch, store: ScriptedStore, rescuer: Rescuer, clock: ManualClock
) -> None:
    """Whoever closed the worker died before the release; a second is left to those who are just doing it."""
    store.left = [worker(31, 3)]
    await watch.look()
    assert store.calls("release") == []

    clock.advance(OWN_SUPERVISOR_S)
    await watch.look()
    await rescuer.drained()

    assert store.calls("release") == [("release", 31)]


async def test_rows_of_ones_own_without_a_process_are_closed(
    watch: Watch, store: ScriptedStore, rescuer: Rescuer
) -> None:
    """A registration can arrive after its sender was reaped."""
    store.workers.append(worker(12, 1))

    await watch.look()
    await rescuer.drained()

    assert store.calls("close_worker") == [("close_worker", 12)]


async def test_the_older_of_two_rows_of_one_process_is_closed(
    watch: Watch, store: ScriptedStore, rescuer: Rescuer
) -> None:
    """The reply to its first registration was lost; its slots must not wait for a member that does not exist."""
    store.workers.append(worker(13, 1, "worker-11"))

    await watch.look()
    await rescuer.drained()

    assert store.calls("close_worker") == [("close_worker", 11)]
    assert store.blames[0].forgives


async def test_a_node_that_others_have_closed_knows_it(watch: Watch, store: ScriptedStore) -> None:
    """It must end its workers and begin anew."""
    await watch.look()
    assert not watch.disowned.is_set()

    store.nodes = [node(2)]
    await watch.look()

    assert watch.disowned.is_set()


async def test_names_of_the_dead_are_freed_before_registering(
    watch: Watch, store: ScriptedStore, proofs: Proofs
) -> None:
    """A supervisor that was started again gets the names, and so the places, of the one before it."""
    watch.node_id = None
    proofs.gone = {"node-2", "worker-21", "worker-22"}

    await watch.clear_the_way(5)

    assert [row.id for row in store.nodes] == [1]
    assert [row.id for row in store.workers] == [11]
