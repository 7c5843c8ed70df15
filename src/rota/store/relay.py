"""The relay: one process of a node hears what the server tells everybody, and passes it on to the node's workers.

    server ──one notification──▶ supervisor ──▶ a folder of the node's own ─┬─▶ at once: the worker whose slot it is
                                                                            └─▶ later, together: the others

Why: a notification wakes up one back end for each process that listens. A hundred workers that listened themselves would be a
hundred back ends, and a hundred connections, for each submit.

Why the owner first: of a hundred workers one is meant. The others need to know only if it is busy or stuck, and help no
sooner than a good moment later; woken at once they would take the processor from the one who is to start the job. They are
told of all that came meanwhile, after some milliseconds, the more the larger the cluster is; in one of more than 25 workers
they are not told, since so many look often enough by themselves. Who owns what, the workers say themselves (``owners``); a
worker of whom nothing is known is told everything at once.

The first wake-up for a worker goes on at once; those that come within a few milliseconds after it go together, since the kernel
keeps but ten datagrams for a worker that is busy, and who may have missed one must look everywhere.

It hears what was settled only while somebody of its node waits for that, and in a large cluster of no slots but those that its
workers want to be told of. Who begins to wait, or has other slots than before, sends it an empty datagram, and it looks who
there is; if that is lost, it looks with the next thing that it passes on, or when its ear asks.

When the relay is silent or gone nobody is stuck: a worker looks into all of its slots once a second anyway. What it passes on
is what its own ear hears; when that has been lost, the first thing that comes is "look everywhere".

Invariants, each with the test that holds it:
    A lone wake-up is not held up by the relay.                  tests/postgres/test_listen.py
    What is passed on together says all that was heard.          tests/unit/store/test_relay.py
    A worker is told of its own slots at once.                   tests/unit/store/test_relay.py
    One that may help is told of others' slots a moment later.   tests/unit/store/test_relay.py
    Who begins to wait makes it listen to what is settled.       tests/postgres/test_listen_settled.py
    A folder that a dead node left behind is removed.            tests/unit/store/test_relay.py
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
from collections.abc import Callable, Collection
from pathlib import Path
from typing import Any, Final

from rota.errors import StoreReadOnlyError
from rota.model.limits import SLOT_COUNT
from rota.store.owners import Owners
from rota.store.port import Wake, Woken
from rota.store.wakes import Sockets, merged, parts_for

TOGETHER_S: Final = 0.005
"""How long wake-ups gather after one that has gone on: a busy worker reads 200 datagrams a second, and misses none."""

LATER_EACH_S: Final = 0.001
"""How long the others' news gathers: a millisecond for each worker that there is, but no less than ``TOGETHER_S``."""

TOLD_LATER_MAX: Final = 25
"""In a cluster of more workers the others are not told at all: the idle ones look elsewhere 40 times a second together anyway,
so that one of them comes within 25 ms on average, sooner than after news."""

_PREFIX: Final = "wake-"
_NAME: Final = "relay"


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


def tell_relay(sockets: Sockets) -> None:
    """Tell a node's relay that somebody wants to hear something else than before. Never raises; may be lost."""
    with contextlib.suppress(OSError):
        sockets.send(Wake(), sockets.listeners().get(_NAME, ()))


def _nothing() -> None:
    """Every process of this store is told by whoever commits."""


