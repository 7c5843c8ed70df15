"""``rota submit``: put a job in from the command line."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

import click

from rota.cli import options
from rota.cli.duration import duration, ending, instant
from rota.cli.exits import Exit, stop
from rota.cli.help import Argument, Command
from rota.cli.number import whole
from rota.cli.open import app_of, news_of_new, place_of, run_with
from rota.cli.output import hint, put, put_json, say, warn
from rota.cli.words import did_you_mean
from rota.model.limits import PRIORITY_MAX, PRIORITY_MIN
from rota.model.token import token_from_text, token_text

if TYPE_CHECKING:
    from rota.model.job import NewJob
    from rota.store.port import Store


@dataclass(frozen=True, slots=True)
class Where:
    """How the job is placed, as the options say; ``None`` where they say nothing."""

    queue: str | None
    key: str | None
    priority: int | None
    delay: timedelta | None
    at: datetime | None
    expires: timedelta | datetime | None
    token: bytes | None


@click.command(cls=Command)
@click.argument("task", cls=Argument, metavar="TASK", help="The task's name.")
@click.argument(
    "arguments",
    cls=Argument,
    default="{}",
    metavar="[JSON]",
    help="Its arguments by name, as one JSON object; - reads them from stdin.",
)
@click.option("--queue", "-q", metavar="QUEUE", help="Another queue.")
@click.option("--key", "-k", metavar="KEY", help="One at a time and in order with jobs of this key.")
@click.option(
    "--priority",
    type=whole(PRIORITY_MIN, PRIORITY_MAX),
    metavar="N",
    help=f"{PRIORITY_MIN} to {PRIORITY_MAX}; higher runs first.",
)
@click.option("--delay", type=duration, metavar="DURATION", help="Not before so long from now: 90, 10m, 1.5h.")
@click.option("--at", type=instant, metavar="TIME", help="Not before this instant: 2027-01-31T08:00.")
@click.option(
    "--expires",
    type=ending,
    metavar="DURATION|TIME",
    help="Dropped if not started by then: 30m from now, or 2027-01-31T08:00.",
)
@click.option("--token", metavar="TOKEN", help="This token (a UUIDv7): a second time is a no-op.")
@options.common
def submit(
    task: str,
    arguments: str,
    *,
    queue: str | None,
    key: str | None,
    priority: int | None,
    delay: timedelta | None,
    at: datetime | None,
    expires: timedelta | datetime | None,
    token: str | None,
    as_json: bool,
    store: str | None,
    app: str | None,
) -> None:
    """Put a job in and print its token, once it is on stable storage.

    With an app (--app or ROTA_APP) the arguments are checked against the task's annotations and its key rule is
    applied.
    Without one they are stored as they are; key and queue are then what the options say.

    Examples:
      rota submit bake '{"order": {"store": "mitte", "pizza": "funghi"}}' --app shop:app
      rota submit report '{"day": "2027-01-31"}' --delay 10m --priority 5
      rota submit remind '{"order": 7}' --expires 2h
      jq -c . order.json | rota submit bake - --key mitte
    """
    where = Where(
        queue=queue,
        key=key,
        priority=priority,
        delay=delay,
        at=at,
        expires=expires,
        token=token_from_text(token) if token is not None else None,
    )
    text = _from_stdin() if arguments == "-" else arguments
    named = app_of(app)
    place = place_of(store, named)
    job = _checked_job(named, task, text, where) if named else _bare_job(task, text, where)
    news = news_of_new(place)

    async def put_in(opened: Store) -> tuple[bool, str]:
        import asyncio

        from rota.submit.send import send

        meant = await _who_was_meant(opened, job, is_checked=bool(named), is_queue_named=queue is not None)
        reply = await send(opened, [job], asyncio.sleep)
        return job.token in reply.duplicates, meant

    is_known, meant = run_with(place, put_in, creates=True)
    _report(job, is_known=is_known, meant=meant, is_checked=bool(named), as_json=as_json)
    if news:
        warn(news)


def _report(job: NewJob, *, is_known: bool, meant: str, is_checked: bool, as_json: bool) -> None:
    text = token_text(job.token)
    if as_json:
        put_json(
            {
                "token": text,
                "task": job.task,
                "queue": job.queue,
                "key": job.key,
                "duplicate": is_known,
                "checked": is_checked,
            }
        )
    else:
        put(text)
    if is_known:
        say("It was there already; nothing was done.")
    elif meant:
        warn(f"no worker or job knows a {meant} If so: rota cancel {text}")
    elif not is_checked:
        hint(f"Stored in {job.queue} as it is, unchecked; --app MODULE:APP checks arguments and applies the key rule.")


async def _who_was_meant(opened: Store, job: NewJob, *, is_checked: bool, is_queue_named: bool) -> str:
    """Return which known task or queue is near to one that is not known yet; a job of it might wait for ever."""
    from rota.cli.look import known_tasks

    if not is_checked:
        known = await known_tasks(opened)
        if job.task not in known and (meant := did_you_mean(job.task, known)):
            return f"task {job.task!r}. {meant}"
    if is_queue_named:
        queues = {row.name for row in await opened.queues()}
        if job.queue not in queues and (meant := did_you_mean(job.queue, queues)):
            return f"queue {job.queue!r}. {meant}"
    return ""


def _from_stdin() -> str:
    import sys

    return sys.stdin.read()


def _bare_job(task: str, text: str, where: Where) -> NewJob:
    """Return a job with its arguments as they were given: any JSON object.

    Raises:
        Stop: The arguments are not a JSON object.
        LimitError: They are too large, or an option is out of range.
    """
    import json

    import msgspec

    from rota.errors import LimitError
    from rota.model.limits import PAYLOAD_BYTES_MAX
    from rota.submit.check import check_name

    try:
        thing = msgspec.json.decode(text)  # stricter than json: what it reads, a worker can read
    except (ValueError, RecursionError) as error:
        says = "nested too deep" if isinstance(error, RecursionError) else str(error)
        stop(Exit.USAGE, f"the arguments are not JSON: {says}. Nothing was written.", _QUOTING)
    if not isinstance(thing, dict):
        stop(
            Exit.USAGE,
            f"the arguments are a JSON {_kind(thing)}, and an object by name is needed. Nothing was written.",
            _QUOTING,
        )
    payload = json.dumps(thing, ensure_ascii=False, separators=(",", ":")).encode()
    if len(payload) > PAYLOAD_BYTES_MAX:
        raise LimitError(
            f"the arguments have {len(payload):,} bytes, more than {PAYLOAD_BYTES_MAX:,}. Nothing was written. Put large "
            "things into a file and pass its name.",
            value=len(payload),
            limit=PAYLOAD_BYTES_MAX,
        )
    queue = DEFAULT_QUEUE if where.queue is None else where.queue
    return _placed(check_name(task, "task"), payload, where.key, queue, where)


DEFAULT_QUEUE = "default"

_QUOTING = """Quote it for the shell: rota submit bake '{"order": {"pizza": "funghi"}}'"""


def _kind(thing: object) -> str:
    names = {list: "list", str: "string", bool: "boolean", int: "number", float: "number", type(None): "null"}
    return names.get(type(thing), "value")


def _placed(task: str, payload: bytes, key: str | None, queue: str, where: Where) -> NewJob:
    from rota.runtime.clock import SystemClock
    from rota.runtime.entropy import SystemEntropy
    from rota.submit.terms import Terms, new_job

    terms = Terms.of(
        task,
        queue=queue,
        key=key,
        priority=where.priority or 0,
        delay=where.delay,
        at=where.at,
        expires=where.expires,
        token=where.token,
    )
    clock = SystemClock()
    now = clock.now_us()
    token = where.token or SystemEntropy(clock).token()
    return new_job(task, payload, key, token, terms, due_at=terms.due_at(now), expires_at=terms.expires_at(now))


def _checked_job(app: str, task: str, text: str, where: Where) -> NewJob:
    """Return the job that the app would make of these arguments: checked, and keyed by the task's rule.

    Raises:
        Stop: The app cannot be imported.
        RotaError: It has no such task, or the arguments do not fit.
    """
    from rota.app.load import load_app

    chosen = {
        "queue": where.queue,
        "key": where.key,
        "priority": where.priority,
        "delay": where.delay,
        "at": where.at,
        "expires": where.expires,
        "token": token_text(where.token) if where.token else None,
    }
    options: dict[str, Any] = {name: value for name, value in chosen.items() if value is not None}
    return load_app(app).task_named(task).options(**options).job_from_json(text)
