"""Events as JSON, one object a line, for machines (``--log-format json``).

    {"at":"2026-11-25T08:52:01.123456Z","level":"warning","event":"worker.rescued","worker":"mitte/1","jobs":3,…}

``at`` is UTC. A field named like one of the first three keeps its place behind them under ``field_<name>``.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any, TextIO

import msgspec

from rota.telemetry.events import EVENTS, Level
from rota.telemetry.fields import plain

_OWN = ("at", "level", "event")


class JsonLines:
    """A sink that writes one JSON object an event.

    Args:
        stream: Where to; it is flushed after each line.
        now_us: The wall clock, microseconds since 1970.
        level: Events below it are left out.
    """

    def __init__(self, stream: TextIO, now_us: Callable[[], int], *, level: Level = Level.INFO) -> None:
        self._stream = stream
        self._now_us = now_us
        self._level = level
        self._encoder = msgspec.json.Encoder()

    def __call__(self, name: str, fields: Mapping[str, Any]) -> None:
        """Write one line."""
        event = EVENTS.get(name)
        level = Level.INFO if event is None else event.level
        if level < self._level:
            return
        line: dict[str, Any] = {"at": utc_text(self._now_us()), "level": level.name.lower(), "event": name}
        for field, value in fields.items():
            line[f"field_{field}" if field in _OWN else field] = plain(value)
        self._stream.write(self._encoder.encode(line).decode() + "\n")
        self._stream.flush()


def utc_text(us: int) -> str:
    """Return an instant as RFC 3339 in UTC, to the microsecond."""
    whole, rest = divmod(us, 1_000_000)
    return f"{datetime.fromtimestamp(whole, UTC):%Y-%m-%dT%H:%M:%S}.{rest:06d}Z"
