"""Waiting for jobs to be settled: one listener and one question at a time, however many tokens are awaited.

    await settled(token) ─┐
    await settled(token) ─┼─▶ one task: states(all of them) ◀── wake-up, or a pause of 5 ms growing to 0.5 s
    await settled(token) ─┘

A wake-up only shortens the pause; it may be lost. The task ends with the last waiter.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from typing import Final, Protocol

from rota.errors import StoreBrokenError, StoreError
from rota.model.state import State
from rota.store.port import Wake

FIRST_PAUSE_S: Final = 0.005
LONGEST_PAUSE_S: Final = 0.5
_GROWTH: Final = 1.6


class Watched(Protocol):
    """What is asked of a store here."""

    async def states(self, tokens: Sequence[bytes]) -> Mapping[bytes, State]:
        """Return the state of each token that is known."""
        ...

    def listen(self, name: str, heard: Callable[[Wake], None]) -> Callable[[], None]:
        """Call ``heard`` for each wake-up; returns what ends it."""
        ...


class Watch:
    """Tells when jobs are settled. Belongs to one event loop.

    Args:
        store: Asked for states, and listened to.
        name: Unique name of the listener, ``wait-…``.
    """

    def __init__(self, store: Watched, name: str) -> None:
        self._store = store
        self._name = name
        self._waiting: dict[bytes, set[asyncio.Future[State | None]]] = {}
        self._news = asyncio.Event()
        self._task: asyncio.Task[None] | None = None
        self._pause_s = FIRST_PAUSE_S

    async def settled(self, token: bytes) -> State | None:
        """Return the final state once there is one; ``None`` if no job has this token.

        Raises:
            StoreError: The store is broken; one that is only away for a while is asked again.
        """
        future: asyncio.Future[State | None] = asyncio.get_running_loop().create_future()
        self._waiting.setdefault(token, set()).add(future)
        self._pause_s = FIRST_PAUSE_S
        self._news.set()
        if self._task is None or self._task.done():
            self._task = asyncio.create_task(self._run(), name=self._name)
        try:
            return await future
        finally:
            self._forget(token, future)

    async def close(self) -> None:
        """End the listener; whoever still waits is cancelled."""
        if self._task is not None:
            self._task.cancel()
            with suppress(asyncio.CancelledError):
                await self._task

    def _forget(self, token: bytes, future: asyncio.Future[State | None]) -> None:
        others = self._waiting.get(token)
        if others is not None:
            others.discard(future)
            if not others:
                del self._waiting[token]
        if not self._waiting:
            self._news.set()  # so that the task ends now and not after its pause

    async def _run(self) -> None:
        stop = self._listen()
        try:
            while self._waiting:
                self._news.clear()
                await self._look()
                if self._waiting:
                    with suppress(TimeoutError):
                        await asyncio.wait_for(self._news.wait(), self._pause_s)
                    self._pause_s = min(self._pause_s * _GROWTH, LONGEST_PAUSE_S)
        except asyncio.CancelledError:
            self._end(lambda future: future.cancel())
            raise
        except Exception as error:
            reason = error  # the name of an except clause ends with it
            self._end(lambda future: future.set_exception(reason))
        finally:
            stop()

    def _listen(self) -> Callable[[], None]:
        """Hear wake-ups, if that can be: without a descriptor, or a right to the folder, there still are the looks."""
        try:
            return self._store.listen(self._name, self._heard)
        except (StoreError, OSError):
            return lambda: None

    async def _look(self) -> None:
        tokens = list(self._waiting)
        try:
            states = await self._store.states(tokens)
        except StoreBrokenError:
            raise
        except StoreError:
            return  # it is away for a while; the pause grows meanwhile
        for token in tokens:
            state = states.get(token)
            if state is None or state.is_final:
                for future in self._waiting.pop(token, ()):
                    if not future.done():
                        future.set_result(state)

    def _heard(self, wake: Wake) -> None:
        if wake.settled is None or any(token in self._waiting for token in wake.settled):
            self._news.set()

    def _end(self, how: Callable[[asyncio.Future[State | None]], object]) -> None:
        for futures in self._waiting.values():
            for future in futures:
                if not future.done():
                    how(future)
