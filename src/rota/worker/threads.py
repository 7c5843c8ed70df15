"""Threads, handed in: those that run ``def`` handlers, and the one that watches the event loop.

Code in a thread cannot be put on another time without its help. Whoever hands in other threads than the machine's decides
when each of them runs and for how long it waits.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from queue import SimpleQueue
from typing import Any, Protocol


class Joinable(Protocol):
    """A thread that was started."""

    def join(self, timeout: float | None = None) -> None:
        """Wait for its end, at most so many seconds."""
        ...


class Handover(Protocol):
    """A line in which one side puts things and the other waits for them."""

    def put(self, item: Any) -> None:
        """Put something in. Safe on any thread."""
        ...

    def get(self) -> Any:
        """Take the first, waiting for it."""
        ...


class Flag(Protocol):
    """Something that is set once."""

    def set(self) -> None:
        """Set it. Safe on any thread."""
        ...

    def wait(self, timeout: float) -> bool:
        """Wait until it is set, at most so many seconds; return whether it is."""
        ...


class Threads(Protocol):
    """Makes threads and what they wait for."""

    def start(self, work: Callable[[], None], name: str) -> Joinable:
        """Run something in a thread of its own, which does not keep the process from ending."""
        ...

    def handover(self) -> Handover:
        """Return an empty line."""
        ...

    def flag(self) -> Flag:
        """Return a flag that is not set."""
        ...


class SystemThreads:
    """The machine's own threads."""

    def start(self, work: Callable[[], None], name: str) -> Joinable:
        """Run something in a thread of its own."""
        thread = threading.Thread(target=work, name=name, daemon=True)
        thread.start()
        return thread

    def handover(self) -> Handover:
        """Return an empty line."""
        return SimpleQueue[Any]()

    def flag(self) -> Flag:
        """Return a flag that is not set."""
        return threading.Event()


SYSTEM_THREADS = SystemThreads()
