"""``rota queues``, ``workers``, ``pause`` and ``resume``: the house and who is in it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from rota.cli import options
from rota.cli.exits import Exit, stop
from rota.cli.facts import queue_facts, worker_facts
from rota.cli.look import dead_of, now_us
from rota.cli.open import place_of, run_with, with_store
from rota.cli.output import Cell, Column, hint, put, put_json, put_json_lines, put_table, say
from rota.cli.words import age, count, did_you_mean

if TYPE_CHECKING:
    from rota.store.port import Store

Queue = Annotated[str, typer.Argument(metavar="QUEUE", help="The queue's name.")]


def queues(as_json: options.Json = False, store: options.Store = None, app: options.App = None) -> None:
    """List queues with their counts.

    Examples:
      rota queues
      rota queues --json | jq -r 'select(.paused) | .queue'
    """
    rows = with_store(store, app, lambda opened: opened.queues())
    if as_json:
        put_json_lines(queue_facts(row) for row in rows)
        return
    if not rows:
        say("No queues yet: the first submit, or the first worker, makes one.")
        return
    columns = (
        Column("QUEUE"),
        Column("WAITING", is_number=True),
        Column("SCHEDULED", is_number=True),
        Column("RUNNING", is_number=True),
        Column("STATE", is_whole=True),
    )
    put_table(
        columns,
        [
            [
                row.name,
                f"{row.waiting:,}",
                f"{row.scheduled:,}",
                Cell(f"{row.running:,}", "cyan" if row.running else ""),
                Cell("paused", "yellow") if row.is_paused else "open",
            ]
            for row in rows
        ],
    )
    if paused := [row.name for row in rows if row.is_paused]:
        hint(f"Go on with: rota resume {paused[0]}")


def pause(queue: Queue, as_json: options.Json = False, store: options.Store = None, app: options.App = None) -> None:
    """Pause a queue: it takes jobs and starts none.

    What runs, runs on.

    Examples:
      rota pause mail
    """
    _set_paused(queue, True, as_json=as_json, store=store, app=app)
    if not as_json:
        hint(f"Go on with: rota resume {queue}")


def resume(queue: Queue, as_json: options.Json = False, store: options.Store = None, app: options.App = None) -> None:
    """Let a paused queue go on.

    Examples:
      rota resume mail
    """
    _set_paused(queue, False, as_json=as_json, store=store, app=app)


def _set_paused(queue: str, is_paused: bool, *, as_json: bool, store: str | None, app: str | None) -> None:
    async def change(opened: Store) -> bool:
        known = {row.name: row for row in await opened.queues()}
        if queue not in known:
            stop(
                Exit.NOT_FOUND,
                f"there is no queue {queue!r}.",
                did_you_mean(queue, known)
                or "A queue is known from its first job or worker on; rota queues lists them.",
            )
        await opened.set_paused(queue, is_paused)
        return known[queue].is_paused

    was = with_store(store, app, change)
    if as_json:
        put_json({"queue": queue, "paused": is_paused, "changed": was != is_paused})
        return
    word = "paused" if is_paused else "open"
    put(f"{queue} is {word}." if was != is_paused else f"{queue} was {word} already.")


def workers(as_json: options.Json = False, store: options.Store = None, app: options.App = None) -> None:
    """List the worker processes that are there, by node.

    Examples:
      rota workers
      rota workers --json | jq .pid
    """
    place = place_of(store, app)
    there = run_with(place, lambda opened: opened.membership())
    dead = dead_of(place, there)
    nodes = {node.id: node for node in there.nodes}
    rows = sorted(there.workers, key=lambda row: row.name)
    if as_json:
        put_json_lines(
            worker_facts(
                row,
                nodes.get(row.node_id),
                keeps_house=row.node_id == there.orchestrator,
                is_alive=None if dead is None else row.id not in dead.workers,
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
        Column("TASKS", rank=4),
        Column("UP", rank=3, is_number=True, is_whole=True),
        Column("STATE", is_whole=True),
    )
    body: list[list[str | Cell]] = []
    for row in rows:
        node = nodes.get(row.node_id)
        leaves = row.is_draining or (node is not None and node.is_draining)
        state = Cell("draining", "yellow") if leaves else Cell("runs one alone", "blue") if row.is_alone else "works"
        if dead is not None and row.id in dead.workers:
            state = Cell("dead", "red")
        since = age(row.registered_at, now)
        body.append(
            [row.name, str(row.pid or ""), f"{row.held:,}", " ".join(row.queues), " ".join(row.tasks), since, state]
        )
    put_table(columns, body)
    keeper = nodes.get(there.orchestrator) if there.orchestrator is not None else None
    hint(f"{count(len(nodes), 'node')}; {keeper.name if keeper else 'nobody'} keeps the house.")
