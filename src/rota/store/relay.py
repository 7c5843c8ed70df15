"""The relay: one process of a node hears what the server tells everybody, and passes it on to the node's workers.

    server ──one notification──▶ supervisor ──▶ a folder of the node's own ──▶ each worker that it concerns

Why: a notification wakes up one back end for each process that listens. A hundred workers that listened themselves would be a
hundred back ends, and a hundred connections, for each submit.

The first wake-up goes on at once; those that come within a few milliseconds after it go together, since the kernel keeps but
ten datagrams for a worker that is busy, and who may have missed one must look everywhere.

When the relay is silent or gone nobody is stuck: a worker looks into all of its slots once a second anyway. What it passes on
is what its own ear hears; when that has been lost, the first thing that comes is "look everywhere".

Invariants, each with the test that holds it:
    A lone wake-up is not held up by the relay.                  tests/postgres/test_listen.py
    What is passed on together says all that was heard.          tests/unit/store/test_relay.py
    A folder that a dead node left behind is removed.            tests/unit/store/test_relay.py
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

from rota.store.port import Wake
from rota.store.wakes import Sockets, merged

TOGETHER_S: Final = 0.005
"""How long wake-ups gather after one that has gone on: a busy worker reads 200 datagrams a second, and misses none."""

_PREFIX: Final = "wake-"


def relay_folder(folder: str, node_id: int) -> str:
    """Return where the workers of a node listen: in a place of its own, since several nodes of a host share its folder.

    Args:
        folder: Where the host's processes keep what belongs to their lives.
        node_id: The node's incarnation.
    """
    return os.path.join(folder, f"{_PREFIX}{node_id}")


def relay(store: object, folder: str, node_id: int) -> Callable[[], None]:
    """Have a store pass on to a node's workers what it hears, where they cannot hear it themselves. Returns what ends it."""
    begin: Any = getattr(store, "relay", None)
    if begin is None:
        return _nothing
    end: Callable[[], None] = begin(relay_folder(folder, node_id))
    return end


def _nothing() -> None:
    """Every process of this store is told by whoever commits."""


class Relay:
    """Passes wake-ups on, in the event loop in which it is made.

    Args:
        folder: The node's own; those that lie beside it and belong to nobody are removed.
    """

    def __init__(self, folder: str) -> None:
        self._folder = Path(folder)
        self._sockets = Sockets(self._folder)
        self._gathered: Wake | None = None
        self._timer: asyncio.TimerHandle | None = None
        for old in self._folder.parent.glob(f"{_PREFIX}*"):
            if old != self._folder:
                _remove_if_dead(old)

    def pass_on(self, wake: Wake) -> None:
        """Pass a wake-up on: now, or with those that come within a moment of the last."""
        if self._timer is None:
            self._send(wake)
        else:
            self._gathered = wake if self._gathered is None else merged(self._gathered, wake)

    def close(self) -> None:
        """End it. What has been gathered is lost, as any wake-up may be."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        self._sockets.close()
        _remove_if_dead(self._folder)

    def _send(self, wake: Wake) -> None:
        self._sockets.tell(wake)
        self._timer = asyncio.get_running_loop().call_later(TOGETHER_S, self._go_on)

    def _go_on(self) -> None:
        self._timer, gathered, self._gathered = None, self._gathered, None
        if gathered is not None:
            self._send(gathered)


def _remove_if_dead(folder: Path) -> None:
    """Remove the sockets to which nobody listens, and the folder with the last of them."""
    with contextlib.suppress(OSError), socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as probe:
        for path in folder.iterdir():
            try:
                probe.connect(str(path))
            except ConnectionRefusedError:
                path.unlink()
        folder.rmdir()
