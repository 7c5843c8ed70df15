"""Group commit: all that waits in one transaction, each piece for itself."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from typing import Any, cast

import apsw
import pytest

from rota.errors import StoreUnavailableError
from rota.model.job import NewJob
from rota.model.state import State
from rota.store.port import Wake
from rota.store.sqlite.store import SqliteStore
from rota.store.sqlite.writer import MUST_WRITE, News, Writer
from tests.unit.store.sqlite.inline import at_once
from tests.unit.store.sqlite.pieces import Marks, Told, a_writer, note, notes

MakeJob = Callable[..., NewJob]


async def held_up(writer: Writer, *pieces: Callable[[apsw.Connection, News], Any], **more: Any) -> list[Any]:
    """Let pieces wait until all of them are there, so that one transaction carries them; return replies and errors."""
    with writer._mutex:
        calls = [asyncio.ensure_future(writer.call(piece, **more)) for piece in pieces]
        await asyncio.sleep(0)
    return await asyncio.gather(*calls, return_exceptions=True)


async def test_what_waits_is_committed_together() -> None:
    """The price of a commit is the disk's; under load it must be shared."""
    marks = Marks()
    writer, db = a_writer(marks)

    replies = await held_up(writer, note("a"), note("b"), note("c"))

    assert (replies, notes(db), marks.calls) == (["a", "b", "c"], ["a", "b", "c"], ["began", "ended"])
    writer.close()


async def test_a_piece_that_fails_leaves_nothing_and_disturbs_nobody() -> None:
    """Half a batch of one caller, or none of another's, would be worse than any error."""
    writer, db = a_writer()

    first, bad, last = await held_up(writer, note("a"), note("b", "c", "!"), note("d"))

    assert (first, last, type(bad)) == ("a", "d", ValueError)
    assert notes(db) == ["a", "d"]
    writer.close()


async def test_a_piece_that_fails_alone_leaves_nothing() -> None:
    """Without company there is no savepoint; the whole transaction goes."""
    writer, db = a_writer()

    with pytest.raises(ValueError, match="a"):
        await writer.call(note("a", "!"))

    assert notes(db) == []
    assert not db.in_transaction
    assert await writer.call(note("b")) == "b"
    writer.close()


async def test_all_may_fail() -> None:
    """A transaction in which nothing is left is not committed."""
    writer, db = a_writer()

    replies = await held_up(writer, note("a", "!"), note("b", "!"))

    assert [type(reply) for reply in replies] == [ValueError, ValueError]
    assert (notes(db), db.in_transaction) == ([], False)
    writer.close()


async def test_wake_ups_leave_after_the_commit_and_only_of_what_was_done() -> None:
    """A worker that is woken before the commit finds nothing, and sleeps again."""
    told = Told()
    writer, _ = a_writer(told=told)

    def good(_: apsw.Connection, news: News) -> None:
        news.tell(Wake(is_epoch=True), but="worker-1")

    def bad(_: apsw.Connection, news: News) -> None:
        news.tell(Wake(is_alone=True))
        raise ValueError

    await held_up(writer, good, bad)

    assert told.wakes == [(Wake(is_epoch=True), "worker-1")]
    assert not told.was_open
    writer.close()


async def test_who_finds_nothing_to_do_takes_no_lock() -> None:
    """Idle workers ask all the time; that must not cost a write."""
    marks = Marks()
    writer, _ = a_writer(marks)

    reply = await writer.call(note("never"), look=lambda _: "nothing")

    assert (reply, marks.calls) == ("nothing", [])
    writer.close()


async def test_who_finds_something_writes() -> None:
    """A look is only a look."""
    writer, db = a_writer()

    await writer.call(note("a"), look=lambda _: MUST_WRITE)

    assert notes(db) == ["a"]
    writer.close()


async def test_a_look_that_fails_is_its_caller_s() -> None:
    """Its company is not to blame."""
    writer, db = a_writer()

    def refuse(_: apsw.Connection) -> Any:
        raise ValueError("no")

    with writer._mutex:
        bad = asyncio.ensure_future(writer.call(note("a"), look=refuse))
        good = asyncio.ensure_future(writer.call(note("b")))
        await asyncio.sleep(0)
    replies = await asyncio.gather(bad, good, return_exceptions=True)

    assert (type(replies[0]), replies[1], notes(db)) == (ValueError, "b", ["b"])
    writer.close()


