"""Submitting within a transaction of the caller's: ``task.options(connection=…)``.

    own store: names, room ──▶ the caller's connection: whose is it? (once) ──▶ the jobs ──▶ the caller commits, or not

Nobody knows of a job before the caller's commit, and nothing is left of it after a rollback. Workers are woken by that commit.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any
from weakref import WeakKeyDictionary

from rota.app.address import POSTGRES
from rota.app.callers import Caller, Line
from rota.errors import RotaError, StoreUnavailableError, UnfitConnectionError
from rota.model.job import NewJob

if TYPE_CHECKING:
    from rota.app.callers import CallersConnection
    from rota.app.connection import Session
    from rota.app.rota import Rota
    from rota.store.postgres.foreign import ForeignCall

_DRIVERS = ("asyncpg", "psycopg", "sqlalchemy")
_PLAINLY = "submit(…) in plain code or in a thread of its own, or give a connection that is awaited"

_known: WeakKeyDictionary[Any, set[tuple[str, str]]] = WeakKeyDictionary()
"""Connections that have been looked at, and the stores that they were found to lead to."""


class Within:
    """Puts jobs in through a caller's connection.

    Args:
        app: Whose store it is.
        connection: The caller's connection.

    Raises:
        UnfitConnectionError: The store is not PostgreSQL, or the connection is of an unknown kind.
    """

    def __init__(self, app: Rota, connection: CallersConnection) -> None:
        if app.address.engine != POSTGRES:
            raise UnfitConnectionError(
                f"connection= was given, and the store is {app.store_url}: a SQLite store is a file with a writer of its own, "
                "and no transaction spans two databases. Nothing was written. With a postgresql:// store in your own database "
                "it can be had; with this one, submit after your commit, with options(token=…) made before it."
            )
        self._app = app
        self._caller = Caller(connection)

    def submit(self, jobs: Sequence[NewJob]) -> None:
        """Put jobs in, all or none, if the caller's transaction commits. For a connection that is not awaited.

        If the process dies before the caller's commit, they were never there.

        Raises:
            UnfitConnectionError: The connection must be awaited, leads elsewhere, or cannot be used now.
            RotaError: As for any submit. Nothing was written.
        """
        if self._caller.is_async:
            raise self._refusal(jobs, "submit", "must be awaited", "await …submit_async(…)")
        with self._told(jobs) as lines:
            line = self._caller.line()
            self._note(line, lines)
            call = self._app._run(lambda session: self._call(session, jobs, line))
            if call.look is not None:
                call.looked(line.ask(call.look))
                self._remember(line)
            call.answered(line.ask(call.submit))

    async def submit_async(self, jobs: Sequence[NewJob]) -> None:
        """Do the same through a connection that is awaited."""
        if not self._caller.is_async:
            raise self._refusal(jobs, "submit_async", "cannot be awaited, and would stop the event loop", _PLAINLY)
        with self._told(jobs) as lines:
            line = await self._caller.line_async()
            self._note(line, lines)
            call = await self._call(await self._app._session(), jobs, line)
            if call.look is not None:
                call.looked(await line.ask(call.look))
                self._remember(line)
            call.answered(await line.ask(call.submit))

    def _note(self, line: Line, lines: list[Line]) -> None:
        lines.append(line)
        if line.is_closed:
            raise StoreUnavailableError(
                "connection= is closed. Nothing was written, and nothing of its transaction was. Begin again on another one.",
                store=self._app.store_url,
            )

    async def _call(self, session: Session, jobs: Sequence[NewJob], line: Line) -> ForeignCall:
        store: Any = session.store  # of PostgreSQL, as the address said
        call: ForeignCall = await store.foreign_call(jobs, is_new=self._is_new(line))
        return call

    @property
    def _store(self) -> tuple[str, str]:
        return self._app.config.store, self._app.config.schema

    def _is_new(self, line: Line) -> bool:
        return self._store not in _known.get(line.driver, ())

    def _remember(self, line: Line) -> None:
        _known.setdefault(line.driver, set()).add(self._store)

    @contextmanager
    def _told(self, jobs: Sequence[NewJob]) -> Iterator[list[Line]]:
        """Turn what a driver raises into our errors; the line belongs into the list that is yielded."""
        lines: list[Line] = []
        try:
            yield lines
        except RotaError:
            raise
        except Exception as problem:
            bare = _bare(problem)
            if not _is_drivers(bare):
                raise
            from rota.store.postgres.foreign import failure

            raise failure(
                bare,
                jobs,
                where=self._app.store_url,
                commits_at_once=bool(lines) and lines[0].commits_at_once,
                is_closed=bool(lines) and lines[0].is_closed,
            ) from problem

    def _refusal(self, jobs: Sequence[NewJob], called: str, why: str, instead: str) -> UnfitConnectionError:
        return UnfitConnectionError(
            f"task {jobs[0].task}: {called} was called with connection= of type {self._caller.kind}, which {why}. Nothing was "
            f"written. Call {instead}.",
            kind=self._caller.kind,
        )


def _bare(problem: Exception) -> Exception:
    """Return what the driver raised, without what SQLAlchemy wraps around it."""
    found = getattr(problem, "orig", None)
    return found if isinstance(found, Exception) else problem


def _is_drivers(problem: Exception) -> bool:
    return type(problem).__module__.partition(".")[0] in _DRIVERS or isinstance(
        problem, OSError | TimeoutError | UnicodeError
    )
