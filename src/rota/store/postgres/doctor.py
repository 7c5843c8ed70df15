"""What is to be said about a store and its server: one line a thing, with what to do.

    facts (store_facts, list_*.sql) ──▶ one function a line ──▶ Check(name, level, says, advice)

The functions here are pure: what they are given decides, so that each line can be tested by planting its state.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from msgspec import Struct

from rota.store.port import Check
from rota.store.postgres.doctor_safety import durability, fail_over
from rota.store.postgres.doctor_vacuum import MIB, bloat, snapshots
from rota.store.postgres.schema import FUNCTIONS, Edition

Row = Mapping[str, Any]

OLDEST_VERSION_NUM = 140_000
"""Older servers know neither ``client_connection_check_interval`` nor the statistics that are asked for."""

_NOTIFY_SHARE_HIGH = 0.25
_ROOM_SHARE_LOW = 0.1
_REST_BYTES_LARGE = 1024 * MIB


class Findings(Struct, frozen=True):
    """All that is looked at.

    Attributes:
        facts: The row of ``store_facts``.
        standbys: Rows of ``list_standbys``.
        holders: Rows of ``list_holders``.
        bloat: Rows of ``list_bloat``.
        partitions: Rows of ``list_partitions``.
        schema: The schema's name.
        version: Which migration was the last, and the functions' name.
        only_looks: This role may read everything and write nothing.
    """

    facts: Row
    standbys: Sequence[Row]
    holders: Sequence[Row]
    bloat: Sequence[Row]
    partitions: Sequence[Row]
    schema: str
    version: str
    only_looks: bool = False


def examine(found: Findings) -> list[Check]:
    """Return all checks, in the order in which a person should read them."""
    facts = found.facts
    return [
        engine(facts, found.schema),
        schema(found.version),
        *rights(facts, only_looks=found.only_looks),
        *role(facts),
        durability(facts),
        fail_over(facts, found.standbys),
        *snapshots(found.holders),
        *bloat(facts, found.bloat),
        connections(facts),
        notifications(facts),
        *partitions(facts, found.partitions),
        *stuck(facts),
        Check("jobs", "note", f"about {facts['live_jobs']:,} live jobs, {facts['turns']:,} keys in turn"),
    ]


def engine(facts: Row, schema: str) -> Check:
    """Say which server it is."""
    says = f"PostgreSQL {facts['server_version']}, schema {schema!r}"
    if facts["server_version_num"] < OLDEST_VERSION_NUM:
        return Check("engine", "error", f"{says}: too old", "Upgrade the server to version 14 or newer.")
    return Check("engine", "ok", says)


def schema(version: str) -> Check:
    """Say which migration was the last, and whose functions are installed."""
    if not Edition.of(version.partition(", ")[2]).is_newer:
        return Check("schema", "ok", version)
    return Check(
        "schema",
        "note",
        f"{version}: newer than this code ({FUNCTIONS}), and made to serve it, too",
        "Is a new version being rolled out? Then go on; this code needs no migration. Else: `pip install --upgrade rota`",
    )


def rights(facts: Row, *, only_looks: bool = False) -> list[Check]:
    """Say what this role cannot see or do. That it lacks nothing to work has been seen before."""
    found = [Check("rights", "ok", f"role {facts['role_name']} may do all that work needs")]
    if facts["role_name"] != facts["owner_name"]:
        found = [
            Check(
                "rights",
                "ok",
                f"role {facts['role_name']} may do all that work needs; {facts['owner_name']} owns the schema, "
                "and runs migrations",
            )
        ]
    if only_looks:
        found = [
            Check(
                "rights",
                "note",
                f"role {facts['role_name']} may only look",
                "Nodes, submits and changes need a role that may write; `rota doctor` as that role says what it lacks.",
            )
        ]
    if not facts["sees_all"]:
        found.append(
            Check(
                "sight",
                "note",
                f"role {facts['role_name']} cannot see other roles' sessions and the state of standbys: what is said of "
                "them here may not be all",
                f"For the whole picture: GRANT pg_read_all_stats TO {facts['role_name']};",
            )
        )
    return found


def role(facts: Row) -> list[Check]:
    """Say what makes this server, or this role's settings, the wrong ones."""
    found = []
    if facts["is_in_recovery"]:
        found.append(
            Check(
                "role",
                "error",
                "this server is a standby and cannot be written",
                "Name all servers, postgresql://a,b/shop?target_session_attrs=read-write, so that the primary is found.",
            )
        )
    if facts["isolation"] != "read committed":
        found.append(
            Check(
                "isolation",
                "error",
                f"default_transaction_isolation is {facts['isolation']}: steps that must see each other's commits do not",
                f"ALTER ROLE {facts['role_name']} SET default_transaction_isolation = 'read committed';",
            )
        )
    if facts["read_only"] == "on" and not facts["is_in_recovery"]:
        found.append(
            Check(
                "read-only",
                "error",
                "default_transaction_read_only is on: nothing can be submitted or settled",
                f"ALTER ROLE {facts['role_name']} SET default_transaction_read_only = off;",
            )
        )
    return found


