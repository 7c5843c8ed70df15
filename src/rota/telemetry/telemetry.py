"""Where events go in and sinks hang on."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from typing import Any

Sink = Callable[[str, Mapping[str, Any]], None]
"""Gets each event's name and fields, on the thread that emitted it. It should be quick, and may raise: nobody notices."""


class Telemetry:
    """Tells sinks what happens, and counts.

    Never raises and never waits for anything but its sinks; without sinks, an emit is one addition. It belongs to one
    process; counts are for people and dashboards: two threads that count the same thing in the same instant may lose one,
    and nothing is ever decided by them.

    Args:
        sinks: Who is told; see ``LogLines`` and ``JsonLines``.

    Attributes:
        counters: How often each event was emitted, by its name, and what ``count`` added, by its own.
    """

    def __init__(self, sinks: Iterable[Sink] = ()) -> None:
        self._sinks = tuple(sinks)
        self.counters: Counter[str] = Counter()

    def emit(self, name: str, /, **fields: Any) -> None:
        """Tell that something happened.

        Args:
            name: An event of ``rota.telemetry.events``.
            fields: As listed there. Tokens as their 16 bytes, errors as the exception itself.
        """
        self.counters[name] += 1
        for sink in self._sinks:
            try:
                sink(name, fields)
            except Exception:  # A full pipe or a closed terminal must not stop a worker.
                self.counters["telemetry.sink_failed"] += 1

    def count(self, name: str, amount: int = 1, /) -> None:
        """Add to a counter of ``rota.telemetry.events``. For batches and for what happens too often to be told."""
        self.counters[name] += amount
