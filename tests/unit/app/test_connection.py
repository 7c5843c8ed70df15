"""An engine that is bound to an event loop: plain code reaches it through a thread, each loop has its own."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Iterator

import pytest

from rota.app.blocking import drive
from rota.app.connection import Connection, Session
from rota.errors import StoreUnavailableError, UsageError
from rota.model.job import NewJob
from rota.runtime.clock import SystemClock
from rota.runtime.entropy import SystemEntropy
from rota.store.port import JobFilter, Store
from rota.store.sqlite.store import SqliteStore
from rota.submit.terms import Terms, new_job

CLOCK = SystemClock()
ENTROPY = SystemEntropy(CLOCK)


class Bound:
    """A store that cannot work in any thread but its loop's, as one with a connection pool; everything else is SQLite."""

    def __init__(self) -> None:
        self._store = SqliteStore.open(":memory:", clock=CLOCK, entropy=ENTROPY)
        self.loop = asyncio.get_running_loop()
        self.is_closed = False

    def __getattr__(self, name: str) -> object:
        if name == "inline":
            raise AttributeError(name)
        assert asyncio.get_running_loop() is self.loop, "used in a strange loop"
        return getattr(self._store, name)

    async def close(self) -> None:
        assert asyncio.get_running_loop() is self.loop
        self.is_closed = True
        await self._store.close()


class Opener:
    """Opens bound stores, and remembers them."""

    def __init__(self) -> None:
        self.opened: list[Bound] = []
        self.failures = 0

    async def __call__(self) -> Store:
        await asyncio.sleep(0)
        if self.failures:
            self.failures -= 1
            raise StoreUnavailableError("the server is away")
        self.opened.append(Bound())
        return self.opened[-1]  # type: ignore[return-value]


@pytest.fixture
def opener() -> Opener:
    return Opener()


@pytest.fixture
def connection(opener: Opener) -> Iterator[Connection]:
    """A connection to a bound engine, closed at the end."""
    connection = Connection(opener, is_shared=False, name=lambda: ENTROPY.hex(4))
    yield connection
    connection.close_blocking()


def job() -> NewJob:
    return new_job("bake", b"{}", None, ENTROPY.token(), Terms(queue="ovens"), due_at=None, expires_at=None)


async def put(session: Session) -> int:
    """Submit a job and return how many there are."""
    await session.store.submit([job()])
    return len(await session.store.jobs(JobFilter()))


def test_plain_calls_share_one_store(connection: Connection, opener: Opener) -> None:
    """Opening for every call would be a handshake for every job."""
    assert [connection.run(put), connection.run(put)] == [1, 2]
    assert len(opener.opened) == 1


async def test_every_loop_has_its_own_store(connection: Connection, opener: Opener) -> None:
    """Also when plain code is called from inside of a loop: it goes through the thread and does not stop itself."""
    session = await connection.session()
    assert await connection.session() is session

    assert await put(session) == 1
    assert connection.run(put) == 1

    assert len(opener.opened) == 2
    await connection.close()
    assert [store.is_closed for store in opener.opened] == [True, False]


async def test_calls_at_the_same_time_open_one_store(connection: Connection, opener: Opener) -> None:
    """The first request after a start comes with a hundred others."""
    sessions = await asyncio.gather(*[connection.session() for _ in range(20)])

    assert len({id(session.store) for session in sessions}) == len(opener.opened) == 1
    await connection.close()


async def test_a_failed_opening_is_told_and_tried_anew(connection: Connection, opener: Opener) -> None:
    """A server that was away at the first call must not be away for ever."""
    opener.failures = 1
    with pytest.raises(StoreUnavailableError):
        await connection.session()

    assert await put(await connection.session()) == 1
    await connection.close()


async def test_closing_after_a_failed_opening_is_quiet(connection: Connection, opener: Opener) -> None:
    """Whoever wanted the store has had the error."""
    opener.failures = 2
    with pytest.raises(StoreUnavailableError):
        await connection.session()
    with pytest.raises(StoreUnavailableError):
        connection.run(put)

    await connection.close()
    connection.close_blocking()


async def test_a_borrowed_store_is_used_where_it_lives_and_not_closed(opener: Opener) -> None:
    """A worker hands its own store to the app, whose handlers run in threads."""
    connection = Connection(opener, is_shared=False, name=lambda: "x")
    store = await opener()
    connection.use(store)

    assert await asyncio.to_thread(connection.run, put) == 1
    assert await put(await connection.session()) == 2
    with pytest.raises(UsageError, match="would wait for itself"):
        connection.run(put)

    await connection.close()
    assert not opener.opened[0].is_closed
    await opener.opened[0].close()


async def test_another_loop_than_that_of_a_borrowed_store_opens_its_own(connection: Connection, opener: Opener) -> None:
    """A ``def`` handler that runs an event loop of its own in its thread must not touch the connections of its worker."""
    borrowed = await opener()
    connection.use(borrowed)

    async def of_handler() -> int:
        try:
            return await put(await connection.session())
        finally:
            await connection.leave_loop()

    assert await asyncio.to_thread(lambda: asyncio.run(of_handler())) == 1
    assert await put(await connection.session()) == 1

    theirs, own = opener.opened
    assert (theirs.is_closed, own.is_closed) == (False, True)
    await connection.close()
    assert not theirs.is_closed
    await borrowed.close()


def test_a_forked_child_gets_a_thread_of_its_own(connection: Connection) -> None:
    """The parent's thread does not exist in the child."""
    connection.run(put)

    child = os.fork()
    if child == 0:
        try:
            os._exit(0 if connection.run(put) == 1 else 3)
        finally:
            os._exit(4)
    _, status = os.waitpid(child, 0)

    assert os.waitstatus_to_exitcode(status) == 0
    assert connection.run(put) == 2


def test_nothing_of_the_parent_s_is_there_in_a_child(connection: Connection) -> None:
    """Two threads of a forked web worker ask first at the same moment: neither may find the parent's socket."""
    connection.run(put)

    child = os.fork()
    if child == 0:
        os._exit(3 if connection._portal is not None or connection._sessions else 0)
    _, status = os.waitpid(child, 0)

    assert os.waitstatus_to_exitcode(status) == 0


def test_only_what_never_suspends_can_be_driven() -> None:
    """A mistake of ours must not look like an answer."""

    async def suspends() -> None:
        await asyncio.sleep(0)

    with pytest.raises(RuntimeError, match="suspended"):
        drive(suspends())
