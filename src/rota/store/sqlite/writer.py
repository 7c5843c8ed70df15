"""Group commit: whatever waits is committed together.

    async caller ──▶ waiting ──▶ the writer's thread ─┐
    sync caller ───▶ waiting ──▶ its own thread ──────┴─ mutex ─▶ BEGIN IMMEDIATE, each piece in turn, COMMIT ─▶ replies

Why no thread for a synchronous caller, nor for the claim of an idle worker's loop: the hop there and back costs as much as the
commit. Whoever gets the mutex takes all that waits, its own piece and everybody else's, so under load the price of one commit
is shared by all. Only that loop takes nothing of others': while something waits, its claim waits with it.

A piece of work is a function of the connection. With company it runs inside a savepoint: if it raises, what it wrote is
undone and the others go on. A piece may look first, outside of any transaction, whether there is anything to do at all: an
idle worker takes no lock.

Invariants, each with the test that holds it:
    A piece that fails neither leaves half of its work nor disturbs its company.   tests/unit/store/sqlite/test_writer.py
    A reply comes after its commit, or not at all.                                 tests/unit/store/sqlite/test_writer.py
    A loop does work itself only where it need not wait for a lock.                tests/unit/store/sqlite/test_writer_idle.py
    After a disk error nothing is written any more, not even at the end.           tests/power/test_disk_errors.py
    A forked child has a connection of its own.                                    tests/unit/store/sqlite/test_fork.py
"""

from __future__ import annotations

import asyncio
import contextlib
import copy
import queue
import threading
from collections import deque
from collections.abc import Callable, Sequence
from typing import Any, Final, TypeVar, cast

import apsw

from rota.errors import OutcomeUnknownError, RotaError, StoreBrokenError, StoreBusyError, StoreUnavailableError
from rota.store.port import Wake
from rota.store.sqlite.checkpoint import Log
from rota.store.sqlite.connection import NoMark, WriteMark, busy_handler, let_go
from rota.store.sqlite.faults import commit_unknown, stops_everything, translate
from rota.store.sqlite.mend import leave_note

T = TypeVar("T")
Write = Callable[[apsw.Connection, "News"], T]
Look = Callable[[apsw.Connection], Any]
Together = tuple[Callable[[apsw.Connection, "News", list[Any]], list[Any]], Any]
"""A function that does several pieces of one kind as one, and what it must be given of this piece."""

MUST_WRITE: Final = object()
"""What a look returns when there is something to do."""

_BATCH_MAX: Final = 1_000
_KIN_MIN: Final = 2


class News:
    """What is to be told to other processes once the transaction is committed."""

    __slots__ = ("wakes",)

    def __init__(self) -> None:
        self.wakes: list[tuple[Wake, str]] = []

    def tell(self, wake: Wake, *, but: str = "") -> None:
        """Tell this after the commit, to all but the listener of this name."""
        self.wakes.append((wake, but))


class Piece:
    """One piece of work and what became of it."""

    __slots__ = ("error", "future", "is_done", "look", "loop", "together", "value", "write")

    def __init__(self, write: Write[Any], look: Look | None, together: Together | None) -> None:
        self.write = write
        self.look = look
        self.together = together
        self.value: Any = None
        self.error: BaseException | None = None
        self.is_done = False
        self.loop: asyncio.AbstractEventLoop | None = None
        self.future: asyncio.Future[Any] | None = None

    def done(self, value: Any) -> None:
        """Take what it came to."""
        self.value, self.is_done = value, True

    def failed(self, error: BaseException) -> None:
        """Take what it raised."""
        self.value, self.error, self.is_done = None, error, True

    def reply(self) -> Any:
        """Return what it came to, or raise."""
        if self.error is not None:
            raise self.error
        return self.value


