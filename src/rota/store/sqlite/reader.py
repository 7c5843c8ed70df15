"""The connection of this process that only reads, so that nobody who looks waits behind who writes."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

import apsw

from rota.errors import StoreBrokenError, StoreUnavailableError
from rota.store.sqlite.faults import translate

T = TypeVar("T")
Read = Callable[[apsw.Connection], T]


class Reader:
    """Reads in one thread of its own, or in the caller's; one at a time, each at one moment of the store.

    Args:
        open_db: Opens the connection when it is first needed.
        path: For messages.
        broke: Told when the disk has failed.
    """

    def __init__(
        self, open_db: Callable[[], apsw.Connection], path: str, broke: Callable[[StoreBrokenError], None]
    ) -> None:
        self._open_db = open_db
        self._path = path
        self._broke = broke
        self._db: apsw.Connection | None = None
        self._mutex = threading.Lock()
        self._thread: ThreadPoolExecutor | None = None
        self._is_closed = False

    @property
    def is_at_rest(self) -> bool:
        """Whether the file is read as it lies, without its log, since nobody uses it."""
        return False

    async def call(self, read: Read[T]) -> T:
        """Read in the reader's thread."""
        if self._thread is None:
            self._thread = ThreadPoolExecutor(1, thread_name_prefix="rota-reader")
        return await asyncio.get_running_loop().run_in_executor(self._thread, self.call_inline, read)

    def call_inline(self, read: Read[T]) -> T:
        """Read in this thread, inside of one transaction."""
        with self._mutex:
            if self._is_closed:
                raise StoreUnavailableError(
                    f"{self._path} has been closed by this process. Nothing was read.", path=self._path
                )
            try:
                return self._read(read)
            except StoreBrokenError as error:
                # Unless it is about another file: a copy's.
                if error.facts.get("path") == self._path:
                    self._broke(error)
                raise

    def _read(self, read: Read[T]) -> T:
        if self._db is None:
            self._db = self._open_db()
        db = self._db
        try:
            db.execute("BEGIN")
            return read(db)
        except apsw.Error as error:
            raise translate(error, self._path) from error
        finally:
            if db.in_transaction:
                db.execute("ROLLBACK")

    def close(self) -> None:
        """Let go of thread and connection."""
        if self._thread is not None:
            self._thread.shutdown(wait=True)
            self._thread = None
        with self._mutex:
            self._is_closed = True
            if self._db is not None:
                self._db.close()
                self._db = None
