"""A full disk, a read-only file, a disk that fails: clear errors, nothing half written, nothing retried past."""

from __future__ import annotations

import asyncio
import select
from collections.abc import Callable
from typing import Any

import apsw
import pytest

from rota.errors import (
    OutcomeUnknownError,
    StoreBrokenError,
    StoreBusyError,
    StoreFullError,
    StoreReadOnlyError,
    StoreUnavailableError,
)
from rota.model.job import NewJob
from rota.store.port import JobFilter
from rota.store.sqlite.faults import translate
from rota.store.sqlite.store import SqliteStore
from tests.unit.store.sqlite.conftest import Opener

MakeJob = Callable[..., NewJob]


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (apsw.BusyError, StoreBusyError),
        (apsw.LockedError, StoreBusyError),
        (apsw.FullError, StoreFullError),
        (apsw.ReadOnlyError, StoreReadOnlyError),
        (apsw.IOError, StoreBrokenError),
        (apsw.CorruptError, StoreBrokenError),
        (apsw.NotADBError, StoreBrokenError),
        (apsw.CantOpenError, StoreUnavailableError),
    ],
)
def test_each_error_of_the_driver_has_its_meaning(error: type[apsw.Error], expected: type[Exception]) -> None:
    """Callers do three different things; the driver's names do not say which."""
    assert type(translate(error("it"), "shop.db")) is expected


class FailingCommit:
    """A connection whose next commit fails."""

    def __init__(self, db: apsw.Connection, error: apsw.Error, *, at: str = "COMMIT") -> None:
        self._db = db
        self._error: apsw.Error | None = error
        self._at = at

    def execute(self, sql: str, *values: Any) -> Any:
        if sql.startswith(self._at) and self._error is not None:
            error, self._error = self._error, None
            raise error
        return self._db.execute(sql, *values)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._db, name)


def no_room_for_index() -> apsw.Error:
    error = apsw.exception_for(apsw.SQLITE_IOERR_SHMSIZE)
    assert isinstance(error, apsw.IOError)
    return error


def fail(store: SqliteStore, error: apsw.Error, *, at: str = "COMMIT") -> None:
    writer: Any = store._desk.writer
    writer._db = FailingCommit(writer._db, error, at=at)


async def test_a_commit_without_room_writes_nothing_and_the_next_goes_through(
    store: SqliteStore, new_job: MakeJob
) -> None:
    """Somebody makes room; work goes on by itself."""
    await store.submit([new_job()])
    refused, taken = new_job(), new_job()
    fail(store, apsw.FullError("database or disk is full"))

    with pytest.raises(StoreFullError):
        await store.submit([refused])
    await store.submit([taken])

    assert list(await store.states([refused.token, taken.token])) == [taken.token]


async def test_no_room_in_the_middle_fails_all_that_share_the_transaction(store: SqliteStore, new_job: MakeJob) -> None:
    """Which of them was too much cannot be said; none of them is half there."""
    await store.submit([new_job()])
    jobs = [new_job() for _ in range(3)]
    fail(store, apsw.FullError("database or disk is full"), at="INSERT INTO live")
    with store._desk.writer._mutex:
        calls = [asyncio.ensure_future(store.submit([job])) for job in jobs]
        await asyncio.sleep(0)

    replies = await asyncio.gather(*calls, return_exceptions=True)

    assert [type(reply) for reply in replies] == [StoreFullError] * 3
    assert await store.states([job.token for job in jobs]) == {}
    await store.submit(jobs)


async def test_a_disk_error_at_the_commit_is_unknown_and_ends_all_writing(store: SqliteStore, new_job: MakeJob) -> None:
    """The log may hold it or not. Whoever writes on may build on what is lost at the next start."""
    first = new_job()
    await store.submit([first])
    fail(store, apsw.IOError("disk I/O error"))

    with pytest.raises(OutcomeUnknownError):
        await store.submit([new_job()])
    for _ in range(2):
        with pytest.raises(StoreBrokenError):
            await store.submit([new_job()])

    assert list(await store.states([first.token])) == [first.token]


async def test_a_commit_without_room_for_the_index_of_the_log_is_unknown_and_the_next_goes_through(
    store: SqliteStore, new_job: MakeJob
) -> None:
    """No error of the disk: the index is made anew at each start. But what was committed is in the log already."""
    job = new_job()
    await store.submit([new_job()])
    fail(store, no_room_for_index())

    with pytest.raises(OutcomeUnknownError, match="Make room"):
        await store.submit([job])
    await store.submit([job])

    assert list(await store.states([job.token])) == [job.token]
    full = no_room_for_index()
    assert type(translate(full, "shop.db")) is StoreFullError


