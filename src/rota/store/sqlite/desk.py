"""What all handles of one opened store share: the connections, who waits for them, the numbers of names, the wake-ups.

A fork gives a child a copy of all this that it must not use: the desk notices by the process id and sets itself up anew.
"""

from __future__ import annotations

import os
import threading
import weakref
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import apsw

from rota.model.job import NewJob
from rota.runtime.clock import Clock
from rota.runtime.entropy import Entropy
from rota.store.sqlite.connection import MEMORY, WriteMark, open_connection
from rota.store.sqlite.read_only import NoWriter, ReadOnlyReader
from rota.store.sqlite.reader import Reader
from rota.store.sqlite.rights import may_write
from rota.store.sqlite.wakes import InProcess, Switchboard
from rota.store.sqlite.writer import Writer
from rota.store.wakes import Sockets

_FOLDERS = ("wake", "proof")


class Desk:
    """One opened file.

    Args:
        path: Absolute, or ``:memory:``.
        clock: Gives the instants that are written.
        entropy: Where chance comes from.
        busy_timeout_ms: How long to wait for another process's lock.
        durability: ``full``, ``normal`` or ``off``.
        mark: Told of write transactions.
        waiting_max: Unfinished jobs that a queue may have.
        reads_only: Write nothing, make no file, and refuse whoever asks for it.
    """

    def __init__(
        self,
        path: str,
        *,
        clock: Clock,
        entropy: Entropy,
        busy_timeout_ms: int,
        durability: str,
        mark: WriteMark | None,
        waiting_max: int,
        reads_only: bool = False,
    ) -> None:
        self.path = path
        self.clock = clock
        self.entropy = entropy
        self.durability = durability
        self.waiting_max = waiting_max
        self._reads_only = reads_only
        self._busy_timeout_ms = busy_timeout_ms
        self._mark = mark
        self._lock = threading.Lock()
        self._left_behind: list[Any] = []
        self._set_up()
        self._pid = os.getpid()
        _desks.add(self)

    @property
    def is_memory(self) -> bool:
        """Whether it is a database in memory."""
        return self.path == MEMORY

    @property
    def folder(self) -> Path:
        """The folder beside the file: ``wake`` for sockets, ``proof`` for locks."""
        return Path(f"{self.path}.d")

    @property
    def writer(self) -> Writer:
        """The writer of this process."""
        self._after_fork()
        return self._writer

    @property
    def reader(self) -> Reader:
        """The reader of this process."""
        self._after_fork()
        return self._reader

    @property
    def wakes(self) -> Switchboard:
        """The wake-ups of this process."""
        self._after_fork()
        return self._wakes

    def open_another(self, *, is_reader: bool) -> apsw.Connection:
        """Open one more connection to the file."""
        return open_connection(
            self.path, busy_timeout_ms=self._busy_timeout_ms, durability=self.durability, is_reader=is_reader
        )

    def numbers(self, queues: Iterable[str], tasks: Iterable[str]) -> bool:
        """Whether the numbers of all these names are known to this process."""
        return self.queue_ids.keys() >= set(queues) and self.task_ids.keys() >= set(tasks)

    def knows_names_of(self, jobs: Sequence[NewJob]) -> bool:
        """Whether the numbers of these jobs' queues and tasks are known to this process."""
        for queue, task in {(job.queue, job.task) for job in jobs}:
            if queue not in self.queue_ids or task not in self.task_ids:
                return False
        return True

    def close(self) -> None:
        """Let go of everything. Safe to call twice."""
        self._after_fork()
        self._wakes.close()
        self._reader.close()
        self._writer.close()

    def _set_up(self) -> None:
        self.queue_ids: dict[str, int] = {}
        self.task_ids: dict[str, int] = {}
        if self._reads_only:
            self._set_up_to_read()
            return
        db = self.open_another(is_reader=False)
        self._wakes: Switchboard = InProcess() if self.is_memory else Sockets(self.folder / "wake")
        if not self.is_memory:
            for name in _FOLDERS:
                os.makedirs(self.folder / name, mode=0o700, exist_ok=True)
            os.chmod(self.folder, 0o700)
        writer = Writer(db, self.path, busy_timeout_ms=self._busy_timeout_ms, mark=self._mark, tell=self._wakes.tell)
        self._writer: Writer = writer
        self._reader = Reader(lambda: self.open_another(is_reader=True), self.path, writer.stop)

    def _set_up_to_read(self) -> None:
        wake = self.folder / "wake"
        # Without a place among the listeners one looks now and then instead.
        self._wakes = Sockets(wake) if may_write(str(wake)) else InProcess()
        self._writer = NoWriter(self.path)
        self._reader = ReadOnlyReader(self.path, self._busy_timeout_ms)
        self._reader.call_inline(lambda _: None)

    def _after_fork(self) -> None:
        if self._pid == os.getpid():
            return
        with self._lock:
            if self._pid != os.getpid():
                # The parent's connections, threads and sockets are never closed here: they are the parent's.
                self._left_behind += [self._writer, self._reader, self._wakes]
                self._set_up()
                # Last: until then, and if it could not be done, what is here is the parent's and must not be used.
                self._pid = os.getpid()


_desks: weakref.WeakSet[Desk] = weakref.WeakSet()


def _unlock_all() -> None:
    """In a forked child: another thread of the parent may have held the lock at the fork, and would for ever."""
    for desk in list(_desks):
        desk._lock = threading.Lock()


os.register_at_fork(after_in_child=_unlock_all)
