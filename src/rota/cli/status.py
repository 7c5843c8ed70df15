"""``rota status`` and ``wait``: what became of a job, and how the house is doing."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, NoReturn

import click

from rota.cli import options
from rota.cli.duration import duration
from rota.cli.exits import Exit, stop
from rota.cli.facts import JSON_CODEC, decoded, job_facts
from rota.cli.help import Argument, Command
from rota.cli.look import absent, token_of
from rota.cli.open import with_store
from rota.cli.output import Cell, hint, put, put_facts, put_json, state_cell
from rota.cli.words import count, one_line
from rota.model.state import State
from rota.model.token import token_text

if TYPE_CHECKING:
    from rota.model.job import JobRow
    from rota.store.port import Store


@click.command(cls=Command)
@click.argument("tokens", cls=Argument, nargs=-1, metavar="[TOKEN]...", help="Jobs; without any, the whole house.")
@options.common
def status(tokens: tuple[str, ...], as_json: bool, store: str | None, app: str | None) -> None:
    """Say in which state jobs are, or how the whole store is doing.

    With tokens: a state for each. Without: counts of all jobs, workers and nodes.

    Examples:
      rota status 0198c2f1-7b3a-7cc0-8000-3d2f5e6a7b8c
      rota status --json
    """
    if not tokens:
        with_store(store, app, lambda opened: _house(opened, as_json=as_json))
        return
    wanted = [token_of(text, store, app) for text in tokens]
    states = with_store(store, app, lambda opened: opened.states(wanted))
    for token in wanted:
        state = states.get(token)
        if as_json:
            put_json({"token": token_text(token), "state": state.value if state else None})
        elif state is not None:
            cell = state_cell(state.value)
            put(cell.text if len(wanted) == 1 else f"{token_text(token)}  {cell.text}")
    if missing := [token for token in wanted if token not in states]:
        absent(missing[0], store, app)


async def _house(opened: Store, *, as_json: bool) -> None:
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


@click.command(cls=Command)
@options.token
@click.option("--timeout", metavar="DURATION", type=duration, help="Give up after this long, such as 30 or 5m.")
@options.common
def wait(token: str, timeout: timedelta | None, as_json: bool, store: str | None, app: str | None) -> None:
    """Wait until a job is settled, and write its result as JSON.

    Exit code 0 if it succeeded; 1 if it failed, was cancelled or expired; 124 if it was not settled in time.

    Examples:
      rota wait 0198c2f1-7b3a-7cc0-8000-3d2f5e6a7b8c --timeout 30
      rota wait "$(rota submit bake '{"order": {"store": "mitte", "pizza": "funghi"}}')"
    """
    wanted = token_of(token, store, app)
    most = timeout.total_seconds() if timeout is not None else None
    try:
        row = with_store(store, app, lambda opened: _settled(opened, wanted, most))
    except TimeoutError:
        stop(
            Exit.TIMEOUT, f"not settled within {most:g} s; the job goes on.", f"Why it takes so long: rota job {token}"
        )
    if row is None:
        absent(wanted, store, app)
    result = row.result if row.state is State.SUCCEEDED else None
    if as_json:
        put_json(job_facts(row) | {"result": decoded(result, JSON_CODEC)})
    elif row.state is State.SUCCEEDED:
        put("null" if result is None else result.decode())
    if row.state is not State.SUCCEEDED:
        _stop_for(row)


async def _settled(opened: Store, token: bytes, timeout_s: float | None) -> JobRow | None:
    """Return the job when it is settled; ``None`` if no job has this token.

    Raises:
        TimeoutError: It was not settled in time.
    """
    import asyncio

    from rota.result.watch import Watch
    from rota.runtime.clock import SystemClock
    from rota.runtime.entropy import SystemEntropy

    row = await opened.find(token)
    if row is None or row.state.is_final:  # also with no time to wait
        return row
    watch = Watch(opened, f"wait-{SystemEntropy(SystemClock()).hex(8)}")
    async with asyncio.timeout(timeout_s):
        await watch.settled(token)
    return await opened.find(token)


_LAST_LINES = " Its last lines:"
"""How the message of a crash goes over to what only the job's story shows."""


def _stop_for(row: JobRow) -> NoReturn:
    """End with what became of a job that did not succeed."""
    token = token_text(row.token)
    says = f"job {token} {'has ' if row.state is State.FAILED else 'was '}{row.state.value}"
    if row.state is State.EXPIRED:
        says = f"job {token} expired before it was started"
    if row.failure is not None:
        says += f": {one_line(row.failure.says)}".removesuffix(_LAST_LINES)
    stop(Exit.JOB_FAILED, f"{says.rstrip('.')}.", f"Its story: rota job {token}\nPut it back: rota retry {token}")