class Writer:
    """The one connection of this process that writes, and who waits for it.

    Args:
        db: The connection. The writer owns it.
        path: For messages.
        busy_timeout_ms: How long to wait for another process's lock.
        mark: Told when a write transaction begins and ends.
        tell: Sends a wake-up to all but one listener; called after the commit, without the mutex.
    """

    def __init__(
        self,
        db: apsw.Connection,
        path: str,
        *,
        busy_timeout_ms: int,
        mark: WriteMark | None,
        tell: Callable[[Wake, str], None],
    ) -> None:
        self._db = db
        self._log = Log(db, busy_timeout_ms)
        self._patience = busy_handler(busy_timeout_ms)
        self._path = path
        self._mark = mark or NoMark()
        self._tell = tell
        self._mutex = threading.Lock()
        self._starting = threading.Lock()
        self._waiting: deque[Piece] = deque()
        self._bell: queue.SimpleQueue[bool] = queue.SimpleQueue()
        self._is_rung = False
        self._thread: threading.Thread | None = None
        self._broken: StoreBrokenError | None = None
        self._is_closed = False

    # ── callers ──────────────────────────────────────────────────────────────────────────────────────────────────────

    async def call(self, write: Write[T], look: Look | None = None, together: Together | None = None) -> T:
        """Hand work to the writer's thread and wait for its commit. Cancelling the wait does not undo the work."""
        piece = Piece(write, look, together)
        piece.loop = asyncio.get_running_loop()
        piece.future = piece.loop.create_future()
        self._refuse_if_closed()
        self._waiting.append(piece)
        if not self._is_rung:
            self._is_rung = True
            if self._thread is None:
                self._start()
            self._bell.put(True)
        return cast(T, await piece.future)

    async def call_from_idle(self, write: Write[T], look: Look | None = None) -> T:
        """Do work in the thread of an event loop that has nothing else to do, if no lock must be waited for.

        That saves two changes of thread, which take as long as the work. If there is company or a lock is taken, the
        writer's thread does it as ever, and the loop goes on meanwhile.
        """
        self._refuse_if_closed()
        piece = Piece(write, look, None)
        if self._does_alone(piece):
            return cast(T, piece.reply())
        return await self.call(write, look)

    def call_inline(self, write: Write[T], look: Look | None = None, together: Together | None = None) -> T:
        """Do work in the calling thread, together with whatever waits, and return after its commit."""
        piece = Piece(write, look, together)
        self._refuse_if_closed()
        self._waiting.append(piece)
        while not piece.is_done:
            self._commit_waiting()
        return cast(T, piece.reply())

    def close(self) -> None:
        """Finish what waits, end the thread and close the connection."""
        if self._is_closed:
            return
        self._is_closed = True
        if self._thread is not None:
            self._bell.put(False)
            if self._thread is not threading.current_thread():
                self._thread.join()
        while self._waiting:
            self._commit_waiting()
        with self._mutex:
            if self._broken is None:
                # Closing moves the log; what cannot be moved stays in it, and is there the next time.
                with contextlib.suppress(apsw.Error):
                    self._db.close()
            let_go(self._db)

    def stop(self, error: StoreBrokenError) -> None:
        """Write no more: the disk has failed. Every call from now on is refused with this error."""
        if self._broken is None:
            self._broken = error
            leave_note(self._path)

    # ── the thread ───────────────────────────────────────────────────────────────────────────────────────────────────

    def _start(self) -> None:
        # Not the mutex: an event loop must not wait for somebody's commit.
        with self._starting:
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name="rota-writer", daemon=True)
                self._thread.start()

    def _run(self) -> None:
        while self._bell.get():
            # Lowered before the look: whoever comes now rings again, and is seen now or then.
            self._is_rung = False
            while self._waiting:
                # An error here has failed the batch in which it happened; the next one is not to blame.
                with contextlib.suppress(Exception):
                    self._commit_waiting()

    def _refuse_if_closed(self) -> None:
        if self._is_closed:
            raise StoreUnavailableError(
                f"{self._path} has been closed by this process. Nothing was done.", path=self._path
            )

    # ── a batch ──────────────────────────────────────────────────────────────────────────────────────────────────────

    def _commit_waiting(self) -> None:
        """Take what waits and carry it out; replies and wake-ups leave after the mutex has been let go."""
        batch: list[Piece] = []
        news = News()
        try:
            with self._mutex:
                while self._waiting and len(batch) < _BATCH_MAX:
                    batch.append(self._waiting.popleft())
                if batch:
                    self._carry_out(batch, news)
        except BaseException as error:
            for piece in batch:
                if not piece.is_done:
                    piece.failed(_interrupted(error, self._path))
            raise
        finally:
            for wake, but in news.wakes:
                self._tell(wake, but)
            deliver(batch)
        if self._log.is_due:
            self._move_log()

    def _does_alone(self, piece: Piece) -> bool:
        """Carry out a piece alone unless something must be waited for; return whether that was done."""
        news = News()
        if self._waiting or not self._mutex.acquire(blocking=False):
            return False
        try:
            self._db.set_busy_handler(None)
            self._carry_out([piece], news)
        finally:
            self._db.set_busy_handler(self._patience)
            self._mutex.release()
            for wake, but in news.wakes:
                self._tell(wake, but)
        return not isinstance(piece.error, StoreBusyError)

    def _carry_out(self, batch: list[Piece], news: News) -> None:
        writes = [piece for piece in batch if self._broken is not None or not self._look_first(piece)]
        if self._broken is not None:
            _fail(writes, self._broken)
            return
        if not writes:
            return
        try:
            # Within: an interrupt may come when the transaction has just begun, and then nobody would ever end it.
            if self._has_begun(writes):
                self._transact(writes, news)
        except BaseException:
            self._roll_back()
            raise
        finally:
            self._mark.ended()

    def _has_begun(self, writes: list[Piece]) -> bool:
        """Begin the transaction; if that cannot be, fail those who wait for it."""
        try:
            self._db.execute("BEGIN IMMEDIATE")
        except apsw.Error as error:
            self._stop_at(writes, translate(error, self._path))
            return False
        self._mark.began()
        return True

    def _look_first(self, piece: Piece) -> bool:
        """Let a piece look whether it has anything to write; returns whether it is done."""
        if piece.future is not None and piece.future.cancelled():
            piece.done(None)
        elif piece.look is not None:
            try:
                found = piece.look(self._db)
                if found is not MUST_WRITE:
                    piece.done(found)
            except apsw.Error as error:
                self._stop_at([piece], translate(error, self._path))
            except Exception as error:
                piece.failed(error)
        return piece.is_done

    def _transact(self, writes: list[Piece], news: News) -> None:
        has_company = len(writes) > 1
        try:
            results = self._do_together(writes, news) if has_company else []
            done_together = {id(piece) for piece, _ in results}
            for piece in writes:
                if id(piece) in done_together:
                    continue
                try:
                    results.append((piece, self._run_piece(piece, news, has_company)))
                except Exception as error:
                    piece.failed(self._own(error))
                    if self._stops_all(error):
                        raise
        except Exception as error:
            news.wakes.clear()
            self._roll_back()
            self._stop_at(writes, self._own(error))
            return
        if results:
            self._commit(results, news)
        else:
            self._roll_back()

    def _own(self, error: Exception) -> Exception:
        return translate(error, self._path) if isinstance(error, apsw.Error) else error

    def _stops_all(self, error: Exception) -> bool:
        """Whether the transaction is gone, or nobody's work can be kept for the same reason."""
        ours = self._own(error)
        return not self._db.in_transaction or (isinstance(ours, RotaError) and stops_everything(ours))

    def _do_together(self, writes: list[Piece], news: News) -> list[tuple[Piece, Any]]:
        """Do pieces of one kind as one; if that cannot be, undo it: they are then done one by one."""
        kin = [piece for piece in writes if piece.together is not None]
        if len(kin) < _KIN_MIN:
            return []
        told, db = len(news.wakes), self._db
        do_all = kin[0].together[0]  # type: ignore[index]
        db.execute("SAVEPOINT kin")
        try:
            values = do_all(db, news, [piece.together[1] for piece in kin if piece.together is not None])
        except Exception as error:
            if self._stops_all(error):
                raise
            # Anything else comes again with the piece that it belongs to.
            del news.wakes[told:]
            db.execute("ROLLBACK TO kin")
            db.execute("RELEASE kin")
            return []
        db.execute("RELEASE kin")
        return list(zip(kin, values, strict=True))

    def _run_piece(self, piece: Piece, news: News, has_company: bool) -> Any:
        db = self._db
        if not has_company:
            return piece.write(db, news)
        told = len(news.wakes)
        db.execute("SAVEPOINT piece")
        try:
            value = piece.write(db, news)
        except BaseException:
            del news.wakes[told:]
            if db.in_transaction:
                db.execute("ROLLBACK TO piece")
                db.execute("RELEASE piece")
            raise
        db.execute("RELEASE piece")
        return value

    def _commit(self, results: list[tuple[Piece, Any]], news: News) -> None:
        try:
            self._db.execute("COMMIT")
        except apsw.Error as error:
            news.wakes.clear()
            self._roll_back()
            ours: RotaError = translate(error, self._path)
            if isinstance(error, apsw.IOError | apsw.CorruptError):
                # The log may hold the whole transaction already: only the next start will tell.
                if isinstance(ours, StoreBrokenError):
                    self.stop(ours)
                ours = commit_unknown(error, self._path)
            _fail([piece for piece, _ in results], ours)
            return
        for piece, value in results:
            piece.done(value)

    def _move_log(self) -> None:
        with self._mutex:
            if self._is_closed or self._broken is not None or not self._log.is_due:
                return
            closes_door = self._log.is_long
            if closes_door:
                self._mark.began()
            try:
                self._log.move()
            except apsw.Error as error:
                # What was committed is safe in the log; but no more is written onto a disk that fails.
                self._stop_at([], translate(error, self._path))
            finally:
                if closes_door:
                    self._mark.ended()

    def _stop_at(self, writes: list[Piece], error: BaseException) -> None:
        if isinstance(error, StoreBrokenError):
            self.stop(error)
        _fail(writes, error)

    def _roll_back(self) -> None:
        try:
            if self._db.in_transaction:
                self._db.execute("ROLLBACK")
        except apsw.Error as error:
            ours = translate(error, self._path)
            self.stop(ours if isinstance(ours, StoreBrokenError) else StoreBrokenError(ours.message, **ours.facts))


