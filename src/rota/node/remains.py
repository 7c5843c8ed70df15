"""What a dead worker left on disk: its running table and its will, found by its proof of life."""

from __future__ import annotations

import os
from pathlib import Path

import msgspec
from msgspec import Struct

from rota.model.outcome import Outcome
from rota.worker.running import RunningTable

WILL = ".will"
"""What ``RunningTable.leave_will`` adds to the table's name."""


class Remains(Struct, frozen=True):
    """What is known from the files of a dead worker.

    Attributes:
        running: Jobs that it was running; ``None`` if that cannot be known.
        will: Outcomes that it left to be settled after its end; ``None`` if it left no will, so did not end on purpose.
    """

    running: frozenset[bytes] | None
    will: list[Outcome] | None


def table_path(folder: str, proof: str) -> str:
    """Return where the running table of the holder of this proof lies."""
    return os.path.join(folder, os.path.basename(proof) + ".table")


def read_remains(folder: str, proof: str) -> Remains:
    """Read them. Only once the process is dead: until then they change."""
    try:
        return remains_of(RunningTable.open(table_path(folder, proof)))
    except (OSError, ValueError):
        return Remains(None, None)


def remains_of(table: RunningTable) -> Remains:
    """Read them from a table that is mapped already."""
    running = frozenset(table.running())
    try:
        return Remains(running, table.will() if table.has_will else None)
    except (OSError, msgspec.MsgspecError):
        return Remains(running, None)


def remove_remains(folder: str, proof: str) -> None:
    """Remove the files. Safe to call twice."""
    path = table_path(folder, proof)
    for end in ("", WILL, WILL + ".draft"):
        Path(path + end).unlink(missing_ok=True)
