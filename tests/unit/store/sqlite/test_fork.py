"""A process that forks: the child has connections of its own, and never touches its parent's."""

from __future__ import annotations

import os
import threading
import traceback
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import apsw
import pytest

from rota.errors import StoreUnavailableError
from rota.model.job import NewJob
from rota.model.state import State
from rota.store.sqlite.store import SqliteStore
from rota.store.sqlite.writer import Writer
from tests.unit.store.sqlite.inline import at_once

MakeJob = Callable[..., NewJob]


def writer_of(store: SqliteStore) -> Writer:
    """Return what this process writes through."""
    writer = store._desk.writer
    assert isinstance(writer, Writer)
    return writer


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
    inherited = writer_of(store)._db

    def work() -> None:
        at_once(inline.submit([child_s]))
        assert writer_of(store)._db is not inherited
        assert len(at_once(inline.states([parent_s.token, child_s.token]))) == 2

    assert in_child(work) == 0
    at_once(inline.submit([later]))

    tokens = [job.token for job in (parent_s, child_s, later)]
    assert at_once(inline.states(tokens)) == dict.fromkeys(tokens, State.WAITING)
    assert writer_of(store)._db is inherited


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

    with writer_of(store)._mutex:
        assert in_child(lambda: at_once(inline.submit([job]))) == 0

    assert at_once(inline.states([job.token])) == {job.token: State.WAITING}


def test_a_child_whose_first_try_failed_does_not_fall_back_on_its_parent_s(
    store: SqliteStore, new_job: MakeJob
) -> None:
    """Two processes on one connection damage the file. The first try may find no descriptor free, or the folder away."""
    inline = store.inline()
    at_once(inline.submit([new_job()]))
    desk = store._desk
    inherited, open_another = writer_of(store)._db, desk.open_another

    def refused(*, is_reader: bool) -> apsw.Connection:
        raise StoreUnavailableError(f"planted: no descriptor is left (reader: {is_reader})")

    def work() -> None:
        desk.open_another = refused  # type: ignore[method-assign]
        for _ in range(2):
            with pytest.raises(StoreUnavailableError, match="planted"):
                at_once(inline.submit([new_job()]))
        desk.open_another = open_another  # type: ignore[method-assign]
        at_once(inline.submit([new_job()]))
        assert writer_of(store)._db is not inherited

    assert in_child(work) == 0


def test_threads_that_begin_together_in_a_child_wait_for_its_own_connection(
    store: SqliteStore, new_job: MakeJob
) -> None:
    """A web server that loads the app, forks, and gets two requests at once: neither may see what the parent left."""
    inline = store.inline()
    at_once(inline.submit([new_job()]))
    desk = store._desk
    inherited, open_another = desk.writer, desk.open_another
    is_opening, may_open = threading.Event(), threading.Event()

    def held_up(*, is_reader: bool) -> apsw.Connection:
        is_opening.set()
        may_open.wait(10)
        return open_another(is_reader=is_reader)

    def work() -> None:
        desk.open_another = held_up  # type: ignore[method-assign]
        with ThreadPoolExecutor(2) as pool:
            first = pool.submit(lambda: desk.writer)
            is_opening.wait(10)
            second = pool.submit(lambda: desk.writer)
            with pytest.raises(TimeoutError):
                second.result(0.2)
            may_open.set()
            assert first.result(10) is second.result(10) is not inherited

    assert in_child(work) == 0
