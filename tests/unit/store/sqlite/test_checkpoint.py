"""The write-ahead log stays short, whoever writes or reads."""

from __future__ import annotations

from pathlib import Path

import apsw
import pytest

from rota.store.sqlite.checkpoint import Log
from rota.store.sqlite.connection import open_connection

PAGE = 4_120


class Shelf:
    """A connection with its log, and something to write."""

    def __init__(self, path: str) -> None:
        self.db = open_connection(path, busy_timeout_ms=0, durability="off")
        self.log = Log(self.db, 0)
        self.db.execute("CREATE TABLE IF NOT EXISTS notes (id INTEGER PRIMARY KEY, text BLOB)")

    def write(self, pages: int) -> None:
        """Commit so many pages."""
        self.db.execute("INSERT INTO notes (text) VALUES (zeroblob(?))", (pages * 4_000,))

    def move_if_due(self) -> bool:
        """Do as the writer does after its replies."""
        if not self.log.is_due:
            return False
        self.log.move()
        return True


@pytest.fixture
def path(tmp_path: Path) -> str:
    return str(tmp_path / "shop.db")


def log_pages(path: str) -> int:
    return Path(path + "-wal").stat().st_size // PAGE


def test_small_commits_keep_a_short_log(path: str) -> None:
    """It is written over and not made longer, which is what a lone caller's speed comes from."""
    shelf = Shelf(path)

    for _ in range(3_000):
        shelf.write(1)
        shelf.move_if_due()

    assert log_pages(path) < 1_000
    shelf.db.close()


def test_large_commits_are_not_followed_by_a_move_each(path: str) -> None:
    """Moving costs two waits for the disk."""
    shelf = Shelf(path)
    moves = 0

    for _ in range(40):
        shelf.write(300)
        moves += shelf.move_if_due()

    assert 1 <= moves <= 6
    assert log_pages(path) < 6_000
    shelf.db.close()


def test_a_reader_is_not_waited_for(path: str) -> None:
    """What it reads stays in the log; it is tried again later, and not after every commit."""
    shelf, reader = Shelf(path), open_connection(path, busy_timeout_ms=0, durability="full", is_reader=True)
    shelf.write(1)
    reader.execute("BEGIN")
    assert reader.execute("SELECT count(*) FROM notes").get == 1
    moves = 0

    for _ in range(100):
        shelf.write(300)
        moves += shelf.move_if_due()

    assert 1 <= moves <= 15
    assert reader.execute("SELECT count(*) FROM notes").get == 1
    reader.execute("ROLLBACK")
    reader.close()
    shelf.db.close()


def test_two_that_write_in_turn_keep_the_log_bounded(path: str) -> None:
    """There is always something that the other has added since: a long log is moved with the door closed."""
    first, second = Shelf(path), Shelf(path)

    for _ in range(100):
        first.write(200)
        second.write(200)
        first.move_if_due()
        second.write(10)
        second.move_if_due()

    assert log_pages(path) < 16_000
    first.db.close()
    second.db.close()


def test_a_log_in_memory_is_none() -> None:
    """A database in memory has no log; nothing must be moved."""
    db = apsw.Connection(":memory:")
    log = Log(db, 0)
    db.execute("CREATE TABLE notes (id INTEGER)")

    assert not log.is_due
    db.close()
