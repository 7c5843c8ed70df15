"""What the schema is made of, as text: numbered migrations once each, then all functions anew.

    migrations/001_first.sql, …   once each, in order      tables and their indexes
    sql/*.sql                     whenever one has changed  the functions, with their settings

What runs is what ``rota migrate --sql`` prints. Functions carry their own settings: behind a pooler the session's do not exist.
"""

from __future__ import annotations

from collections.abc import Mapping
from hashlib import blake2b
from importlib.resources import files

from rota.store.postgres.server import quoted
from rota.store.statements import load, without_comments

PLANNER = {
    # The tables are analysed while empty or full, at random: keep the planner off plans that read all of one.
    "enable_seqscan": "off",
    "enable_bitmapscan": "off",
    "enable_hashjoin": "off",
    "enable_mergejoin": "off",
    # Compiling takes longer than any of these statements.
    "jit": "off",
    # Plan once a connection; the parameters make no difference to the plan.
    "plan_cache_mode": "force_generic_plan",
}
"""Settings of every function, and why."""

_INNER = frozenset(
    {
        "stage_keys",
        "stage_slots",
        "tell_wakes",
        "best_of_slots",
        "keep_jobs",
        "refuse_settles",
        "token_at",
        "token_ms",
        "hash16",
        "place_of",
        "submit_once",
        "take_room",
        "require_delete",
        "slot_channel",
        "forgotten_keys",
    }
)
"""Called by other functions only, whose settings hold for them: setting them once more takes time."""

_PLAIN = frozenset({"submit_job", "list_partitions", "make_partitions", "drop_partition"})
"""Functions in which there is nothing to plan, or that have settings of their own."""

_DROP = """\
DO $$
DECLARE
    old regprocedure;
BEGIN
    FOR old IN SELECT p.oid FROM pg_proc p WHERE p.pronamespace = {schema}::regnamespace AND p.proname IN ({names}) LOOP
        EXECUTE 'DROP FUNCTION ' || old;
    END LOOP;
END
$$"""


def migrations() -> Mapping[int, tuple[str, str]]:
    """Return name and text of every migration by number."""
    found = {}
    for entry in (files("rota.store") / "postgres" / "migrations").iterdir():
        if entry.name.endswith(".sql"):
            name = entry.name.removesuffix(".sql")
            found[int(name.partition("_")[0])] = (name, without_comments(entry.read_text(encoding="utf-8")))
    return dict(sorted(found.items()))


def functions_name() -> str:
    """Return a name that changes with the text of any function."""
    digest = blake2b(digest_size=8)
    for name, text in load("postgres").items():
        digest.update(f"{name}\n{text}\n".encode())
    digest.update(repr((sorted(PLANNER.items()), sorted(_INNER), sorted(_PLAIN))).encode())
    return f"functions {digest.hexdigest()}"


def functions_sql(schema: str, texts: Mapping[str, str]) -> str:
    """Return what makes functions anew from their texts, with the settings that they need. Old ones of these names go."""
    names = ", ".join(literal(name) for name in texts)
    settings = " ".join(f"SET {key} = {value}" for key, value in PLANNER.items())
    statements = [_DROP.format(schema=literal(quoted(schema)), names=names)]
    for name, text in texts.items():
        statements.append(text.rstrip().removesuffix(";"))
        if name not in _INNER:
            planner = "" if name in _PLAIN else f" {settings}"
            statements.append(f"ALTER FUNCTION {quoted(schema)}.{name} SET search_path FROM CURRENT{planner}")
    return ";\n\n".join(statements) + ";\n"


def literal(text: str) -> str:
    """Return a text as an SQL literal."""
    return "'" + text.replace("'", "''") + "'"
