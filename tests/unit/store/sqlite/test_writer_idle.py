"""The claim of an idle worker: its event loop does it itself where nothing must be waited for."""

from __future__ import annotations

import asyncio
import threading
from pathlib import Path

import apsw
import pytest

from rota.store.port import Wake
from rota.store.sqlite.connection import open_connection
from rota.store.sqlite.writer import News, Writer
from tests.unit.store.sqlite.pieces import Marks, Told, a_writer, note, notes


async def test_an_idle_loop_does_its_work_itself() -> None:
    """Two changes of thread would take as long as the work."""
    marks, told = Marks(), Told()
    writer, db = a_writer(marks, told)
    news = Wake(is_epoch=True)

    def write(db: apsw.Connection, wakes: News) -> int:
        note("a")(db, wakes)
        wakes.tell(news)
        return threading.get_ident()

    assert await writer.call_from_idle(write) == threading.get_ident()

    assert (notes(db), marks.calls) == (["a"], ["began", "ended"])
    assert (told.wakes, told.was_open) == ([(news, "")], False)
    with pytest.raises(ValueError, match="b"):
        await writer.call_from_idle(note("b", "!"))
    assert notes(db) == ["a"]
    writer.close()


async def test_an_idle_loop_waits_for_no_lock(tmp_path: Path) -> None:
    """Another process may hold it for long; the loop goes on, and its work is done when the lock is free."""
    path = str(tmp_path / "rota.db")
    db, stranger = (open_connection(path, busy_timeout_ms=60_000, durability="full") for _ in range(2))
    db.execute("CREATE TABLE notes (text TEXT PRIMARY KEY)")
    writer = Writer(db, path, busy_timeout_ms=60_000, mark=None, tell=lambda _wake, _but: None)

    stranger.execute("BEGIN IMMEDIATE")
    work = asyncio.create_task(writer.call_from_idle(note("a")))
    await asyncio.sleep(0)
    stranger.execute("COMMIT")

    assert await work == "a"
    assert notes(db) == ["a"]
    writer.close()
    stranger.close()


async def test_an_idle_loop_waits_for_no_thread_of_its_own() -> None:
    """A commit that is on its way may take long; what comes meanwhile is done with the next."""
    writer, db = a_writer()

    with writer._mutex:
        work = asyncio.create_task(writer.call_from_idle(note("a")))
        await asyncio.sleep(0)

    assert await work == "a"
    assert notes(db) == ["a"]
    writer.close()