async def test_pieces_of_one_kind_are_done_as_one() -> None:
    """64 callers with a job each are one insert."""
    writer, db = a_writer()
    seen: list[list[str]] = []

    def all_at_once(db: apsw.Connection, _: News, texts: list[str]) -> list[str]:
        seen.append(texts)
        db.execute("INSERT INTO notes SELECT value FROM carray(?)", (apsw.carray(tuple(texts)),))
        return [text.upper() for text in texts]

    with writer._mutex:
        calls = [
            asyncio.ensure_future(writer.call(note(text), together=(all_at_once, text))) for text in ("a", "b", "c")
        ]
        await asyncio.sleep(0)

    assert await asyncio.gather(*calls) == ["A", "B", "C"]
    assert (seen, notes(db)) == ([["a", "b", "c"]], ["a", "b", "c"])
    writer.close()


async def test_what_cannot_be_done_as_one_is_done_one_by_one() -> None:
    """One that is in the way must not take the others with it."""
    writer, db = a_writer()
    await writer.call(note("b"))

    def all_at_once(db: apsw.Connection, _: News, texts: list[str]) -> list[str]:
        for text in texts:
            db.execute("INSERT INTO notes VALUES (?)", (text,))
        return texts

    with writer._mutex:
        calls = [
            asyncio.ensure_future(writer.call(note(text), together=(all_at_once, text))) for text in ("a", "b", "c")
        ]
        await asyncio.sleep(0)
    replies = await asyncio.gather(*calls, return_exceptions=True)

    assert (replies[0], replies[2], notes(db)) == ("a", "c", ["a", "b", "c"])
    assert isinstance(replies[1], Exception)
    writer.close()


async def test_a_cancelled_wait_breaks_nothing() -> None:
    """A request is aborted while its submit is on the way: the next one goes through."""
    writer, db = a_writer()
    with writer._mutex:
        dropped = asyncio.ensure_future(writer.call(note("a")))
        kept = asyncio.ensure_future(writer.call(note("b")))
        await asyncio.sleep(0)
        dropped.cancel()
        await asyncio.sleep(0)

    assert await kept == "b"
    assert dropped.cancelled()
    assert "b" in notes(db)
    writer.close()


def test_two_event_loops_share_one_writer() -> None:
    """A web server's thread and a scheduler's thread submit through one store."""
    writer, db = a_writer()

    async def work(name: str) -> list[str]:
        return [await writer.call(note(f"{name}{number:02}")) for number in range(20)]

    threads = [threading.Thread(target=asyncio.run, args=(work(name),)) for name in "ab"]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert len(notes(db)) == 40
    writer.close()


def test_threads_and_event_loops_share_one_writer() -> None:
    """A synchronous view calls from its own thread, beside coroutines."""
    writer, db = a_writer()

    def sync(name: str) -> None:
        for number in range(30):
            writer.call_inline(note(f"{name}{number:02}"))

    async def work() -> None:
        await asyncio.gather(*(writer.call(note(f"c{number:02}")) for number in range(30)))

    threads = [threading.Thread(target=sync, args=(name,)) for name in "ab"]
    threads.append(threading.Thread(target=asyncio.run, args=(work(),)))
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert len(notes(db)) == 90
    writer.close()


def test_an_inline_caller_carries_what_waits() -> None:
    """Whoever has the mutex does everybody's work: nobody waits for a thread that is not there."""
    marks = Marks()
    writer, db = a_writer(marks)

    async def both() -> None:
        with writer._mutex:
            waiting = asyncio.ensure_future(writer.call(note("a")))
            await asyncio.sleep(0)
            caller = threading.Thread(target=writer.call_inline, args=(note("b"),))
            caller.start()
            while len(writer._waiting) < 2:
                await asyncio.sleep(0)
        assert await waiting == "a"
        caller.join()

    asyncio.run(both())

    assert (notes(db), marks.calls) == (["a", "b"], ["began", "ended"])
    writer.close()


