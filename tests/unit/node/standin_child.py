"""A process that waits for ever."""

from __future__ import annotations

import signal


def main() -> int:
    while True:
        signal.pause()
