"""What ``rota doctor`` says of who is on record: of their proofs and leases, as far as a look from here tells.

    on this host   its lock: held, and it lives; free, and it has ended
    elsewhere      PostgreSQL: its lease: a counter that moves within 5/8 of its length, when its holder stops by itself

A look proves less than a node does before it takes another's jobs (``rota.node.leases``), and decides nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from rota.cli.look import locks_of
from rota.cli.open import config_of
from rota.cli.words import count
from rota.model.span import span

if TYPE_CHECKING:
    from rota.cli.open import Place
    from rota.store.port import Check, Membership, NodeRow, Store

LOOK_S = 0.2
LAPSED_PART = 5 / 8
"""Of a lease: when its holder has stopped its workers, if it is there at all."""


async def look_at_members(opened: Store, place: Place) -> list[Check]:
    """Look at who is on record, and at the jobs that wait for them; nothing where they cannot be read."""
    from rota.cli.waiting import look_at_waiting
    from rota.errors import StoreError
    from rota.node.unfenced import store_loss

    try:
        there = await opened.membership()
    except StoreError:  # What the store lacks has been said.
        return []
    waiting = await look_at_waiting(opened, there.workers)
    found = [*await _look_at_leases(opened, place, there), *waiting]
    return [*found, store_loss(there.nodes, config_of(place).on_store_loss)] if _has_leases(place) else found


async def _look_at_leases(opened: Store, place: Place, there: Membership) -> list[Check]:
    """Look who proves that it lives; nothing where leases cannot be read."""
    from rota.errors import StoreError
    from rota.store.port import Check

    try:
        ended, silent = await _who_is_gone(opened, place, there)
    except StoreError:
        return []
    found = []
    if ended:
        says = f"the process of {_names(ended)} has ended{_holding(there, ended)}"
        found.append(Check("leases", "warning", says, _advice(there, ended)))
    if silent:
        longest = max(node.lease_ms for node in silent) * LAPSED_PART * 1000
        says = f"{_names(silent)} has not renewed its lease for {span(round(longest))}{_holding(there, silent)}"
        found.append(Check("leases", "warning", says, _advice(there, silent)))
    leases = {node.lease_ms for node in there.nodes} if _has_leases(place) else set()
    how = f", by leases of {' or '.join(span(ms * 1000) for ms in sorted(leases))}" if leases else ""
    says = f"{count(len(there.nodes), 'node')}{how}: {_names(there.nodes)}" if there.nodes else "no node is on record"
    return found or [Check("leases", "ok", says)]


async def _who_is_gone(opened: Store, place: Place, there: Membership) -> tuple[list[NodeRow], list[NodeRow]]:
    """Return the nodes whose process has ended, and those elsewhere whose lease nobody renews."""
    import asyncio

    locks = locks_of(place)
    ended = [node for node in there.nodes if locks is not None and locks.is_dead(node.proof)]
    unsure = {
        node.id: node
        for node in there.nodes
        if _has_leases(place) and node not in ended and not (locks is not None and locks.is_held(node.proof))
    }
    loop = asyncio.get_running_loop()
    end = loop.time() + max((node.lease_ms for node in unsure.values()), default=0) / 1000 * LAPSED_PART
    while unsure and loop.time() < end:
        await asyncio.sleep(LOOK_S)
        now = {node.id: node for node in (await opened.membership()).nodes}
        unsure = {
            number: node for number, node in unsure.items() if number in now and now[number].counter == node.counter
        }
    return ended, list(unsure.values())


def _has_leases(place: Place) -> bool:
    from rota.app.address import read_address

    return read_address(place.url).has_leases


def _names(nodes: Sequence[NodeRow]) -> str:
    return ", ".join(sorted(node.name for node in nodes))


def _holding(there: Membership, gone: list[NodeRow]) -> str:
    held = sum(worker.held for worker in there.workers if worker.node_id in {node.id for node in gone})
    return f"; its workers still hold {count(held, 'job')}" if held else ""


def _advice(there: Membership, gone: list[NodeRow]) -> str:
    if len(gone) < len(there.nodes):
        return "The other nodes give back what it held within seconds. If this stays, look at their logs."
    return "Any node that starts gives back what it held: rota run MODULE:APP"
