"""``rota retry``: putting jobs back, one or all that failed of a task."""

from __future__ import annotations

import shlex
import sys
from typing import TYPE_CHECKING

import click

from rota.cli import options
from rota.cli.exits import Exit, stop
from rota.cli.help import Argument, Command
from rota.cli.look import absent, require_task, token_of
from rota.cli.open import app_of, with_store
from rota.cli.output import hint, put, put_json, say
from rota.cli.words import count
from rota.model.state import State
from rota.model.token import token_text

if TYPE_CHECKING:
    from rota.store.port import Store

PAGE = 500


@click.command(cls=Command)
@click.argument("token", cls=Argument, required=False, metavar="[TOKEN]", help="One job.")
@click.option("--task", "-t", metavar="TASK", help="All jobs of this task …")
@click.option("--failed", "is_failed", is_flag=True, help="… that have failed.")
@options.dry_run
@options.yes
@options.common
def retry(
    token: str | None,
    *,
    task: str | None,
    is_failed: bool,
    dry_run: bool,
    yes: bool,
    as_json: bool,
    store: str | None,
    app: str | None,
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
    wanted = token_of(token, store, app)

    async def change(opened: Store) -> State | None:
        row = await opened.find(wanted)
        if row is None:
            return None
        if row.state not in (State.FAILED, State.CANCELLED, State.EXPIRED):
            verb = "has" if row.state is State.SUCCEEDED else "is"
            stop(
                Exit.CONFLICT,
                f"job {token_text(wanted)} {verb} {row.state.value}: only a failed, cancelled or expired job can be put "
                "back. Nothing was changed.",
                "To run it once more, submit it anew." if row.state.is_final else "",
            )
        if not dry_run:
            await opened.reopen(wanted)
        return row.state

    was = with_store(store, app, change, writes=not dry_run)
    if was is None:
        absent(wanted, store, app)
    if as_json:
        put_json({"token": token_text(wanted), "was": was.value, "reopened": not dry_run})
    elif dry_run:
        put(f"{token_text(wanted)} would be put back; it is {was.value}.")
    else:
        put(f"{token_text(wanted)} is back in line; it was {was.value}.")
        hint(f"Wait for it: rota wait {token_text(wanted)}")


def _retry_many(task: str, *, dry_run: bool, yes: bool, as_json: bool, store: str | None, app: str | None) -> None:
    tokens = with_store(store, app, lambda opened: _failed_of(opened, task, app_of(app)))
    if not tokens or dry_run:
        _report(task, tokens, 0, dry_run=dry_run, as_json=as_json)
        return
    if not yes:
        _confirm(task, len(tokens))

    async def change(opened: Store) -> int:
        return sum([await _reopened(opened, token) for token in tokens])

    _report(task, tokens, with_store(store, app, change, writes=True), dry_run=False, as_json=as_json)


async def _failed_of(opened: Store, task: str, app: str | None) -> list[bytes]:
    """Return the tokens of a task's failed jobs, in the order in which they were submitted.

    Raises:
        Stop: Nobody knows the task.
    """
    from rota.store.port import JobFilter

    tokens: list[bytes] = []
    before: bytes | None = None
    while True:
        which = JobFilter(states=frozenset({State.FAILED}), task=task, before=before, limit=PAGE)
        page = [row.token for row in await opened.jobs(which)]
        tokens += page
        if len(page) < PAGE:
            if not tokens:
                await require_task(opened, task, app)
            return tokens[::-1]
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
        hint(f"Do it: rota retry --task {shlex.quote(task)} --failed")
    else:
        put(f"Put back {reopened:,} of {len(tokens):,} failed jobs of {task}.")
        hint(f"Watch them: rota jobs --task {shlex.quote(task)}")