def connections(facts: Row) -> Check:
    """Say how many connections are left: a node that restarts needs some."""
    used, most = facts["connections_used"], facts["connections_max"]
    says = f"{used} of {most} connections of the server are in use"
    left = most - used
    if (
        facts["role_connections_max"] is not None
        and facts["role_connections_max"] - facts["role_connections_used"] < left
    ):
        used, most = facts["role_connections_used"], facts["role_connections_max"]
        says = f"{used} of {most} connections of role {facts['role_name']} are in use"
    if most - used > most * _ROOM_SHARE_LOW:
        return Check("connections", "ok", says)
    return Check(
        "connections",
        "warning",
        f"{says}: nodes that start, and programs that submit, will be refused",
        "Raise max_connections (or the role's CONNECTION LIMIT), or put a pooler in between.",
    )


def notifications(facts: Row) -> Check:
    """Say how full the notification queue is: when it is full, no submit can commit."""
    share = facts["notify_usage"]
    says = f"the notification queue is {share:.0%} full"
    if share < _NOTIFY_SHARE_HIGH:
        return Check("notifications", "ok", says)
    return Check(
        "notifications",
        "warning",
        f"{says}: a session that listens has a transaction open. When it is full, no submit and no settle can commit",
        "Find the session in the server's log (it warns when the queue is half full), and end it.",
    )


def partitions(facts: Row, rows: Sequence[Row]) -> list[Check]:
    """Say whether the days to come have their partitions."""
    rest = next((row["bytes"] for row in rows if row["is_rest"]), 0)
    found = []
    if rest >= _REST_BYTES_LARGE:
        found.append(
            Check(
                "partitions",
                "warning",
                f"finished_rest holds {rest / MIB:,.0f} MiB: too much to look through while work goes on, so that no "
                "partitions are made and finished jobs are removed row by row",
                "Let a node run until retention has emptied it, then VACUUM FULL finished_rest in a quiet hour.",
            )
        )
    ahead = facts["days_ahead"] or 0.0
    if ahead < 1:
        found.append(
            Check(
                "partitions",
                "warning",
                "finished jobs of tomorrow have no partition: they go to finished_rest, and are removed row by row",
                "A running node makes them within a minute: start one with `rota run`.",
            )
        )
    return found or [
        Check(
            "partitions", "ok", f"{len(rows) - 1} of finished jobs, {ahead:.0f} days ahead; rest {rest / MIB:,.1f} MiB"
        )
    ]


def stuck(facts: Row) -> list[Check]:
    """Say what stands still."""
    found = []
    if facts["closed_holders"]:
        found.append(
            Check(
                "dead workers",
                "warning",
                f"{facts['closed_holders']} closed worker(s) still hold jobs",
                "A running node releases them within seconds: start one with `rota run`.",
            )
        )
    if facts["forgotten"]:
        found.append(
            Check(
                "stuck jobs",
                "warning",
                f"{facts['forgotten']} key(s) with waiting jobs and neither head nor turn",
                "The orchestrator's next sweep mends this: start a node with `rota run`. Please report it.",
            )
        )
    return found or [Check("stuck jobs", "ok", "none")]
