"""Threads on virtual time, each with a stack of its own, of which one runs at a time, while the simulator waits for it.

    simulator ──switch──▶ thread: runs until it waits for something ──switch──▶ simulator

So a plain function that sleeps is stopped in its middle, as on a real machine, while everything else goes on. A thread stops
with its process, and dies with it; but not with its process's event loop, when user code blocks that.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from typing import Any

from greenlet import getcurrent, greenlet  # type: ignore[import-untyped]

from rota.store.port import Settled
from tests.simulation.loop import Handle, Owner
from tests.simulation.world import Process, World


class OverError(BaseException):
    """Unwinds a thread whose history is over."""


class Strand(Owner):
    """One thread, as something that can be run: it runs whenever its process lives and is not stopped."""

    def __init__(self, world: World, process: Process, work: Callable[[], None], name: str) -> None:
        super().__init__(f"{process.name} {name}", process.rate)
        self.world = world
        self.process = process
        self.is_over = False
        self.has_ended = False
        self.wakes = 0
        self._work = work
        self._stack = greenlet(self._live)
        self._stack.gr_context = process.context.copy()
        self._handle: Handle | None = None
        process.strands.append(self)

    @property
    def can_run(self) -> bool:
        """Whether it may run now."""
        return self.process.is_alive and not self.process.is_paused

    def begin(self) -> None:
        """Start it; it first runs when it is its turn."""
        self.wake()

    def wake(self) -> None:
        """Let it run when it is its turn."""
        self._handle = self.world.loop.call_soon(self.go, context=self.context.copy())

    def after(self, seconds: float) -> Handle:
        """Let it run after a while of its machine's time."""
        return self.world.loop.after(seconds / self.rate, self.wake)

    def go(self) -> None:
        """Run it until it waits or ends. To be called by the simulator only."""
        if self.has_ended:
            return
        self._handle = None
        loop = self.world.loop
        current, loop.current = loop.current, self.process
        running = asyncio._get_running_loop()
        asyncio._set_running_loop(None)
        self._stack.parent = getcurrent()
        try:
            self._stack.switch()
        finally:
            asyncio._set_running_loop(running)
            loop.current = current

    def pause(self) -> None:
        """Let whoever waits for it go on, and wait to be gone on with. To be called in the thread itself."""
        assert self._stack.parent is not None
        self._stack.parent.switch()
        if self.is_over:
            raise OverError

    def join(self, timeout: float | None = None) -> None:
        """Let it run on at once, if it has something to do: what else it waits for does not come while others wait for it."""
        while self._handle is not None and not self.has_ended and self.process.is_alive:
            self._handle.cancel()
            self.go()

    def unwind(self) -> None:
        """End it, wherever it is."""
        self.is_over = True
        for _ in range(100):
            if self.has_ended:
                return
            self.go()

    def _live(self) -> None:
        try:
            if not self.is_over:
                self._work()
        except OverError:
            pass
        except BaseException as error:
            self.world.loop.complaints.append((self.name, error))
        finally:
            self.has_ended = True


class SimThreads:
    """Threads of one process.

    Attributes:
        current: The one that runs, if any does.
    """

    def __init__(self, world: World, process: Process) -> None:
        self._world = world
        self._process = process

    def start(self, work: Callable[[], None], name: str) -> Strand:
        """Run something in a thread of its own."""
        strand = Strand(self._world, self._process, work, name)
        strand.begin()
        return strand

    def handover(self) -> SimHandover:
        """Return an empty line."""
        return SimHandover(self._process)

    def flag(self) -> SimFlag:
        """Return a flag that is not set."""
        return SimFlag(self._process)


class SimHandover:
    """A line in which threads wait."""

    def __init__(self, process: Process) -> None:
        self._process = process
        self._items: deque[Any] = deque()
        self._waiting: deque[Strand] = deque()

    def put(self, item: Any) -> None:
        """Put something in, and wake who waits longest."""
        self._items.append(item)
        if self._waiting:
            self._waiting.popleft().wake()

    def get(self) -> Any:
        """Take the first, waiting for it."""
        me = current_strand(self._process)
        while not self._items:
            self._waiting.append(me)
            me.pause()
        return self._items.popleft()


class SimFlag:
    """A flag for which one thread waits."""

    def __init__(self, process: Process) -> None:
        self._process = process
        self._is_set = False
        self._waiting: Strand | None = None

    def set(self) -> None:
        """Set it."""
        self._is_set = True
        if self._waiting is not None:
            self._waiting.wake()

    def wait(self, timeout: float) -> bool:
        """Wait until it is set, at most so many seconds."""
        me = current_strand(self._process)
        if not self._is_set:
            self._waiting = me
            timer = me.after(timeout)
            me.pause()
            timer.cancel()
            self._waiting = None
        return self._is_set


def current_strand(process: Process) -> Strand:
    """Return the thread in which this is called."""
    me = getcurrent()
    strand: Strand = next(strand for strand in process.strands if strand._stack is me)
    return strand


def sleep(process: Process, seconds: float) -> None:
    """Sleep in a thread, on virtual time."""
    me = current_strand(process)
    me.after(seconds)
    me.pause()


def ask(process: Process, send: Callable[[Callable[[Any, BaseException | None], None]], None]) -> Settled:
    """Make a call to the store in a thread, and wait for its reply there."""
    me = current_strand(process)
    answer: list[tuple[Any, BaseException | None]] = []

    def take(value: Any, error: BaseException | None) -> None:
        answer.append((value, error))
        me.wake()

    send(take)
    while not answer:
        me.pause()
    value, error = answer[0]
    if error is not None:
        raise error
    settled: Settled = value
    return settled
