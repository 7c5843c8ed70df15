"""What is to be said about a store that is reached through a pooler."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

import asyncpg

from rota.store.port import Check
from rota.store.postgres.bounds import BOUNDS
from rota.store.postgres.rights import role_of
from rota.store.postgres.server import Server, quoted

BOUNDED: Final = (
    "lock_timeout", "statement_timeout", "idle_in_transaction_session_timeout", "client_connection_check_interval",
    "tcp_user_timeout",
)  # fmt: skip
"""What our own connections tell the server of themselves, and a pooler's cannot: there it must be the role's."""


async def look_at_pooler(server: Server) -> list[Check]:
    """Look how a session is set that comes through the pooler; nothing if there is none."""
    if not server.is_pooled:
        return []
    async with server.connection("doctor") as connection:
        return examine_pooler(await _settings(connection), await role_of(connection))


async def _settings(connection: asyncpg.Connection) -> dict[str, str]:
    records = await connection.fetch("SELECT name, setting FROM pg_settings WHERE name = ANY ($1)", BOUNDED)
    return {record["name"]: record["setting"] for record in records}


def examine_pooler(settings: Mapping[str, str], role: str) -> list[Check]:
    """Return what holds behind a pooler, and which bounds nobody has set there.

    Args:
        settings: The server's settings of a session that came through it, by name; ``0`` is none.
        role: Whose session it is.
    """
    checks = [
        Check(
            "pooler",
            "note",
            "reached through a pooler in transaction mode, where nobody can listen: jobs begin within about a second",
            "Give nodes the server's own address, and let only programs that submit go through the pooler.",
        )
    ]
    missing = [name for name in BOUNDED if settings.get(name, "0") == "0"]
    if missing:
        wanted = BOUNDS.at_the_server()
        checks.append(
            Check(
                "pooler bounds",
                "warning",
                f"a process that is stopped in the middle of a call can hold its locks for ever: {', '.join(missing)} not set",
                " ".join(f"ALTER ROLE {quoted(role)} SET {name} = {wanted[name]};" for name in missing),
            )
        )
    return checks