def deliver(batch: Sequence[Piece]) -> None:
    """Give replies to those who wait in event loops: one call into each loop for all of a batch."""
    loops: dict[asyncio.AbstractEventLoop, list[Piece]] = {}
    for piece in batch:
        if piece.loop is not None:
            loops.setdefault(piece.loop, []).append(piece)
    for loop, pieces in loops.items():
        try:
            loop.call_soon_threadsafe(_resolve, pieces)
        except RuntimeError:
            # That loop has been closed: nobody waits there any more.
            continue


def _resolve(pieces: list[Piece]) -> None:
    for piece in pieces:
        future = piece.future
        if future is None or future.done():
            continue
        if piece.error is not None:
            future.set_exception(piece.error)
        else:
            future.set_result(piece.value)


def _fail(pieces: list[Piece], error: BaseException) -> None:
    """Fail those that have not failed by themselves, each with a copy: an error that is raised grows a traceback."""
    for piece in pieces:
        if not piece.is_done:
            piece.failed(copy.copy(error))


def _interrupted(error: BaseException, path: str) -> OutcomeUnknownError:
    return OutcomeUnknownError(
        f"the thread that was writing to {path} was interrupted ({type(error).__name__}): this call may or may not have been "
        "carried out. Asking again with the same token is safe.",
        path=path,
    )
