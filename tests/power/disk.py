"""What a disk may hold after the power went off: the model of a crash.

What was synced is there. Of what was not, each write is there or not (one half each), and of every seventh that is there only
some sectors of 512 bytes; a write that is there may follow one that is not, in the same file or in another. A truncation, a
new name and a removed name are there or not in the same way, until their file or their folder is synced. A file that grew
around a lost write has zeros there. Bytes that nobody wrote stay what they are (SQLite counts on that as well).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from random import Random
from typing import Final

from tests.power.logging_vfs import Entry

SECTOR_BYTES: Final = 512
KEPT: Final = 0.5
TORN: Final = 0.15

_Change = tuple[int, bytes | None]
"""Bytes written at an offset; ``None`` for a truncation to that size."""


class _File:
    """One file: what is certain, then what came later, each with whether it is certain, and whether it is doomed."""

    def __init__(self, content: bytes = b"") -> None:
        self.safe = bytearray(content)
        self._copy: bytes | None = None
        self.later: list[tuple[_Change, bool, bool]] = []

    def change(self, change: _Change) -> None:
        self.later.append((change, False, False))

    def sync(self) -> None:
        """Make certain what is not doomed; in its order, since it may lie over what is."""
        self.later = [(change, is_safe or not is_doomed, is_doomed) for change, is_safe, is_doomed in self.later]
        while self.later and self.later[0][1]:
            _write(self.safe, self.later.pop(0)[0])
            self._copy = None

    def _certain(self) -> bytes:
        """Return what is certain; one copy for all images of it, since most files of a day do not change any more."""
        if self._copy is None:
            self._copy = bytes(self.safe)
        return self._copy

    def doom(self) -> None:
        self.later = [(change, is_safe, not is_safe) for change, is_safe, _ in self.later]

    def whole(self) -> bytes:
        content = bytearray(self.safe)
        for change, _, _ in self.later:
            _write(content, change)
        return bytes(content)

    def drawn(self, chance: Random) -> bytes:
        if not self.later:
            return self._certain()
        content = bytearray(self.safe)
        for (offset, data), is_safe, _ in self.later:
            if not is_safe and chance.random() >= KEPT:
                continue
            if is_safe or data is None or chance.random() >= TORN:
                _write(content, (offset, data))
                continue
            for at in range(0, len(data), SECTOR_BYTES):
                if chance.random() < KEPT:
                    _write(content, (offset + at, data[at : at + SECTOR_BYTES]))
        return bytes(content)


class Disk:
    """What is on the disk for certain, and what may be.

    Args:
        files: What is there at the beginning, by name; all of it for certain.
        syncs: Whether syncs do what they promise; without them this is a disk that lies.
        syncs_folders: The same for the names in a folder.
    """

    def __init__(
        self, files: Mapping[str, bytes] | None = None, *, syncs: bool = True, syncs_folders: bool = True
    ) -> None:
        self._syncs, self._syncs_folders = syncs, syncs_folders
        self._names: dict[str, int] = {}
        self._new_names: list[tuple[str, int | None]] = []
        self._files: dict[int, _File] = {}
        # They have numbers of their own until somebody opens them, which is when the log gives them one.
        for number, (name, content) in enumerate((files or {}).items(), start=1):
            self._names[name] = -number
            self._files[-number] = _File(content)

    def apply(self, entries: Iterable[Entry]) -> None:
        """Let this happen, in order."""
        for entry in entries:
            if entry[0] == "write":
                self._files[entry[1]].change((entry[2], entry[3]))
            elif entry[0] == "truncate":
                self._files[entry[1]].change((entry[2], None))
            elif entry[0] == "sync":
                if self._syncs:
                    self._files[entry[1]].sync()
            elif entry[0] == "doomed":
                self._files[entry[1]].doom()
            elif entry[0] == "folder":
                if self._syncs_folders:
                    self._names = self.names()
                    self._new_names.clear()
            elif entry[0] == "made":
                self._make(entry[1], entry[2])
            elif entry[0] == "link":
                self._new_names.append((entry[1], entry[2]))
            else:
                self._new_names.append((entry[1], None))

    def image(self, chance: Random) -> dict[str, bytes]:
        """Draw what the disk holds if the power goes off now, by name."""
        lucky = [change for change in self._new_names if chance.random() < KEPT]
        named = _renamed(self._names, lucky)
        made = {number: self._files[number].drawn(chance) for number in sorted(set(named.values()))}
        return {name: made[number] for name, number in named.items()}

    def whole(self) -> dict[str, bytes]:
        """Return what it holds if the power stays on."""
        return {name: self._files[number].whole() for name, number in self.names().items()}

    def names(self) -> dict[str, int]:
        """Return the files by name as the running system sees them."""
        return _renamed(self._names, self._new_names)

    def _make(self, name: str, number: int) -> None:
        given = self._names.get(name, 0)
        if given < 0:
            self._files[number] = self._files.pop(given)
            self._names[name] = number
        else:
            self._files[number] = _File()
            self._new_names.append((name, number))


def _write(content: bytearray, change: _Change) -> None:
    offset, data = change
    if len(content) < offset:
        content.extend(bytes(offset - len(content)))
    if data is None:
        del content[offset:]
    else:
        content[offset : offset + len(data)] = data


def _renamed(names: Mapping[str, int], changes: Iterable[tuple[str, int | None]]) -> dict[str, int]:
    after = dict(names)
    for name, number in changes:
        if number is None:
            after.pop(name, None)
        else:
            after[name] = number
    return after
