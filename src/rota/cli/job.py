"""``rota job``, ``retry`` and ``cancel``: one job, and what a person can do about it."""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING, Annotated

import typer

from rota.cli import options
from rota.cli.exits import Exit, stop
from rota.cli.facts import JSON_CODEC, decoded, job_story, submitted_us
from rota.cli.jobs import absent, known_tasks, now_us
from rota.cli.open import with_store
from rota.cli.output import Cell, hint, paint, put, put_facts, put_hanging, put_json, say, state_cell
from rota.cli.story import story_of
from rota.cli.words import ago, count, did_you_mean, local, span
from rota.model.state import State
from rota.model.token import token_from_text, token_text

if TYPE_CHECKING:
    from rota.model.job import HistoryEntry, JobRow
    from rota.store.port import Store

BATCH = 500


def job(
    token: options.Token, as_json: options.Json = False, store: options.Store = None, app: options.App = None
) -> None:
    """Tell a job's story: what happened to it, and why it waits.

    Its attempts with workers, times and errors; crashes; why it moved from one worker to another.

    Examples:
      rota job 0198c2f1-7b3a-7cc0-8000-3d2f5e6a7b8c
      rota job 0198c2f1-7b3a-7cc0-8000-3d2f5e6a7b8c --json | jq .history
    """
    wanted = token_from_text(token)

    async def read(opened: Store) -> tuple[JobRow, list[HistoryEntry], str | None] | None:
        from rota.result.info import why_of

        row = await opened.find(wanted)
        if row is None:
            return None
        history = list(await opened.history(wanted))
        return row, history, await why_of(opened, row, now_us(), history)

    found = with_store(store, app, read)
    if found is None:
        raise absent(wanted)
    if as_json:
        put_json(job_story(*found))
    else:
        _tell(*found)


def _tell(row: JobRow, history: list[HistoryEntry], why: str | None) -> None:
    now = now_us()
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
    trace = next((failure.traceback for failure in failures if failure is not None and failure.traceback), "")
    if trace and row.state is not State.SUCCEEDED:
        put("")
        put("".join(f"  {text}\n" for text in trace.rstrip().splitlines()).rstrip("\n"))


def _shown(data: bytes | None, codec: int) -> str:
    """Return a stored value for a person: its JSON, cut to a reasonable length."""
    thing = decoded(data, codec)
    text = json.dumps(thing, ensure_ascii=False) if thing is not None else f"{len(data or b''):,} bytes"
    return text if len(text) <= 400 else f"{text[:399]}… ({len(data or b''):,} bytes)"


def cancel(
    token: options.Token, as_json: options.Json = False, store: options.Store = None, app: options.App = None
) -> None:
    """Cancel a job.

    One that waits is cancelled at once; the worker of one that runs is asked. An async handler is cancelled at
    its next await; a def handler goes on unless it looks at current_job().

    Examples:
      rota cancel 0198c2f1-7b3a-7cc0-8000-3d2f5e6a7b8c
    """
    wanted = token_from_text(token)
    was = with_store(store, app, lambda opened: opened.cancel(wanted)).was
    if was is None:
        raise absent(wanted)
    if was.is_final:
        stop(Exit.CONFLICT, f"job {token_text(wanted)} is {was.value} already; nothing was done.")
    if as_json:
        put_json({"token": token_text(wanted), "was": was.value, "cancelled": was is not State.RUNNING})
    elif was is State.RUNNING:
        put(f"{token_text(wanted)} is running; its worker has been asked to stop it.")
        hint(f"See what became of it: rota wait {token_text(wanted)}")
    else:
        put(f"{token_text(wanted)} is cancelled; it was {was.value}.")


def retry(
    token: Annotated[str | None, typer.Argument(metavar="[TOKEN]", help="One job.")] = None,
    *,
    task: Annotated[str | None, typer.Option("--task", "-t", metavar="TASK", help="All jobs of this task …")] = None,
    is_failed: Annotated[bool, typer.Option("--failed", help="… that have failed.")] = False,
    dry_run: options.DryRun = False,
    yes: options.Yes = False,
    as_json: options.Json = False,
    store: options.Store = None,
    app: options.App = None,
) -> None:
    """Put a failed, cancelled or expired job back.

    It takes the last place, its attempts start again, its history stays. Many at once: the failed ones of a
    task. That asks for the task's name once more, unless --yes is given.

    Examples:
      rota retry 0198c2f1-7b3a-7cc0-8000-3d2f5e6a7b8c
      rota retry --task bake --failed --dry-run
      rota retry --task bake --failed --yes
    """
    if token and not (task or is_failed):
        _retry_one(token, dry_run=dry_run, as_json=as_json, store=store, app=app)
    elif not token and task and is_failed:
        _retry_many(task, dry_run=dry_run, yes=yes, as_json=as_json, store=store, app=app)
    else:
        stop(Exit.USAGE, "name one job (rota retry TOKEN), or a task's failed ones (rota retry --task TASK --failed).")


