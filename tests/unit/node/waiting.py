"""Waiting for a condition of another process, with an end to it: no test here sleeps for a fixed time and hopes."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

T = TypeVar("T")

PATIENCE_S = 30.0
"""What nothing here takes, not even on a machine that does ten other things at once."""


def until(condition: Callable[[], T | None], what: str, seconds: float = PATIENCE_S) -> T:
    """Return the first true value of ``condition``; fail, naming ``what``, if there is none in time."""
    end = time.monotonic() + seconds
    while True:
        value = condition()
        if value:
            return value
        assert time.monotonic() < end, f"waited {seconds:g} s in vain for {what}"
        time.sleep(0.005)


def number_in(note: Path, what: str) -> int:
    """Wait until a process has written a number into a file, and return it."""
    until(lambda: note.exists() and note.read_text(), what)
    return int(note.read_text())
