"""Submitting through a connection that is not ours, within a transaction of its owner.

    our connection     numbers of the names · room in the queue          never anything that the caller's commit decides
    the caller's       (once: is it this store?) · submit_foreign        the jobs, their keys' turns and their wake-up

Here is what is said and what the answers mean; how it is said on each kind of connection is the caller's affair
(``rota.app.callers``).

Names are given their numbers outside of the caller's transaction: a new name in a transaction that stays open would hold up
everybody else who uses it first. What is refused is answered in a word, not raised by the server, and there is no savepoint:
that would be two round trips more, and many of them in one transaction slow down everybody's look-ups. So a refusal leaves the
caller's transaction as it was; what breaks in the server itself ends it, as any statement of the caller's own would.

Invariants, each with the test that holds it:
    The job is there if and only if the caller's transaction commits.   tests/postgres/test_transactional.py
    A refusal writes nothing, and leaves the transaction usable.        tests/postgres/test_transactional_misuse.py
    An open transaction holds up nobody else.                           tests/postgres/races_of_callers.py
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from typing import Any, Final, NamedTuple

from msgspec import Struct

from rota.errors import (
    InvalidTokenError,
    OutcomeUnknownError,
    RotaError,
    StoreError,
    StoreReadOnlyError,
    StoreUnavailableError,
    TokenReusedError,
    UnfitConnectionError,
)
from rota.model.job import NewJob
from rota.model.limits import TOKEN_SKEW_MS_MAX
from rota.model.token import token_text
from rota.store.postgres.errors import is_lost, translated
from rota.store.postgres.identity import IDENTITY
from rota.store.postgres.intake import PostgresIntake
from rota.store.postgres.rights import grants
from rota.store.postgres.server import quoted

_NOTHING: Final = "Nothing was written."
_FAILED: Final = " Your transaction has failed with this: roll it back."

_CASTS: Final = (
    *("bigint", "bigint", "boolean", "smallint", "integer", "smallint", "bigint", "bigint", "smallint", "bytea"),
    # As text: a caller's connection may have its own ideas of what a UUID is in Python.
    *("text[]::uuid[]", "integer[]", "text[]", "bytea[]"),
)

# Asked of the catalogue, which everybody may read: it must not fail, whatever is missing.
_LOOK: Final = """
SELECT {identity},
       pg_catalog.current_database()::text,
       current_user::text,
       pg_catalog.concat_ws('; ',
           CASE WHEN NOT pg_catalog.has_schema_privilege(n.oid, 'USAGE') THEN 'USAGE on the schema' END,
           (SELECT pg_catalog.string_agg(r.name || ' on ' || r.part, '; ' ORDER BY r.part, r.name)
              FROM (VALUES ('live', 'SELECT'), ('live', 'INSERT'), ('live', 'DELETE'), ('turns', 'INSERT'),
                           ('finished', 'SELECT')) r(part, name)
              JOIN pg_catalog.pg_class c ON c.relnamespace = n.oid AND c.relname = r.part
             WHERE NOT pg_catalog.has_table_privilege(c.oid, r.name)),
           (SELECT pg_catalog.string_agg('EXECUTE on ' || p.proname, '; ')
              FROM pg_catalog.pg_proc p
             WHERE p.pronamespace = n.oid AND p.proname = 'submit_foreign'
               AND NOT pg_catalog.has_function_privilege(p.oid, 'EXECUTE'))),
       EXISTS (SELECT FROM pg_catalog.pg_proc p WHERE p.pronamespace = n.oid AND p.proname = 'submit_foreign')
  FROM pg_catalog.pg_database d
  LEFT JOIN pg_catalog.pg_namespace n ON n.nspname = {place}
 WHERE d.datname = pg_catalog.current_database()
