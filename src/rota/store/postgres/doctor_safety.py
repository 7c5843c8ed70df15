"""Whether what was accepted survives: on this server's disk, and across a fail-over (P1)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from rota.store.port import Check

Row = Mapping[str, Any]


def durability(facts: Row) -> Check:
    """Say whether what was accepted is on this server's disk (P1)."""
    off = [name for name in ("fsync", "full_page_writes", "synchronous_commit") if facts[name] == "off"]
    if off:
        is_are = "is" if len(off) == 1 else "are"
        advice = " ".join(f"ALTER SYSTEM SET {name} = on;" for name in off) + " SELECT pg_reload_conf();"
        if "synchronous_commit" in off:
            # A role's own setting, which it may have for the rest of the application's sake, wins over the server's.
            advice += (
                f" And if it is this role's own setting: ALTER ROLE {facts['role_name']} SET synchronous_commit = on;"
            )
        return Check(
            "durability",
            "error",
            f"{', '.join(off)} {is_are} off: accepted jobs can be lost when the server or its machine fails",
            advice,
        )
    return Check("durability", "ok", "every commit is on this server's disk before submit returns")


def fail_over(facts: Row, standbys: Sequence[Row]) -> Check:
    """Say whether P1 to P5 survive a fail-over: only to a server that had every commit before submit returned."""
    names, commit = facts["synchronous_standby_names"], facts["synchronous_commit"]
    in_step = [row["name"] for row in standbys if row["sync_state"] in ("sync", "quorum")]
    lagging = [row["name"] for row in standbys if row["sync_state"] in ("async", "potential")]
    loses = "can lose the last jobs, undo claims and repeat fences"
    if not names:
        if not standbys:
            return Check(
                "fail-over",
                "note",
                f"no standby: a fail-over, or a restore from a copy, {loses}",
                "If the disk must not be the only one: a standby, and synchronous_standby_names.",
            )
        return Check(
            "fail-over",
            "warning",
            f"{_listed(row['name'] for row in standbys)} follows behind: a fail-over to it {loses} (P1 does not survive it)",
            f"ALTER SYSTEM SET synchronous_standby_names = '{standbys[0]['name']}'; SELECT pg_reload_conf();",
        )
    if commit in ("off", "local"):
        return Check(
            "fail-over",
            "warning",
            f"synchronous_commit is {commit} here, so that no commit waits for the standbys {names}: a fail-over {loses}",
            f"ALTER ROLE {facts['role_name']} SET synchronous_commit = on;",
        )
    if not standbys:
        return Check(
            "fail-over",
            "error",
            f"synchronous_standby_names is {names}, and no standby is connected: every submit and settle waits until one is",
            "Start the standby; or give up P1 across fail-overs: ALTER SYSTEM SET synchronous_standby_names = ''; "
            "SELECT pg_reload_conf();",
        )
    if not in_step and not lagging:
        return Check(
            "fail-over",
            "note",
            f"synchronous_standby_names is {names}; whether one of {_listed(row['name'] for row in standbys)} is in step "
            "cannot be seen by this role",
            f"GRANT pg_read_all_stats TO {facts['role_name']};",
        )
    if not in_step:
        return Check(
            "fail-over",
            "error",
            f"synchronous_standby_names is {names}, and only {_listed(lagging)} is connected, which is none of them: every "
            "submit and settle waits until one is",
            "Compare the names with application_name in the standby's primary_conninfo.",
        )
    beside = f"; to {_listed(lagging)} it {loses}" if lagging else ""
    if commit == "remote_write":
        return Check(
            "fail-over",
            "note",
            f"survives a fail-over to {_listed(in_step)}, unless its machine fails at the same time: synchronous_commit is "
            f"remote_write{beside}",
            "Set synchronous_commit to on if that must be survived too.",
        )
    return Check("fail-over", "ok", f"P1 to P5 survive a fail-over to {_listed(in_step)}{beside}")


def _listed(names: Iterable[str]) -> str:
    return ", ".join(names)