async def test_a_disk_error_while_looking_ends_all_writing(store: SqliteStore, new_job: MakeJob) -> None:
    """Whoever only looked has seen the same disk."""
    job = new_job()
    await store.submit([job])
    reader: Any = store._desk.reader
    await store.queues()
    reader._db = FailingCommit(reader._db, apsw.IOError("disk I/O error"), at="BEGIN")

    with pytest.raises(StoreBrokenError):
        await store.queues()
    with pytest.raises(StoreBrokenError):
        await store.submit([new_job()])

    assert list(await store.states([job.token])) == [job.token]


async def test_a_disk_error_while_looking_for_something_to_do_ends_all_writing(
    store: SqliteStore, new_job: MakeJob
) -> None:
    """An idle worker takes no lock; what its look has met is an error of the disk all the same."""
    await store.submit([new_job()])
    fail(store, apsw.IOError("disk I/O error"), at="SELECT")

    with pytest.raises(StoreBrokenError):
        await store.expire()
    for again in (store.expire, lambda: store.submit([new_job()])):
        with pytest.raises(StoreBrokenError):
            await again()


async def test_a_disk_error_in_the_middle_ends_all_writing(store: SqliteStore, new_job: MakeJob) -> None:
    """Not retried past: the second try may succeed on a file that is damaged."""
    await store.submit([new_job()])
    fail(store, apsw.CorruptError("database disk image is malformed"), at="INSERT INTO live")

    with pytest.raises(StoreBrokenError):
        await store.submit([new_job()])
    with pytest.raises(StoreBrokenError):
        await store.cancel(new_job().token)


async def test_a_file_that_is_locked_for_too_long_is_told(open_store: Opener, path: str, new_job: MakeJob) -> None:
    """A stranger's transaction: the submit says so after the time that was allowed, and nothing is written."""
    store = open_store(busy_timeout_ms=20)
    await store.submit([new_job()])
    stranger = apsw.Connection(path)
    stranger.execute("BEGIN IMMEDIATE")
    job = new_job()

    with pytest.raises(StoreBusyError):
        await store.submit([job])
    stranger.execute("ROLLBACK")
    stranger.close()

    assert await store.states([job.token]) == {}
    await store.submit([job])


async def test_a_locked_file_can_still_be_read(open_store: Opener, path: str, new_job: MakeJob) -> None:
    """Who looks never waits for who writes."""
    store = open_store(busy_timeout_ms=0)
    job = new_job()
    await store.submit([job])
    stranger = apsw.Connection(path)
    stranger.execute("BEGIN IMMEDIATE")

    assert [row.token for row in await store.jobs(JobFilter())] == [job.token]
    assert (await store.queues())[0].waiting == 1

    stranger.execute("ROLLBACK")
    stranger.close()


async def test_a_new_file_that_another_process_is_just_making_is_waited_for(
    open_store: Opener, path: str, new_job: MakeJob, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Three programs begin at the same moment: SQLite refuses all but one of them at once, whatever their patience."""
    other = apsw.Connection(path)
    other.execute("BEGIN IMMEDIATE")
    waits = []

    def done_meanwhile(*_: object) -> None:
        waits.append(1)
        if len(waits) == 3:
            other.execute("COMMIT")

    monkeypatch.setattr(select, "select", done_meanwhile)
    store = open_store(busy_timeout_ms=60_000)

    await store.submit([new_job()])
    assert len(waits) >= 3
    other.close()


async def test_one_that_is_locked_for_too_long_is_told_when_it_is_opened(open_store: Opener, path: str) -> None:
    """The same patience as later, and not for ever."""
    other = apsw.Connection(path)
    other.execute("BEGIN IMMEDIATE")

    with pytest.raises(StoreBusyError, match="locked by somebody for longer"):
        open_store(busy_timeout_ms=20)
    other.execute("ROLLBACK")
    other.close()

    await open_store(busy_timeout_ms=20).queues()


async def test_a_file_that_is_no_database_is_told(tmp_path: Any, open_store: Opener) -> None:
    """A wrong path must not be overwritten."""
    wrong = tmp_path / "letter.txt"
    wrong.write_text("Dear Sir or Madam, " * 100)

    with pytest.raises(StoreBrokenError):
        open_store(str(wrong))

    assert wrong.read_text().startswith("Dear Sir")


async def test_a_folder_that_is_not_there_is_told(tmp_path: Any, open_store: Opener) -> None:
    """A misspelt path is the most common mistake of all."""
    with pytest.raises(StoreUnavailableError):
        open_store(str(tmp_path / "nowhere" / "shop.db"))
