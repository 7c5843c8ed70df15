"""The SQL of an engine: one statement a file, named after it.

The files lie in ``store/<engine>/sql/`` and travel with the package. The list of files *is* the list of what the engine
asks of its database.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import cache
from importlib.resources import files
from types import MappingProxyType
from typing import NamedTuple

_COMMENT = re.compile(r"('(?:[^']|'')*')|--[^\n]*|/\*.*?\*/", re.DOTALL)
_BLANK_LINES = re.compile(r"\n\s*\n+")


class Step(NamedTuple):
    """A step of a migration.

    Attributes:
        name: Its file's name, or what it makes.
        sql: What it does, within one transaction.
    """

    name: str
    sql: str


@cache
def load(engine: str) -> Mapping[str, str]:
    """Return all statements of an engine by name: the text of each ``.sql`` file, without its comments.

    Args:
        engine: ``"sqlite"`` or ``"postgres"``.

    Raises:
        FileNotFoundError: If the package has no statements for this engine.
    """
    folder = files("rota.store") / engine / "sql"
    return MappingProxyType(
        {
            entry.name.removesuffix(".sql"): without_comments(entry.read_text(encoding="utf-8"))
            for entry in sorted(folder.iterdir(), key=lambda entry: entry.name)
            if entry.name.endswith(".sql")
        }
    )


def without_comments(sql: str) -> str:
    """Return a statement without its comments and blank lines; what looks like a comment in a string is kept."""
    bare = _COMMENT.sub(lambda found: found.group(1) or " ", sql)
    lines = (line.rstrip() for line in _BLANK_LINES.sub("\n", bare).splitlines())
    return "\n".join(line for line in lines if line).strip()
