"""A process that forks: the child has connections of its own, and never touches its parent's."""

from __future__ import annotations

import os
import traceback
from collections.abc import Callable
from typing import Any

from rota.model.job import NewJob
from rota.model.state import State
from rota.store.sqlite.store import SqliteStore
from tests.unit.store.sqlite.inline import at_once

MakeJob = Callable[..., NewJob]


def in_child(work: Callable[[], Any]) -> int:
    """Run something in a forked child, and return its exit code."""
    child = os.fork()
    if child == 0:
        code = 1
        try:
            work()
            code = 0
        except BaseException:
            traceback.print_exc()
        finally:
            os._exit(code)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def test_a_child_submits_through_a_connection_of_its_own(store: SqliteStore, new_job: MakeJob) -> None:
    """A pre-forking web server opens the store before it forks."""
    inline = store.inline()
    parent_s, child_s, later = new_job("mitte"), new_job("mitte"), new_job("mitte")
    at_once(inline.submit([parent_s]))
    inherited = store._desk.writer._db

    def work() -> None:
        at_once(inline.submit([child_s]))
        assert store._desk.writer._db is not inherited
        assert len(at_once(inline.states([parent_s.token, child_s.token]))) == 2

    assert in_child(work) == 0
    at_once(inline.submit([later]))

    tokens = [job.token for job in (parent_s, child_s, later)]
    assert at_once(inline.states(tokens)) == dict.fromkeys(tokens, State.WAITING)
    assert store._desk.writer._db is inherited


def test_a_child_that_closes_the_store_leaves_the_parent_s_alone(store: SqliteStore, new_job: MakeJob) -> None:
    """The child's clean-up must not check-point or unlink what the parent writes to."""
    inline = store.inline()
    at_once(inline.submit([new_job()]))

    assert in_child(lambda: at_once(inline.close())) == 0

    job = new_job()
    at_once(inline.submit([job]))
    assert at_once(inline.states([job.token])) == {job.token: State.WAITING}


def test_a_fork_while_the_writer_s_thread_is_busy(store: SqliteStore, new_job: MakeJob) -> None:
    """The child's copy of the mutex may be locked for ever: it must not be waited for."""
    inline = store.inline()
    at_once(inline.submit([new_job()]))
    job = new_job()

    with store._desk.writer._mutex:
        assert in_child(lambda: at_once(inline.submit([job]))) == 0

    assert at_once(inline.states([job.token])) == {job.token: State.WAITING}
