"""Judging by leases: from when an observer counts, what it believes, and what it never takes for proof."""

from __future__ import annotations

import pytest

from rota.node.leases import SLOW_PART, Leases
from rota.node.liveness import Dead
from rota.store.port import Membership, NodeRow, WorkerRow
from rota.testing.clock import ManualClock

LEASE_S = 8.0


class Locks:
    """The locks of one host: what is not named lies elsewhere."""

    folder = "here"

    def __init__(self) -> None:
        self.held: set[str] = set()
        self.free: set[str] = set()
        self.did: list[str] = []

    def hold(self, proof: str) -> None:
        self.did.append(f"hold {proof}")

    def refresh(self) -> None:
        self.did.append("refresh")

    def is_dead(self, proof: str) -> bool:
        return proof in self.free

    def is_held(self, proof: str) -> bool:
        return proof in self.held

    def forget(self, proof: str) -> None:
        self.did.append(f"forget {proof}")


class Observer:
    """One supervisor that looks at node 1, whose workers are 11 and 12, and at node 2 with 21."""

    def __init__(self, clock: ManualClock) -> None:
        self.clock = clock
        self.locks = Locks()
        self.leases = Leases(self.locks, round(LEASE_S * 1_000), clock)
        self.counters = {1: 5, 2: 5}
        self.workers = {11: 1, 12: 1, 21: 2}
        self.lease_ms = round(LEASE_S * 1_000)

    def look(self, read_s: float = 0.0) -> Dead:
        """Read, in so many seconds, and judge."""
        began = self.clock.boot_ns()
        nodes = [node(id_, counter, self.lease_ms) for id_, counter in self.counters.items()]
        workers = [worker(id_, of, self.lease_ms) for id_, of in self.workers.items()]
        self.clock.advance(read_s)
        return self.leases.dead(Membership(1, nodes, workers, None), began)

    def watch(self, seconds: float) -> Dead:
        """Look twice a second for so long, while node 2 renews; return the last look."""
        dead = self.look()
        for _ in range(round(seconds * 2)):
            self.clock.advance(0.5)
            self.counters[2] += 1
            dead = self.look()
        return dead


@pytest.fixture
def observer(clock: ManualClock) -> Observer:
    return Observer(clock)


def node(id_: int, counter: int, lease_ms: int) -> NodeRow:
    return NodeRow(id_, f"node{id_}", f"node-{id_}", "{}", lease_ms, counter, 0, False)


def worker(id_: int, node_id: int, lease_ms: int) -> WorkerRow:
    name, proof = f"node{node_id}/{id_}", f"worker-{id_}"
    return WorkerRow(id_, node_id, name, proof, [], [], 1, False, False, 0, 0, 0, lease_ms)


def test_a_counter_that_stands_still_for_a_lease_is_death(observer: Observer) -> None:
    """The node, and the workers that were there: their kernel has killed them before."""
    assert observer.watch(LEASE_S - 0.5) == Dead()

    assert observer.watch(0.5) == Dead(frozenset({1}), frozenset({11, 12}), frozenset({1}))


def test_who_renews_lives(observer: Observer) -> None:
    """Any other value will do: what counts is that somebody changed it."""
    for _ in range(10):
        observer.watch(LEASE_S - 1)
        observer.counters[1] += 1

    assert observer.look() == Dead()


def test_a_counter_that_goes_back_is_a_sign_of_life_too(observer: Observer) -> None:
    """After a fail-over the standby may lack the last renewals: then the count begins anew."""
    observer.watch(LEASE_S - 1)
    observer.counters[1] = 3

    assert observer.watch(LEASE_S - 0.5) == Dead()


def test_it_counts_from_the_return_of_the_first_read(observer: Observer) -> None:
    """The renewal may have been made at any moment of that read, up to its end."""
    observer.look(read_s=1.0)
    observer.clock.advance(LEASE_S - 0.001)
    observer.counters[2] += 1
    assert observer.look() == Dead()

    observer.clock.advance(0.001)

    assert observer.look().nodes == {1}


def test_it_judges_by_the_beginning_of_the_last_read(observer: Observer) -> None:
    """What a read shows is as old as its beginning."""
    observer.look()
    observer.clock.advance(LEASE_S - 0.5)
    assert observer.look(read_s=1.0) == Dead()


def test_after_a_failed_read_the_count_starts_over(observer: Observer) -> None:
    """While the store is away nobody can renew: its return must not kill the living."""
    observer.watch(LEASE_S - 0.5)
    observer.leases.missed()
    observer.clock.advance(60)

    assert observer.watch(LEASE_S - 0.5) == Dead()
    assert observer.watch(0.5).nodes == {1}


