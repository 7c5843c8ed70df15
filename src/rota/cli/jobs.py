"""``rota jobs``: lists of jobs, a page at a time."""

from __future__ import annotations

import shlex
from collections.abc import AsyncIterator
from typing import TYPE_CHECKING

import click

from rota.cli import options
from rota.cli.exits import Exit, stop
from rota.cli.facts import job_facts, submitted_us
from rota.cli.help import Command
from rota.cli.look import now_us, require_queue, require_task, token_of
from rota.cli.number import whole
from rota.cli.open import app_of, with_store
from rota.cli.output import Cell, Column, hint, put_json_lines, put_table, say, state_cell
from rota.cli.words import age, ago, did_you_mean, one_line
from rota.model.span import span
from rota.model.state import State
from rota.model.token import token_text

if TYPE_CHECKING:
    from rota.model.job import JobRow
    from rota.store.port import JobFilter, Store

PAGE_SHOWN = 20
"""Jobs on one page unless told otherwise: about a terminal."""

PAGE = 500
"""Jobs in one read when all are asked for."""

COLUMNS = (
    Column("TOKEN", is_whole=True),
    Column("STATE", is_whole=True),
    Column("TASK"),
    Column("KEY", rank=1),
    Column("AGE", rank=2, is_number=True, is_whole=True),
    Column("WHAT", rank=3),
    Column("TRIES", rank=4, is_number=True),
    Column("QUEUE", rank=5),
    Column("WORKER", rank=6),
)


@click.command(cls=Command)
@click.option("--state", "-s", multiple=True, metavar="STATE", help="Only jobs in this state; repeatable.")
@click.option("--task", "-t", metavar="TASK", help="Only jobs of this task.")
@click.option("--queue", "-q", metavar="QUEUE", help="Only this queue.")
@click.option("--key", "-k", metavar="KEY", help="Only jobs of this key.")
@click.option(
    "--limit",
    "-n",
    type=whole(1, 1000),
    default=PAGE_SHOWN,
    metavar="N",
    help="Jobs on one page, 1 to 1,000.",
)
@click.option("--before", metavar="TOKEN", help="Continue after the page that ended here.")
@click.option("--all", "is_all", is_flag=True, help="Every page.")
@options.common
def jobs(
    *,
    state: tuple[str, ...],
    task: str | None,
    queue: str | None,
    key: str | None,
    limit: int,
    before: str | None,
    is_all: bool,
    as_json: bool,
    store: str | None,
    app: str | None,
) -> None:
    """List jobs, newest first.

    States: waiting, scheduled, running, succeeded, failed, cancelled, expired. A task or queue that nobody knows is
    not found, 3; a list in which nothing is, is a list.

    Examples:
      rota jobs --state failed --task bake
      rota jobs --key mitte --state waiting --state running
      rota jobs --all --json | jq -r 'select(.attempts > 1) | .token'
    """
    from rota.store.port import JobFilter

    which = JobFilter(
        states=frozenset(map(_state_of, state)) if state else None,
        task=task,
        queue=queue,
        key=key,
        before=token_of(before, store, app) if before is not None else None,
        limit=PAGE if is_all else limit + 1,
    )

    async def read(opened: Store) -> tuple[list[JobRow], str]:
        rows: list[JobRow] = []
        async for page in _pages(opened, which, is_all=is_all):
            if is_all and as_json:
                put_json_lines(job_facts(row) for row in page)
            else:
                rows.extend(page)
        return rows, "" if rows else await _require_known(opened, task, queue, key, app_of(app))

    rows, meant = with_store(store, app, read)
    shown = rows if is_all else rows[:limit]
    if as_json:
        put_json_lines(job_facts(row) for row in shown)
    elif shown:
        put_table(COLUMNS, [_cells(row) for row in shown])
    else:
        is_filtered = bool(state) or any(given is not None for given in (task, queue, key, before))
        say(meant or ("No such jobs." if is_filtered else "No jobs."))
    if len(rows) > len(shown):
        options_given = {"--task": task, "--queue": queue, "--key": key, "--store": store, "--app": app}
        hint(f"More: {_next_page(shown[-1], state, options_given, limit, as_json=as_json)}")
    elif not as_json and State.FAILED in {row.state for row in shown}:
        hint("Why they failed: rota job TOKEN. Put one back: rota retry TOKEN.")


def _state_of(word: str) -> State:
    """Return the state of this name.

    Raises:
        Stop: There is none.
    """
    names = [state.value for state in State]
    if word not in names:
        stop(
            Exit.USAGE,
            f"there is no state {word!r}. {did_you_mean(word, names)}".strip(),
            f"States: {', '.join(names)}.",
        )
    return State(word)


async def _pages(opened: Store, which: JobFilter, *, is_all: bool) -> AsyncIterator[list[JobRow]]:
    from msgspec.structs import replace

    while True:
        page = list(await opened.jobs(which))
        yield page
        if not is_all or len(page) < which.limit:
            return
        which = replace(which, before=page[-1].token)


async def _require_known(opened: Store, task: str | None, queue: str | None, key: str | None, app: str | None) -> str:
    """Stop if the task or the queue is one that nobody knows; return which key may have been meant, or nothing.

    A key is nobody's to know: it is there as long as its jobs are, and of none there are none.

    Raises:
        Stop: Neither the store nor the app, if there is one, knows the task or the queue.
    """
    from rota.store.port import JobFilter

    if queue is not None:
        await require_queue(opened, queue, app)
    if task is not None:
        await require_task(opened, task, app)
    if key is None or await opened.jobs(JobFilter(key=key, limit=1)):
        return ""
    keys = {row.key for row in await opened.jobs(JobFilter(limit=1000)) if row.key is not None}
    return f"No job of a key {key!r} is known. {did_you_mean(key, keys)}".strip()


def _cells(row: JobRow) -> list[str | Cell]:
    now = now_us()
    return [
        token_text(row.token),
        state_cell(row.state.value),
        row.task,
        row.key or "",
        age(submitted_us(row.token), now),
        what(row, now),
        str(row.attempts),
        row.queue,
        row.holder or "",
    ]


def what(row: JobRow, now: int) -> str:
    """Return the one thing worth saying of a job in its state."""
    if row.state is State.SCHEDULED and row.due_at is not None:
        return f"{'again ' if row.attempts else ''}{ago(row.due_at, now)}"
    if row.state is State.RUNNING and row.claimed_at is not None:
        return f"{'asked to stop, ' if row.cancel_asked else ''}for {span(now - row.claimed_at)}"
    if row.failure is not None and row.state is not State.SUCCEEDED:
        return one_line(row.failure.says, 80)
    if row.is_alone:
        return "suspect: waits to run alone"
    return ""


def _next_page(
    last: JobRow, states: tuple[str, ...], given: dict[str, str | None], limit: int, *, as_json: bool
) -> str:
    """Return the command that lists the page after this one."""
    words = ["rota", "jobs"]
    for state in states:
        words += ["--state", state]
    for name, value in given.items():
        words += [name, value] if value else []
    words += ["--limit", str(limit)] if limit != PAGE_SHOWN else []
    words += ["--json"] if as_json else []
    return shlex.join([*words, "--before", token_text(last.token)])