def _retry_one(token: str, *, dry_run: bool, as_json: bool, store: str | None, app: str | None) -> None:
    wanted = token_from_text(token)

    async def change(opened: Store) -> State | None:
        row = await opened.find(wanted)
        if row is None:
            return None
        if not dry_run or row.state not in (State.FAILED, State.CANCELLED, State.EXPIRED):
            await opened.reopen(wanted)
        return row.state

    was = with_store(store, app, change)
    if was is None:
        raise absent(wanted)
    if as_json:
        put_json({"token": token_text(wanted), "was": was.value, "reopened": not dry_run})
    elif dry_run:
        put(f"{token_text(wanted)} would be put back; it is {was.value}.")
    else:
        put(f"{token_text(wanted)} is back in line; it was {was.value}.")
        hint(f"Wait for it: rota wait {token_text(wanted)}")


def _retry_many(task: str, *, dry_run: bool, yes: bool, as_json: bool, store: str | None, app: str | None) -> None:
    tokens, known = with_store(store, app, lambda opened: _failed_of(opened, task))
    if not tokens and task not in known:
        stop(
            Exit.NOT_FOUND, f"no job of a task {task!r} is known.", did_you_mean(task, known) or "rota jobs lists them."
        )
    if not tokens or dry_run:
        _report(task, tokens, 0, dry_run=dry_run, as_json=as_json)
        return
    if not yes:
        _confirm(task, len(tokens))

    async def change(opened: Store) -> int:
        return sum([await _reopened(opened, token) for token in tokens])

    _report(task, tokens, with_store(store, app, change), dry_run=False, as_json=as_json)


async def _failed_of(opened: Store, task: str) -> tuple[list[bytes], set[str]]:
    from rota.store.port import JobFilter

    tokens: list[bytes] = []
    before: bytes | None = None
    while True:
        which = JobFilter(states=frozenset({State.FAILED}), task=task, before=before, limit=BATCH)
        page = [row.token for row in await opened.jobs(which)]
        tokens += page
        if len(page) < BATCH:
            # Oldest first: reopened in the order in which they were submitted.
            return tokens[::-1], set() if tokens else await known_tasks(opened)
        before = page[-1]


async def _reopened(opened: Store, token: bytes) -> bool:
    """Put one job back; false if somebody else did so meanwhile."""
    from rota.errors import NotAllowedError, UnknownTokenError

    try:
        await opened.reopen(token)
    except (NotAllowedError, UnknownTokenError):
        return False
    return True


def _confirm(task: str, number: int) -> None:
    """Let the person type the task's name; ``y`` is typed too easily for a thousand jobs."""
    if not sys.stdin.isatty():
        stop(
            Exit.USAGE,
            f"{count(number, 'job')} would be put back.",
            "Without a terminal say --yes, or --dry-run to look.",
        )
    say(f"{count(number, 'failed job')} of {task} will be put back.")
    print(f"Type {task} to go on: ", end="", file=sys.stderr, flush=True)
    if sys.stdin.readline().strip() != task:
        stop(Exit.USAGE, "not the task's name: nothing was done.")


def _report(task: str, tokens: list[bytes], reopened: int, *, dry_run: bool, as_json: bool) -> None:
    if as_json:
        put_json({"task": task, "failed": len(tokens), "reopened": reopened, "dry_run": dry_run})
    elif not tokens:
        put(f"No failed jobs of {task}.")
    elif dry_run:
        put(f"{count(len(tokens), 'failed job')} of {task} would be put back.")
        hint(f"Do it: rota retry --task {task} --failed")
    else:
        put(f"Put back {reopened:,} of {len(tokens):,} failed jobs of {task}.")
        hint(f"Watch them: rota jobs --task {task}")
