"""``rota status``, ``wait`` and ``jobs``: what became of jobs."""

from __future__ import annotations

import shlex
from collections.abc import AsyncIterator
from typing import TYPE_CHECKING, Annotated, NoReturn

import typer

from rota.cli import options
from rota.cli.duration import duration
from rota.cli.exits import Exit, stop
from rota.cli.facts import JSON_CODEC, decoded, job_facts, submitted_us
from rota.cli.open import with_store
from rota.cli.output import Cell, Column, hint, put, put_json, put_json_lines, put_table, say, state_cell
from rota.cli.words import age, ago, did_you_mean, one_line, span
from rota.model.state import State
from rota.model.token import token_from_text, token_text

if TYPE_CHECKING:
    from rota.errors import RotaError
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


def jobs(
    *,
    state: Annotated[
        list[str] | None, typer.Option("--state", "-s", metavar="STATE", help="Only jobs in this state; repeatable.")
    ] = None,
    task: Annotated[str | None, typer.Option("--task", "-t", metavar="TASK", help="Only jobs of this task.")] = None,
    queue: Annotated[str | None, typer.Option("--queue", "-q", metavar="QUEUE", help="Only this queue.")] = None,
    key: Annotated[str | None, typer.Option("--key", "-k", metavar="KEY", help="Only jobs of this key.")] = None,
    limit: Annotated[
        int, typer.Option("--limit", "-n", min=1, max=1000, metavar="N", help="Jobs on one page, 1 to 1,000.")
    ] = PAGE_SHOWN,
    before: Annotated[
        str | None, typer.Option("--before", metavar="TOKEN", help="Continue after the page that ended here.")
    ] = None,
    is_all: Annotated[bool, typer.Option("--all", help="Every page.")] = False,
    as_json: options.Json = False,
    store: options.Store = None,
    app: options.App = None,
) -> None:
    """List jobs, newest first.

    States: waiting, scheduled, running, succeeded, failed, cancelled, expired.

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
        before=token_from_text(before) if before else None,
        limit=PAGE if is_all else limit + 1,
    )

    async def read(opened: Store) -> tuple[list[JobRow], str]:
        rows: list[JobRow] = []
        async for page in _pages(opened, which, is_all=is_all):
            if is_all and as_json:
                put_json_lines(job_facts(row) for row in page)
            else:
                rows.extend(page)
        return rows, "" if rows else await _who_was_meant(opened, task, queue)

    rows, meant = with_store(store, app, read)
    shown = rows if is_all else rows[:limit]
    if as_json:
        put_json_lines(job_facts(row) for row in shown)
    elif shown:
        put_table(COLUMNS, [_cells(row) for row in shown])
    else:
        say(meant or ("No such jobs." if any((state, task, queue, key, before)) else "No jobs."))
    if len(rows) > len(shown):
        options_given = {"--task": task, "--queue": queue, "--key": key, "--store": store, "--app": app}
        hint(f"More: {_next_page(shown[-1], state or [], options_given, limit)}")
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


async def _who_was_meant(opened: Store, task: str | None, queue: str | None) -> str:
    """Return a "did you mean" for a task or queue that nobody knows; empty if there is nothing to say."""
    names = [row.name for row in await opened.queues()]
    if queue and queue not in names:
        return f"There is no queue {queue!r}. {did_you_mean(queue, names)}".strip()
    if task and task not in (known := await known_tasks(opened)):
        return f"No job of a task {task!r} is known. {did_you_mean(task, known)}".strip()
    return ""


async def known_tasks(opened: Store) -> set[str]:
    """Return the tasks that workers offer or that the newest jobs name."""
    from rota.store.port import JobFilter

    offered = {name for worker in (await opened.membership()).workers for name in worker.tasks}
    return offered | {row.task for row in await opened.jobs(JobFilter(limit=1000))}


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
        return one_line(f"{row.failure.type}: {row.failure.message}", 80)
    if row.is_alone:
        return "suspect: waits to run alone"
    return ""


def now_us() -> int:
    """Return the wall clock, for ages."""
    from rota.runtime.clock import SystemClock

    return SystemClock().now_us()


def _next_page(last: JobRow, states: list[str], given: dict[str, str | None], limit: int) -> str:
    """Return the command that lists the page after this one."""
    words = ["rota", "jobs"]
    for state in states:
        words += ["--state", state]
    for name, value in given.items():
        words += [name, value] if value else []
    words += ["--limit", str(limit)] if limit != PAGE_SHOWN else []
    return shlex.join([*words, "--before", token_text(last.token)])


def status(
    tokens: Annotated[
        list[str] | None, typer.Argument(metavar="[TOKEN]...", help="Jobs; without any, the whole house.")
    ] = None,
    as_json: options.Json = False,
    store: options.Store = None,
    app: options.App = None,
) -> None:
    """Say in which state jobs are, or how the whole store is doing.

    With tokens: a state for each. Without: counts of all jobs, workers and nodes.

    Examples:
      rota status 0198c2f1-7b3a-7cc0-8000-3d2f5e6a7b8c
      rota status --json
    """
    if not tokens:
        with_store(store, app, lambda opened: _house(opened, as_json=as_json))
        return
    wanted = [token_from_text(text) for text in tokens]
    states = with_store(store, app, lambda opened: opened.states(wanted))
    for token in wanted:
        state = states.get(token)
        if as_json:
            put_json({"token": token_text(token), "state": state.value if state else None})
        elif state is not None:
            cell = state_cell(state.value)
            put(cell.text if len(wanted) == 1 else f"{token_text(token)}  {cell.text}")
    if missing := [token for token in wanted if token not in states]:
        raise absent(missing[0])


def absent(token: bytes) -> RotaError:
    """Return the error for a token that no job has: never there, or past retention."""
    from rota.model.limits import RETENTION_DAYS_DEFAULT
    from rota.result.read import not_found

    return not_found(token, now_us(), RETENTION_DAYS_DEFAULT)


async def _house(opened: Store, *, as_json: bool) -> None:
    from rota.cli.output import put_facts
    from rota.cli.words import count

    queues = await opened.queues()
    finished = await opened.finished_counts()
    there = await opened.membership()
    live = {
        "waiting": sum(row.waiting for row in queues),
        "scheduled": sum(row.scheduled for row in queues),
        "running": sum(row.running for row in queues),
    }
    counts: dict[str, int] = live | {state.value: finished.get(state, 0) for state in State if state.is_final}
    paused = [row.name for row in queues if row.is_paused]
    if as_json:
        put_json(
            {
                "store": opened.url,
                "jobs": counts,
                "nodes": len(there.nodes),
                "workers": len(there.workers),
                "paused_queues": paused,
                "epoch": there.epoch,
            }
        )
        return
    facts: list[tuple[str, str | Cell]] = [("store", opened.url)]
    facts += [(name, Cell(f"{number:,}", state_cell(name).style if number else "")) for name, number in counts.items()]
    facts.append(("workers", f"{len(there.workers)} on {count(len(there.nodes), 'node')}"))
    if paused:
        facts.append(("paused", Cell(", ".join(paused), "yellow")))
    put_facts(facts)
    if not there.workers and live["waiting"]:
        hint("Nobody is working. Start a node: rota run MODULE:APP")
    elif counts["failed"]:
        hint("Look at them: rota jobs --state failed")


def wait(
    token: options.Token,
    timeout: Annotated[
        str | None, typer.Option("--timeout", metavar="DURATION", help="Give up after this long, such as 30 or 5m.")
    ] = None,
    as_json: options.Json = False,
    store: options.Store = None,
    app: options.App = None,
) -> None:
    """Wait until a job is settled, and write its result as JSON.

    Exit code 0 if it succeeded; 1 if it failed, was cancelled or expired; 124 if it was not settled in time.

    Examples:
      rota wait 0198c2f1-7b3a-7cc0-8000-3d2f5e6a7b8c --timeout 30
      rota wait "$(rota submit bake '{"order": {"store": "mitte", "pizza": "funghi"}}')"
    """
    wanted = token_from_text(token)
    most = duration(timeout).total_seconds() if timeout else None
    try:
        row = with_store(store, app, lambda opened: _settled(opened, wanted, most))
    except TimeoutError:
        stop(Exit.TIMEOUT, f"not settled within {timeout}; the job goes on.", f"Why it takes so long: rota job {token}")
    result = row.result if row.state is State.SUCCEEDED else None
    if as_json:
        put_json(job_facts(row) | {"result": decoded(result, JSON_CODEC)})
    elif row.state is State.SUCCEEDED:
        put("null" if result is None else result.decode())
    if row.state is not State.SUCCEEDED:
        _stop_for(row)


async def _settled(opened: Store, token: bytes, timeout_s: float | None) -> JobRow:
    """Return the job when it is settled.

    Raises:
        TimeoutError: It was not settled in time.
        RotaError: No job has this token.
    """
    import asyncio

    from rota.result.watch import Watch
    from rota.runtime.clock import SystemClock
    from rota.runtime.entropy import SystemEntropy

    watch = Watch(opened, f"wait-{SystemEntropy(SystemClock()).hex(8)}")
    async with asyncio.timeout(timeout_s):
        await watch.settled(token)
    row = await opened.find(token)
    if row is None:
        raise absent(token)
    return row


def _stop_for(row: JobRow) -> NoReturn:
    """End with what became of a job that did not succeed."""
    token = token_text(row.token)
    says = f"job {token} {'has ' if row.state is State.FAILED else 'was '}{row.state.value}"
    if row.state is State.EXPIRED:
        says = f"job {token} expired before it was started"
    if row.failure is not None:
        says += f": {row.failure.type}: {one_line(row.failure.message)}"
    stop(Exit.JOB_FAILED, f"{says.rstrip('.')}.", f"Its story: rota job {token}\nPut it back: rota retry {token}")
