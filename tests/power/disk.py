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
        self._safe: dict[int, bytearray] = {}
        self._pending: dict[int, list[_Change]] = {}
        self._given = {name: bytearray(content) for name, content in (files or {}).items()}

    def apply(self, entries: Iterable[Entry]) -> None:
        """Let this happen, in order."""
        for entry in entries:
            if entry[0] == "write":
                self._pending[entry[1]].append((entry[2], entry[3]))
            elif entry[0] == "truncate":
                self._pending[entry[1]].append((entry[2], None))
            elif entry[0] == "sync":
                if self._syncs:
                    self._bring_home(entry[1])
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
        made = {number: self._drawn(number, chance) for number in sorted(set(named.values()))}
        return {name: made[number] for name, number in named.items()}

    def whole(self) -> dict[str, bytes]:
        """Return what it holds if the power stays on."""
        whole = {}
        for name, number in self.names().items():
            content = bytearray(self._safe[number])
            for change in self._pending[number]:
                _write(content, change)
            whole[name] = bytes(content)
        return whole

    def names(self) -> dict[str, int]:
        """Return the files by name as the running system sees them."""
        return _renamed(self._names, self._new_names)

    def _make(self, name: str, number: int) -> None:
        given = self._given.pop(name, None)
        self._safe[number], self._pending[number] = given if given is not None else bytearray(), []
        if given is None:
            self._new_names.append((name, number))
        else:
            self._names[name] = number

    def _bring_home(self, number: int) -> None:
        for change in self._pending[number]:
            _write(self._safe[number], change)
        self._pending[number].clear()

    def _drawn(self, number: int, chance: Random) -> bytes:
        content = bytearray(self._safe[number])
        for offset, data in self._pending[number]:
            if chance.random() >= KEPT:
                continue
            if data is None or chance.random() >= TORN:
                _write(content, (offset, data))
                continue
            for at in range(0, len(data), SECTOR_BYTES):
                if chance.random() < KEPT:
                    _write(content, (offset + at, data[at : at + SECTOR_BYTES]))
        return bytes(content)


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
