"""``rota backup``, ``migrate``, ``doctor`` and ``health``: keeping a store well."""

from __future__ import annotations

import shlex
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from rota.cli import options
from rota.cli.exits import Exit, stop
from rota.cli.facts import check_facts
from rota.cli.help import Argument, Command
from rota.cli.look import is_alive, locks_of
from rota.cli.open import config_of, place_of, require, run_with, with_store
from rota.cli.output import hint, paint, put, put_json, put_json_lines
from rota.cli.words import count, did_you_mean

if TYPE_CHECKING:
    from rota.store.port import Check, Store

LEVELS = {"ok": "green", "note": "blue", "warning": "yellow", "error": "bold red"}


@click.command(cls=Command)
@click.argument("file", cls=Argument, type=Path, metavar="FILE", help="The copy to make; it must not exist.")
@options.common
def backup(file: Path, as_json: bool, store: str | None, app: str | None) -> None:
    """Copy the store to a new file while work goes on (SQLite).

    The copy is consistent. Do not copy a store with cp: what is in its write-ahead log would be missing.

    Examples:
      rota backup backups/rota-$(date +%F).db
    """
    if file.exists():
        stop(Exit.CONFLICT, f"{file} exists. A backup never overwrites anything.", "Name a new file.")
    if not file.absolute().parent.is_dir():
        stop(Exit.NOT_FOUND, f"there is no folder {file.absolute().parent}.", f"Make it: mkdir -p {file.parent}")

    async def copy(opened: Store) -> str:
        if not sys.stderr.isatty():
            await opened.backup(str(file))
            return opened.url
        from rich.console import Console
        from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

        parts = TextColumn("copying"), BarColumn(), TextColumn("{task.percentage:>3.0f} %"), TimeRemainingColumn()
        with Progress(*parts, console=Console(stderr=True), transient=True) as bar:
            line = bar.add_task("")
            await opened.backup(
                str(file), lambda left, pages: bar.update(line, total=pages or None, completed=pages - left)
            )
        return opened.url

    url = with_store(store, app, copy)
    size = file.stat().st_size
    if as_json:
        put_json({"store": url, "file": str(file), "bytes": size})
        return
    put(f"{file}: {size / 1_048_576:.1f} MiB, a copy of {url}.")
    hint(f"Look into it with: rota doctor --store {shlex.quote(str(file))}")


@click.command(cls=Command)
@options.dry_run
@click.option("--sql", is_flag=True, help="Print the SQL of what is missing, and do nothing.")
@options.common
def migrate(dry_run: bool, sql: bool, as_json: bool, store: str | None, app: str | None) -> None:
    """Bring the store's schema up to date, making it if need be.

    On PostgreSQL this is done once before the first submit, and again with each new version of rota, as the role that
    owns the schema. A SQLite file is brought up to date whenever it is opened. It may be stopped and run again, by
    several at once: each step is done whole, once.

    Examples:
      rota migrate --store postgresql://rota@db/shop
      rota migrate --dry-run
      rota migrate --sql | psql postgresql://owner@db/shop
    """
    import asyncio

    from rota.app.address import without_secrets
    from rota.app.engine import migrate_store, pending_steps, script_of

    place = place_of(store, app)
    require(place, creates=True)
    config, where = config_of(place), without_secrets(place.url)
    if dry_run or sql:
        steps = asyncio.run(pending_steps(place.url, config=config))
        if sql:
            put(script_of(place.url, steps, config=config).rstrip() if steps else f"-- {where} is up to date.")
            return
        names, key, says = [step.name for step in steps], "pending", "would be applied"
    else:
        names, key, says = asyncio.run(migrate_store(place.url, config=config)), "applied", "applied"
    if as_json:
        put_json({"store": where, key: names})
        return
    for name in names:
        put(f"{name} {says}.")
    if not names:
        put(f"{where} is up to date.")


@click.command(cls=Command)
@options.common
def doctor(as_json: bool, store: str | None, app: str | None) -> None:
    """Look the store over, and say what to do.

    Version, durability, file system, leases, anything stuck.

    Exit code 0 unless something is an error; then 69. Warnings and notes are for reading.

    Examples:
      rota doctor
      rota doctor --json | jq 'select(.level != "ok")'
    """
    from rota.cli.alive import look_at_members
    from rota.store.port import Check

    place = place_of(store, app)

    async def look(opened: Store) -> list[Check]:
        checks = [Check("store", "ok", f"{opened.url} ({place.source})"), *await opened.doctor()]
        return [*checks, *await look_at_members(opened, place)]

    checks = run_with(place, look)
    if as_json:
        put_json_lines(check_facts(check) for check in checks)
    else:
        _put_checks(checks)
    if broken := [check.name for check in checks if check.level == "error"]:
        stop(Exit.UNAVAILABLE, f"{count(len(broken), 'error')}: {', '.join(broken)}.")


def _put_checks(checks: list[Check]) -> None:
    wide = max((len(check.name) for check in checks), default=0)
    for check in checks:
        level = paint(check.level.ljust(7), LEVELS.get(check.level, ""))
        put(f"{level}  {check.name.ljust(wide)}  {check.says}")
        if check.advice:
            put(f"{' ' * (wide + 11)}{paint(f'→ {check.advice}', 'dim')}")
    warnings = sum(check.level == "warning" for check in checks)
    if not any(check.level == "error" for check in checks):
        hint("All is well." if not warnings else f"{count(warnings, 'thing')} to look at.")


@click.command(cls=Command)
@click.option("--node", metavar="NAME", help="This node must be there.")
@options.common
def health(node: str | None, as_json: bool, store: str | None, app: str | None) -> None:
    """Say whether the store answers and a node is at work.

    A probe for containers and monitors. Exit code 0 if all is well, 69 if not. It takes no lock and writes nothing.

    Examples:
      rota health
      rota health --node mitte --json
    """
    place = place_of(store, app)
    there = run_with(place, lambda opened: opened.membership())
    locks = locks_of(place)
    asked = [row for row in there.nodes if node is None or row.name == node]
    nodes = [row for row in asked if is_alive(locks, row.proof) is not False]
    names = {row.id for row in nodes}
    at_work = [row for row in there.workers if row.node_id in names and is_alive(locks, row.proof) is not False]
    says = ""
    if asked and not nodes:
        says = f"the process of {', '.join(row.name for row in asked)} has ended."
    elif not nodes:
        meant = did_you_mean(node or "", (row.name for row in there.nodes))
        says = f"no node {node!r} is there. {meant}".rstrip() if node is not None else "no node is there."
    elif not at_work:
        says = f"{nodes[0].name} has no worker process."
    if as_json:
        put_json(
            {"healthy": not says, "nodes": [row.name for row in nodes], "workers": len(at_work), "why": says or None}
        )
    elif not says:
        put(f"healthy: {count(len(nodes), 'node')}, {count(len(at_work), 'worker')}.")
    if says:
        stop(Exit.UNAVAILABLE, says, "Start one with: rota run MODULE:APP")
