"""Events as log lines for people.

    2026-11-25 09:52:01.123 warning worker.rescued    worker=mitte/1 jobs=3 seconds=0.041 · What a dead worker held is …

Warnings and errors carry their sentence, so that nobody needs the list to understand them.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any, TextIO

from rota.telemetry.events import EVENTS, Level
from rota.telemetry.fields import plain

NAME_WIDTH = 20


class LogLines:
    """A sink that writes one readable line an event.

    Args:
        stream: Where to; it is flushed after each line.
        now_us: The wall clock, microseconds since 1970; shown in local time.
        level: Events below it are left out.
    """

    def __init__(self, stream: TextIO, now_us: Callable[[], int], *, level: Level = Level.INFO) -> None:
        self._stream = stream
        self._now_us = now_us
        self._level = level

    def __call__(self, name: str, fields: Mapping[str, Any]) -> None:
        """Write one line."""
        event = EVENTS.get(name)
        level = Level.INFO if event is None else event.level
        if level < self._level:
            return
        parts = [moment(self._now_us()), level.name.lower().ljust(7), name.ljust(NAME_WIDTH)]
        parts += [f"{field}={_shown(value)}" for field, value in fields.items() if value is not None]
        if event is not None and level >= Level.WARNING:
            parts += ["·", event.sentence]
        self._stream.write(" ".join(parts).rstrip() + "\n")
        self._stream.flush()


def moment(us: int) -> str:
    """Return an instant in local time, to the millisecond."""
    whole, rest = divmod(us, 1_000_000)
    return f"{datetime.fromtimestamp(whole):%Y-%m-%d %H:%M:%S}.{rest // 1_000:03d}"


def _shown(value: Any) -> str:
    value = plain(value)
    if isinstance(value, float):
        return f"{value:.3f}"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, list):
        return ",".join(_shown(item) for item in value) or "-"
    text = str(value)
    needs_quotes = not text or any(letter in text for letter in ' "=') or not text.isprintable()
    return '"' + text.replace('"', "'").encode("unicode_escape").decode() + '"' if needs_quotes else text
