"""Whether removed rows are cleared away: who holds vacuum back, and where dead rows pile up."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from rota.store.port import Check

Row = Mapping[str, Any]

MIB = 1024 * 1024
_IDLE_S = 60
_OLD_S = 600
_OLD_XIDS = 1_000_000
_WAL_BYTES_LARGE = 4 * 1024 * MIB
_NAPTIME_S_MAX = 15
_DEAD_ROWS_MANY = 100_000


def snapshots(holders: Sequence[Row]) -> list[Check]:
    """Say who holds vacuum back, and so lets removed rows pile up."""
    found = [check for check in map(_holder, holders) if check is not None]
    return found or [Check("snapshots", "ok", "nobody holds vacuum back")]


def _holder(row: Row) -> Check | None:
    name, xids = row["name"], row["xids"] or 0
    if row["kind"] == "session":
        return _session(row)
    if row["kind"] == "prepared" and row["seconds"] >= _OLD_S:
        return Check(
            "snapshots",
            "warning",
            f"the prepared transaction {name!r} of {row['detail']} has been open for {_span(row['seconds'])}: it keeps its "
            "locks, and removed rows pile up",
            f"Decide it: COMMIT PREPARED '{name}'; or ROLLBACK PREPARED '{name}';",
        )
    if row["kind"] == "slot" and row["detail"] == "inactive":
        wal = row["wal_bytes"] or 0
        if wal < _WAL_BYTES_LARGE and xids < _OLD_XIDS:
            return None
        return Check(
            "snapshots",
            "warning",
            f"nobody uses the replication slot {name!r}, and it keeps {wal / MIB:,.0f} MiB of log"
            + (f" and what was removed in the last {xids:,} transactions" if xids else ""),
            f"If its standby is gone for good: SELECT pg_drop_replication_slot('{name}');",
        )
    if row["kind"] in ("standby", "slot") and xids >= _OLD_XIDS:
        return Check(
            "snapshots",
            "warning",
            f"a long query on the standby {name!r} holds vacuum back by {xids:,} transactions",
            "End the query there, or set hot_standby_feedback = off on that standby.",
        )
    return None


def _session(row: Row) -> Check | None:
    is_idle = (row["detail"] or "").startswith("idle in transaction")
    if row["seconds"] < (_IDLE_S if is_idle else _OLD_S):
        return None
    does = "does nothing in an open transaction" if is_idle else "has had a transaction open"
    return Check(
        "snapshots",
        "warning",
        f"session {row['name']} {does} for {_span(row['seconds'])}: removed rows pile up until it ends",
        f"SELECT pg_terminate_backend({row['name'].partition(' ')[0]}); and look at idle_in_transaction_session_timeout.",
    )


def bloat(facts: Row, tables: Sequence[Row]) -> list[Check]:
    """Say where dead rows pile up."""
    found = []
    if facts["autovacuum"] != "on":
        found.append(
            Check(
                "vacuum",
                "error",
                "autovacuum is off: every claim leaves a dead row, and claims get slower from hour to hour",
                "ALTER SYSTEM SET autovacuum = on; SELECT pg_reload_conf();",
            )
        )
    elif facts["naptime_s"] > _NAPTIME_S_MAX:
        found.append(
            Check(
                "vacuum",
                "note",
                f"autovacuum looks once in {facts['naptime_s']} s: at 10,000 jobs a second the live table grows by 8 MiB a "
                "second in between",
                "For a busy store: ALTER SYSTEM SET autovacuum_naptime = '10s'; SELECT pg_reload_conf();",
            )
        )
    for row in tables:
        name = row["name"]
        if not row["is_vacuumed"]:
            found.append(
                Check(
                    "vacuum",
                    "error",
                    f"autovacuum is switched off for {name}",
                    f"ALTER TABLE {name} RESET (autovacuum_enabled);",
                )
            )
        if row["rows_dead"] >= max(_DEAD_ROWS_MANY, 2 * row["rows_alive"]):
            found.append(
                Check(
                    "bloat",
                    "warning",
                    f"{name} has {row['rows_dead']:,} dead rows beside {row['rows_alive']:,} living ones "
                    f"({row['bytes'] / MIB:,.0f} MiB): vacuum does not keep up",
                    "Somebody holds it back (see snapshots), or the workers of autovacuum are busy elsewhere: "
                    "autovacuum_max_workers.",
                )
            )
    if any(check.level != "note" for check in found):
        return found
    sizes = ", ".join(
        f"{row['name']} {row['bytes'] / MIB:,.1f} MiB" for row in tables if row["name"] in ("live", "claims")
    )
    return [*found, Check("bloat", "ok", f"vacuum keeps up ({sizes})")]


def _span(seconds: int) -> str:
    if seconds < 2 * 60:
        return f"{seconds} s"
    return f"{seconds // 60} min" if seconds < 2 * 3_600 else f"{seconds // 3_600} h"