"""


class Statement(NamedTuple):
    """One statement, as every driver takes it.

    Attributes:
        numbered: With places ``$1``, as asyncpg takes it.
        marked: With places ``%s``, as psycopg takes it.
        arguments: For the places.
    """

    numbered: str
    marked: str
    arguments: tuple[Any, ...]


class ForeignCall(Struct, frozen=True):
    """A submit, ready to be said on a caller's connection.

    Attributes:
        where: The store, without secrets.
        schema: Where everything of ours is.
        jobs: What is submitted.
        look: Asks a connection that has not been seen before whose it is; ``None`` if it has been.
        identity: What the answer to that must begin with.
        submit: Puts the jobs in.
    """

    where: str
    schema: str
    jobs: Sequence[NewJob]
    look: Statement | None
    identity: str
    submit: Statement

    def looked(self, row: Sequence[Any]) -> None:
        """Take the answer to ``look``.

        Raises:
            UnfitConnectionError: It is connected to something else, or as somebody who may not submit.
        """
        identity, database, role, missing, has_function = row
        if not has_function:
            raise UnfitConnectionError(
                f"connection= is connected to database {database!r}, which has no schema {self.schema!r} of rota; the store is "
                f"{self.where}. {_NOTHING} Give a connection to the database that the store is in.",
                database=database,
            )
        if identity != self.identity:
            raise UnfitConnectionError(
                f"connection= is connected to database {database!r} of another store than {self.where}: it has a schema "
                f"{self.schema!r} of its own. {_NOTHING} Jobs written there would never be known here.",
                database=database,
            )
        if missing:
            raise UnfitConnectionError(
                f"connection= is connected as role {role!r}, which may not submit: it lacks {missing}. {_NOTHING} Let the "
                f"schema's owner say `{grants(self.schema, role)}`",
                role=role,
            )

    def answered(self, row: Sequence[Any]) -> None:
        """Take the answer to ``submit``.

        Raises:
            TokenReusedError: The token names a job with other arguments, task or key.
            InvalidTokenError: The token's time is off by more than a day.
            UnfitConnectionError: The transaction cannot see what has been done with this token.
        """
        text = token_text(self.jobs[0].token)
        match row[0]:
            case "reused":
                raise TokenReusedError(
                    f"token {text} has another task, payload or key. {_NOTHING} One token stands for one job: make a new one "
                    "for another job.",
                    token=text,
                )
            case "skewed":
                raise InvalidTokenError(
                    f"token {text} is off by more than a day from the clock of {self.where}. {_NOTHING} Check the clock of the "
                    "machine that made it.",
                    value=text,
                )
            case "snapshot":
                raise UnfitConnectionError(
                    f"token {text} cannot be given in a transaction that is REPEATABLE READ or SERIALIZABLE: in its snapshot "
                    f"nobody sees whether that job was finished meanwhile, and it would run again. {_NOTHING} Leave "
                    "options(token=…) out, or use READ COMMITTED.",
                    token=text,
                )


def failure(
    problem: Exception, jobs: Sequence[NewJob], *, where: str, commits_at_once: bool, is_closed: bool
) -> RotaError:
    """Return our error for what a driver raised on a caller's connection.

    Args:
        jobs: What was to be submitted.
        where: The store, without secrets.
        commits_at_once: No transaction was open, so that the statement was one by itself.
        is_closed: The connection has ended.
    """
    state = getattr(problem, "sqlstate", None)
    says = (str(problem.args[0] if problem.args else problem) or type(problem).__name__).partition("\n")[0]
    if state == "25P02" or "PendingRollback" in type(problem).__name__:
        return UnfitConnectionError(
            f"the transaction of connection= has failed before: {says}. {_NOTHING} Roll it back; what was done in it, submits "
            "too, is undone."
        )
    if state == "25006":
        return StoreReadOnlyError(
            f"the transaction of connection= may only read: {says}. {_NOTHING}{_FAILED}", store=where
        )
    if is_closed or _is_lost(problem):
        how = "did not answer in time" if isinstance(problem, TimeoutError) else f"was lost ({says})"
        return _lost(how, jobs, where, commits_at_once=commits_at_once)
    if not isinstance(state, str):
        return UnfitConnectionError(f"connection= cannot be used now: {says}. {_NOTHING}")
    if state in ("26000", "42P05"):
        says += ". It keeps prepared statements, and a pooler gives every transaction another session: make it with "
        says += "statement_cache_size=0 (asyncpg) or prepare_threshold=None (psycopg)"
        return UnfitConnectionError(
            f"connection= cannot be used: {says}. {_NOTHING}{'' if commits_at_once else _FAILED}"
        )
    error = translated(problem, where=where, doing="submit", writes=True)
    if not commits_at_once:
        error.message += _FAILED
    return error


def _lost(how: str, jobs: Sequence[NewJob], where: str, *, commits_at_once: bool) -> StoreError:
    if not commits_at_once:
        return StoreUnavailableError(
            f"connection= {how}, and its transaction failed with it: nothing of it was written. Begin it again.",
            store=where,
        )
    return OutcomeUnknownError(
        f"connection= {how} during a submit outside of a transaction: it may or may not have been done. Submit again with "
        "options(token=…) and the same token: what is there already is left alone.",
        store=where,
        tokens=[token_text(job.token) for job in jobs],
    )


class PostgresForeign(PostgresIntake):
    """Submits through connections that are not ours."""

    async def foreign_call(self, jobs: Sequence[NewJob], *, is_new: bool) -> ForeignCall:
        """Prepare a submit of jobs that differ in token, key and payload only; one job, unless all tokens are fresh.

        Args:
            is_new: The connection has not been seen before.

        Raises:
            QueueFullError: ``waiting_max`` would be passed. Jobs of transactions that are still open do not count.
            StoreError: Our own connection failed. Nothing was written.
        """
        await self._admit(jobs)
        schema, one = self._server.schema, jobs[0]
        arguments = (
            self._now(),
            TOKEN_SKEW_MS_MAX,
            one.is_fresh,
            self._names.queues[one.queue],
            self._names.tasks[one.task],
            one.priority,
            one.due_at,
            one.expires_at,
            one.codec,
            one.meta,
            [token_text(job.token) for job in jobs],
            [job.hash16 for job in jobs],
            [job.key for job in jobs],
            [job.payload for job in jobs],
        )
        look = Statement(_look("$1::text"), _look("%s::text"), (schema,)) if is_new else None
        return ForeignCall(
            where=self._server.where,
            schema=schema,
            jobs=jobs,
            look=look,
            identity=await self._identity(look) if look else "",
            submit=Statement(*_texts(schema), arguments),
        )

    async def _identity(self, look: Statement) -> str:
        """Return what tells this store from every other, a copy of it too: server, database and schema by number."""
        async with self._server.connection() as connection:
            return str(await connection.fetchval(look.numbered, *look.arguments))


def _is_lost(problem: Exception) -> bool:
    """Whether a connection went away under a statement, or the driver gave up waiting; psycopg says so without a code."""
    state = getattr(problem, "sqlstate", None)
    if isinstance(state, str):
        return is_lost(problem)
    return isinstance(problem, OSError | TimeoutError) or "OperationalError" in [
        kind.__name__ for kind in type(problem).__mro__
    ]


def _look(place: str) -> str:
    return _LOOK.format(identity=IDENTITY, place=place)


@cache
def _texts(schema: str) -> tuple[str, str]:
    """Return the statement that submits, with numbered and with marked places."""
    numbered = ", ".join(f"${number}::{cast}" for number, cast in enumerate(_CASTS, 1))
    # Bytes travel as bytes: as text they would be twice as long.
    marked = ", ".join(f"%{'b' if cast.startswith('bytea') else 's'}::{cast}" for cast in _CASTS)
    function = f"{quoted(schema)}.submit_foreign"
    return f"SELECT {function}({numbered})", f"SELECT {function.replace('%', '%%')}({marked})"
