"""``rota workers``: who is there."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from rota.cli import options
from rota.cli.facts import worker_facts
from rota.cli.help import Command
from rota.cli.look import counts_of, is_alive, locks_of, now_us
from rota.cli.open import place_of, run_with
from rota.cli.output import Cell, Column, hint, put_json_lines, put_table, say
from rota.cli.words import age, count
from rota.model.span import span

if TYPE_CHECKING:
    from rota.worker.running import Counts


@click.command(cls=Command)
@options.common
def workers(as_json: bool, store: str | None, app: str | None) -> None:
    """List the worker processes that are there, by node.

    For those of this host also what they claimed since they began, how much of it from other workers' slots, and
    for how long hands were idle while something was ready.

    Examples:
      rota workers
      rota workers --json | jq .pid
    """
    place = place_of(store, app)
    there = run_with(place, lambda opened: opened.membership())
    locks = locks_of(place)
    lives = {row.id: is_alive(locks, row.proof) for row in there.workers}
    counted = counts_of(place, there)
    nodes = {node.id: node for node in there.nodes}
    rows = sorted(there.workers, key=lambda row: row.name)
    if as_json:
        put_json_lines(
            worker_facts(
                row,
                nodes.get(row.node_id),
                counted.get(row.id),
                keeps_house=row.node_id == there.orchestrator,
                is_alive=lives[row.id],
            )
            for row in rows
        )
        return
    if not rows:
        say("No workers.")
        hint("Start a node with: rota run MODULE:APP")
        return
    now = now_us()
    columns = (
        Column("WORKER"),
        Column("PID", rank=2, is_number=True),
        Column("HOLDS", is_number=True),
        Column("QUEUES", rank=1),
        Column("TASKS", rank=6),
        Column("CLAIMED", rank=4, is_number=True),
        Column("STOLEN", rank=5, is_number=True),
        Column("IDLE", rank=5, is_number=True, is_whole=True),
        Column("UP", rank=3, is_number=True, is_whole=True),
        Column("STATE", is_whole=True),
    )
    body: list[list[str | Cell]] = []
    for row in rows:
        node = nodes.get(row.node_id)
        leaves = row.is_draining or (node is not None and node.is_draining)
        state = Cell("draining", "yellow") if leaves else Cell("runs one alone", "blue") if row.is_alone else "works"
        if lives[row.id] is False:
            state = Cell("dead", "red")
        since = age(row.registered_at, now)
        body.append(
            [
                row.name,
                str(row.pid or ""),
                f"{row.held:,}",
                " ".join(row.queues),
                " ".join(row.tasks),
                *_counted(counted.get(row.id)),
                since,
                state,
            ]
        )
    put_table(columns, body)
    keeper = nodes.get(there.orchestrator) if there.orchestrator is not None else None
    hint(f"{count(len(nodes), 'node')}; {keeper.name if keeper else 'nobody'} keeps the house.")


def _counted(counts: Counts | None) -> list[str | Cell]:
    """Return the cells of what a worker counted; a dash each where that cannot be known here."""
    if counts is None:
        return ["-", "-", "-"]
    return [f"{counts.own + counts.stolen:,}", f"{counts.stolen:,}", span(counts.idle_us) if counts.idle_us else "0"]
