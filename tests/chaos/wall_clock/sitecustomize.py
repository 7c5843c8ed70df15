"""A wall clock that can be set, for every process of a node: Python runs this first where ``PYTHONPATH`` names this folder.

Nothing else moves: neither the clocks that only go forward nor the kernel's timers. That the product reads the wall clock
in no other way is held by ``tests/house/test_world.py``.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from pathlib import Path


def set_by(file: Path) -> tuple[Callable[[], int], Callable[[], float]]:
    """Return ``time.time_ns`` and ``time.time`` of a clock that is as many seconds off as a file says at each look."""
    true_ns = time.time_ns

    def time_ns() -> int:
        return true_ns() + int(file.read_text()) * 1_000_000_000

    return time_ns, lambda: time_ns() / 1e9


time.time_ns, time.time = set_by(Path(os.environ["ROTA_CHAOS_CLOCK"]))
