"""The hands: they run handlers, a fixed number of jobs at once.

    todo ──▶ hand (coroutine) ──async def──▶ outcome ──▶ settler
      │        │ passes a `def` job, and its seat, on
      └──▶ thread ──def──▶ outcome ──▶ settler

A worker has as many *seats* as jobs it may run at once. Whoever finishes a job keeps the seat and takes the next one
itself: a coroutine without a new task, a thread without a trip to the loop. Only a job of the other kind is handed across,
seat and all. So a busy worker starts no task, no thread and no timer for a job (unless it has a time limit).

No job sees what another left behind: a coroutine whose handler left a context variable changed or a cancellation pending
ends, and another takes its row and its seat; a thread runs each job in a copy of the context that the worker began with.

Invariants, each with the test that holds it:
    Never more jobs at once than seats.                      tests/unit/worker/test_hands.py
    No seat is lost, whatever a handler does.                tests/unit/worker/test_hands.py
    No job sees another's context variables.                 tests/unit/worker/test_hands.py
    A job taken back is not started; one handed across       tests/unit/worker/test_hands.py
      while the worker ends can be taken back.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from typing import Any

from rota.model.job import ClaimedJob
from rota.runtime.clock import Clock
from rota.settle.settler import Settler
from rota.worker.attempts import Attempts
from rota.worker.threads import SYSTEM_THREADS, Joinable, Threads

_CLOSE_S = 1.0
"""How long handlers may take to end once they were cancelled for good."""

_STRETCH_US = 5_000
"""How long coroutines that never wait may keep the loop from everything else."""


class Hands:
    """Runs claimed jobs, at most ``concurrency`` at once.

    Args:
        concurrency: Seats.
        attempts: Runs one job.
        settler: Is told when threads have put outcomes in.
        clock: How long jobs have been running, and the loop has been kept from everything else.
        wants_more: Called on the loop when there is room for more jobs.
        threads: Makes the threads for ``def`` handlers.

    Attributes:
        todo: Jobs that wait to be started. Hands, threads and the loop's guard all take from it.
        free: Free seats.
    """

    def __init__(
        self,
        concurrency: int,
        attempts: Attempts,
        *,
        settler: Settler,
        clock: Clock,
        wants_more: Callable[[], None],
        threads: Threads = SYSTEM_THREADS,
    ) -> None:
        self.todo: deque[ClaimedJob] = deque()
        self.concurrency = concurrency
        self.free = concurrency
        self.loop = asyncio.get_running_loop()
        self._attempts = attempts
        self._settler = settler
        self._clock = clock
        self._wants_more = wants_more
        self._parked: list[asyncio.Future[None]] = []
        self._coroutines: dict[int, asyncio.Task[None]] = {}
        self._free_rows: list[int] = []
        self._makes_threads = threads
        self._threads: list[Joinable] = []
        self._idle_threads = 0
        self._for_threads = threads.handover()
        self._thread_news = False
        self._low = max(1, concurrency // 2)
        self._is_closing = False
        self._starts = True
        self._busy_ns = 0
        self._busy_since_ns = 0
        self._rested = asyncio.Event()
        self._broken: asyncio.Future[None] = self.loop.create_future()

    # ── jobs in ──────────────────────────────────────────────────────────────────────────────────────────────────────

    def take(self, jobs: list[ClaimedJob]) -> None:
        """Take jobs to run, in this order."""
        self._low = max(1, min(len(jobs), self.concurrency * 64) // 2)
        self.todo.extend(jobs)
        self._fill_seats()

    def cancel(self, job: ClaimedJob) -> None:
        """Cancel a job that this worker holds."""
        self._attempts.cancel(job)

    def start_nothing(self) -> None:
        """Let running jobs finish, and start no other."""
        self._starts = False
        if not self.busy:
            self._rested.set()

    def take_back(self) -> list[ClaimedJob]:
        """Take back all jobs that have not been started. Safe on any thread, also while the loop is blocked."""
        back = []
        with suppress(IndexError):
            while True:
                back.append(self.todo.pop())
        return back

    @property
    def busy(self) -> int:
        """Jobs that are running."""
        return self.concurrency - self.free

    @property
    def busy_ns(self) -> int:
        """For how long any job has been running, in all, nanoseconds."""
        since_ns = self._busy_since_ns
        return self._busy_ns + (self._clock.boot_ns() - since_ns if since_ns else 0)

    @property
    def ended(self) -> int:
        """How many jobs have been run."""
        return self._settler.ended

    async def rest(self) -> None:
        """Wait until no job is running or about to be started."""
        while self.busy or (self.todo and self._starts):
            self._rested.clear()
            await self._rested.wait()

    async def rest_but_lost(self) -> None:
        """Wait, once nothing is started any more, until nothing runs but what overran its time limit for good."""
        while self.busy > len(self._attempts.lost()):
            self._rested.clear()
            await self._rested.wait()

    def has_lost(self) -> None:
        """Take the news that a job is lost, so that whoever waits for the others may be done."""
        self._rested.set()

    async def broken(self) -> None:
        """Wait for ever, unless a hand ends by an error of rota's own, which is then raised."""
        await self._broken

    def _break(self, error: BaseException) -> None:
        if not self._broken.done():
            self._broken.set_exception(error)

    async def close(self) -> None:
        """Let go of coroutines and idle threads.

        A handler that does not end when it is cancelled, and a thread inside of one, are left to the end of the process.
        """
        self._is_closing = True
        self._broken.cancel()
        hands = list(self._coroutines.values())
        for task in hands:
            task.cancel()
        if hands:
            await asyncio.wait(hands, timeout=_CLOSE_S)
        for _ in self._threads:
            self._for_threads.put(None)
        if not self.busy:
            for thread in self._threads:
                thread.join()

    def _next(self) -> ClaimedJob:
        """Take the next job to start. Safe on any thread.

        Raises:
            IndexError: There is none, or no job shall be started any more.
        """
        if not self._starts:
            raise IndexError
        return self.todo.popleft()

    def _fill_seats(self) -> None:
        """Give free seats to coroutines while there are jobs."""
        waiting = min(self.free, len(self.todo)) if self._starts else 0
        for _ in range(waiting):
            self._take_seat()
            self._wake_hand()

    def _wake_hand(self) -> None:
        """Give a seat that has been taken to a parked coroutine, else to a new one."""
        while self._parked:
            parked = self._parked.pop()
            if not parked.done():  # It may have been cancelled just now; see _park.
                parked.set_result(None)
                return
        self._start_hand(self._free_rows.pop() if self._free_rows else len(self._coroutines))

    def _take_seat(self) -> None:
        if self.free == self.concurrency:
            self._busy_since_ns = self._clock.boot_ns()
        self.free -= 1

    def _seat_freed(self) -> None:
        self.free += 1
        if self.free == self.concurrency:
            self._busy_ns, self._busy_since_ns = self.busy_ns, 0
            if not (self.todo and self._starts):
                self._rested.set()
        elif not self._starts:
            self._rested.set()  # What is left may be lost.
        self._wants_more()

    # ── coroutines ───────────────────────────────────────────────────────────────────────────────────────────────────

    def _start_hand(self, row: int) -> None:
        hand = self.loop.create_task(self._hand(row), context=self._attempts.context.copy())
        hand.add_done_callback(partial(self._hand_ended, row))
        self._coroutines[row] = hand

    def _hand_ended(self, row: int, hand: asyncio.Task[None]) -> None:
        if self._coroutines[row] is hand and hand.cancelled():
            self._free_rows.append(row)
        if not hand.cancelled() and (error := hand.exception()) is not None:
            self._break(error)

    async def _hand(self, row: int) -> None:
        """Run jobs one after the other while there are any; then park. Begins, and goes on after parking, with a seat."""
        task = asyncio.current_task()
        assert task is not None  # noqa: S101
        todo, attempts = self.todo, self._attempts
        stretch_from = self._clock.now_us()
        while True:
            try:
                job = self._next()
            except IndexError:
                await self._park()
                stretch_from = self._clock.now_us()
                continue
            if not attempts.specs[job.task_id].is_async:
                self._pass_to_thread(job)
                await self._park(has_seat=False)
                stretch_from = self._clock.now_us()
                continue
            if len(todo) < self._low:
                self._wants_more()
            ended_us = await attempts.run_async(row, job, task)
            if not ended_us:
                self._replace(row)
                return
            if ended_us - stretch_from > _STRETCH_US or ended_us < stretch_from:
                await self._let_others()
                stretch_from = self._clock.now_us()

    async def _let_others(self) -> None:
        try:
            await asyncio.sleep(0)
        except asyncio.CancelledError:
            self._leave_seat()
            raise

    def _leave_seat(self) -> None:
        """Free the seat of a hand that was cancelled, by code that kept its task from a job that is over."""
        self._seat_freed()
        if not self._is_closing:
            self._fill_seats()

    def _replace(self, row: int) -> None:
        """Give the seat to a new hand, since this one must run no other job."""
        if self._is_closing or self.loop.is_closed():
            self._seat_freed()
        else:
            self._start_hand(row)

    async def _park(self, *, has_seat: bool = True) -> None:
        """Give the seat up and wait for another."""
        if has_seat:
            self._seat_freed()
        if self.todo and self.free and self._starts:
            self._take_seat()
            return
        parked: asyncio.Future[None] = self.loop.create_future()
        self._parked.append(parked)
        try:
            await parked
        except asyncio.CancelledError:
            if not parked.cancelled():  # It had just been given a seat.
                self._leave_seat()
            raise

    # ── threads ──────────────────────────────────────────────────────────────────────────────────────────────────────

    def _pass_to_thread(self, job: ClaimedJob) -> None:
        """Give a ``def`` job and the seat to a thread."""
        if self._idle_threads > 0:
            self._idle_threads -= 1
        elif len(self._threads) < self.concurrency:
            row = self.concurrency + len(self._threads)
            self._threads.append(self._makes_threads.start(partial(self._work, row), f"rota-hand-{row}"))
        self._for_threads.put(job)

    def _work(self, row: int) -> None:
        """Run jobs in a thread: each that is handed over, then as many as it finds."""
        try:
            while not self._is_closing:
                given = self._for_threads.get()
                while given is not None:
                    self._attempts.run_in_thread(row, given)
                    given = self._next_for_thread()
        except BaseException as error:  # rota's own: what handlers raise is an outcome.
            self._tell_loop(self._break, error)

    def _next_for_thread(self) -> ClaimedJob | None:
        """Take the next job with the seat that has just become free, or give the seat back to the loop."""
        while True:
            try:
                job = self._next()
            except IndexError:
                self._tell_loop(self._thread_rests)
                return None
            if self._attempts.specs[job.task_id].is_async:
                self._tell_loop(self._thread_found_async, job)
                return None
            if not self._thread_news:
                self._thread_news = True
                self._tell_loop(self._thread_goes_on)
            return job

    def _tell_loop(self, function: Callable[..., None], *args: Any) -> None:
        with suppress(RuntimeError):  # The loop is closed: the process ends.
            self.loop.call_soon_threadsafe(function, *args)

    def _thread_goes_on(self) -> None:
        self._thread_news = False
        self._settler.notice()
        if len(self.todo) < self._low:
            self._wants_more()

    def _thread_rests(self) -> None:
        self._idle_threads += 1
        self._settler.notice()
        self._seat_freed()
        self._fill_seats()

    def _thread_found_async(self, job: ClaimedJob) -> None:
        self._idle_threads += 1
        self._settler.notice()
        self.todo.appendleft(job)
        self._seat_freed()
        self._fill_seats()
