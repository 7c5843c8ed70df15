"""``rota queues``, ``pause`` and ``resume``."""

from __future__ import annotations

import shlex
from typing import TYPE_CHECKING

import click

from rota.cli import options
from rota.cli.facts import queue_facts
from rota.cli.help import Argument, Command
from rota.cli.look import require_queue
from rota.cli.open import app_of, with_store
from rota.cli.output import Cell, Column, hint, put, put_json, put_json_lines, put_table, say

if TYPE_CHECKING:
    from rota.store.port import Store

named = click.argument("queue", cls=Argument, metavar="QUEUE", help="The queue's name.")


@click.command(cls=Command)
@options.common
def queues(as_json: bool, store: str | None, app: str | None) -> None:
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
        hint(f"Go on with: rota resume {shlex.quote(paused[0])}")


@click.command(cls=Command)
@named
@click.option(
    "--create",
    "is_made",
    is_flag=True,
    help="Also if nothing is known of this queue yet; makes the store if need be.",
)
@options.common
def pause(queue: str, is_made: bool, as_json: bool, store: str | None, app: str | None) -> None:
    """Pause a queue: it accepts jobs and starts none.

    What runs, runs on.
    A queue is known from its first job, its first worker, or the app (--app or ROTA_APP). One that is not yet can be
    paused ahead with --create; without it, a mistyped name is refused.

    Examples:
      rota pause mail
      rota pause mail --create
    """
    _set_paused(queue, True, is_made=is_made, as_json=as_json, store=store, app=app)
    if not as_json:
        hint(f"Go on with: rota resume {shlex.quote(queue)}")


@click.command(cls=Command)
@named
@options.common
def resume(queue: str, as_json: bool, store: str | None, app: str | None) -> None:
    """Let a paused queue go on.

    Examples:
      rota resume mail
    """
    _set_paused(queue, False, is_made=False, as_json=as_json, store=store, app=app)


def _set_paused(
    queue: str, is_paused: bool, *, is_made: bool, as_json: bool, store: str | None, app: str | None
) -> None:
    from rota.submit.check import check_name

    check_name(queue, "queue")

    async def change(opened: Store) -> bool:
        known = {row.name: row.is_paused for row in await opened.queues()}
        if queue not in known and not is_made:
            ahead = f"To pause it ahead of its first job: rota pause {shlex.quote(queue)} --create" if is_paused else ""
            await require_queue(opened, queue, app_of(app), ahead)
        if is_paused or queue in known:
            await opened.set_paused(queue, is_paused)
        return known.get(queue, False)

    was = with_store(store, app, change, writes=True, creates=is_made)
    if as_json:
        put_json({"queue": queue, "paused": is_paused, "changed": was != is_paused})
        return
    word = "paused" if is_paused else "open"
    put(f"{queue} is {word}." if was != is_paused else f"{queue} was {word} already.")
