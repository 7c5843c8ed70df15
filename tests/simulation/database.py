"""The store of a history: the real SQL, on SQLite in memory; one connection for one history after another.

A new connection for each would have to prepare every statement again, which takes longer than a history.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

import apsw

from rota.runtime.entropy import SystemEntropy
from rota.store.port import Wake
from rota.store.sqlite.store import SqliteStore
from rota.store.sqlite.writer import Look, Together, Write
from rota.store.wakes import Heard, parts_for
from tests.simulation.clocks import Machine, StoreClock

T = TypeVar("T")


class SimStore(SqliteStore):
    """A store in memory, of a process that never forks. Beside a file a reader has a connection of its own, too."""

    async def _write(self, write: Write[T], look: Look | None = None, together: Together | None = None) -> T:
        return self._desk._writer.call_inline(write, look, together)

    async def _read(self, read: Callable[[apsw.Connection], T]) -> T:
        return read(self._desk._writer._db)


class Ears:
    """Wake-ups, which are passed on at once: what becomes of them on their way is up to who listens."""

    def __init__(self) -> None:
        self._heard: dict[str, Heard] = {}

    def listen(self, name: str, heard: Heard) -> Callable[[], None]:
        """Add an ear; return what takes it away."""
        self._heard[name] = heard

        def stop() -> None:
            if self._heard.get(name) is heard:
                del self._heard[name]

        return stop

    def tell(self, wake: Wake, but: str = "") -> None:
        """Tell all whom it concerns, but for one."""
        for name, heard in list(self._heard.items()):
            part = parts_for(name.partition("-")[0], wake) if name != but else None
            if part is not None:
                heard(part)

    def close(self) -> None:
        """Forget all ears."""
        self._heard.clear()


class Database:
    """A store that can be emptied.

    Attributes:
        store: The store, whose calls never suspend.
    """

    def __init__(self) -> None:
        self._clock = StoreClock()
        opened = SqliteStore.open(":memory:", clock=self._clock, entropy=SystemEntropy(self._clock))
        self._desk: Any = opened._desk
        self.store = SimStore(self._desk, is_inline=True)
        self._desk._wakes = ears = Ears()
        self._desk.writer._tell = ears.tell
        self._db: Any = self._desk.writer._db
        names = [name for (name,) in self.rows("SELECT name FROM sqlite_schema WHERE type = 'table' ORDER BY name")]
        self._first = {name: self.rows(f"SELECT * FROM {name}") for name in names}

    def begin(self, machine: Machine, waiting_max: int) -> None:
        """Empty it, as it was when it was made; it lies on this machine now."""
        self._clock.machine = machine
        self._desk.waiting_max = waiting_max
        self._desk.queue_ids.clear()
        self._desk.task_ids.clear()
        self._desk.wakes.close()
        self._db.execute("BEGIN")
        for name, rows in self._first.items():
            self._db.execute(f"DELETE FROM {name}")
            for row in rows:
                self._db.execute(f"INSERT INTO {name} VALUES ({', '.join('?' * len(row))})", row)
        self._db.execute("COMMIT")

    def rows(self, sql: str, *bound: Any) -> list[tuple[Any, ...]]:
        """Return what a query of the simulator itself finds."""
        return list(self._db.execute(sql, bound))

    def one(self, sql: str, *bound: Any) -> Any:
        """Return the one value of a query."""
        return self._db.execute(sql, bound).get
