"""The states of a job and the moves between them.

    submit ──▶ scheduled ──▶ waiting ──▶ running ──▶ succeeded | failed | cancelled | expired
                   ▲            │  ▲        │                       │
                   │            │  └────────┤ released              │ reopened by a person
                   └────────────┼───────────┘ retry, snooze         ▼
                                └──▶ cancelled | expired         waiting

A live job is scheduled (its `due_at` lies ahead), waiting or running (it has a holder); a finished one is in exactly
one of the four final states, and stays there until a person reopens it.
"""

from __future__ import annotations

from enum import IntEnum, StrEnum


class State(StrEnum):
    """What ``token.status()`` says."""

    WAITING = "waiting"
    SCHEDULED = "scheduled"
    RUNNING = "running"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    CANCELLED = "cancelled"
    EXPIRED = "expired"

    @property
    def is_final(self) -> bool:
        """Whether the job has been settled."""
        return self in FINAL


FINAL = frozenset({State.SUCCEEDED, State.FAILED, State.CANCELLED, State.EXPIRED})

MOVES: dict[State, frozenset[State]] = {
    State.SCHEDULED: frozenset({State.WAITING, State.CANCELLED}),
    State.WAITING: frozenset({State.RUNNING, State.CANCELLED, State.EXPIRED}),
    State.RUNNING: frozenset(
        {State.WAITING, State.SCHEDULED, State.SUCCEEDED, State.FAILED, State.CANCELLED, State.EXPIRED}
    ),
    State.SUCCEEDED: frozenset(),
    State.FAILED: frozenset({State.WAITING}),
    State.CANCELLED: frozenset({State.WAITING}),
    State.EXPIRED: frozenset({State.WAITING}),
}
"""The allowed moves. Only failed, cancelled and expired jobs can be reopened: a success is not undone."""


class Final(IntEnum):
    """The final states as stored in ``finished.state``."""

    SUCCEEDED = 0
    FAILED = 1
    CANCELLED = 2
    EXPIRED = 3

    @property
    def state(self) -> State:
        """The same as the public state."""
        return _FINAL_STATES[self]


_FINAL_STATES = (State.SUCCEEDED, State.FAILED, State.CANCELLED, State.EXPIRED)
