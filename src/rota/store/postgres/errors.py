"""From the driver's errors to ours, in one place.

    40001, 40P01   rolled back for certain: tried again      57P0x, 08…, lost or silent connection   unknown after a write
    53300, 57P03   not let in: nothing was written           55P03, 57014   given up by a bound of ours: nothing was written
    53100          no room        25006   read-only          58030, XX…     broken: not retried past
    RO…            raised by our own functions, with a sentence and values

Nothing else in the engine looks at a driver's error.
"""

from __future__ import annotations

import asyncio
import os

import asyncpg

from rota.errors import (
    InvalidArgumentsError,
    InvalidTokenError,
    NodeClosedError,
    NotAllowedError,
    OutcomeUnknownError,
    RotaError,
    SchemaVersionError,
    StoreBrokenError,
    StoreBusyError,
    StoreError,
    StoreFullError,
    StoreReadOnlyError,
    StoreUnavailableError,
    TokenReusedError,
    UnknownTokenError,
)

RETRIED_STATES = frozenset({"40001", "40P01"})
"""Serialisation failure and deadlock: the transaction was rolled back, so that trying again is safe for any call."""

_REPLACED = "cache lookup failed for function"
"""How the server says that a function was replaced while it was called, by `rota migrate`. That was rolled back, too."""

_READ_ONLY = "25006"
_LOST_STATES = frozenset({"25P03", "25P04", "40003"})
"""The server ended the session or the transaction at a bound, or does not know itself whether it was carried out."""

DRIVER_ERRORS = (
    asyncpg.PostgresError,
    asyncpg.InterfaceError,
    asyncpg.InternalClientError,
    OSError,
    asyncio.TimeoutError,
)


class TakenError(StoreError):
    """A token that was said to be new exists. Never leaves the engine: the careful statement is tried instead."""


class SkewedError(StoreError):
    """A token's own time is too far off. Never leaves the engine: the careful statement says which."""


def is_retried(problem: BaseException) -> bool:
    """Whether the same call may simply be made again."""
    return getattr(problem, "sqlstate", None) in RETRIED_STATES or _is_replaced(problem)


def is_lost(problem: BaseException) -> bool:
    """Whether the connection went away, so that nobody knows whether a write was carried out."""
    state = getattr(problem, "sqlstate", None)
    if isinstance(state, str):
        return state.startswith(("08", "57P")) or state in _LOST_STATES
    if isinstance(problem, ValueError):  # an argument that the driver could not even send
        return False
    return isinstance(problem, asyncpg.InterfaceError | asyncpg.InternalClientError | OSError | asyncio.TimeoutError)


def is_read_only(problem: BaseException) -> bool:
    """Whether this server may not be written: it is a standby, or was made one."""
    return getattr(problem, "sqlstate", None) == _READ_ONLY


def is_passing(problem: BaseException | None) -> bool:
    """Whether a server that could not be connected to may be there in a moment: it restarts, or is full."""
    state = getattr(problem, "sqlstate", None)
    if isinstance(state, str):
        return state.startswith(("08", "53", "57P"))
    return isinstance(problem, asyncpg.InternalClientError | OSError | asyncio.TimeoutError)


def translated(problem: BaseException, *, where: str, doing: str, writes: bool) -> RotaError:
    """Return our error for the driver's.

    Args:
        where: The store, without secrets.
        doing: The function that was called.
        writes: Whether a lost reply leaves open what happened.
    """
    says = _says(problem)
    state = getattr(problem, "sqlstate", None)
    if isinstance(state, str):
        own = _own(state, says, getattr(problem, "detail", None) or "")
        if own is not None:
            return own
        known = _known("40001" if _is_replaced(problem) else state, says, where, doing)
        if known is not None:
            return known
    if is_lost(problem):
        how = "did not answer in time" if isinstance(problem, TimeoutError) else f"was lost ({says})"
        if writes:
            return OutcomeUnknownError(
                f"the connection to {where} {how} during {doing}: it may or may not have been done. Asking again is safe.",
                store=where,
            )
        return StoreUnavailableError(
            f"the connection to {where} {how} during {doing}. Nothing was to be written. Asking again is safe.",
            store=where,
        )
    return StoreError(f"{doing} on {where} failed: {says}. Nothing was written.", store=where, sqlstate=state)


def unavailable(problem: BaseException, *, where: str) -> StoreUnavailableError:
    """Return the error for a server that cannot be reached, or lets nobody in."""
    says = _says(problem)
    state = getattr(problem, "sqlstate", None)
    if isinstance(state, str):
        return _refused(state, says, where)
    if isinstance(problem, OSError) and problem.errno:  # its first argument is a number
        says = (os.strerror(problem.errno) if problem.errno > 0 else problem.strerror or says).lower()
        says += f" ({problem.filename})" if problem.filename else ""
    elif isinstance(problem, TimeoutError):
        says = "it does not answer"
    return StoreUnavailableError(
        f"{where} cannot be reached: {says}. Nothing was written. Is the server running, and is the address right?",
        store=where,
    )


