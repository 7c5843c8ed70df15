"""``rota ring``: who has which share of the keys, and what moved at the last change."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import click

from rota.cli import options
from rota.cli.exits import Exit, stop
from rota.cli.help import Command
from rota.cli.open import with_store
from rota.cli.output import Cell, Column, hint, paint, put, put_json_lines, put_table, say
from rota.cli.words import ago, count, did_you_mean, iso, share
from rota.model.limits import SLOT_COUNT

if TYPE_CHECKING:
    from rota.cli.change import Change
    from rota.ring.ring import Ring
    from rota.store.port import DepartedRow, Membership, Store

BAR = 20
MOVES_SHOWN = 8

COLUMNS = (
    Column("WORKER"),
    Column("SLOTS", is_number=True),
    Column("SHARE", is_number=True),
    Column("CAP", is_number=True),
    Column("WEIGHT", rank=2, is_number=True),
    Column("OF ITS CAP", rank=1, is_whole=True),
)


@click.command(cls=Command)
@click.option("--queue", "-q", metavar="QUEUE", help="Only this queue's ring.")
@options.common
def ring(queue: str | None, as_json: bool, store: str | None, app: str | None) -> None:
    """Show who has which share of the keys, and what moved lately.

    The keys of a queue are spread over 1,024 slots, the slots over its workers; nobody gets more than 5/4 of
    their share.
    Also: what moved when a worker last came or went, and why. Such a change moves its own slots and hardly
    any other. Jobs that are being run never move.

    Examples:
      rota ring
      rota ring --queue mail --json | jq .last_change
    """

    async def read(opened: Store) -> tuple[Membership, Sequence[DepartedRow]]:
        return await opened.membership(), await opened.departed()

    there, gone = with_store(store, app, read)
    served = {name for row in there.workers if not row.is_alone for name in row.queues}
    served |= {name for row in gone if not row.is_alone for name in row.queues}
    if queue is not None and queue not in served:
        stop(Exit.NOT_FOUND, f"no worker serves a queue {queue!r}.", did_you_mean(queue, served))
    names = sorted({queue} if queue else served)
    if as_json:
        put_json_lines(_facts(name, there, gone) for name in names)
        return
    if not names:
        say("No workers: the ring is empty.")
        hint("Start a node with: rota run MODULE:APP")
    for number, name in enumerate(names):
        if number:
            put("")
        _show(name, there, gone)


def _ring_of(queue: str, there: Membership) -> Ring:
    from rota.ring.member import Member
    from rota.ring.ring import Ring

    return Ring.of(
        Member(row.name, row.weight)
        for row in there.workers
        if queue in row.queues and not row.is_draining and not row.is_alone
    )


def _show(queue: str, there: Membership, gone: Sequence[DepartedRow]) -> None:
    from rota.cli.change import last_change
    from rota.cli.look import now_us

    now = _ring_of(queue, there)
    draining = [row.name for row in there.workers if queue in row.queues and row.is_draining]
    put(f"{paint(queue, 'bold')}  {count(len(now.members), 'worker')}, epoch {there.epoch}")
    if now.members:
        put_table(COLUMNS, [_row(now, one.name, one.weight) for one in now.members])
    if draining:
        put(paint(f"draining, out of the ring: {', '.join(draining)}", "yellow"))
    change = last_change(queue, there.workers, gone)
    if change is not None:
        when = "now" if change.at is None else ago(change.at, now_us())
        put(f"{paint('last change', 'dim')}  {when}: {change.sentence}")
        _show_moves(change)


def _row(now: Ring, name: str, weight: int) -> list[str | Cell]:
    slots, cap = now.shares()[name], now.cap(name)
    full = round(BAR * slots / cap) if cap else 0
    bar = f"{'█' * full}{'░' * (BAR - full)} {share(slots, cap)}"
    return [name, f"{slots:,}", share(slots, SLOT_COUNT), f"{cap:,}", str(weight), Cell(bar, "cyan")]


def _show_moves(change: Change) -> None:
    from rota.ring.moves import moves

    found = sorted(moves(change.before, change.after), key=lambda move: -len(move.slots))
    if not change.before.members:
        put("  the first ones: nothing had to move")
        return
    if not found:
        put("  no slot moved: a process that comes back takes its old place")
        return
    moved = sum(len(move.slots) for move in found)
    put(f"  {count(moved, 'slot')} of {SLOT_COUNT:,} moved ({share(moved, SLOT_COUNT)})")
    for move in found[:MOVES_SHOWN]:
        put(f"  {move.sentence}")
    if len(found) > MOVES_SHOWN:
        rest = sum(len(move.slots) for move in found[MOVES_SHOWN:])
        put(f"  and {count(rest, 'slot')} in {count(len(found) - MOVES_SHOWN, 'more move')}")


def _facts(queue: str, there: Membership, gone: Sequence[DepartedRow]) -> dict[str, Any]:
    from rota.cli.change import last_change

    now = _ring_of(queue, there)
    shares = now.shares()
    change = last_change(queue, there.workers, gone)
    return {
        "queue": queue,
        "epoch": there.epoch,
        "slots": SLOT_COUNT,
        "workers": [
            {
                "worker": one.name,
                "node": one.node,
                "weight": one.weight,
                "slots": shares[one.name],
                "cap": now.cap(one.name),
            }
            for one in now.members
        ],
        "draining": [row.name for row in there.workers if queue in row.queues and row.is_draining],
        "last_change": None if change is None else _change_facts(change),
    }


def _change_facts(change: Change) -> dict[str, Any]:
    from rota.ring.moves import moves

    found = moves(change.before, change.after) if change.before.members else ()
    return {
        "at": iso(change.at),
        "joined": list(change.joined),
        "left": list(change.left),
        "replaced": list(change.replaced),
        "moved": sum(len(move.slots) for move in found),
        "moves": [
            {"from": move.giver, "to": move.taker, "slots": len(move.slots), "why": move.why.value} for move in found
        ],
    }
