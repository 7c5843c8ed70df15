"""How a node keeps its lease, and makes sure that it runs nothing when it cannot.

    send ── renewal ──▶ answered: good ─────────────────────── 5/8 ─ lapsed ── 5.5/8 ─ killed ───────── 8/8 of the lease
     │                                                          │               │                        │
     │ counted from here                     workers are killed and reaped      the kernel, whatever     others may be
     │                                       by their supervisor                this process does        sure of it

Renewed every quarter of the lease, by a connection of its own. One that fails or is late is followed by others, each by a fresh
connection and side by side, since nobody knows which will come through; each has a higher counter value than those before it,
and the store keeps the greatest. The holder believes an answer only, and counts from before it *sent* what was answered.

Workers may run only between ``begin`` and ``end``, and all that time the kernel's timer is armed. When the lease has lapsed the
supervisor kills and reaps them; once they are gone nothing needs the timer any more. So the supervisor survives a long outage,
goes on asking, and begins anew when it is answered: if the node is still open, with new workers; if others have closed it,
as a new node.

Invariants, each with the test that holds it:
    Nothing runs while the timer is not armed.                          tests/unit/node/test_lease.py
    Counted from before the send; a late answer counts as it was sent.  tests/unit/node/test_lease.py
    Every attempt has a value of its own, higher than all before it.    tests/unit/node/test_lease.py
    All lengths scale with the lease.                                   tests/unit/node/test_lease.py
    An outage is counted when it is over, once.                         tests/unit/node/test_lease.py

Not here: the lengths (``rota.node.lease_terms``), how others judge (``rota.node.leases``), the timer
(``rota.node.kernel_timer``), the connection (the store's engine).
"""

from __future__ import annotations

import asyncio
import contextlib
from typing import Protocol

from rota.errors import NodeClosedError
from rota.node.lease_terms import Line, Terms, Timer
from rota.runtime.clock import Clock
from rota.runtime.entropy import Entropy
from rota.telemetry.telemetry import Telemetry


class Tenure(Protocol):
    """By what right a node runs workers: ``Lease``, or ``NoLease`` where nothing can run out."""

    @property
    def is_good(self) -> bool:
        """Whether workers may be started and may run at this moment."""
        ...

    @property
    def runs_on(self) -> bool:
        """Whether workers go on when it cannot be kept: ``on_store_loss="run"``."""
        ...

    @property
    def is_unheard(self) -> bool:
        """Whether no renewal has been answered for half a lease: then others' cannot be expected to be, either."""
        ...

    @property
    def outages(self) -> int:
        """How often it was so, and is over."""
        ...

    @property
    def closed(self) -> asyncio.Event:
        """Set when others have closed the node: it was taken for dead."""
        ...

    async def run(self, node_id: int, name: str) -> None:
        """Keep it, for this node, until cancelled or closed. Safe to call again."""
        ...

    async def good(self) -> None:
        """Wait until it is good."""
        ...

    async def lapsed(self) -> None:
        """Wait until it is not good any more."""
        ...

    def begin(self) -> bool:
        """Arm the timer, since workers are about to be started; ``False`` if none may be."""
        ...

    def end(self) -> None:
        """Need no timer: all workers have been reaped, and none will be started before the next ``begin``."""
        ...


class NoLease:
    """The right of a node whose proof of life is a lock: it has it for as long as it lives."""

    is_good = True
    runs_on = False
    is_unheard = False
    outages = 0

    def __init__(self) -> None:
        self.closed = asyncio.Event()

    async def run(self, node_id: int, name: str) -> None:
        """Do nothing, for ever."""
        del node_id, name
        await asyncio.Event().wait()

    async def good(self) -> None:
        """Return."""

    async def lapsed(self) -> None:
        """Wait for ever."""
        await asyncio.Event().wait()

    def begin(self) -> bool:
        """Return that workers may run."""
        return True

    def end(self) -> None:
        """Do nothing."""


