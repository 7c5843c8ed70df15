"""How often a node was asked to end: once is a drain, twice is now.

What is sent to all processes of a service at once (systemd's default, ``timeout``) reaches the supervisor twice: directly, and
passed on by its keeper. So signals close together are one. A person who is in a hurry presses again.

Held by tests/unit/node/test_asked.py.
"""

from __future__ import annotations

TOGETHER_S = 1.0


class Asked:
    """Tells a signal that is another one from one that has come twice. Times are seconds of a clock that only goes forward."""

    def __init__(self) -> None:
        self._last_s: float | None = None

    def is_another(self, now_s: float) -> bool:
        """Whether a signal that comes now is not the last one once more."""
        if self._last_s is not None and now_s - self._last_s < TOGETHER_S:
            return False
        self._last_s = now_s
        return True
