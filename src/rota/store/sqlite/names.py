"""Queues and tasks have numbers in the store; a number is never given to another name."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import apsw

from rota.store.sqlite.writer import MUST_WRITE
from rota.store.statements import load

SQL = load("sqlite")

Numbers = tuple[dict[str, int], dict[str, int]]


def known(db: apsw.Connection) -> Numbers:
    """Return the numbers of all queues and of all tasks, by name."""
    found: Numbers = ({}, {})
    for is_task, name, number in db.execute(SQL["all_names"]):
        found[is_task][name] = number
    return found


def look(db: apsw.Connection, queues: Sequence[str], tasks: Sequence[str]) -> Any:
    """Return all numbers if these names have theirs, else ``MUST_WRITE``."""
    found = known(db)
    return found if found[0].keys() >= set(queues) and found[1].keys() >= set(tasks) else MUST_WRITE


def intern(db: apsw.Connection, queues: Sequence[str], tasks: Sequence[str]) -> Numbers:
    """Give these names numbers where they have none, and return all."""
    for queue in queues:
        number = db.execute(SQL["intern_queue"], (queue,)).get
        if number is not None:
            db.execute(SQL["insert_counter"], (number,))
    for task in tasks:
        db.execute(SQL["intern_task"], (task,))
    return known(db)
