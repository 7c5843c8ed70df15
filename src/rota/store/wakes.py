"""Wake-ups between the processes of one host: Unix datagrams, one socket a listener, in a folder.

    tell ──▶ every socket in the folder that it concerns ──▶ heard, on the listener's event loop

The folder is the list of who listens; it is read again when its time of change is another. On SQLite it lies beside the file,
and whoever commits tells. On PostgreSQL a node's supervisor hears what the server tells everybody, and passes it on to the
node's workers through a folder of the node's own. Nothing here is needed for anything to be right: a datagram may be lost, and
every listener also looks by itself, slowly.

Who is told what: ``worker-`` hears of slots, cancels and the ring; ``node-`` of the ring and of suspects; ``wait-`` of settled
jobs.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Final

import msgspec

from rota.errors import StoreReadOnlyError
from rota.store.owners import forget_own, mark_changed
from rota.store.port import Wake, Woken

Heard = Callable[[Wake], None]

_DATAGRAM_MAX: Final = 60_000
_PATH_MAX: Final = 107
_QUEUE_FULL: Final = 8
"""The kernel keeps ten datagrams of a socket unread. Who finds so many may have missed some, and looks everywhere."""
_EVERYTHING: Final = Wake(woken=None, settled=None)
_NOBODY: Final[dict[str, list[str]]] = {}
_SLOTS_MAX: Final = 1_024
"""Slots that are named one by one when wake-ups are taken together; more of them are "everywhere"."""

_LAST_PLACE: Final = (1 << 63) - 1

_encoder = msgspec.msgpack.Encoder()
_decoder = msgspec.msgpack.Decoder(Wake)


def parts_for(kind: str, wake: Wake) -> Wake | None:
    """Return what of a wake-up concerns listeners of a kind (``worker``, ``node``, ``wait``), or ``None``."""
    if kind == "worker" and (wake.woken is None or wake.woken or wake.cancels or wake.is_epoch):
        return wake if wake.settled == () else msgspec.structs.replace(wake, settled=())
    if kind == "node" and (wake.is_epoch or wake.is_alone):
        return Wake(is_epoch=wake.is_epoch, is_alone=wake.is_alone)
    if kind == "wait" and (wake.settled is None or wake.settled):
        return Wake(settled=wake.settled)
    return None


def lowest_place(wake: Wake) -> int:
    """Return the place before which a wake-up says nothing; the last that there can be if it names no slot."""
    if wake.woken is None:
        return wake.from_place
    return min((news.place for news in wake.woken), default=_LAST_PLACE)


def _is_staged(wake: Wake) -> bool:
    """Whether nothing needs to be staged for what a wake-up tells; nothing is told if it names no slot."""
    return wake.is_staged or (wake.woken is not None and not wake.woken)


def merged(first: Wake, second: Wake) -> Wake:
    """Return one wake-up that says what two say: of each slot the lowest place."""
    woken: dict[tuple[int, int], Woken] | None = None
    if first.woken is not None and second.woken is not None:
        woken = {}
        for news in (*first.woken, *second.woken):
            known = woken.get((news.queue_id, news.slot))
            if known is None or news.place < known.place:
                woken[news.queue_id, news.slot] = news
        if len(woken) > _SLOTS_MAX:
            woken = None
    is_settled_known = first.settled is not None and second.settled is not None
    return Wake(
        woken=None if woken is None else list(woken.values()),
        is_staged=_is_staged(first) and _is_staged(second),
        from_place=min(lowest_place(first), lowest_place(second)) if woken is None else 0,
        cancels=[*first.cancels, *second.cancels],
        settled=[*(first.settled or ()), *(second.settled or ())] if is_settled_known else None,
        is_epoch=first.is_epoch or second.is_epoch,
        is_alone=first.is_alone or second.is_alone,
    )


class Sockets:
    """Wake-ups through a folder.

    Args:
        folder: Made with rights for its owner alone when somebody listens.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = str(folder)
        self._stops: dict[str, Callable[[], None]] = {}
        self._sender: socket.socket | None = None
        self._folder_fd: int | None = None
        self._names: dict[str, list[str]] = {}
        self._changed_at = -1

    # ── hearing ──────────────────────────────────────────────────────────────────────────────────────────────────────

    def listen(self, name: str, heard: Heard) -> Callable[[], None]:
        """Open a socket of this name. A socket that a dead process left under it is replaced.

        Raises:
            StoreReadOnlyError: The folder cannot be made or written.
        """
        loop = asyncio.get_running_loop()
        try:
            os.makedirs(self._folder, mode=0o700, exist_ok=True)
            with contextlib.suppress(FileNotFoundError):
                os.unlink(f"{self._folder}/{name}")
            ear = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC)
            ear.setblocking(False)
            ear.bind(self._address(name))
        except OSError as error:
            raise StoreReadOnlyError(
                f"{self._folder} cannot be used for wake-ups ({error}). Look at its owner and rights.",
                path=self._folder,
            ) from error
        mark_changed(self._folder)
        loop.add_reader(ear.fileno(), _hear, ear, heard)

        def stop() -> None:
            if self._stops.pop(name, None) is None:
                return
            with contextlib.suppress(Exception):
                loop.remove_reader(ear.fileno())
            ear.close()
            forget_own(self._folder, name)
            with contextlib.suppress(OSError):
                os.unlink(f"{self._folder}/{name}")
                mark_changed(self._folder)

        self._stops[name] = stop
        return stop

    def close(self) -> None:
        """Stop all ears of this process, and let go of the folder."""
        for stop in list(self._stops.values()):
            stop()
        if self._sender is not None:
            self._sender.close()
            self._sender = None
        if self._folder_fd is not None:
            os.close(self._folder_fd)
            self._folder_fd = None

    # ── telling ──────────────────────────────────────────────────────────────────────────────────────────────────────

    def tell(self, wake: Wake, but: str = "") -> None:
        """Send one datagram to each socket that it concerns. What cannot be sent at once is lost."""
        try:
            for kind, names in self.listeners().items():
                part = parts_for(kind, wake)
                if part is not None:
                    self.send(part, [name for name in names if name != but])
        except OSError:
            # Out of descriptors, or a folder that may not be read: they will find out by looking.
            self._changed_at = -1

    def send(self, wake: Wake, names: Sequence[str]) -> None:
        """Send these a datagram that says all of a wake-up. What cannot be sent at once is lost.

        Raises:
            OSError: There is no descriptor left.
        """
        datagram, sender = _datagram(wake), self._sender
        if sender is None:
            sender = self._sender = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC)
            sender.setblocking(False)
        for name in names:
            try:
                sender.sendto(datagram, self._address(name))
            except ConnectionRefusedError:
                # Its process has ended without taking it away.
                with contextlib.suppress(OSError):
                    os.unlink(f"{self._folder}/{name}")
            except OSError:
                # Full (it has plenty to wake up for), or gone meanwhile.
                continue

    def listeners(self) -> dict[str, list[str]]:
        """Return the names of all that is in the folder, by kind; the same object until it has changed.

        Raises:
            OSError: The folder may not be read, or there is no descriptor left.
        """
        try:
            changed_at = os.stat(self._folder).st_mtime_ns
        except FileNotFoundError:
            return _NOBODY
        if changed_at != self._changed_at:
            names: dict[str, list[str]] = {}
            for name in os.listdir(self._folder):
                names.setdefault(name.partition("-")[0], []).append(name)
            self._names, self._changed_at = names, changed_at
        return self._names

    def _address(self, name: str) -> str:
        """Return a path to a socket that is short enough for the kernel: through a descriptor of the folder if need be."""
        path = f"{self._folder}/{name}"
        if len(os.fsencode(path)) <= _PATH_MAX:
            return path
        if self._folder_fd is None:
            self._folder_fd = os.open(self._folder, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
        return f"/proc/self/fd/{self._folder_fd}/{name}"


def _datagram(wake: Wake) -> bytes:
    """Return a wake-up in one datagram; one that names too much says "everything"."""
    data = _encoder.encode(wake)
    if len(data) > _DATAGRAM_MAX:
        woken = None if wake.woken else wake.woken
        settled = None if wake.settled else wake.settled
        place = lowest_place(wake) if woken is None else 0
        rest = Wake(
            woken=woken,
            settled=settled,
            is_epoch=wake.is_epoch,
            is_alone=wake.is_alone,
            from_place=place,
            is_staged=wake.is_staged,
        )
        data = _encoder.encode(rest)
    return data


def _hear(ear: socket.socket, heard: Heard) -> None:
    """Read all that has come; after a full queue say "everything" as well, since more may have been dropped."""
    read = 0
    for wake in _arrived(ear):
        read += 1
        heard(wake)
    if read >= _QUEUE_FULL:
        heard(_EVERYTHING)


def _arrived(ear: socket.socket) -> Iterator[Wake]:
    while True:
        try:
            data = ear.recv(_DATAGRAM_MAX + 1)
        except OSError:
            return
        with contextlib.suppress(msgspec.DecodeError):
            yield _decoder.decode(data)
