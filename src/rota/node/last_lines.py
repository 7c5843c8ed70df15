"""The last lines of a process: what it writes to its standard error, read as it comes, of which only the end is kept."""

from __future__ import annotations

import asyncio
import os

KEPT_BYTES_MAX = 1_048_576
"""A job may write without end: all of it would fit neither on the disk nor into the memory of the supervisor."""

_READ_BYTES = 65_536
_READS_AT_END = 32
"""More than a pipe can hold. A process that has left its group may go on writing, and nobody must wait for that."""


class LastLines:
    """A pipe whose other end becomes a process's standard error.

    A process that writes faster than this is read waits for it, as it would for a terminal.

    Attributes:
        inlet: The end to write to; to be closed with ``close_inlet`` once the process has it.
    """

    def __init__(self) -> None:
        outlet, self.inlet = os.pipe()
        os.set_blocking(outlet, False)
        self._outlet: int | None = outlet
        self._kept = bytearray()
        self._loop = asyncio.get_running_loop()
        self._loop.add_reader(outlet, self._read)

    def close_inlet(self) -> None:
        """Let go of the writing end: from now on the process alone has it."""
        os.close(self.inlet)

    def take(self) -> bytes:
        """Return the end of what was written, at most ``KEPT_BYTES_MAX``, and read no more."""
        for _ in range(_READS_AT_END):
            if not self._read():
                break
        self._close()
        return bytes(self._kept[-KEPT_BYTES_MAX:])

    def _read(self) -> bool:
        """Read once; returns whether something came."""
        if self._outlet is None:
            return False
        try:
            data = os.read(self._outlet, _READ_BYTES)
        except BlockingIOError:
            return False
        if not data:  # Nobody can write to it any more: it would be readable for ever.
            self._close()
        self._kept += data
        if len(self._kept) > 2 * KEPT_BYTES_MAX:
            del self._kept[:-KEPT_BYTES_MAX]
        return bool(data)

    def _close(self) -> None:
        if self._outlet is not None:
            self._loop.remove_reader(self._outlet)
            os.close(self._outlet)
            self._outlet = None
