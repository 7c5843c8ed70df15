"""A person thinks again: cancel what has been submitted, put back what has ended badly."""

from __future__ import annotations

from collections.abc import Sequence

import apsw

from rota.errors import NotAllowedError, UnknownTokenError
from rota.model.state import Final as FinalState
from rota.model.state import State
from rota.model.token import token_text
from rota.store.port import Cancelled, Wake, Woken
from rota.store.sqlite.leave import give_up
from rota.store.sqlite.stage import WokenSlots
from rota.store.sqlite.tally import count_up
from rota.store.sqlite.writer import News
from rota.store.statements import load

SQL = load("sqlite")
_QUEUE = 4
"""Which column of ``same_job`` is the queue."""


def cancel(db: apsw.Connection, news: News, token: bytes, now: int) -> Cancelled:
    """Cancel a job that nobody holds; ask the worker of one that is held."""
    live = db.execute(SQL["find_waiting"], (token,)).get
    if live is None:
        state = db.execute(SQL["finished_state"], (token,)).get
        return Cancelled(was=None if state is None else FinalState(state).state)
    seq, fence, holder, due_at = live
    if holder is not None:
        db.execute(SQL["cancel_job"], (seq,))
        news.tell(Wake(cancels=[token]))
        return Cancelled(was=State.RUNNING)
    woken = give_up(db, news, [(seq, token, fence)], FinalState.CANCELLED, now)
    return Cancelled(was=State.SCHEDULED if due_at is not None and due_at > now else State.WAITING, woken=woken)


def reopen(db: apsw.Connection, news: News, token: bytes, now: int) -> Sequence[Woken]:
    """Put a job that did not succeed back into live, as the last of its line.

    Raises:
        UnknownTokenError: No such finished job.
        NotAllowedError: It succeeded, or is live.
    """
    state = db.execute(SQL["finished_state"], (token,)).get
    if state is None or state == FinalState.SUCCEEDED:
        _refuse_reopen(db, token, state)
    queue_id = db.execute(SQL["same_job"], (token,)).get[_QUEUE]
    seq = count_up(db) + 1
    db.execute(SQL["note_reopened"], (token, now))
    slot, priority, ready = db.execute(SQL["reopen_job"], (token, seq, now)).get
    db.execute(SQL["forget_finished"], (token,))
    db.execute(SQL["add_to_counter"], (-1 - state, -1))
    woken = WokenSlots()
    if ready:
        woken.add(queue_id, slot, priority, seq)
        news.tell(Wake(woken=woken.list()))
    return woken.list()


def _refuse_reopen(db: apsw.Connection, token: bytes, state: int | None) -> None:
    if state is not None or db.execute(SQL["find_waiting"], (token,)).get is not None:
        what = "succeeded" if state is not None else "is not finished"
        raise NotAllowedError(
            f"job {token_text(token)} {what}: only a failed, cancelled or expired job can be put back. Nothing was changed. "
            "To run it once more, submit it anew.",
            token=token_text(token),
        )
    raise UnknownTokenError(f"no job has the token {token_text(token)}. Nothing was changed.", token=token_text(token))
