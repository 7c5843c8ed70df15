"""An event loop on virtual time: it never waits, opens nothing, and runs the coroutines of many processes.

    handles of a process ──▶ its own line, first in first out     (a process's loop keeps its order)
    processes            ──▶ one is drawn for each step           (between processes there is no order)
    nothing to run       ──▶ time jumps to the next timer; none left: the history is over, or stuck

Each handle belongs to the process in whose context it was made. So a process can be stopped (its handles wait), blocked (all
but the one that blocks it) or dead (its handles are dropped): a dead process does nothing any more, not even in a ``finally``.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Coroutine
from contextvars import Context, ContextVar, copy_context
from heapq import heappop, heappush
from random import Random
from typing import Any, TypeVar

from rota.errors import StoreError

T = TypeVar("T")

STEPS_MAX = 400_000
"""Of one history. A loop that turns without end is a fault, and no test may hang on it."""


_owner: ContextVar[Owner] = ContextVar("simulated_process")


class Owner:
    """Whatever can be run: a process, or the simulator itself.

    Attributes:
        name: For people.
        rate: How fast its clock goes, in its seconds a true second.
        ready: Its handles that may run.
        context: What runs in a copy of it is this owner's.
        is_alive: Once false, nothing of it ever runs again.
        is_paused: It has been stopped by a signal.
        is_blocked: Its loop is kept by user code.
        was_killed: A signal ended it.
    """

    def __init__(self, name: str, rate: float = 1.0) -> None:
        self.name = name
        self.rate = rate
        self.ready: deque[Handle] = deque()
        self.context = Context()
        self.context.run(_owner.set, self)
        self.tasks: list[asyncio.Task[Any]] = []
        self.signals: dict[int, Callable[[], None]] = {}
        self.is_alive = True
        self.is_paused = False
        self.is_blocked = False
        self.was_killed = False

    @property
    def can_run(self) -> bool:
        """Whether its handles may run now."""
        return self.is_alive and not self.is_paused and not self.is_blocked


KERNEL = Owner("simulator")


class Handle:
    """A callback that will be run, by its owner; in no context of its own if that is the simulator."""

    __slots__ = ("_when", "args", "callback", "context", "is_cancelled", "owner")

    def __init__(
        self, owner: Owner, callback: Callable[..., Any], args: tuple[Any, ...], context: Context | None, when: float
    ) -> None:
        self.owner = owner
        self.callback = callback
        self.args = args
        self.context = context
        self.is_cancelled = False
        self._when = when

    def cancel(self) -> None:
        """Do not run it."""
        self.is_cancelled = True
        self.callback, self.args = _nothing, ()

    def cancelled(self) -> bool:
        """Whether it will not run."""
        return self.is_cancelled

    def when(self) -> float:
        """Return its time, by its owner's clock."""
        return self._when


def _nothing() -> None:
    return None


class StuckError(Exception):
    """The history cannot go on, or does not end."""