class Lease:
    """One node's lease, as its holder sees it.

    Args:
        lease_ms: Its length.
        line: Where renewals go.
        timer: What ends this process when it cannot be renewed; it falls only between ``begin`` and ``end``.
        stops: The lease lapses, and workers stop. Without it (``on_store_loss="run"``) they go on whatever happens.
        clock: Time.
        entropy: Jitter between attempts in a long outage.
        telemetry: Who is told.

    Attributes:
        closed: Set when others have closed the node: it was taken for dead.
        outages: How often no renewal was answered for half a lease, and then one was.
    """

    def __init__(
        self,
        lease_ms: int,
        line: Line,
        timer: Timer,
        *,
        stops: bool = True,
        clock: Clock,
        entropy: Entropy,
        telemetry: Telemetry,
    ) -> None:
        self.closed = asyncio.Event()
        self.outages = 0
        self._terms = Terms.of_ms(lease_ms)
        self._line = line
        self._timer = timer
        self._stops = stops
        self._clock = clock
        self._entropy = entropy
        self._telemetry = telemetry
        self._name = ""
        self._node_id = 0
        self._counter = 0
        self._sent_ns: int | None = None
        self._began_ns: int | None = None
        self._next_ns = 0
        self._tries = 0
        self._has_begun = False
        self._is_good = asyncio.Event()
        self._has_lapsed = asyncio.Event()
        self._attempts: set[asyncio.Task[None]] = set()
        self._news = asyncio.Event()

    # ── what the supervisor asks ─────────────────────────────────────────────────────────────────────────────────────

    @property
    def is_good(self) -> bool:
        """Whether workers may be started and may run at this moment."""
        if self._sent_ns is None or self.closed.is_set():
            return False
        return not self._stops or self._now() - self._sent_ns < self._terms.stop_ns

    @property
    def runs_on(self) -> bool:
        """Whether workers go on when it has run out."""
        return not self._stops

    @property
    def is_unheard(self) -> bool:
        """Whether no renewal has been answered for half a lease."""
        since = self._sent_ns if self._sent_ns is not None else self._began_ns
        return since is not None and self._now() - since >= self._terms.doubt_ns

    async def good(self) -> None:
        """Wait until the lease is good."""
        await self._is_good.wait()

    async def lapsed(self) -> None:
        """Wait until it is not good any more."""
        await self._has_lapsed.wait()

    def begin(self) -> bool:
        """Arm the timer, since workers are about to be started; ``False`` if none may be."""
        if not self.is_good:
            return False
        self._has_begun = True
        self._arm()
        return True

    def end(self) -> None:
        """Disarm the timer: all workers have been reaped, and none will be started before the next ``begin``."""
        self._has_begun = False
        self._timer.disarm()

    # ── renewing ─────────────────────────────────────────────────────────────────────────────────────────────────────

    async def run(self, node_id: int, name: str) -> None:
        """Renew until the node is closed by others, or until cancelled. Safe to call again."""
        self._node_id, self._name = node_id, name
        if self._began_ns is None:
            self._began_ns = self._now()
        try:
            while not self.closed.is_set():
                now = self._now()
                self._look_whether_lapsed(now)
                if now >= self._next_ns:
                    self._send(now)
                await self._pause(self._wakes_at() - now)
        finally:
            for attempt in self._attempts:
                attempt.cancel()

    def _send(self, now_ns: int) -> None:
        """Begin one attempt, and say when the next one begins if nothing is heard of it."""
        self._tries += 1
        self._counter += 1
        limit_ns = self._terms.limit_ns if self._is_good.is_set() else self._terms.long_limit_ns
        attempt = asyncio.create_task(self._attempt(self._counter, now_ns, limit_ns / 1e9))
        self._attempts.add(attempt)
        attempt.add_done_callback(self._attempts.discard)
        self._next_ns = now_ns + self._wait_ns()

    def _wait_ns(self) -> int:
        terms = self._terms
        if self._tries == 1:
            return terms.patience_ns
        if self._is_good.is_set():
            return terms.pause_ns
        longest = min(terms.renew_ns, terms.pause_ns * 2 ** min(self._tries - 1, 10))
        return int(self._entropy.uniform(longest / 2, longest))

    async def _attempt(self, counter: int, sent_ns: int, limit_s: float) -> None:
        try:
            await self._line.renew(self._node_id, counter, limit_s)
        except NodeClosedError:
            self.closed.set()
        except Exception as error:  # Whatever it was, it was no answer.
            self._has_failed(sent_ns, error)
        else:
            self._is_answered(sent_ns)
        self._news.set()

    def _is_answered(self, sent_ns: int) -> None:
        """Count from when it was sent. An answer that says nothing of the present any more is none."""
        now = self._now()
        is_late = now - sent_ns >= self._terms.stop_ns and self._stops
        if is_late or (self._sent_ns is not None and sent_ns <= self._sent_ns):
            return
        self.outages += self.is_unheard
        before, self._sent_ns = self._sent_ns, sent_ns
        self._next_ns = sent_ns + self._terms.renew_ns
        self._tries = 0
        if self._has_begun:
            self._arm()
        if not self._is_good.is_set():
            self._has_lapsed.clear()
            self._is_good.set()
            if before is not None:
                self._telemetry.emit("lease.regained", node=self._name, seconds=(now - before) / 1e9)

    def _has_failed(self, sent_ns: int, error: Exception) -> None:
        if self._sent_ns is not None and sent_ns <= self._sent_ns:
            return
        if self._tries == 1:
            self._next_ns = self._now()
        if self._tries.bit_count() == 1:
            since = self._sent_ns if self._sent_ns is not None else sent_ns
            self._telemetry.emit("lease.late", node=self._name, error=error, seconds=(self._now() - since) / 1e9)

    def _look_whether_lapsed(self, now_ns: int) -> None:
        if self._stops and self._is_good.is_set() and not self.is_good:
            self._is_good.clear()
            self._has_lapsed.set()
            assert self._sent_ns is not None  # noqa: S101 - it was good.
            self._telemetry.emit("lease.lapsed", node=self._name, seconds=(now_ns - self._sent_ns) / 1e9)

    def _wakes_at(self) -> int:
        if self._stops and self._is_good.is_set() and self._sent_ns is not None:
            return min(self._next_ns, self._sent_ns + self._terms.stop_ns)
        return self._next_ns

    def _arm(self) -> None:
        assert self._sent_ns is not None  # noqa: S101 - nothing begins before the first answer.
        self._timer.arm(self._sent_ns + self._terms.kill_ns)

    async def _pause(self, wait_ns: int) -> None:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(max(0.0, wait_ns / 1e9)):
                await self._news.wait()
        self._news.clear()

    def _now(self) -> int:
        return self._clock.boot_ns()
