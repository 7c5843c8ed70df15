"""The hands: they run handlers, a fixed number of jobs at once.

    todo ──▶ hand (coroutine) ──async def──▶ outcome ──▶ settler
      │        │ passes a `def` job, and its seat, on
      └──▶ thread ──def──▶ outcome ──▶ settler

A worker has as many *seats* as jobs it may run at once. Whoever finishes a job keeps the seat and takes the next one
itself: a coroutine without a new task, a thread without a trip to the loop. Only a job of the other kind is handed across,
seat and all. So a busy worker starts no task, no thread and no timer for a job (unless it has a time limit).

Invariants, each with the test that holds it:
    Never more jobs at once than seats.                      tests/unit/worker/test_hands.py
"""

from __future__ import annotations

import asyncio
import threading
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from queue import SimpleQueue
from typing import Any

from rota.model.job import ClaimedJob
from rota.runtime.clock import Clock
from rota.settle.settler import Settler
from rota.worker.attempts import Attempts

_STRETCH_US = 5_000
"""How long coroutines that never wait may keep the loop from everything else."""


class Hands:
    """Runs claimed jobs, at most ``concurrency`` at once.

    Args:
        concurrency: Seats.
        attempts: Runs one job.
        settler: Is told when threads have put outcomes in.
        clock: How long the loop has been kept from everything else.
        wants_more: Called on the loop when there is room for more jobs.

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
        self._coroutines: list[asyncio.Task[None]] = []
        self._threads: list[threading.Thread] = []
        self._idle_threads = 0
        self._for_threads: SimpleQueue[ClaimedJob | None] = SimpleQueue()
        self._thread_news = False
        self._low = max(1, concurrency // 2)
        self._is_closing = False
        self._starts = True
        self._rested = asyncio.Event()
        self._broken: asyncio.Future[None] = self.loop.create_future()

    # ── jobs in ──────────────────────────────────────────────────────────────────────────────────────────────────────

    def take(self, jobs: list[ClaimedJob]) -> None:
        """Take jobs to run, in this order."""
        self._low = max(1, min(len(jobs), self.concurrency * 64) // 2)
        self.todo.extend(jobs)
        self._fill_seats()

    def cancel(self, token: bytes) -> None:
        """Cancel a job that is running or waiting here; any other token is ignored."""
        if token in self._attempts.active or any(job.token == token for job in self.todo):
            self._attempts.cancel(token)

    def start_nothing(self) -> None:
        """Let running jobs finish, and start no other."""
        self._starts = False

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

    async def rest(self) -> None:
        """Wait until no job is running or waiting to."""
        while self.busy or self.todo:
            self._rested.clear()
            await self._rested.wait()

    async def broken(self) -> None:
        """Wait for ever, unless a hand ends by an error of rota's own, which is then raised."""
        await self._broken

    def _hand_ended(self, hand: asyncio.Task[None]) -> None:
        if not hand.cancelled() and (error := hand.exception()) is not None and not self._broken.done():
            self._broken.set_exception(error)

    async def close(self) -> None:
        """Let go of coroutines and idle threads; a thread inside a handler is left to the end of the process."""
        self._is_closing = True
        for task in self._coroutines:
            task.cancel()
        await asyncio.gather(*self._coroutines, return_exceptions=True)
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
            self.free -= 1
            if self._parked:
                self._parked.pop().set_result(None)
            else:
                row = len(self._coroutines)
                hand = self.loop.create_task(self._hand(row))
                hand.add_done_callback(self._hand_ended)
                self._coroutines.append(hand)

    # ── coroutines ───────────────────────────────────────────────────────────────────────────────────────────────────

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
            if ended_us - stretch_from > _STRETCH_US or ended_us < stretch_from:
                await asyncio.sleep(0)
                stretch_from = self._clock.now_us()

    async def _park(self, *, has_seat: bool = True) -> None:
        """Give the seat up and wait for another."""
        if has_seat:
            self._seat_freed()
        if self.todo and self.free and self._starts:
            self.free -= 1
            return
        parked: asyncio.Future[None] = self.loop.create_future()
        self._parked.append(parked)
        await parked

    def _seat_freed(self) -> None:
        self.free += 1
        if self.free == self.concurrency and not self.todo:
            self._rested.set()
        self._wants_more()

    # ── threads ──────────────────────────────────────────────────────────────────────────────────────────────────────

    def _pass_to_thread(self, job: ClaimedJob) -> None:
        """Give a ``def`` job and the seat to a thread."""
        if self._idle_threads > 0:
            self._idle_threads -= 1
        elif len(self._threads) < self.concurrency:
            row = self.concurrency + len(self._threads)
            thread = threading.Thread(target=self._work, args=(row,), name=f"rota-hand-{row}", daemon=True)
            self._threads.append(thread)
            thread.start()
        self._for_threads.put(job)

    def _work(self, row: int) -> None:
        """Run jobs in a thread: each that is handed over, then as many as it finds."""
        while True:
            given = self._for_threads.get()
            while given is not None:
                self._attempts.run_in_thread(row, given)
                given = self._next_for_thread()
            if self._is_closing:
                return

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
