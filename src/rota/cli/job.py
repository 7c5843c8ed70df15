"""``rota job`` and ``cancel``: one job, its story, and its end."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import click

from rota.cli import options
from rota.cli.exits import Exit, stop
from rota.cli.facts import JSON_CODEC, decoded, job_story, submitted_us
from rota.cli.help import Command
from rota.cli.look import absent, now_us, token_of
from rota.cli.open import with_store
from rota.cli.output import Cell, hint, paint, put, put_facts, put_hanging, put_json, state_cell
from rota.cli.story import story_of
from rota.cli.words import ago, count, local
from rota.model.span import span
from rota.model.state import State
from rota.model.token import token_text

if TYPE_CHECKING:
    from rota.model.job import HistoryEntry, JobRow
    from rota.model.outcome import Failure
    from rota.store.port import Store


@click.command(cls=Command)
@options.token
@options.common
def job(token: str, as_json: bool, store: str | None, app: str | None) -> None:
    """Tell a job's story: what happened to it, and why it waits.

    Its attempts with workers, times and errors; crashes; why it moved from one worker to another.

    Examples:
      rota job 0198c2f1-7b3a-7cc0-8000-3d2f5e6a7b8c
      rota job 0198c2f1-7b3a-7cc0-8000-3d2f5e6a7b8c --json | jq .history
    """
    wanted = token_of(token, store, app)

    now = now_us()

    async def read(opened: Store) -> tuple[JobRow, list[HistoryEntry], str | None] | None:
        from rota.result.info import why_of
        from rota.result.why import utc_text

        row = await opened.find(wanted)
        if row is None:
            return None
        history = list(await opened.history(wanted))
        return row, history, await why_of(opened, row, now, history, utc_text if as_json else local)

    found = with_store(store, app, read)
    if found is None:
        absent(wanted, store, app)
    if as_json:
        put_json(job_story(*found))
    else:
        _tell(*found, now)


def _tell(row: JobRow, history: list[HistoryEntry], why: str | None, now: int) -> None:
    state = state_cell(row.state.value)
    put(f"{paint(row.task, 'bold')}  {paint(state.text, state.style)}")
    facts: list[tuple[str, str | Cell]] = [("token", token_text(row.token))]
    facts.append(("queue", row.queue + (f", priority {row.priority}" if row.priority else "")))
    if row.key is not None:
        facts.append(("key", row.key + (" (it is this job's turn)" if row.is_head else "")))
    facts.append(("submitted", f"{local(submitted_us(row.token))} ({ago(submitted_us(row.token), now)})"))
    if row.due_at is not None and not row.state.is_final:
        facts.append(("due", f"{local(row.due_at)} ({ago(row.due_at, now)})"))
    if row.expires_at is not None:
        facts.append(("expires", f"{local(row.expires_at)} ({ago(row.expires_at, now)})"))
    tried = f"{row.attempts}" + (f", and {count(row.crashes, 'crash', 'crashes')}" if row.crashes else "")
    if row.fence > row.attempts + (row.state is State.RUNNING):
        tried += f" (taken {count(row.fence, 'time')} in all)"
    facts.append(("attempts", tried))
    facts.append(("payload", _shown(row.payload, row.codec)))
    if row.meta:
        facts.append(("overrides", _shown(row.meta, JSON_CODEC)))
    if row.state is State.SUCCEEDED:
        facts.append(("result", _shown(row.result, JSON_CODEC) if row.result else "null"))
    if why:
        facts.append(("why", Cell(why, "bold")))
    put_facts(facts)
    _tell_story(row, history)
    if row.state in (State.FAILED, State.CANCELLED, State.EXPIRED):
        hint(f"Put it back: rota retry {token_text(row.token)}")
    elif not row.state.is_final:
        hint(f"Wait for it: rota wait {token_text(row.token)}")


def _tell_story(row: JobRow, history: list[HistoryEntry]) -> None:
    lines = story_of(row, history)
    first = lines[0].at
    times = [f"+{span(line.at - first)}" if line.at > first else "0" for line in lines]
    wide = max(len(time) for time in times)
    put("")
    for time, line in zip(times, lines, strict=True):
        put_hanging(f"  {time.rjust(wide)}", Cell(line.text, line.style))
    failures = [row.failure, *(entry.failure for entry in reversed(history))]
    more = next((text for failure in failures if failure is not None and (text := _details(failure))), "")
    if more and row.state is not State.SUCCEEDED:
        put("")
        put("".join(f"  {text}\n" for text in more.rstrip().splitlines()).rstrip("\n"))


def _details(failure: Failure) -> str:
    """Return what the story's line leaves out: the traceback; without one the rest of the message, such as a log's end."""
    return failure.traceback or failure.message.strip().partition("\n")[2]


def _shown(data: bytes | None, codec: int) -> str:
    """Return a stored value for a person: its JSON, cut to a reasonable length."""
    thing = decoded(data, codec)
    text = json.dumps(thing, ensure_ascii=False) if thing is not None else f"{len(data or b''):,} bytes"
    return text if len(text) <= 400 else f"{text[:399]}… ({len(data or b''):,} bytes)"


@click.command(cls=Command)
@options.token
@options.common
def cancel(token: str, as_json: bool, store: str | None, app: str | None) -> None:
    """Cancel a job.

    One that waits is cancelled at once; the worker of one that runs is asked. An async handler is cancelled at
    its next await; a def handler goes on unless it looks at current_job().

    Examples:
      rota cancel 0198c2f1-7b3a-7cc0-8000-3d2f5e6a7b8c
    """
    wanted = token_of(token, store, app)
    was = with_store(store, app, lambda opened: opened.cancel(wanted), writes=True).was
    if was is None:
        absent(wanted, store, app)
    if was.is_final:
        verb = "was" if was is State.CANCELLED else "has"
        stop(Exit.CONFLICT, f"job {token_text(wanted)} {verb} {was.value} already; nothing was done.")
    if as_json:
        put_json({"token": token_text(wanted), "was": was.value, "cancelled": was is not State.RUNNING})
    elif was is State.RUNNING:
        put(f"{token_text(wanted)} is running; its worker has been asked to stop it.")
        hint(f"See what became of it: rota wait {token_text(wanted)}")
    else:
        put(f"{token_text(wanted)} is cancelled; it was {was.value}.")