def test_a_slow_read_is_as_good_as_a_failed_one(observer: Observer) -> None:
    """A store that hung for seconds let nobody renew either."""
    observer.watch(LEASE_S - 0.5)

    observer.look(read_s=LEASE_S / SLOW_PART + 0.1)

    assert observer.watch(LEASE_S - 0.5) == Dead()


def test_a_node_is_judged_by_its_own_lease(observer: Observer) -> None:
    """Every node may have another length; it stands in its row."""
    observer.lease_ms = 30_000

    assert observer.watch(29.5) == Dead()
    assert observer.watch(0.5).nodes == {1}


def test_a_node_without_a_lease_is_judged_by_its_lock_alone(observer: Observer) -> None:
    """Its policy is another one; time says nothing of it."""
    observer.lease_ms = 0

    assert observer.watch(60) == Dead()


def test_a_free_lock_is_death_at_once(observer: Observer) -> None:
    """On the same host the kernel tells: recovery takes no lease."""
    observer.locks.free = {"node-1", "worker-11"}

    assert observer.look() == Dead(frozenset({1}), frozenset({11}))


def test_a_lock_that_is_nowhere_says_nothing(observer: Observer) -> None:
    """It may lie on another host, or behind another mount."""
    assert observer.look() == Dead()
    assert not observer.leases.sees("worker-11")


def test_nobody_whose_lock_is_held_is_dead(observer: Observer) -> None:
    """The kernel knows better than any lease; the node itself is closed, since it renews no more."""
    observer.locks.held = {"worker-12"}

    assert observer.watch(LEASE_S) == Dead(frozenset({1}), frozenset({11}), frozenset({1}))
    assert observer.leases.sees("worker-12")


def test_workers_of_a_node_that_was_judged_stay_dead_when_it_is_closed(observer: Observer) -> None:
    """Whoever closes it: this observer has seen the lease run out with its own eyes."""
    observer.watch(LEASE_S)
    del observer.counters[1]

    assert observer.look().workers == {11, 12}
    observer.leases.missed()
    assert observer.look().workers == {11, 12}


def test_a_worker_that_was_not_there_is_not_judged_with_the_others(observer: Observer) -> None:
    """It may have registered a moment ago, under a renewal that nobody has seen."""
    observer.watch(LEASE_S)
    del observer.counters[1]
    observer.workers[13] = 1

    assert observer.look().workers == {11, 12}


def test_what_was_judged_is_taken_back_when_the_node_renews(observer: Observer) -> None:
    """It was not closed in time: it has its workers in hand again, and answers for them."""
    observer.watch(LEASE_S)
    observer.counters[1] += 1

    assert observer.look() == Dead()
    del observer.counters[1]
    assert observer.look() == Dead()


def test_a_worker_under_a_closed_node_is_given_a_full_lease(observer: Observer) -> None:
    """Its node was closed by somebody who knew of the supervisor's end alone; its own comes a moment later, or not yet."""
    observer.look()
    del observer.counters[1]

    assert observer.watch(LEASE_S - 0.5).workers == frozenset()
    assert observer.watch(0.5).workers == {11, 12}


def test_that_lease_is_the_length_of_its_node_s(observer: Observer) -> None:
    """The observer may never have seen the node, whose lease may be longer than its own."""
    observer.lease_ms = 30_000
    del observer.counters[1]

    assert observer.watch(29.5).workers == frozenset()
    assert observer.watch(0.5).workers == {11, 12}


def test_that_count_does_not_start_over(observer: Observer) -> None:
    """A closed node cannot renew, whether the store can be read or not."""
    del observer.counters[1]
    observer.look()
    observer.leases.missed()
    observer.clock.advance(LEASE_S)

    assert observer.look().workers == {11, 12}


def test_nothing_is_kept_of_those_who_have_gone(observer: Observer) -> None:
    """Incarnations are never used again; a supervisor runs for years."""
    observer.watch(LEASE_S)
    del observer.counters[1]
    observer.watch(LEASE_S)
    observer.workers = {21: 2}
    observer.look()

    assert observer.leases.remembered == 1


def test_files_are_the_locks_business(observer: Observer) -> None:
    """The own proof of a process is a lock, as everywhere."""
    observer.leases.hold("mine")
    observer.leases.refresh()
    observer.leases.forget("gone")

    assert observer.locks.did == ["hold mine", "refresh", "forget gone"]
    assert observer.leases.folder == "here"