class SimLoop(asyncio.BaseEventLoop):
    """Runs one history.

    Args:
        chance: Which process is next.

    Attributes:
        now: True time, seconds from the beginning.
        current: Whose handle is being run.
        complaints: What callbacks raised and nobody caught.
    """

    def __init__(self, chance: Random) -> None:
        super().__init__()
        self.now = 0.0
        self.current = KERNEL
        self.steps = 0
        self.complaints: list[tuple[str, BaseException | str]] = []
        self.owners: list[Owner] = [KERNEL]
        self._draw = chance.random
        self._runnable: list[Owner] = []
        self._timers: list[tuple[float, int, Handle]] = []
        self._number = 0
        KERNEL.ready.clear()
        KERNEL.tasks.clear()
        KERNEL.is_alive = True

    # ── what asyncio asks of a loop ──────────────────────────────────────────────────────────────────────────────────

    def time(self) -> float:
        """Return the current process's monotonic clock."""
        return self.now * self.current.rate

    def call_soon(  # type: ignore[override]
        self, callback: Callable[..., Any], *args: Any, context: Context | None = None
    ) -> Any:
        """Run a callback as soon as its process may."""
        if context is None:
            owner = _owner.get(KERNEL)
            if owner is not KERNEL:
                context = copy_context()
        else:
            owner = context.get(_owner, KERNEL)
        handle = Handle(owner, callback, args, context, 0.0)
        if owner.is_alive:
            ready = owner.ready
            if not ready and owner.can_run:
                self._runnable.append(owner)
            ready.append(handle)
        return handle

    call_soon_threadsafe = call_soon  # type: ignore[assignment]

    def call_later(  # type: ignore[override]
        self, delay: float, callback: Callable[..., Any], *args: Any, context: Context | None = None
    ) -> Any:
        """Run a callback after a while, by its process's clock."""
        if context is None:
            owner = _owner.get(KERNEL)
            if owner is not KERNEL:
                context = copy_context()
        else:
            owner = context.get(_owner, KERNEL)
        handle = Handle(owner, callback, args, context, self.time() + delay)
        self._number += 1
        heappush(self._timers, (self.now + max(0.0, delay) / owner.rate, self._number, handle))
        return handle

    def call_at(  # type: ignore[override]
        self, when: float, callback: Callable[..., Any], *args: Any, context: Context | None = None
    ) -> Any:
        """Run a callback at an instant of its process's clock."""
        return self.call_later(when - self.time(), callback, *args, context=context)

    def create_task(  # type: ignore[override]
        self, coro: Any, *, name: str | None = None, context: Context | None = None
    ) -> asyncio.Task[Any]:
        """Run a coroutine in the current process, or in that of the context."""
        owner = self.current if context is None else context.get(_owner, KERNEL)
        task = asyncio.Task(coro, loop=self, name=name, context=context)
        task._log_destroy_pending = False  # type: ignore[attr-defined]
        owner.tasks.append(task)
        return task

    def add_signal_handler(self, sig: int, callback: Any, *args: Any) -> None:  # type: ignore[override]
        """Call this when the current process is sent a signal."""
        self.current.signals[int(sig)] = lambda: callback(*args)

    def remove_signal_handler(self, sig: int) -> bool:
        """Let the current process die of a signal again."""
        return self.current.signals.pop(int(sig), None) is not None

    def call_exception_handler(self, context: dict[str, Any]) -> None:
        """Keep what went wrong in a callback. Tasks whose error nobody looked at are found in another way."""
        if "handle" in context:
            self.complaints.append((self.current.name, context.get("exception") or str(context["message"])))

    def run_in_executor(self, executor: Any, func: Any, *args: Any) -> Any:  # type: ignore[override]
        """Refuse: nothing here may run in a thread."""
        raise NotImplementedError(f"{func} was to run in a thread")

    # ── the simulator ────────────────────────────────────────────────────────────────────────────────────────────────

    def after(self, delay: float, callback: Callable[..., Any], *args: Any) -> Handle:
        """Run a callback of the simulator itself after a true while."""
        when = self.now + delay
        handle = Handle(KERNEL, callback, args, None, when)
        self._number += 1
        heappush(self._timers, (when, self._number, handle))
        return handle

    def spawn(self, owner: Owner, main: Coroutine[Any, Any, Any]) -> asyncio.Task[Any]:
        """Begin a process."""
        self.owners.append(owner)
        return self.create_task(main, context=owner.context.copy())

    def call_in(self, owner: Owner, callback: Callable[..., Any], *args: Any) -> None:
        """Run a callback in a process, as a signal does."""
        self.call_soon(callback, *args, context=owner.context.copy())

    def after_in(self, owner: Owner, delay: float, callback: Callable[..., Any], *args: Any) -> None:
        """Run a callback in a process after a true while, as a datagram does."""
        when = self.now + delay
        self._number += 1
        heappush(self._timers, (when, self._number, Handle(owner, callback, args, owner.context.copy(), when)))

    def wake(self, owner: Owner) -> None:
        """Let a process go on whose pause or blockage is over, or which has just been given something to do."""
        if owner.ready and owner.can_run and owner not in self._runnable:
            self._runnable.append(owner)

    def halt(self, owner: Owner) -> None:
        """Keep a process from running; whether it is dead, stopped or blocked is written in it."""
        if owner in self._runnable:
            self._runnable.remove(owner)
        if not owner.is_alive:
            owner.ready.clear()

    def run_until(self, is_over: Callable[[], bool], time_max: float) -> None:
        """Run until something is so; at most to a true time.

        Raises:
            StuckError: Nothing is left to run, or too much was.
        """
        asyncio._set_running_loop(self)
        try:
            while not is_over() and self._steps(time_max):
                pass
        finally:
            self.current = KERNEL
            asyncio._set_running_loop(None)

    def _steps(self, time_max: float) -> bool:
        """Run what is to be run at this instant; return whether there was anything, or will be in time.

        All in one function, since this is where the simulator spends its own time.
        """
        runnable, draw = self._runnable, self._draw
        handle = None if runnable else self._advance(time_max)
        if handle is None and not runnable:
            return False
        while True:
            if handle is None:
                # A process is drawn, and the first handle of its line is taken.
                index = int(draw() * len(runnable)) if len(runnable) > 1 else 0
                ready = runnable[index].ready
                handle = ready.popleft()
                if not ready:
                    runnable.pop(index)
            if not handle.is_cancelled:
                self.current = handle.owner
                self.steps += 1
                if self.steps > STEPS_MAX:
                    who = handle.owner.name
                    raise StuckError(f"{self.steps} steps by {self.now:.3f} s: something turns without end, last {who}")
                try:
                    if handle.context is None:
                        handle.callback(*handle.args)
                    else:
                        handle.context.run(handle.callback, *handle.args)
                except (SystemExit, KeyboardInterrupt):
                    raise
                except BaseException as error:
                    self.complaints.append((handle.owner.name, error))
                self.current = KERNEL
            if not runnable:
                return True
            handle = None

    def _advance(self, time_max: float) -> Handle | None:
        """Go to the next timer, and return what is to be run then; ``None`` if it does not come in time."""
        timers = self._timers
        while timers:
            when, _, handle = timers[0]
            owner = handle.owner
            if handle.is_cancelled or not owner.is_alive:
                heappop(timers)
                continue
            if when > time_max:
                self.now = max(self.now, time_max)
                return None
            heappop(timers)
            self.now = max(self.now, when)
            if owner.can_run:
                # Nothing else is to be run, or time would stand still.
                return handle
            owner.ready.append(handle)
        raise StuckError(f"nothing is scheduled after {self.now:.3f} s")

    # ── the end ──────────────────────────────────────────────────────────────────────────────────────────────────────

    def unseen_errors(self) -> list[tuple[str, BaseException]]:
        """Return what tasks raised that nobody looked at. Of those who were killed only what the store did not refuse."""
        found = []
        for owner in self.owners:
            for task in owner.tasks:
                if task.done() and not task.cancelled() and task._log_traceback:
                    error = task.exception()
                    if error is not None and not (owner.was_killed and isinstance(error, StoreError)):
                        found.append((owner.name, error))
        return found

    def dispose(self) -> None:
        """End every coroutine that is left, so that none is ended by the garbage collector at some other time."""
        asyncio._set_running_loop(self)
        try:
            for owner in self.owners:
                owner.is_alive = False
                owner.ready.clear()
                for task in owner.tasks:
                    _close(task)
                owner.tasks.clear()
            self._timers.clear()
        finally:
            asyncio._set_running_loop(None)
        self._runnable.clear()
        self.close()


def _close(task: asyncio.Task[Any]) -> None:
    """Close a coroutine; one that awaits something in a ``finally`` is closed there, too."""
    if task.done():
        if not task.cancelled():
            task.exception()
        return
    coroutine: Any = task.get_coro()
    for _ in range(50):
        try:
            coroutine.close()
        except RuntimeError:
            continue
        except BaseException:
            return
        return
