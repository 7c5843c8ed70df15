"""Small look-ups that several commands need."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NoReturn

from rota.cli.exits import Exit, Stop, stop
from rota.cli.words import did_you_mean
from rota.model.token import token_from_text, token_text

if TYPE_CHECKING:
    from rota.cli.describe import Description
    from rota.cli.open import Place
    from rota.model.token import TokenBytes
    from rota.node.liveness import FileLocks
    from rota.store.port import Membership, Store
    from rota.worker.running import Counts

_TOKEN_BEGINS: Final = 8
"""With fewer characters nothing is the beginning of a token."""


def now_us() -> int:
    """Return the wall clock, for ages."""
    from rota.runtime.clock import SystemClock

    return SystemClock().now_us()


async def known_tasks(opened: Store) -> set[str]:
    """Return the tasks that workers offer or that the newest jobs name."""
    from rota.store.port import JobFilter

    offered = {name for worker in (await opened.membership()).workers for name in worker.tasks}
    return offered | {row.task for row in await opened.jobs(JobFilter(limit=1000))}


async def require_task(opened: Store, task: str, app: str | None) -> None:
    """Stop unless a worker offers the task, a job names it, however old, or the app has it.

    Raises:
        Stop: Nobody knows it, or the app has to be asked and cannot be imported.
    """
    from rota.store.port import JobFilter

    known = await known_tasks(opened)
    if task in known or await opened.jobs(JobFilter(task=task, limit=1)):
        return
    named = _description(app).tasks if app else ()
    if task not in named:
        advice = did_you_mean(task, known | set(named)) or "rota jobs and rota workers name those that are known."
        stop(Exit.NOT_FOUND, f"no job of a task {task!r} is known.", advice)


async def require_queue(opened: Store, queue: str, app: str | None, ahead: str = "") -> None:
    """Stop unless the store knows the queue, by its first job or worker, or the app names it.

    Args:
        opened: The store.
        queue: The name in question.
        app: The app; ``None`` for none.
        ahead: What else can be done with a queue of which nothing is known yet.

    Raises:
        Stop: Nobody knows it, or the app has to be asked and cannot be imported.
    """
    known = {row.name for row in await opened.queues()}
    if queue in known:
        return
    named = _description(app).queues if app else ()
    if queue not in named:
        further = ahead or "rota queues lists those that are known."
        advice = f"{did_you_mean(queue, known | set(named))} {further}".strip()
        stop(Exit.NOT_FOUND, f"there is no queue {queue!r}.", advice)


def _description(app: str) -> Description:
    from rota.cli.describe import describe

    return describe(app)


def token_of(text: str, store: str | None, app: str | None) -> TokenBytes:
    """Read a token that a person typed; if it is none, tell which of the newest jobs' it may be.

    Raises:
        InvalidTokenError: It is no token, and near to none.
        Stop: It is no token, and near to one.
    """
    from rota.errors import InvalidTokenError

    try:
        return token_from_text(text)
    except InvalidTokenError as error:
        if near := _near_token(text, store, app):
            stop(Exit.USAGE, str(error), near)
        raise


def absent(token: bytes, store: str | None, app: str | None) -> NoReturn:
    """End with a token that no job has: never there, or past retention; mistyped, if it is near to one.

    Raises:
        Stop: It is near to one.
        RotaError: It is not.
    """
    from rota.model.limits import RETENTION_DAYS_DEFAULT
    from rota.result.read import not_found

    error = not_found(token, now_us(), RETENTION_DAYS_DEFAULT)
    if near := _near_token(token_text(token), store, app):
        stop(Exit.NOT_FOUND, str(error), near)
    raise error


def _near_token(text: str, store: str | None, app: str | None) -> str:
    """Return which of the newest jobs' tokens is meant, by a few wrong characters or a missing end; empty for none."""
    from difflib import get_close_matches

    from rota.cli.open import with_store
    from rota.errors import RotaError
    from rota.store.port import JobFilter

    typed = text.strip().lower()
    if len(typed) < _TOKEN_BEGINS:
        return ""
    try:
        rows = with_store(store, app, lambda opened: opened.jobs(JobFilter(limit=1000)))
    except (RotaError, Stop):  # What is wrong with the token has to be said in any case.
        return ""
    tokens = [token_text(row.token) for row in rows]
    begun = [token for token in tokens if token.startswith(typed)]
    near = begun if len(begun) == 1 else get_close_matches(typed, tokens, n=2, cutoff=0.9)
    return f"Did you mean {' or '.join(near)}?" if near else ""


def locks_of(place: Place) -> FileLocks | None:
    """Return the locks of this host's processes, which tell at once who has ended; ``None`` where none are to be seen."""
    from rota.app import liveness
    from rota.app.address import read_address
    from rota.cli.open import config_of
    from rota.errors import ConfigError
    from rota.runtime.clock import SystemClock

    address, config = read_address(place.url), config_of(place)
    if liveness.found_folder(address, config) is None:
        return None
    try:
        return liveness.locks_of(address, SystemClock(), config)
    except ConfigError:  # A folder that nodes refuse proves nothing either.
        return None


def is_alive(locks: FileLocks | None, proof: str) -> bool | None:
    """Whether who registered with this proof lives; ``None`` if one look cannot tell, such as of another host's."""
    if locks is None:
        return None
    if locks.is_dead(proof):
        return False
    return True if locks.is_held(proof) else None


def counts_of(place: Place, there: Membership) -> dict[int, Counts]:
    """Return what workers have counted, by incarnation: those of this host, as far as this user may know."""
    from rota.app.address import read_address
    from rota.app.liveness import found_folder
    from rota.cli.open import config_of
    from rota.node.remains import table_path
    from rota.worker.running import counts_in

    folder = found_folder(read_address(place.url), config_of(place))
    if folder is None:
        return {}
    read = {row.id: counts_in(table_path(folder, row.proof)) for row in there.workers}
    return {number: counts for number, counts in read.items() if counts is not None}
