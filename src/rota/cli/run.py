"""``rota run``: a node on this machine, in the foreground."""

from __future__ import annotations

import os
import sys
from datetime import timedelta
from typing import TYPE_CHECKING

import click

from rota.cli import options
from rota.cli.duration import duration
from rota.cli.exits import Exit, stop
from rota.cli.help import Argument, Command
from rota.cli.number import whole
from rota.cli.open import Place, app_of, config_of, require, run_with, said_outright
from rota.cli.output import warn
from rota.cli.words import did_you_mean
from rota.model.limits import CONCURRENCY_MAX, NAME_BYTES_MAX, PROCESSES_MAX

if TYPE_CHECKING:
    from rota.cli.describe import Description
    from rota.node.order import NodeOrder

NODE_NAME_BYTES_MAX = NAME_BYTES_MAX - 20
"""A worker is called after its node, with a suffix if the name is taken and a number: ``mitte~2/16``."""

SUPERVISOR = "rota.app.node_main"
"""Where the supervisor process begins; only ``app`` picks an engine."""


@click.command(cls=Command)
@click.argument(
    "module_app",
    cls=Argument,
    required=False,
    metavar="[MODULE:APP]",
    help="The app, such as shop:app. Else --app or ROTA_APP.",
)
@click.option(
    "--processes",
    "-p",
    type=whole(1, PROCESSES_MAX),
    default=1,
    metavar="N",
    help=f"Worker processes, 1 to {PROCESSES_MAX:,}.",
)
@click.option(
    "--concurrency",
    "-c",
    type=whole(1, CONCURRENCY_MAX),
    default=8,
    metavar="N",
    help=f"Jobs at once in each, 1 to {CONCURRENCY_MAX:,}.",
)
@click.option(
    "--queue",
    "-q",
    "queues",
    multiple=True,
    metavar="QUEUE",
    help="Serve this queue; repeatable. Else all that tasks name.",
)
@click.option("--name", metavar="NAME", help="The node's name on the ring. Else the host's.")
@click.option(
    "--weight",
    type=whole(1, 1000),
    default=1,
    metavar="N",
    help="Share of the keys against other workers, 1 to 1,000.",
)
@click.option(
    "--grace",
    type=duration,
    default="25s",
    show_default=False,
    metavar="DURATION",
    help="How long jobs may go on after SIGTERM or Ctrl-C. Else 25s.",
)
@click.option(
    "--log-format",
    default="lines",
    metavar="lines|json",
    help="Log lines for people, or JSON.",
)
@options.place
def run(
    module_app: str | None,
    *,
    processes: int,
    concurrency: int,
    queues: tuple[str, ...],
    name: str | None,
    weight: int,
    grace: timedelta,
    log_format: str,
    store: str | None,
    app: str | None,
) -> None:
    """Run a node of workers in the foreground, until Ctrl-C or SIGTERM.

    A node is a supervisor and its worker processes. The first signal drains it: no new jobs, running ones may
    finish within --grace, the rest go back uncounted. Another one, a second later, ends at once. On a terminal one
    line shows how it goes; elsewhere there are log lines only.

    Examples:
      rota run shop:app
      rota run shop:app -p 2 -c 8 --name mitte
      rota run shop:app -q mail -q reports --log-format json
    """
    from rota.cli.describe import describe

    named = module_app or app_of(app)
    if not named:
        stop(Exit.USAGE, "which app?", "Name it: rota run shop:app (module shop, variable app), or set ROTA_APP.")
    if log_format not in ("lines", "json"):
        stop(Exit.USAGE, f"--log-format {log_format!r}: it is lines or json.")
    _check_names(name, queues)
    said = describe(named)
    if not said.tasks:
        stop(
            Exit.CONFIG,
            f"{named} has no tasks, so there is nothing that a node could run.",
            "Import the modules that define them in the app's own module; a task is a function under @app.task.",
        )
    _warn_of_strangers(queues, said.queues)
    place = _place(store, named, said)
    _make_sure(place)

    from rota.node.order import NodeOrder

    order = NodeOrder(
        store=place.url,
        settings=dict(said.settings),
        app=named,
        name=name or _host_name(),
        processes=processes,
        concurrency=concurrency,
        queues=list(queues),
        weight=weight,
        grace_s=grace.total_seconds(),
        retention_days=said.retention_days,
        log_format=log_format,
    )
    raise click.exceptions.Exit(_keep(order, place))


def _check_names(node: str | None, queues: tuple[str, ...]) -> None:
    """Refuse names that no node or queue can have, before there are processes that die of them.

    Raises:
        Stop: The node's name has a slash.
        RotaError: A name is empty, not printable or too long.
    """
    from rota.submit.check import check_name

    for queue in queues:
        check_name(queue, "queue")
    if node is None:
        return
    if "/" in check_name(node, "--name", NODE_NAME_BYTES_MAX):
        stop(
            Exit.USAGE,
            f"--name {node!r}: a node's name has no slash, since its workers are called NAME/1, NAME/2.",
            f"Try: --name {node.replace('/', '-')}",
        )


def _warn_of_strangers(wanted: tuple[str, ...], known: tuple[str, ...]) -> None:
    """Note queues that no task names: they may be right (``options(queue=…)``), or misspelt."""
    for queue in wanted:
        if queue not in known:
            warn(f"no task of the app names the queue {queue!r}. {did_you_mean(queue, known)}".strip())


def _place(store: str | None, app: str, said: Description) -> Place:
    """Return the store that the node will use, so that it means the same in every folder."""
    from rota.app.address import read_address, without_secrets

    outright = said_outright(store)
    if outright is None:
        return Place(said.store, f"the store of {app}", said.settings)
    place = Place(read_address(outright.url).absolute(), outright.source, said.settings)
    if place.url != said.store:
        theirs = without_secrets(said.store)
        warn(
            f"the node works on {without_secrets(place.url)} ({place.source}), and the app itself submits to {theirs}."
        )
    return place


def _make_sure(place: Place) -> None:
    """Open the store once, making it if need be: what is wrong with it is said here, before there are processes.

    Raises:
        Stop: It cannot be a store.
        RotaError: The store refuses, nodes cannot run on it, or its role may not do what they do.
    """
    from rota.app.address import read_address
    from rota.app.engine import refuse_unless_allowed
    from rota.app.liveness import refuse_unless_provable

    async def allowed(_: object) -> None:
        await refuse_unless_allowed(place.url, config=config_of(place))

    require(place, creates=True)
    refuse_unless_provable(read_address(place.url))
    run_with(place, allowed, creates=True)


def _host_name() -> str:
    import socket

    return socket.gethostname().partition(".")[0] or "node"


def _keep(order: NodeOrder, place: Place) -> int:
    """Be the node's keeper until it ends; return its exit code."""
    from rota.app.address import read_address
    from rota.app.process import begin
    from rota.app.write_lock import lock_test_of
    from rota.node.keeper import Keeper
    from rota.runtime.clock import SystemClock

    telemetry = begin(order.log_format, SystemClock())
    keeper = Keeper(order, SUPERVISOR, telemetry, holds_lock=lock_test_of(read_address(place.url)))
    if not wants_line(order.log_format):
        return keeper.run()
    from rota.cli.live import under_a_line

    return under_a_line(keeper.run, place, order.name)


def wants_line(log_format: str) -> bool:
    """Whether a person is looking: a terminal that can redraw a line, and logs that are not for machines."""
    return sys.stderr.isatty() and os.environ.get("TERM", "dumb") != "dumb" and log_format == "lines"
