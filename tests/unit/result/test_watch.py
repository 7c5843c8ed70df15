"""Waiting for many jobs with one listener; wake-ups are help, not truth."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence

import pytest

from rota.errors import StoreBrokenError, StoreBusyError, StoreError, StoreReadOnlyError
from rota.model.state import State
from rota.result.wait import settled_by_looking
from rota.result.watch import Watch
from rota.runtime.entropy import build_token
from rota.store.port import Wake

ONE, TWO, THREE = (build_token(1, tail) for tail in (1, 2, 3))


class Board:
    """States that the test sets, and a record of what was asked."""

    def __init__(self) -> None:
        self.known: dict[bytes, State] = {ONE: State.WAITING, TWO: State.RUNNING}
        self.asked: list[set[bytes]] = []
        self.error: StoreError | None = None
        self.heard: Callable[[Wake], None] | None = None
        self.looked = asyncio.Event()
        self.stopped = asyncio.Event()

    async def states(self, tokens: Sequence[bytes]) -> Mapping[bytes, State]:
        self.asked.append(set(tokens))
        self.looked.set()
        if self.error is not None:
            raise self.error
        return {token: self.known[token] for token in tokens if token in self.known}

    def listen(self, name: str, heard: Callable[[Wake], None]) -> Callable[[], None]:
        assert self.heard is None, "a second listener"
        self.heard = heard

        def stop() -> None:
            self.heard = None
            self.stopped.set()

        return stop

    async def look(self) -> None:
        """Wait until it has been asked once more."""
        self.looked.clear()
        await self.looked.wait()


async def test_a_settled_job_is_told_without_a_wake_up() -> None:
    """A lost wake-up costs time and nothing else."""
    board = Board()
    watch = Watch(board, "wait-1")
    waiter = asyncio.create_task(watch.settled(ONE))
    await board.look()

    board.known[ONE] = State.SUCCEEDED

    assert await waiter is State.SUCCEEDED


async def test_a_waiter_that_can_hear_nothing_looks() -> None:
    """No descriptor is left, or the folder of wake-ups is somebody else's: whoever waits must not do so for ever."""
    board = Board()
    watch = Watch(Deaf(board), "wait-1")
    waiter = asyncio.create_task(watch.settled(ONE))

    async with asyncio.timeout(10):
        await board.look()
        board.known[ONE] = State.SUCCEEDED
        assert await waiter is State.SUCCEEDED


class Deaf:
    """A board that nobody can listen to."""

    def __init__(self, board: Board) -> None:
        self.states = board.states

    def listen(self, name: str, heard: Callable[[Wake], None]) -> Callable[[], None]:
        raise StoreReadOnlyError(f"planted: no descriptor is left for {name} and {heard}")


async def test_many_waiters_share_one_question_and_one_listener() -> None:
    """A thousand awaited tokens must not be a thousand queries every few milliseconds."""
    board = Board()
    watch = Watch(board, "wait-1")
    waiters = [asyncio.create_task(watch.settled(token)) for token in (ONE, ONE, TWO)]
    await board.look()
    assert board.asked[-1] == {ONE, TWO}

    board.known |= {ONE: State.FAILED, TWO: State.SUCCEEDED}
    assert board.heard is not None
    board.heard(Wake(settled=[ONE]))

    assert await asyncio.gather(*waiters) == [State.FAILED, State.FAILED, State.SUCCEEDED]


async def test_a_token_that_nobody_knows_is_told_at_once() -> None:
    """Waiting for ever for a misspelt token helps nobody."""
    assert await Watch(Board(), "wait-1").settled(THREE) is None


async def test_the_listener_ends_with_the_last_waiter() -> None:
    """An app that waits for nothing has nothing open."""
    board = Board()
    watch = Watch(board, "wait-1")
    waiter = asyncio.create_task(watch.settled(ONE))
    await board.look()

    waiter.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiter
    await board.stopped.wait()

    board.known[TWO] = State.SUCCEEDED
    assert await watch.settled(TWO) is State.SUCCEEDED, "it starts again for the next one"


async def test_a_store_that_is_away_is_asked_again() -> None:
    """The job goes on meanwhile; so does the wait."""
    board = Board()
    board.error = StoreBusyError("locked")
    waiter = asyncio.create_task(Watch(board, "wait-1").settled(ONE))
    await board.look()

    board.error, board.known[ONE] = None, State.SUCCEEDED

    assert await waiter is State.SUCCEEDED


async def test_a_broken_store_ends_the_wait() -> None:
    """It is not retried past."""
    board = Board()
    board.error = StoreBrokenError("input/output error")

    with pytest.raises(StoreBrokenError):
        await Watch(board, "wait-1").settled(ONE)


async def test_closing_cancels_those_who_wait() -> None:
    """Nothing may be left hanging when the app lets go of its store."""
    board = Board()
    watch = Watch(board, "wait-1")
    waiter = asyncio.create_task(watch.settled(ONE))
    await board.look()

    await watch.close()

    with pytest.raises(asyncio.CancelledError):
        await waiter
    assert board.heard is None


async def test_plain_code_looks_quickly_at_first_and_then_more_slowly() -> None:
    """Most jobs are done within milliseconds; a long one must not be asked about a thousand times a second."""
    board, pauses = Board(), list[float]()

    async def pause(seconds: float) -> None:
        pauses.append(seconds)
        if len(pauses) == 40:
            board.known[ONE] = State.SUCCEEDED

    assert await settled_by_looking(board, ONE, pause, None) is State.SUCCEEDED
    assert pauses[0] == 0.001
    assert max(pauses) == pauses[-1] == 0.05


async def test_plain_code_gives_up_after_its_time() -> None:
    """A timeout of zero only looks."""
    with pytest.raises(TimeoutError):
        await settled_by_looking(Board(), ONE, asyncio.sleep, 0)