def test_a_loop_that_is_gone_holds_up_nobody() -> None:
    """Its program has ended the loop with the submit still on its way."""
    writer, db = a_writer()

    async def leave() -> None:
        task = asyncio.ensure_future(writer.call(note("a")))
        await asyncio.sleep(0)
        task.cancel()

    with writer._mutex:
        asyncio.run(leave())

    assert writer.call_inline(note("b")) == "b"
    assert "b" in notes(db)
    writer.close()


async def test_after_the_close_nothing_is_taken() -> None:
    """An error at once is better than a wait for ever."""
    writer, _ = a_writer()
    await writer.call(note("a"))
    writer.close()
    writer.close()

    with pytest.raises(StoreUnavailableError):
        await writer.call(note("b"))
    with pytest.raises(StoreUnavailableError):
        writer.call_inline(note("b"))


def test_an_inline_store_never_suspends(store: SqliteStore, new_job: MakeJob) -> None:
    """The synchronous face drives its coroutines by hand."""
    inline = store.inline()
    job = new_job("mitte")

    at_once(inline.submit([job]))

    assert at_once(inline.states([job.token])) == {job.token: State.WAITING}
    assert at_once(inline.cancel(job.token)).was == State.WAITING
    assert at_once(inline.sweep()).total == 0


async def test_submits_that_wait_together_keep_their_own_replies(store: SqliteStore, new_job: MakeJob) -> None:
    """They are inserted as one, and each caller hears of its own slots."""
    jobs = [new_job(key) for key in ("mitte", "mitte", None, "wedding", None)]
    await store.submit([new_job()])
    with store._desk.writer._mutex:
        calls = [asyncio.ensure_future(store.submit([job])) for job in jobs]
        await asyncio.sleep(0)

    replies = await asyncio.gather(*calls)

    slots = [[woken.slot for woken in reply.woken] for reply in replies]
    assert slots == [[jobs[0].hash16 >> 6], [], *([job.hash16 >> 6] for job in jobs[2:])]
    assert all(not reply.duplicates for reply in replies)
    assert len(await store.states([job.token for job in jobs])) == 5


async def test_a_repeat_among_submits_that_wait_together_is_told(store: SqliteStore, new_job: MakeJob) -> None:
    """A token that claims to be new and is not sends the whole company the slow way."""
    known, new = new_job("mitte"), new_job("mitte")
    await store.submit([known])
    with store._desk.writer._mutex:
        calls = [asyncio.ensure_future(store.submit([job])) for job in (known, new)]
        await asyncio.sleep(0)

    again, first = await asyncio.gather(*calls)

    assert (set(again.duplicates), set(first.duplicates)) == ({known.token}, set())
    (queue,) = await store.queues()
    assert queue.waiting == 2


class Interrupted:
    """A connection whose caller is interrupted when the first transaction has just begun."""

    def __init__(self, db: apsw.Connection) -> None:
        self._db = db
        self._was_interrupted = False

    def __getattr__(self, name: str) -> Any:
        return getattr(self._db, name)

    def execute(self, sql: str, *more: Any) -> Any:
        """Execute, and then raise what Ctrl-C raises."""
        found = self._db.execute(sql, *more)
        if sql == "BEGIN IMMEDIATE" and not self._was_interrupted:
            self._was_interrupted = True
            raise KeyboardInterrupt
        return found


def test_an_interrupt_when_a_transaction_has_begun_ends_it() -> None:
    """Ctrl-C in a shell that submits: else the store stays locked, for everybody, until that shell is closed."""
    marks = Marks()
    writer, db = a_writer(marks)
    writer._db = cast(apsw.Connection, Interrupted(db))

    with pytest.raises(KeyboardInterrupt):
        writer.call_inline(note("a"))

    assert not db.in_transaction
    assert marks.calls[-1] == "ended"
    assert writer.call_inline(note("b")) == "b"
    assert notes(db) == ["b"]
    writer.close()
