"""How long anything may take, and how long it may hold what others need: every bound on connections, with its reason.

    here         connect 5 s · wait for a connection 10 s · call 20 s, long call 130 s · silence of the network 6 s
    at the server      lock 5 s · statement 120 s · idle in a transaction 10 s · client gone 2 s · silence 6 s

Two sides, because either may be frozen. What is set here frees a process of ours from a server that hangs; what is set at the
server frees everybody else from a process of ours that hangs, also one that was stopped in the middle of a call.

The server's part travels as startup parameters: once a connection, and nothing a call. Behind a pooler there are none, since
its connections are everybody's: there the settings belong to the role and to the pooler, and docs/deploy.md says which.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Final


@dataclass(frozen=True, slots=True)
class Bounds:
    """Seconds, each with its reason.

    Attributes:
        connect_s: To connect, with all handshakes. Within one host it takes 5 ms, across the world half a second; a postmaster
            that is stopped would otherwise be waited for without end, since the kernel accepts in its name.
        wait_s: For one of the process's own connections to be free. Longer than a bad moment, shorter than a call that hangs.
        reconnect_s: For a server that is away, before a call fails: a restart takes less. Not longer unless a program wants it
            (``busy_timeout``), so that a web request does not hang; workers ask again by themselves. Only who was connected
            before waits at all.
        call_s: For the reply to a call. Milliseconds are usual; a batch of ten thousand jobs on a slow disk takes seconds, and
            the largest claim, 64 MiB, on a line of 26 Mbit/s all of it.
        bytes_per_s_min: What a line must carry: a call that brings much may take so much longer.
        long_call_s: For the few that look at all rows or remove many. Above ``statement_s``, so that the server ends them
            first and says for certain that nothing was written.
        silence_s: Without an acknowledgement from the other machine's kernel, for both sides. Less than a lease: when a host
            has vanished in the middle of a claim, the server must have let go of its locks when others come to take its jobs.
            A connection that is given up too soon costs a new one, and no job.
        lock_s: For a lock. Ours are held for milliseconds; whoever waits longer waits for somebody frozen, and asks again.
        statement_s: For one statement, whoever asked: a sweep of ten million rows takes most of a minute.
        idle_in_transaction_s: With a transaction open and nothing asked. Ours end with the statement: only a process that was
            frozen in the middle is found so. Not for a caller's own connection: that is the caller's affair.
        gone_s: Between a running statement's looks whether its client is still there.
        beat_s: Between two looks whether the connection that listens still answers: nobody asks anything on it otherwise.
        poll_s: Between two looks for what nobody tells, where notifications cannot be had.
    """

    connect_s: float = 5.0
    wait_s: float = 10.0
    reconnect_s: float = 2.0
    call_s: float = 20.0
    bytes_per_s_min: float = 1e6
    long_call_s: float = 130.0
    silence_s: float = 6.0
    lock_s: float = 5.0
    statement_s: float = 120.0
    idle_in_transaction_s: float = 10.0
    gone_s: float = 2.0
    beat_s: float = 10.0
    poll_s: float = 1.0

    def of_call(self, function: str, arguments: Sequence[object] = ()) -> float:
        """Return how long a call of this function, with these arguments, may take."""
        if function in BULKY:
            return self.call_s + _bytes_of(arguments) / self.bytes_per_s_min
        return self.long_call_s if function in LONG else self.call_s

    def waiting(self, seconds: float) -> Bounds:
        """Return the bounds of a program that wants to wait so long for a server that is away; its other calls wait with it."""
        return replace(self, reconnect_s=seconds, wait_s=self.wait_s + seconds)

    def at_the_server(self) -> dict[str, str]:
        """Return the server's part, as startup parameters. All of them may be set by any role."""
        idle_s, interval_s, probes = self.keepalive()
        return {
            # Steps that must see each other's commits do not in any other, whatever the role's own default is.
            "default_transaction_isolation": "read committed",
            "lock_timeout": _ms(self.lock_s),
            "statement_timeout": _ms(self.statement_s),
            "idle_in_transaction_session_timeout": _ms(self.idle_in_transaction_s),
            "client_connection_check_interval": _ms(self.gone_s),
            # Also ends a back end that cannot get rid of its rows, since a stopped client reads none: its transaction is
            # open until they are sent, and no other time-out interrupts a write.
            "tcp_user_timeout": _ms(self.silence_s),
            "tcp_keepalives_idle": str(idle_s),
            "tcp_keepalives_interval": str(interval_s),
            "tcp_keepalives_count": str(probes),
        }

    def keepalive(self) -> tuple[int, int, int]:
        """Return seconds until the first probe, between probes, and their number: together ``silence_s``, in whole seconds."""
        idle_s = max(1, int(self.silence_s / 2))
        interval_s = max(1, int(self.silence_s / 5))
        return idle_s, interval_s, max(1, int((self.silence_s - idle_s) / interval_s))


BOUNDS: Final = Bounds()

UNHURRIED: Final = Bounds(
    call_s=24 * 3_600.0, long_call_s=24 * 3_600.0, lock_s=0.0, statement_s=0.0, idle_in_transaction_s=60.0
)
"""For migrations: to build an index takes what it takes, and one waits for another that runs."""

LONG: Final = frozenset(
    {
        "count_finished",
        "count_waiting",
        "drop_partition",
        "expire_jobs",
        "list_jobs",
        "list_queues",
        "make_partitions",
        "prune_finished",
        "release_jobs",
        "store_facts",
        "sweep",
    }
)
"""Functions that may look at all rows."""

BULKY: Final = frozenset({"submit_jobs", "submit_jobs_again", "settle_jobs"})
"""Functions that may be given many megabytes."""


def _bytes_of(arguments: Sequence[object]) -> int:
    """Return about how much the arguments bring: the columns that are bytes from top to bottom."""
    size = 0
    for column in arguments:
        if isinstance(column, list) and column and isinstance(column[0], bytes):
            with suppress(TypeError):
                size += sum(map(len, column))
    return size


def _ms(seconds: float) -> str:
    """Return a setting's text; 0 is no bound."""
    return str(round(seconds * 1_000))
