"""How a process proves that it lives, and how others see that it does not any more.

    holder     takes a lock on a file of its own ─▶ registers ─▶ … ─▶ ends: the kernel drops the lock
    observer   may the lock be had? no: it lives. yes: its last thread has ended. cannot tell: it lives

``FileLocks`` is for a store that lies in one kernel's file system. It needs no clock: a database that is locked for long, a
laptop that sleeps, a process that is stopped, none of them lets go of a lock. POSIX record locks, for what else would be a
nuisance: a ``fork`` does not inherit them, so a child that outlives its worker does not speak for it; they work across
containers that share the volume. Two things must never happen in a holding process: opening its own file a second time and
closing it (any close drops the lock), and closing the descriptor. Hence the registry of this module, and hence the running
table is another file.

A counter lease, for a store that many machines share, fits the same protocol: ``rota.node.leases``. There, files lie in a
folder of the host, and one that is *missing* says nothing: its holder may live on another host, or behind another mount.

Invariants, each with the test that holds it:
    A free lock means that the process has ended.          tests/unit/node/test_liveness.py
    A process never tests, and so never drops, its own.    tests/unit/node/test_liveness.py
    What cannot be read is not evidence.                   tests/unit/node/test_liveness.py
"""

from __future__ import annotations

import fcntl
import os
import struct
import sys
from pathlib import Path
from typing import Protocol

from msgspec import Struct

from rota.runtime.clock import Clock
from rota.store.port import Membership

MISSING_S = 10.0
"""A lock file that nobody can find for this long is as good as free. Its holder makes it again within a second; but after
a restore of the database from a copy there is no holder."""

MISSING_LOOKS = 10
"""And so many looks must have missed it: after a sleep of the machine one look proves nothing."""

_FLOCK = "hhqqi4x"
"""``struct flock`` of 64-bit Linux: type, whence, start, length, pid."""


class Dead(Struct, frozen=True):
    """Incarnations, among those that were looked at, that have certainly ended.

    Attributes:
        nodes: Nodes.
        workers: Workers.
        expired: Those of the nodes of which nothing is known but that their lease has run out.
    """

    nodes: frozenset[int] = frozenset()
    workers: frozenset[int] = frozenset()
    expired: frozenset[int] = frozenset()


class Liveness(Protocol):
    """A policy of proof, apart from the engine, so that either can be tried with either."""

    @property
    def folder(self) -> str:
        """Where files of the processes lie, such as running tables: observers that can see it know more."""
        ...

    @property
    def lease_ms(self) -> int:
        """Length of a node's lease; 0 when the proof needs no clock."""
        ...

    def hold(self, proof: str) -> None:
        """Begin to prove that this process lives. Must come before it registers; lasts until the process ends.

        Raises:
            OSError: It cannot be proved.
        """
        ...

    def refresh(self) -> None:
        """Keep what this process holds provable. To be called about once a second."""
        ...

    def dead(self, seen: Membership, read_began_ns: int) -> Dead:
        """Judge everyone who was seen open, by a read that began at that instant (``Clock.boot_ns``) and has just returned."""
        ...

    def missed(self) -> None:
        """Start over what is counted from read to read: one of the reads has failed."""
        ...

    def sees(self, proof: str) -> bool:
        """Whether the end of this proof's holder would show here at once, so that it is worth looking again soon."""
        ...

    def forget(self, proof: str) -> None:
        """Remove what is left of a process that has ended and holds nothing."""
        ...