def node_closed(node_id: int) -> NodeClosedError:
    """Return what a node is told whose renewal found it closed."""
    return NodeClosedError(
        f"node {node_id} is closed: it was declared dead, and its workers' jobs are being given to others. "
        "Its workers must end now.",
        node=node_id,
    )


def _refused(state: str, says: str, where: str) -> StoreUnavailableError:
    """Return the error for a server that answered, and said no."""
    if state in ("53300", "53400"):
        return StoreUnavailableError(
            f"{where} has no connection left: {says}. Nothing was written. Every process takes up to four and one to listen: "
            "raise the server's max_connections, or the limit of the role or database if it has one of its own; start fewer "
            "processes; or put a pooler in between.",
            store=where,
        )
    if state == "57P03":
        return StoreUnavailableError(f"{where} lets nobody in yet: {says}. Nothing was written.", store=where)
    return StoreUnavailableError(
        f"{where} refused: {says}. Nothing was written. Are user, password and database right?", store=where
    )


def _is_replaced(problem: BaseException) -> bool:
    return getattr(problem, "sqlstate", None) == "XX000" and _says(problem).startswith(_REPLACED)


def _says(problem: BaseException) -> str:
    """Return the first line of what the driver says; details follow as fields."""
    return str(problem.args[0] if problem.args else problem).partition("\n")[0] or type(problem).__name__


def _own(state: str, says: str, detail: str) -> RotaError | None:
    """Errors that our functions raise on purpose."""
    match state:
        case "RO105":
            if not detail:
                return SkewedError(says)
            return InvalidTokenError(
                f"{says}: a token is made when its job is submitted. Nothing was written. "
                "Check the clock of the machine that made it.",
                value=detail,
            )
        case "RO106":
            return TokenReusedError(
                f"{says}. Nothing was written. One token stands for one job: make a new one for another job.",
                token=detail,
            )
        case "RO108":
            return NotAllowedError(f"{says}. Nothing was changed.")
        case "RO204":
            return UnknownTokenError(f"{says}. It was never submitted here, or its record is past retention.")
        case "RO310":
            return NodeClosedError(
                f"{says}: it was declared dead and may start nothing any more. What it held is being given to others. "
                "It must end; its supervisor starts another."
            )
        case "23505":
            return TakenError(says)
        case _:
            return None


def _known(state: str, says: str, where: str, doing: str) -> RotaError | None:
    """Errors of the server that callers can do something about."""
    if state == "53100":
        return StoreFullError(f"{where} has no room left on its disk: {says}. Nothing was written.", store=where)
    if state == _READ_ONLY:
        return StoreReadOnlyError(
            f"{where} may not be written: {says}. Nothing was written. Is it a standby? Use the primary's address.",
            store=where,
        )
    if state == "58030" or state.startswith("XX"):
        return StoreBrokenError(
            f"{where} reports damage during {doing}: {says}. Look at the server's log.", store=where
        )
    if state in ("3F000", "42P01", "42883", "42703"):
        return SchemaVersionError(
            f"the schema in {where} is not the one that this code needs: {says}. Nothing was written. `rota doctor`, called "
            "with this code, says which of them is older, and what to type.",
            store=where,
        )
    if state in ("55P03", "57014") or state in RETRIED_STATES:
        return StoreBusyError(
            f"{doing} on {where} was given up: {says}. Nothing was written. Asking again is safe.", store=where
        )
    if state in ("26000", "42P05"):
        return StoreUnavailableError(
            f"{doing} on {where} failed: {says}. Nothing was written. Statements of this connection are mixed up with those of "
            "others: there is a pooler in between that was not recognised. Add `?pooler=transaction` to the address.",
            store=where,
        )
    if state.startswith("53"):
        return StoreUnavailableError(f"{where} is out of resources: {says}. Nothing was written.", store=where)
    if state in ("22021", "22P05"):
        return InvalidArgumentsError(
            f"{doing}: a name or key holds a character that PostgreSQL cannot store (the zero character): {says}. "
            "Nothing was written."
        )
    if state == "42501":
        return StoreUnavailableError(
            f"{where} refused: {says}. Nothing was written. This role may only look, or lacks a right: `rota doctor`, called "
            "as the same role, says which.",
            store=where,
        )
    if state in ("28000", "28P01", "3D000"):
        return StoreUnavailableError(f"{where} refused: {says}. Nothing was written.", store=where)
    return None
