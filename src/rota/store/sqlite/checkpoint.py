"""When to move the write-ahead log into the file.

After the replies have left, not inside of somebody's commit, and the sooner the smaller the commits are: a log that is written
over from its beginning is quicker than one that grows, since a file that grows makes the file system write as well. A lone
caller of small submits made 4,000 a second with a log of 600 pages, 2,500 with one of 10,000. Large commits bring so many
pages that a short log would be emptied after each.

Where several processes write without a pause, somebody has always added something before all has been moved, and the log would
grow for ever (two workers and a producer: 28,000 jobs a second instead of 44,000). So a long one is moved with the door
closed, that is with the write lock held, and given up after a moment if somebody reads.
"""

from __future__ import annotations

from typing import Final

import apsw

from rota.store.sqlite.connection import busy_handler

_PAGES_LEAST: Final = 600
_PAGES_MOST: Final = 4_000
_COMMITS: Final = 12
_PAGES_LONG: Final = 8_000
_DOOR_CLOSED_MS: Final = 100


class Log:
    """The log of a connection that writes.

    Args:
        db: The connection; its own automatic check-points end here.
        busy_timeout_ms: How long its other calls wait for a lock.
    """

    def __init__(self, db: apsw.Connection, busy_timeout_ms: int) -> None:
        self._db = db
        self._busy_timeout_ms = busy_timeout_ms
        self._pages = 0
        self._last = 0
        self._tried_at = 0
        db.set_wal_hook(self._committed)

    @property
    def is_long(self) -> bool:
        """Whether moving it needs the door closed: the write lock."""
        return self._pages >= _PAGES_LONG

    @property
    def is_due(self) -> bool:
        """Whether the log is long enough to be moved."""
        if self._pages < self._tried_at:
            self._tried_at = 0
        enough = min(_PAGES_LEAST + _COMMITS * self._last, _PAGES_MOST)
        # One that could not be finished, because somebody reads, is tried again when there is a good deal more.
        return self._pages >= self._tried_at + enough

    def move(self) -> None:
        """Move what can be moved without waiting for anybody; of a long log all, if nobody reads for long.

        Raises:
            apsw.Error: The disk failed. Everything is still in the log.
        """
        self._tried_at = self._pages
        mode = apsw.SQLITE_CHECKPOINT_RESTART if self.is_long else apsw.SQLITE_CHECKPOINT_PASSIVE
        self._db.set_busy_handler(busy_handler(_DOOR_CLOSED_MS))
        try:
            in_log, moved = self._db.wal_checkpoint(mode=mode)
        except apsw.BusyError:
            return
        finally:
            self._db.set_busy_handler(busy_handler(self._busy_timeout_ms))
        if moved >= in_log:
            # The next commit begins at the front.
            self._pages = self._tried_at = 0

    def _committed(self, _db: apsw.Connection, _name: str, pages: int) -> int:
        self._last = pages - self._pages if pages > self._pages else pages
        self._pages = pages
        return apsw.SQLITE_OK
