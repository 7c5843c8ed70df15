"""A writer for tests, pieces of work for it, and what is seen of them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import apsw

from rota.store.port import Wake
from rota.store.sqlite.connection import MEMORY, open_connection
from rota.store.sqlite.writer import News, Writer


class Marks:
    """Counts write transactions."""

    def __init__(self) -> None:
        self.calls: list[str] = []

    def began(self) -> None:
        self.calls.append("began")

    def ended(self) -> None:
        self.calls.append("ended")


class Told:
    """Takes note of wake-ups, and of whether a transaction was open when they were sent."""

    def __init__(self) -> None:
        self.wakes: list[tuple[Wake, str]] = []
        self.db: apsw.Connection | None = None
        self.was_open = False

    def __call__(self, wake: Wake, but: str) -> None:
        assert self.db is not None
        self.was_open |= self.db.in_transaction
        self.wakes.append((wake, but))


def a_writer(marks: Marks | None = None, told: Told | None = None) -> tuple[Writer, apsw.Connection]:
    db = open_connection(MEMORY, busy_timeout_ms=0, durability="full")
    db.execute("CREATE TABLE notes (text TEXT PRIMARY KEY)")
    if told is not None:
        told.db = db
    return Writer(db, MEMORY, busy_timeout_ms=0, mark=marks, tell=told or (lambda _wake, _but: None)), db


def note(text: str, *more: str) -> Callable[[apsw.Connection, News], str]:
    """Return a piece that writes one text after the other; the same text twice is an error."""

    def write(db: apsw.Connection, _: News) -> str:
        for each in (text, *more):
            if each == "!":
                raise ValueError(text)
            db.execute("INSERT INTO notes VALUES (?)", (each,))
        return text

    return write


def notes(db: apsw.Connection) -> list[Any]:
    return [text for (text,) in db.execute("SELECT text FROM notes ORDER BY text")]
