"""Calling the async core from plain code: the sync face is this, and no second implementation.

On an engine that can work in the calling thread (``inline``) a coroutine never suspends, so it is run through with one
``send``: no event loop, no change of thread. For the others there is an event loop, turned by whoever calls.

Invariants, each with the test that holds it:
    A lone caller's work is done in its own thread.           tests/unit/app/test_portal.py
    What is left going on goes on without a call.             tests/unit/app/test_portal.py
    Callers from several threads do not wait for each other.  tests/unit/app/test_portal.py
    An interrupted call is cancelled.                         tests/unit/app/test_portal.py
"""

from __future__ import annotations

import asyncio
import os
import threading
import time
from collections.abc import Coroutine
from typing import Any, TypeVar

T = TypeVar("T")

_REST_S = 0.01
"""After a pause of so long there may be news of the connections."""

_TURNS = 3
"""How often the loop goes round until a connection whose end has come in is known to be closed."""


def drive(work: Coroutine[Any, Any, T]) -> T:
    """Run a coroutine that never suspends, here and now.

    Raises:
        RuntimeError: It did suspend; it has been closed.
    """
    try:
        work.send(None)
    except StopIteration as done:
        result: T = done.value
        return result
    work.close()
    raise RuntimeError(f"{work!r} suspended; only coroutines of an inline store can be driven")


async def pause_thread(seconds: float) -> None:
    """Wait in the calling thread without suspending: the pause of an inline session."""
    _sleep(seconds)


def _sleep(seconds: float) -> None:
    if seconds > 0:
        time.sleep(seconds)


class Portal:
    """A way into an event loop for plain code.

        a lone caller ──turns the loop itself, in its own thread──▶ its answer
        two at a time, or something left going on ──▶ a thread takes the loop over, for good; callers wait for it

    Why not simply a thread: to wake it, and to be woken by it, costs a lone caller two changes of thread, a sixth of what a
    submit takes. Between two calls nobody turns the loop; what came in meanwhile is seen at the beginning of the next.

    The thread is a daemon: it does not keep the process alive.
    """

    def __init__(self) -> None:
        self._loop = asyncio.new_event_loop()
        self._turning = threading.Lock()
        self._thread: threading.Thread | None = None
        self._starting = threading.Lock()
        self._at_rest_since = self._loop.time()
        self._is_turned_here = False
        self._others: set[asyncio.Task[Any]] = set()
        self._loop.set_task_factory(self._note)

    def call(self, work: Coroutine[Any, Any, T]) -> T:
        """Run a coroutine in the portal's loop and return its result; it is cancelled if the caller is interrupted."""
        if self._thread is None and not is_in_loop() and self._turning.acquire(blocking=False):
            try:
                if self._thread is None:
                    return self._turn(work)
            finally:
                self._turning.release()
        self.hand_over()
        future = asyncio.run_coroutine_threadsafe(work, self._loop)
        try:
            return future.result()
        except BaseException:
            future.cancel()
            raise

    def hand_over(self) -> None:
        """Let a thread turn the loop, from when nobody else does. For what must go on without a call."""
        with self._starting:
            if self._thread is None:
                self._thread = threading.Thread(target=self._serve, name="rota-portal", daemon=True)
                self._thread.start()

    def close(self) -> None:
        """End the loop, and whatever is going on in it."""
        self.hand_over()
        assert self._thread is not None  # noqa: S101
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()

    @property
    def is_closed(self) -> bool:
        """Whether its loop has ended."""
        return self._loop.is_closed()

    def abandon(self) -> None:
        """Close the loop of a store that was dropped, or is left at exit, without ``close``; not if a thread turns it.

        Left to the collector, its sockets may be closed before the loop is, which then complains of a file descriptor -1.
        """
        if self._thread is None and self._turning.acquire(blocking=False):
            self._loop.close()

    def let_go(self) -> None:
        """In a forked child: keep what becomes of the loop here from the parent, with which its selector is shared.

        At the child's end asyncio and the driver take their sockets out of the selector, and the parent's loop would hear of
        nothing more. So the child's descriptor is made to lead nowhere; to fail at it is what asyncio is prepared for.
        """
        fileno = getattr(getattr(self._loop, "_selector", None), "fileno", None)
        if fileno is not None:
            nowhere = os.open(os.devnull, os.O_RDWR)
            os.dup2(nowhere, fileno(), inheritable=False)
            os.close(nowhere)

    def _turn(self, work: Coroutine[Any, Any, T]) -> T:
        if self._loop.time() - self._at_rest_since > _REST_S:
            self._loop.run_until_complete(_go_round())
        # Made past the factory: every other task is one that something starts on the way.
        task = asyncio.Task(self._then_stop(work), loop=self._loop)
        self._is_turned_here = True
        try:
            self._loop.run_forever()
            return task.result()
        except BaseException:
            task.cancel()
            raise
        finally:
            self._is_turned_here = False
            if self._others or not task.done():
                self.hand_over()
            self._at_rest_since = self._loop.time()

    async def _then_stop(self, work: Coroutine[Any, Any, T]) -> T:
        """Do the work, and stop the loop at the end of that very turn: one turn less than ``run_until_complete`` takes."""
        try:
            return await work
        finally:
            if self._is_turned_here:
                self._loop.stop()

    def _note(self, loop: asyncio.AbstractEventLoop, work: Any, **more: Any) -> asyncio.Task[Any]:
        """Make a task, and know of it while it goes on: to ask for all tasks of a loop takes longer than all of this."""
        task = asyncio.Task(work, loop=loop, **more)
        self._others.add(task)
        task.add_done_callback(self._others.discard)
        return task

    def _serve(self) -> None:
        with self._turning, asyncio.Runner(loop_factory=lambda: self._loop) as runner:
            runner.get_loop().run_forever()


async def _go_round() -> None:
    """Let the loop take what has come in meanwhile: that the other side has closed a connection, above all."""
    for _ in range(_TURNS):
        await asyncio.sleep(0)


def is_in_loop() -> bool:
    """Whether the calling thread is running an event loop, which a wait would stop."""
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return False
    return True