class Relay:
    """Passes wake-ups on, in the event loop in which it is made.

    Args:
        folder: The node's own; those that lie beside it and belong to nobody are removed.
        changed: Called when others listen than before.
    """

    def __init__(self, folder: str, changed: Callable[[], None] = _nothing) -> None:
        self._folder = Path(folder)
        self._sockets = Sockets(self._folder)
        self._owners = Owners(folder)
        self._changed = changed
        self._listeners: dict[str, list[str]] = {}
        self._told: set[str] = set()
        self._gathered: dict[str, Wake] = {}
        self._timer: asyncio.TimerHandle | None = None
        self._others = _Others()
        self._others_timer: asyncio.TimerHandle | None = None
        for old in self._folder.parent.glob(f"{_PREFIX}*"):
            if old != self._folder:
                _remove_if_dead(old)
        # Else whoever begins to wait is seen with the next wake-up.
        with contextlib.suppress(StoreReadOnlyError):
            self._sockets.listen(f"{_NAME}-{os.getpid()}", lambda _: self._look())
        self._look()

    @property
    def has_waiters(self) -> bool:
        """Whether anybody who listened at the last look waits for a result."""
        return bool(self._listeners.get("wait"))

    @property
    def slots(self) -> Collection[int]:
        """The slots of which somebody of this node wants to be told, its workers' own first; all, if those are told to help."""
        self._look()
        owners = self._owners
        rest = range(SLOT_COUNT) if owners.names and owners.workers_about <= TOLD_LATER_MAX else ()
        return dict.fromkeys((*owners.slots, *rest))

    def pass_on(self, wake: Wake) -> None:
        """Pass a wake-up on: to whom it means now, or with those that come within a moment of the last; to others later."""
        try:
            self._read()
            self._tell_kind("wait", wake)
            if wake.woken and not wake.cancels and not wake.is_epoch:
                self._pass_on_slots(wake.woken, is_staged=wake.is_staged)
            else:
                self._tell_kind("worker", wake)
        except OSError:
            # Out of descriptors, or a folder that may not be read: they will find out by looking.
            self._listeners = {}

    def close(self) -> None:
        """End it. What has been gathered is lost, as any wake-up may be."""
        for timer in (self._timer, self._others_timer):
            if timer is not None:
                timer.cancel()
        self._timer = self._others_timer = None
        self._sockets.close()
        _remove_if_dead(self._folder)

    def _read(self) -> None:
        """Look who listens, and, if that is another answer than the last, who owns what."""
        listeners = self._sockets.listeners()
        if listeners is not self._listeners:
            self._owners.read(listeners)
            self._listeners = listeners
            self._changed()

    def _look(self) -> None:
        with contextlib.suppress(OSError):
            self._read()

    def _tell_kind(self, kind: str, wake: Wake) -> None:
        """Tell all of a kind what concerns them."""
        if (names := self._listeners.get(kind)) and (part := parts_for(kind, wake)) is not None:
            for name in names:
                self._tell(name, part)

    def _pass_on_slots(self, woken: Collection[Woken], *, is_staged: bool) -> None:
        owners = self._owners
        is_for_others = owners.workers_about <= TOLD_LATER_MAX
        parts: dict[str, list[Woken]] = {name: list(woken) for name in owners.strangers}
        for news in woken:
            named = owners.of(news.queue_id, news.slot)
            for name in named:
                parts.setdefault(name, []).append(news)
            if is_for_others and news.queue_id in owners.queues and len(named) < len(owners.names):
                self._others.add(news, [*named, *owners.strangers], is_staged=is_staged)
        for name, part in parts.items():
            self._tell(name, Wake(woken=part, is_staged=is_staged))
        if self._others.has_news and self._others_timer is None:
            wait_s = max(TOGETHER_S, LATER_EACH_S * owners.workers_about)
            self._others_timer = asyncio.get_running_loop().call_later(wait_s, self._tell_others)

    def _tell(self, name: str, wake: Wake) -> None:
        """Tell somebody now; or soon, if that one was told something a moment ago."""
        if name in self._told:
            known = self._gathered.get(name)
            self._gathered[name] = wake if known is None else merged(known, wake)
            return
        self._sockets.send(wake, (name,))
        self._told.add(name)
        if self._timer is None:
            self._timer = asyncio.get_running_loop().call_later(TOGETHER_S, self._go_on)

    def _go_on(self) -> None:
        self._timer, gathered, self._gathered = None, self._gathered, {}
        self._told.clear()
        with contextlib.suppress(OSError):
            for name, wake in gathered.items():
                self._tell(name, wake)

    def _tell_others(self) -> None:
        self._others_timer, others, self._others = None, self._others, _Others()
        with contextlib.suppress(OSError):
            self._read()
            for name in self._listeners.get("worker", ()):
                if (wake := others.for_(name)) is not None:
                    self._tell(name, wake)


class _Others:
    """News that goes to those who were not told at once, of each slot once."""

    def __init__(self) -> None:
        self._news: dict[tuple[int, int], tuple[Woken, Collection[str]]] = {}
        self._is_staged = True

    @property
    def has_news(self) -> bool:
        return bool(self._news)

    def add(self, news: Woken, told: Collection[str], *, is_staged: bool) -> None:
        """Keep it for all but those who have been told."""
        slot = (news.queue_id, news.slot)
        if (known := self._news.get(slot)) is not None:
            news = min(news, known[0], key=lambda each: each.place)
            told = [name for name in told if name in known[1]]
        self._news[slot] = news, told
        self._is_staged = self._is_staged and is_staged

    def for_(self, name: str) -> Wake | None:
        """Return what one of them has not been told."""
        woken = [news for news, told in self._news.values() if name not in told]
        return Wake(woken=woken, is_staged=self._is_staged) if woken else None


def _remove_if_dead(folder: Path) -> None:
    """Remove the sockets to which nobody listens, and the folder, with whatever else is in it, with the last of them."""
    with contextlib.suppress(OSError), socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as probe:
        is_alive = False
        for path in folder.iterdir():
            if not path.is_socket():
                continue
            try:
                probe.connect(str(path))
                is_alive = True
            except ConnectionRefusedError:
                path.unlink()
        if not is_alive:
            for path in folder.iterdir():
                path.unlink()
            folder.rmdir()
