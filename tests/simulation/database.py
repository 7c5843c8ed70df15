"""The store of a history: the real SQL, on SQLite in memory; one connection for one history after another.

A new connection for each would have to prepare every statement again, which takes longer than a history.
"""

from __future__ import annotations

from typing import Any

from rota.runtime.entropy import SystemEntropy
from rota.store.sqlite.store import SqliteStore
from tests.simulation.clocks import Machine, StoreClock


class Database:
    """A store that can be emptied.

    Attributes:
        store: The store, whose calls never suspend.
    """

    def __init__(self) -> None:
        self._clock = StoreClock()
        opened = SqliteStore.open(":memory:", clock=self._clock, entropy=SystemEntropy(self._clock))
        self.store = opened.inline()
        self._desk: Any = opened._desk
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
