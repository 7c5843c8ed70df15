"""What the schema is made of, as text: numbered migrations once each, then all functions anew.

    migrations/001_first.sql, …   once each, in order      tables and their indexes
    sql/*.sql                     whenever one has changed  the functions, with their settings

What runs is what ``rota migrate --sql`` prints. Functions carry their own settings: behind a pooler the session's do not exist.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from hashlib import blake2b
from importlib.resources import files
from typing import NamedTuple

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

FUNCTIONS = 1
"""Which functions these are. Raised with every change of one, so that code can tell newer ones from older ones."""

SERVES = 1
"""The oldest code, by its own ``FUNCTIONS``, that may call these: its nodes go on while newer ones are started.

A function may get more arguments, with defaults. When it returns other columns, be it one more, or an argument or a column
means something else, this is raised to ``FUNCTIONS``; or the function stays, and the new one gets a new name.
"""

_NAME = re.compile(r"functions (\d+), for code from (\d+) on\b")

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

_UNLESS_NEWER = """\
DO $$
BEGIN
    IF (SELECT substring(name FROM '^functions ([0-9]+), ')::integer > {number} FROM migrations WHERE no = 0) THEN
        RAISE EXCEPTION 'the functions in this schema are newer than these. Nothing was changed';
    END IF;
END
$$;
"""


def migrations() -> Mapping[int, tuple[str, str]]:
    """Return name and text of every migration by number."""
    found = {}
    for entry in (files("rota.store") / "postgres" / "migrations").iterdir():
        if entry.name.endswith(".sql"):
            name = entry.name.removesuffix(".sql")
            found[int(name.partition("_")[0])] = (name, without_comments(entry.read_text(encoding="utf-8")))
    return dict(sorted(found.items()))


class Edition(NamedTuple):
    """Which functions are installed.

    Attributes:
        number: Higher in newer ones; 0 if none are there, or older ones than have a number.
        serves: The oldest code that may call them.
    """

    number: int
    serves: int

    @classmethod
    def of(cls, name: str | None) -> Edition:
        """Read the name under which functions were noted; what follows the two numbers may change."""
        found = _NAME.match(name or "")
        return cls(int(found[1]), int(found[2])) if found else cls(0, 0)

    @property
    def is_newer(self) -> bool:
        """Whether they are newer than this code."""
        return self.number > FUNCTIONS

    @property
    def serves_us(self) -> bool:
        """Whether this code may call them, being older."""
        return self.serves <= FUNCTIONS


def functions_name() -> str:
    """Return the name under which these functions are noted; it changes with the text of any."""
    return f"functions {FUNCTIONS}, for code from {SERVES} on, {functions_digest()}"


def functions_digest() -> str:
    """Return what changes with the text of any function."""
    digest = blake2b(digest_size=8)
    for name, text in load("postgres").items():
        digest.update(f"{name}\n{text}\n".encode())
    digest.update(repr((sorted(PLANNER.items()), sorted(_INNER), sorted(_PLAIN))).encode())
    return digest.hexdigest()


def unless_newer() -> str:
    """Return what stops a script that was printed by older code from putting its functions in the place of newer ones."""
    return _UNLESS_NEWER.format(number=FUNCTIONS)


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
