"""Calling the async core from plain code: the sync face is this, and no second implementation.

On an engine that can work in the calling thread (``inline``) a coroutine never suspends, so it is run through with one
``send``: no event loop, no change of thread. For the others a thread with an event loop of its own is kept.
"""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Coroutine
from typing import Any, TypeVar

T = TypeVar("T")


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
    """A thread with an event loop, for plain code to call into. A daemon: it does not keep the process alive."""

    def __init__(self) -> None:
        self._started = threading.Event()
        self._loop: asyncio.AbstractEventLoop
        self._stop: asyncio.Event
        self._thread = threading.Thread(target=self._run, name="rota-portal", daemon=True)
        self._thread.start()
        self._started.wait()

    def call(self, work: Coroutine[Any, Any, T]) -> T:
        """Run a coroutine in the portal's loop and return its result; it is cancelled if the caller is interrupted."""
        future = asyncio.run_coroutine_threadsafe(work, self._loop)
        try:
            return future.result()
        except BaseException:
            future.cancel()
            raise

    def close(self) -> None:
        """End the loop and its thread."""
        self._loop.call_soon_threadsafe(self._stop.set)
        self._thread.join()

    def _run(self) -> None:
        asyncio.run(self._serve())

    async def _serve(self) -> None:
        self._loop, self._stop = asyncio.get_running_loop(), asyncio.Event()
        self._started.set()
        await self._stop.wait()


def is_in_loop() -> bool:
    """Whether the calling thread is running an event loop, which a wait would stop."""
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return False
    return True
