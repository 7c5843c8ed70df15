"""A store that is there for one test."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime

from rota.app.address import MEMORY
from rota.app.rota import Rota
from rota.testing.clock import ManualClock
from rota.testing.given import check_app


@contextmanager
def temporary_store(app: Rota, *, start: datetime | None = None) -> Iterator[ManualClock]:
    """Give an app a new, empty store in memory, and a clock that stands still; both are gone afterwards.

    It is the real SQLite engine. The app's own store is neither opened nor touched, and is the app's again at the end.

    Args:
        start: What the clock shows first; must carry a time zone. ``None`` for the first of January 2026.

    Yields:
        The clock: ``clock.advance(timedelta(hours=1))`` makes what is scheduled fall due.

    Raises:
        TypeError: ``app`` is no app.
        UsageError: ``start`` is no instant with a time zone.
    """
    check_app(app, "temporary_store")
    clock = ManualClock() if start is None else ManualClock(start)
    restore = app._stand_in(MEMORY, clock)
    try:
        yield clock
    finally:
        restore()
