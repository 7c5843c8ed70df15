"""What can be done to a running cluster, each with the time within which what was in flight must run again.

A fault takes a node in hand, does its harm, and lets go when the harm is over, or when the node is back: else all of them could
be away at once, and nobody would be left of whom a quick recovery can be asked. Whether the cluster has got over it is seen
later, from what the handlers wrote down.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass
from random import Random

from tests.chaos.app import now_ns
from tests.chaos.nodes import Node, Nodes

LEASE_S = 8.0
BOTH = frozenset({"sqlite", "postgres"})
POSTGRES = frozenset({"postgres"})
SQLITE = frozenset({"sqlite"})


@dataclass(frozen=True)
class Fault:
    """One kind of fault.

    Attributes:
        name: In the plural, as it is counted.
        engines: Where it can be made.
        within_s: How soon jobs in flight must run again, by engine (P6); none where no job in flight need be lost.
        make: Does it once; returns whether it could.
        is_for_all: It meets every node at once, and is not mixed with others.
    """

    name: str
    engines: frozenset[str]
    make: Callable[[Nodes, Random], Awaitable[bool]]
    within_s: dict[str, float]
    is_for_all: bool = False


@contextlib.contextmanager
def in_hand(node: Node) -> Iterator[Node]:
    """Keep other faults away from a node."""
    node.is_busy = True
    try:
        yield node
    finally:
        node.is_busy = False


async def kill_worker(nodes: Nodes, chance: Random) -> bool:
    """SIGKILL for one worker."""
    node = await nodes.steady(chance)
    victim = chance.choice(node.worker_rows(await nodes.membership()) or [None])
    if victim is None:
        return False
    nodes.note("worker_kills", [victim.pid])
    _signal(victim.pid, signal.SIGKILL)
    return True


async def kill_supervisor(nodes: Nodes, chance: Random) -> bool:
    """SIGKILL for one supervisor, and by that for its workers."""
    node = await nodes.steady(chance)
    pid, workers = node.supervisor, node.workers
    if pid is None:
        return False
    with in_hand(node):
        nodes.note("supervisor_kills", workers)
        _signal(pid, signal.SIGKILL)
        await nodes.until_ready(node, after=pid)
    return True


async def kill_node(nodes: Nodes, chance: Random) -> bool:
    """SIGKILL for all processes of a node; another is started a while later."""
    node = await nodes.steady(chance)
    with in_hand(node):
        nodes.note("node_kills", node.workers)
        nodes.kill_tree(node)
        nodes.all.remove(node)
    await asyncio.sleep(chance.uniform(0.0, 3.0))
    await nodes.until_ready(await nodes.start(node.name))
    return True


async def pause_supervisor(nodes: Nodes, chance: Random) -> bool:
    """SIGSTOP for one supervisor, and SIGCONT later; meanwhile perhaps SIGKILL for one of its workers.

    Under a lease a long pause is the end of the node: its kernel timer ends it, and its workers.
    """
    node = await nodes.steady(chance)
    pid, workers = node.supervisor, node.workers
    if pid is None or not workers:
        return False
    is_long = nodes.place.engine == "postgres" and chance.random() < 0.5
    with in_hand(node):
        _signal(pid, signal.SIGSTOP)
        if is_long:
            nodes.note("pauses", workers)
        elif chance.random() < 0.5:
            victim = chance.choice(workers)
            nodes.note("kills_while_paused", [victim])
            _signal(victim, signal.SIGKILL)
        await asyncio.sleep(chance.uniform(LEASE_S - 2, LEASE_S + 2) if is_long else chance.uniform(0.2, 2.0))
        _signal(pid, signal.SIGCONT)
    return True


async def kill_server(nodes: Nodes, chance: Random) -> bool:
    """``kill -9`` for PostgreSQL's first process; it is started again within two seconds."""
    server = nodes.place.server
    assert server is not None
    killed_at = now_ns()
    await asyncio.to_thread(server.kill)
    await asyncio.sleep(chance.uniform(0.0, 2.0))
    await asyncio.to_thread(server.start)
    nodes.server_kills.append((killed_at, now_ns()))
    return True


async def cut(nodes: Nodes, chance: Random) -> bool:
    """Reset all connections of one node."""
    node = await nodes.steady(chance)
    nodes.place.proxies[node.name].reset()
    return True


async def swallow(nodes: Nodes, chance: Random) -> bool:
    """Let a node's packets vanish for a while: for less than it can bear, or for longer than its lease."""
    node = await nodes.steady(chance)
    is_long = chance.random() < 0.5
    with in_hand(node):
        if is_long:
            nodes.note("black_holes", node.workers)
        nodes.place.proxies[node.name].black_hole()
        await asyncio.sleep(chance.uniform(LEASE_S - 1, LEASE_S + 4) if is_long else chance.uniform(0.2, 2.0))
        nodes.place.proxies[node.name].clear()
    return True


async def deploy(nodes: Nodes, chance: Random) -> bool:
    """End one node in good order and start it anew, under load."""
    node = await nodes.steady(chance)
    with in_hand(node):
        code = await nodes.drain(node)
    if code != 0:
        raise RuntimeError(f"{node.name} was asked to drain and ended with {code}")
    await nodes.until_ready(await nodes.start(node.name))
    return True


async def join_and_leave(nodes: Nodes, chance: Random) -> bool:
    """Start one more node, and end it in good order a while later."""
    guest = await nodes.start("guest")
    with in_hand(guest):
        await asyncio.sleep(chance.uniform(1.0, 4.0))
        await nodes.drain(guest)
    return True


async def jump_clock(nodes: Nodes, chance: Random) -> bool:
    """Set one node's wall clock hours off."""
    node = await nodes.steady(chance)
    nodes.place.set_clock(node.name, chance.choice([-1, 1]) * chance.randint(1, 6) * 3_600)
    return True


async def fill_disk(nodes: Nodes, chance: Random) -> bool:
    """Leave no room on the disk of the store for a while."""
    if nodes.place.disk is None:
        return False
    ballast = nodes.place.disk / "ballast"
    with contextlib.suppress(OSError), ballast.open("wb") as file:
        while True:
            file.write(bytes(65_536))
            file.flush()
    await asyncio.sleep(chance.uniform(0.2, 2.0))
    ballast.unlink(missing_ok=True)
    return True


FAULTS = {
    fault.name: fault
    for fault in (
        Fault("worker_kills", BOTH, kill_worker, {"sqlite": 1.0, "postgres": 1.0}),
        Fault("supervisor_kills", BOTH, kill_supervisor, {"sqlite": 1.0, "postgres": 1.0}),
        Fault("node_kills", BOTH, kill_node, {"sqlite": 1.0, "postgres": 10.0}),
        # A worker that dies while its own supervisor is stopped is seen to by another node of its host, or by its own later.
        Fault("pauses", BOTH, pause_supervisor, {"postgres": 10.0}),
        Fault("server_kills", POSTGRES, kill_server, {}, is_for_all=True),
        Fault("cuts", POSTGRES, cut, {}),
        Fault("black_holes", POSTGRES, swallow, {"postgres": 12.0}),
        Fault("deploys", BOTH, deploy, {}),
        Fault("guests", BOTH, join_and_leave, {}),
        Fault("clock_jumps", BOTH, jump_clock, {}),
        Fault("full_disks", SQLITE, fill_disk, {}, is_for_all=True),
    )
}
WHILE_PAUSED_S = {"sqlite": 3.0, "postgres": 4.0}


def _signal(pid: int, number: signal.Signals) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, number)
