"""Keeping the store itself."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import Any

from rota.errors import NotAllowedError
from rota.store.port import Check, Swept
from rota.store.postgres.subject import Subject, woken_of

_HISTORY_AT_ONCE = 5_000
_PAUSE_S = 0.05
_OLD_SNAPSHOT_S = 600


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
        """Return what is to be said about this store."""
        facts = await self._server.row("store_facts", writes=False)
        return [
            Check("engine", "ok", f"PostgreSQL {facts['server_version']}, schema {self._server.schema!r}"),
            *_durability(facts),
            *_troubles(facts),
        ]

    async def backup(self, path: str, progress: Callable[[int, int], None] | None = None) -> None:
        """Refuse: the server has tools of its own for this."""
        del progress
        raise NotAllowedError(
            f"{path} was not written: a PostgreSQL store is backed up with the server's own tools. "
            f"Try `pg_dump --schema={self._server.schema}`, or pg_basebackup for the whole server.",
            path=path,
        )


def _durability(facts: Any) -> list[Check]:
    unsafe = [name for name in ("fsync", "full_page_writes") if facts[name] != "on"]
    if facts["synchronous_commit"] == "off":
        unsafe.append("synchronous_commit")
    if unsafe:
        return [
            Check(
                "durability",
                "error",
                f"{', '.join(unsafe)} is off: accepted jobs can be lost when the server or its machine fails",
                "Set them to on in postgresql.conf.",
            )
        ]
    if facts["standbys"]:
        return [Check("durability", "ok", f"every commit is on disk, and on the standbys {facts['standbys']}")]
    return [
        Check(
            "durability",
            "note",
            "every commit is on the primary's disk; after a fail-over to another server the last ones can be missing",
            "Set synchronous_standby_names if fail-overs must lose nothing.",
        )
    ]


def _troubles(facts: Any) -> list[Check]:
    found = []
    if facts["is_in_recovery"]:
        found.append(Check("role", "error", "this server is a standby and cannot be written", "Use the primary."))
    age = facts["oldest_snapshot_s"] or 0
    if age > _OLD_SNAPSHOT_S:
        found.append(
            Check(
                "snapshots",
                "warning",
                f"a transaction has been open for {age} s: removed rows pile up until it ends",
                "Find it in pg_stat_activity and end it.",
            )
        )
    if facts["closed_holders"]:
        found.append(
            Check(
                "claims",
                "warning",
                f"{facts['closed_holders']} closed workers still hold jobs",
                "A running node releases them within seconds; if none runs, start one.",
            )
        )
    found.append(
        Check("jobs", "note", f"about {max(facts['live_jobs'], 0):,} live jobs, {facts['turns']:,} keys in turn")
    )
    return found
