"""Plain code and an event loop: who turns it, and that nothing is left behind."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import sys
import threading
from collections.abc import Iterator

import pytest

from rota.app.blocking import Portal


@pytest.fixture
def portal() -> Iterator[Portal]:
    """A portal that is closed in the end."""
    portal = Portal()
    yield portal
    portal.close()


async def thread() -> int:
    """Return in which thread this runs."""
    return threading.get_ident()


def test_a_lone_caller_turns_the_loop_itself(portal: Portal) -> None:
    """Two changes of thread would cost it a sixth of a submit."""
    assert portal.call(thread()) == threading.get_ident()
    assert portal.call(thread()) == threading.get_ident()


def test_callers_from_several_threads_do_not_wait_for_each_other(portal: Portal) -> None:
    """One that waits for a result, for minutes, must not hold up another's submit."""
    begun, go_on = threading.Event(), asyncio.Event()

    async def wait() -> None:
        begun.set()
        await go_on.wait()

    async def release() -> None:
        go_on.set()

    first = threading.Thread(target=lambda: portal.call(wait()))
    first.start()
    assert begun.wait(10)

    portal.call(release())

    first.join(10)
    assert not first.is_alive()


def test_once_two_have_called_a_thread_turns_the_loop_for_all(portal: Portal) -> None:
    """It is one loop: what two threads ask runs in one place."""
    portal.hand_over()
    seen = set[int]()
    callers = [threading.Thread(target=lambda: seen.add(portal.call(thread()))) for _ in range(3)]
    for caller in callers:
        caller.start()
    for caller in callers:
        caller.join()

    assert len(seen) == 1
    assert threading.get_ident() not in seen


def test_what_a_call_leaves_going_on_goes_on_without_another(portal: Portal) -> None:
    """Somebody who listens must hear, whether the program calls or computes."""
    heard = threading.Event()

    async def listen() -> None:
        async def hear() -> None:
            await asyncio.sleep(0.01)
            heard.set()

        portal.kept = asyncio.get_running_loop().create_task(hear())  # type: ignore[attr-defined]

    portal.call(listen())

    assert heard.wait(10)


def test_a_connection_that_was_closed_meanwhile_is_seen_before_it_is_used(
    portal: Portal, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nobody turns the loop between two calls: a server that went then must not make the next submit doubtful."""
    monkeypatch.setattr("rota.app.blocking._REST_S", 0.0)
    ours, theirs = socket.socketpair()
    closed = list[str]()

    class Protocol(asyncio.Protocol):
        def connection_lost(self, error: Exception | None) -> None:
            closed.append("closed")

    async def connect() -> None:
        await asyncio.get_running_loop().create_connection(Protocol, sock=ours)

    async def state() -> list[str]:
        return list(closed)

    portal.call(connect())
    theirs.close()

    assert portal.call(state()) == ["closed"]


def test_a_call_from_within_a_running_loop_is_answered(portal: Portal) -> None:
    """Plain submits in async code: slow, but no error. Its own loop cannot be turned by hand at the same time."""

    async def main() -> int:
        return portal.call(thread())

    assert asyncio.run(main()) != threading.get_ident()


def test_an_interrupted_call_is_cancelled(portal: Portal) -> None:
    """Ctrl-C during a wait must not leave the wait behind."""
    ended = threading.Event()
    caller = threading.get_ident()

    async def wait() -> None:
        loop = asyncio.get_running_loop()
        loop.call_later(0.01, signal.pthread_kill, caller, signal.SIGINT)
        try:
            await asyncio.Event().wait()
        finally:
            ended.set()

    with pytest.raises(KeyboardInterrupt):
        portal.call(wait())

    assert ended.wait(10)


def test_an_interrupted_call_is_cancelled_in_the_thread_s_loop_too(portal: Portal) -> None:
    ended = threading.Event()
    caller = threading.get_ident()
    portal.hand_over()

    async def wait() -> None:
        while sys._current_frames()[caller].f_code.co_name != "wait":  # it is not in its wait yet
            await asyncio.sleep(0)
        try:
            signal.pthread_kill(caller, signal.SIGINT)
            await asyncio.Event().wait()
        finally:
            ended.set()

    with pytest.raises(KeyboardInterrupt):
        portal.call(wait())

    assert ended.wait(10)


def test_what_a_call_raises_reaches_its_caller(portal: Portal) -> None:
    """Whoever turns the loop must not change it."""

    async def fail() -> None:
        raise KeyError("x")

    with pytest.raises(KeyError):
        portal.call(fail())


def test_a_portal_that_was_never_used_can_be_closed() -> None:
    Portal().close()


def test_what_a_forked_child_ends_with_does_not_deafen_the_parent(portal: Portal) -> None:
    """A child that ends in good order clears up what it inherited, and the selector of the loop is one for both."""
    ours, theirs = socket.socketpair()
    heard = threading.Event()

    async def listen() -> None:
        asyncio.get_running_loop().add_reader(ours, heard.set)

    portal.hand_over()
    portal.call(listen())

    child = os.fork()
    if child == 0:
        try:
            portal.let_go()
            portal._loop.remove_reader(ours)
        finally:
            os._exit(0)
    os.waitpid(child, 0)
    theirs.send(b"x")

    assert heard.wait(10)
    portal.call(forget(ours))
    ours.close()
    theirs.close()


async def forget(listener: socket.socket) -> None:
    """Look at it no more."""
    asyncio.get_running_loop().remove_reader(listener)


def test_an_abandoned_portal_is_closed_unless_a_thread_turns_it(portal: Portal) -> None:
    """The thread may be in the midst of something that others wait for."""
    portal.hand_over()
    portal.abandon()
    assert not portal.is_closed
    assert portal.call(asyncio.sleep(0, "there")) == "there"

    alone = Portal()
    alone.call(asyncio.sleep(0))
    alone.abandon()
    alone.abandon()
    assert alone.is_closed