class FileLocks:
    """Proof by a lock on a file of one's own: beside the database, or in a folder of the host.

    Args:
        folder: Where the files lie; made if it is not there.
        clock: For how long a file has been missing.
        is_everyone_here: Everybody's file lies in this folder, so that one which is missing for long is as good as free.
    """

    lease_ms = 0

    def __init__(self, folder: str, clock: Clock, *, is_everyone_here: bool = True) -> None:
        Path(folder).mkdir(mode=0o700, parents=True, exist_ok=True)
        self.folder = os.path.realpath(folder)
        self._clock = clock
        self._is_everyone_here = is_everyone_here
        self._missing: dict[str, tuple[int, int]] = {}

    def hold(self, proof: str) -> None:
        """Make and lock the file of this name.

        Raises:
            OSError: The file cannot be made.
        """
        path = self._path(proof)
        _held[path] = _make_and_lock(path)

    def refresh(self) -> None:
        """Mend what others did: a file that was removed is made again, a lock that was dropped is taken again.

        User code in this process may close descriptors that are not its own; locking what is locked does nothing.
        """
        for path, descriptor in list(_held.items()):
            if os.path.dirname(path) == self.folder:
                Path(self.folder).mkdir(mode=0o700, parents=True, exist_ok=True)
                if _is_same_file(path, descriptor):
                    fcntl.lockf(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                else:
                    _held[path] = _make_and_lock(path)

    def dead(self, seen: Membership, read_began_ns: int) -> Dead:
        """Test the lock of everyone who was seen. When the read began does not matter: locks are not leases."""
        del read_began_ns
        return Dead(
            frozenset(node.id for node in seen.nodes if self.is_dead(node.proof)),
            frozenset(worker.id for worker in seen.workers if self.is_dead(worker.proof)),
        )

    def missed(self) -> None:
        """Do nothing: locks do not count from read to read."""

    def sees(self, proof: str) -> bool:
        """Whether this process can tell when the holder ends: where everyone is here always, else if its file is here."""
        return self._is_everyone_here or self.is_held(proof)

    def is_dead(self, proof: str) -> bool:
        """Whether the holder of this proof has certainly ended. Of one that holds none, nothing is ever certain."""
        path = self._path(proof)
        if not proof or path in _held:
            return False
        try:
            is_free = _is_free(path)
        except FileNotFoundError:
            return self._is_everyone_here and self._is_long_missing(path)
        except OSError:
            return False
        self._missing.pop(path, None)
        return is_free

    def is_held(self, proof: str) -> bool:
        """Whether the holder of this proof is certainly there: its lock was found, and was held."""
        path = self._path(proof)
        if not proof or path in _held:
            return bool(proof)
        try:
            return not _is_free(path)
        except OSError:
            return False

    def forget(self, proof: str) -> None:
        """Remove the file. Not one that this process holds."""
        path = self._path(proof)
        self._missing.pop(path, None)
        if path not in _held:
            Path(path).unlink(missing_ok=True)

    def _path(self, proof: str) -> str:
        return os.path.join(self.folder, os.path.basename(proof) + ".lock")

    def _is_long_missing(self, path: str) -> bool:
        now = self._clock.boot_ns()
        first, looks = self._missing.get(path, (now, 0))
        self._missing[path] = (first, looks + 1)
        return looks >= MISSING_LOOKS and now - first >= MISSING_S * 1e9


_held: dict[str, int] = {}
"""Path and descriptor of every lock of this process. One registry a process, because the kernel knows only processes: two
objects that did not know of each other would drop each other's locks."""


def _make_and_lock(path: str) -> int:
    """Make the file under another name, lock it, then give it its name: nobody ever sees it unlocked."""
    draft = path + ".draft"
    Path(draft).unlink(missing_ok=True)
    descriptor = os.open(draft, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    fcntl.lockf(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    os.replace(draft, path)
    return descriptor


def _is_same_file(path: str, descriptor: int) -> bool:
    try:
        return os.path.samestat(os.stat(path), os.fstat(descriptor))
    except OSError:
        return False


def _is_free(path: str) -> bool:
    """Ask without taking: an observer that took the lock for a moment would look alive to another one."""
    descriptor = os.open(path, os.O_RDWR | os.O_CLOEXEC)
    try:
        if sys.platform == "linux" and struct.calcsize("P") == 8:
            asked = struct.pack(_FLOCK, fcntl.F_WRLCK, os.SEEK_SET, 0, 0, 0)
            kind, *_ = struct.unpack(_FLOCK, fcntl.fcntl(descriptor, fcntl.F_GETLK, asked))
            return bool(kind == fcntl.F_UNLCK)
        return _can_be_taken(descriptor)
    finally:
        os.close(descriptor)


def _can_be_taken(descriptor: int) -> bool:
    try:
        fcntl.lockf(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except (BlockingIOError, PermissionError):
        return False
    return True
