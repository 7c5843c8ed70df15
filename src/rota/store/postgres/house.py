"""Keeping the store itself."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence

from rota.errors import NotAllowedError
from rota.store.port import Check, Swept
from rota.store.postgres.doctor import Findings, examine
from rota.store.postgres.doctor_pooler import look_at_pooler
from rota.store.postgres.migrate import version_told
from rota.store.postgres.rights import grants, missing_rights, only_looks, role_of, told
from rota.store.postgres.subject import Subject, woken_of

_HISTORY_AT_ONCE = 5_000
_PAUSE_S = 0.05


class PostgresHouse(Subject):
    """``rota.store.port.House`` on PostgreSQL."""

    async def set_paused(self, queue: str, is_paused: bool) -> None:
        """Pause or resume a queue; see the port."""
        await self._names.learn([queue], [])
        await self._server.call("set_paused", self._names.queues[queue], is_paused)

    async def expire(self, limit: int = 1_000) -> int:
        """Settle as expired what nobody has started in time; see the port."""
        return int(await self._server.value("expire_jobs", self._now(), limit))

    async def prune(self, settled_before: int, limit: int = 5_000) -> int:
        """Remove up to ``limit`` finished jobs settled before that instant; see the port."""
        return int(await self._server.value("prune_finished", self._now(), settled_before, limit))

    async def tend_partitions(self, settled_before: int) -> int:
        """Make the partitions of the days to come, drop old ones whole; see the port."""
        await self._server.value("make_partitions", self._now(), settled_before)
        dropped = 0
        while True:
            step = await self._server.row("drop_partition", self._now(), settled_before, _HISTORY_AT_ONCE)
            if step["part"] is None:
                return dropped
            dropped += step["jobs"]
            await asyncio.sleep(_PAUSE_S)

    async def sweep(self) -> Swept:
        """Heal damage; see the port."""
        record = await self._server.row("sweep", self._now())
        return Swept(
            record["keys_without_head"],
            record["jobs_of_closed_workers"],
            record["claims_rows_dropped"],
            woken_of(record),
        )

    async def doctor(self) -> Sequence[Check]:
        """Return what is to be said about this store and its server."""
        schema = self._server.schema
        async with self._server.connection("doctor") as connection:
            missing = await missing_rights(connection, schema)
            is_looker = await only_looks(connection, schema, missing)
            if missing and not is_looker:
                role = await role_of(connection)
                return [Check("rights", "error", f"role {role} lacks {told(missing)}", grants(schema, role))]
            version = await version_told(connection, schema)
        read = self._server.call
        checks = examine(
            Findings(
                facts=await self._server.row("store_facts", self._now(), writes=False),
                standbys=await read("list_standbys", writes=False),
                holders=await read("list_holders", writes=False),
                bloat=await read("list_bloat", writes=False),
                partitions=await read("list_partitions", writes=False),
                schema=schema,
                version=version,
                only_looks=is_looker,
            )
        )
        return [*checks, *await look_at_pooler(self._server)]

    async def backup(self, path: str, progress: Callable[[int, int], None] | None = None) -> None:
        """Refuse: the server has tools of its own for this."""
        del progress
        raise NotAllowedError(
            f"{path} was not written: a PostgreSQL store is backed up with the server's own tools. "
            f"Try `pg_dump --schema={self._server.schema}`, or pg_basebackup for the whole server.",
            path=path,
        )
