"""What a lease is made of: its lengths, the way on which it is renewed, and what falls when it is not."""

from __future__ import annotations

from typing import Protocol

from msgspec import Struct


class Line(Protocol):
    """The way on which renewals go: one that nothing else can fill or block."""

    async def renew(self, node_id: int, counter: int, limit_s: float) -> None:
        """Raise the node's counter to at least this value, by a connection that is not used by another call at this moment.

        Returns or raises within the limit. To be called while earlier calls are still on their way.

        Raises:
            NodeClosedError: The node has been closed.
            StoreError: It is not known to have been done.
        """
        ...

    def close(self) -> None:
        """Let go of connections, at once and without waiting for anybody."""
        ...


class Timer(Protocol):
    """Ends this process and its workers at an instant, by a power that this process cannot fail."""

    def arm(self, at_ns: int) -> None:
        """Let it fall at this instant (``Clock.boot_ns``), and not at the one before; at once if it has passed."""
        ...

    def disarm(self) -> None:
        """Let it not fall."""
        ...


class Terms(Struct, frozen=True):
    """What follows from the length of a lease. All nanoseconds, counted from the sending of a renewal."""

    lease_ns: int

    @classmethod
    def of_ms(cls, lease_ms: int) -> Terms:
        """Return the terms of a lease of this length."""
        return cls(lease_ms * 1_000_000)

    @property
    def renew_ns(self) -> int:
        """When the next renewal is sent: 2 s of 8 s."""
        return self.lease_ns // 4

    @property
    def patience_ns(self) -> int:
        """How long the first attempt is waited for before others are sent beside it: 0.5 s."""
        return self.lease_ns // 16

    @property
    def pause_ns(self) -> int:
        """How long after each further attempt the next one is sent: 0.25 s.

        An outage that began just before a renewal and lasted 2.5 s is over 4.5 s after the last good one; one attempt must
        begin and come through in the half second that is left.
        """
        return self.lease_ns // 32

    @property
    def limit_ns(self) -> int:
        """How long one attempt may take while workers run: 1 s. Others are on their way beside it."""
        return self.lease_ns // 8

    @property
    def long_limit_ns(self) -> int:
        """The same while none run: 4 s. There is no hurry, and a busy host may need long for a connection."""
        return self.lease_ns // 2

    @property
    def doubt_ns(self) -> int:
        """From when on a holder that is not answered takes others' silence for the store's: 4 s."""
        return self.lease_ns // 2

    @property
    def stop_ns(self) -> int:
        """When the supervisor stops its workers: 5 s."""
        return self.lease_ns * 5 // 8

    @property
    def kill_ns(self) -> int:
        """When the kernel ends it: 5.5 s."""
        return self.lease_ns * 11 // 16
