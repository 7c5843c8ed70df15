"""The hands: they run handlers, a fixed number of jobs at once.

    todo ──▶ hand (coroutine) ──async def──▶ outcome ──▶ settler
      │        │ passes a `def` job, and its seat, on
      └──▶ thread ──def──▶ outcome ──▶ settler

A worker has as many *seats* as jobs it may run at once. Whoever finishes a job keeps the seat and takes the next one
itself: a coroutine without a new task, a thread without a trip to the loop. Only a job of the other kind is handed across,
seat and all. So a busy worker starts no task, no thread and no timer for a job (unless it has a time limit).

Order of events for one job, which everything else relies on: mark in the running table; then decode, run; then hand the
outcome to the settler; then clear the mark. An outcome exists only once the handler has returned.

What can be stopped: an ``async def`` handler is cancelled (time limit, cancel, end of the grace). A ``def`` handler cannot
be: it is told by flags. One that overruns its limit by more than the grace has its process replaced; its outcome then goes
into the *will*, which is settled after the process is gone.

Invariants, each with the test that holds it:
    Never more jobs at once than seats.                      tests/unit/worker/test_hands.py
    A job is marked before it is decoded.                    tests/unit/worker/test_hands.py
    A cancelled handler's outcome is `cancelled`; one that   tests/unit/worker/test_hands.py
      swallows the cancellation has its own outcome.
"""

from __future__ import annotations

import asyncio
import threading
from collections import deque
from collections.abc import Callable, Mapping
from contextlib import suppress
from queue import SimpleQueue
from typing import Any

from rota.model.job import ClaimedJob
from rota.model.meta import overrides_of
from rota.model.outcome import Kind, Outcome
from rota.model.retry import Snooze
from rota.model.task import TaskSpec
from rota.runtime.clock import Clock
from rota.settle.settler import Settler
from rota.telemetry.telemetry import Telemetry
from rota.worker.attempt import Attempt
from rota.worker.current import running_attempt
from rota.worker.ending import Endings
from rota.worker.running import RunningTable

_STRETCH_US = 5_000
"""How long coroutines that never wait may keep the loop from everything else."""


class Hands:
    """Runs claimed jobs, at most ``concurrency`` at once.

    Args:
        concurrency: Seats.
        specs: The tasks by the store's numbers.
        queues: The names of queues by the store's numbers.
        running: Where running jobs are marked; ``None`` in tests of users.
        settler: Where outcomes go.
        endings: Turns exceptions into outcomes.
        clock: Gives start and end times.
        telemetry: Is told of overruns.
        timeout_grace_s: How long a ``def`` handler may overrun.
        wants_more: Called on the loop when there is room for more jobs.
        overrun: Called on the loop when a ``def`` handler did not come back within the grace.
    """

    def __init__(
        self,
        concurrency: int,
        specs: Mapping[int, TaskSpec],
        queues: Mapping[int, str],
        *,
        running: RunningTable | None,
        settler: Settler,
        endings: Endings,
        clock: Clock,
        telemetry: Telemetry,
        timeout_grace_s: float,
        wants_more: Callable[[], None],
        overrun: Callable[[Attempt], None],
    ) -> None:
        self.todo: deque[ClaimedJob] = deque()
        self.concurrency = concurrency
        self.free = concurrency
        self.active: dict[bytes, Attempt] = {}
        self._specs = specs
        self._queues = queues
        self._running = running
        self._settler = settler
        self._endings = endings
        self._clock = clock
        self._telemetry = telemetry
        self._timeout_grace_s = timeout_grace_s
        self._wants_more = wants_more
        self._overrun = overrun
        self.loop = asyncio.get_running_loop()
        self._parked: list[tuple[int, asyncio.Future[None]]] = []
        self._coroutines: list[asyncio.Task[None]] = []
        self._threads: list[threading.Thread] = []
        self._idle_threads = 0
        self._for_threads: SimpleQueue[ClaimedJob | None] = SimpleQueue()
        self._cancelled: set[bytes] = set()
        self._thread_news = False
        self._low = max(1, concurrency // 2)
        self._is_closing = False
        self._rested = asyncio.Event()

    # ── jobs in ──────────────────────────────────────────────────────────────────────────────────────────────────────

    def take(self, jobs: list[ClaimedJob]) -> None:
        """Take jobs to run, in this order."""
        self._low = max(1, min(len(jobs), self.concurrency * 64) // 2)
        self.todo.extend(jobs)
        self._fill_seats()

    def cancel(self, token: bytes) -> None:
        """Cancel a job that is held here: an ``async def`` handler is cancelled, a ``def`` one sees the flag."""
        attempt = self.active.get(token)
        if attempt is None:
            if any(job.token == token for job in self.todo):
                self._cancelled.add(token)
            return
        if not attempt.is_cancel_asked:
            attempt.is_cancel_asked = True
            if attempt.task is not None:
                attempt.task.cancel()

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

    def interrupt(self) -> None:
        """Cancel every ``async def`` handler; they go back uncounted."""
        for attempt in list(self.active.values()):
            if attempt.task is not None:
                attempt.is_given_back = True
                attempt.task.cancel()

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

    def _fill_seats(self) -> None:
        """Give free seats to coroutines while there are jobs."""
        waiting = min(self.free, len(self.todo))
        for _ in range(waiting):
            self.free -= 1
            if self._parked:
                self._parked.pop()[1].set_result(None)
            else:
                row = len(self._coroutines)
                self._coroutines.append(self.loop.create_task(self._hand(row)))

    # ── coroutines ───────────────────────────────────────────────────────────────────────────────────────────────────

    async def _hand(self, row: int) -> None:
        """Run jobs one after the other while there are any; then park. Begins, and goes on after parking, with a seat."""
        task = asyncio.current_task()
        assert task is not None  # noqa: S101
        todo, specs = self.todo, self._specs
        stretch_from = self._clock.now_us()
        while True:
            try:
                job = todo.popleft()
            except IndexError:
                await self._park(row)
                stretch_from = self._clock.now_us()
                continue
            if not specs[job.task_id].is_async:
                self._pass_to_thread(job)
                await self._park(row, has_seat=False)
                stretch_from = self._clock.now_us()
                continue
            if len(todo) < self._low:
                self._wants_more()
            ended_us = await self._attempt(row, job, task)
            if ended_us - stretch_from > _STRETCH_US or ended_us < stretch_from:
                await asyncio.sleep(0)
                stretch_from = self._clock.now_us()

    async def _park(self, row: int, *, has_seat: bool = True) -> None:
        """Give the seat up and wait for another."""
        if has_seat:
            self._seat_freed()
        if self.todo and self.free:
            self.free -= 1
            return
        parked: asyncio.Future[None] = self.loop.create_future()
        self._parked.append((row, parked))
        await parked

    def _seat_freed(self) -> None:
        self.free += 1
        if self.free == self.concurrency and not self.todo:
            self._rested.set()
        self._wants_more()

    async def _attempt(self, row: int, job: ClaimedJob, task: asyncio.Task[None]) -> int:
        """Run one ``async def`` job and hand its outcome over. Returns when it ended, microseconds since 1970."""
        running, spec = self._running, self._specs[job.task_id]
        if running is not None:
            running.mark(row, job.token)
        attempt, outcome = self._begin(job, spec)
        if attempt is not None:
            attempt.task = task
            self.active[job.token] = attempt
            try:
                args, kwargs = spec.decode(job.payload)
                if attempt.deadline_us is None:
                    value = await spec.function(*args, **kwargs)
                else:
                    value = await self._within_limit(attempt, spec.function, args, kwargs)
                outcome = self._returned(attempt, value)
            except asyncio.CancelledError as error:
                if not (attempt.is_cancel_asked or attempt.is_given_back) and self._is_closing:
                    raise
                outcome = self._endings.of_cancellation(attempt, error)
            except Exception as error:  # Whatever a handler raises is an outcome.
                outcome = self._endings.of_error(attempt, error)
            finally:
                self.active.pop(job.token, None)
                if attempt.is_cancel_asked or attempt.is_given_back:
                    while task.cancelling():
                        task.uncancel()
        assert outcome is not None  # noqa: S101
        self._settler.add(outcome, job.claim_no)
        if running is not None:
            running.clear(row)
        return outcome.ended_at or 0

    async def _within_limit(
        self, attempt: Attempt, function: Callable[..., Any], args: tuple[Any, ...], kwargs: Mapping[str, Any]
    ) -> Any:
        """Run a handler, cancelled when its time limit ends."""
        assert attempt.deadline_us is not None  # noqa: S101
        limit_s = (attempt.deadline_us - attempt.started_us) / 1e6
        try:
            async with asyncio.timeout(limit_s) as limit:
                return await function(*args, **kwargs)
        except TimeoutError as error:
            if limit.expired():
                attempt.is_overdue = True
                raise self._endings.time_limit(attempt) from error
            raise

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
                self._attempt_in_thread(row, given)
                given = self._next_for_thread()
            if self._is_closing:
                return

    def _next_for_thread(self) -> ClaimedJob | None:
        """Take the next job with the seat that has just become free, or give the seat back to the loop."""
        while True:
            try:
                job = self.todo.popleft()
            except IndexError:
                self._tell_loop(self._thread_rests)
                return None
            if self._specs[job.task_id].is_async:
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

    def _attempt_in_thread(self, row: int, job: ClaimedJob) -> None:
        """Run one ``def`` job and hand its outcome over."""
        running, spec = self._running, self._specs[job.task_id]
        if running is not None:
            running.mark(row, job.token)
        attempt, outcome = self._begin(job, spec)
        if attempt is not None:
            self.active[job.token] = attempt
            if attempt.deadline_us is not None:
                self._tell_loop(self._watch_limit, attempt)
            try:
                args, kwargs = spec.decode(job.payload)
                outcome = self._returned(attempt, spec.function(*args, **kwargs))
            except Exception as error:  # Whatever a handler raises is an outcome.
                outcome = self._endings.of_error(attempt, error)
            except BaseException as error:  # SystemExit, KeyboardInterrupt in a thread end nothing but the handler.
                outcome = self._endings.of_error(attempt, error)
            finally:
                self.active.pop(job.token, None)
        assert outcome is not None  # noqa: S101
        self._settler.add_quietly(outcome, job.claim_no)
        if running is not None:
            running.clear(row)

    def _watch_limit(self, attempt: Attempt) -> None:
        """Arm the two timers of a ``def`` handler with a time limit: report, then recycle."""
        assert attempt.deadline_us is not None  # noqa: S101
        limit_s = (attempt.deadline_us - self._clock.now_us()) / 1e6
        self.loop.call_later(max(0.0, limit_s), self._is_overdue, attempt)

    def _is_overdue(self, attempt: Attempt) -> None:
        if self.active.get(attempt.job.token) is attempt:
            attempt.is_overdue = True
            self._telemetry.emit(
                "job.overran",
                token=attempt.job.token,
                task=attempt.spec.name,
                timeout_ms=attempt.timeout_ms,
                grace_s=self._timeout_grace_s,
                worker=self._endings.worker,
            )
            self.loop.call_later(self._timeout_grace_s, self._is_lost, attempt)

    def _is_lost(self, attempt: Attempt) -> None:
        if self.active.get(attempt.job.token) is attempt:
            self._overrun(attempt)

    # ── both ─────────────────────────────────────────────────────────────────────────────────────────────────────────

    def _begin(self, job: ClaimedJob, spec: TaskSpec) -> tuple[Attempt | None, Outcome | None]:
        """Return the attempt to make, or the outcome of a job that must not be started any more."""
        now_us = self._clock.now_us()
        if job.cancel_asked or (self._cancelled and job.token in self._cancelled):
            self._cancelled.discard(job.token)
            return None, Outcome(job.seq, job.token, job.fence, Kind.CANCELLED, ended_at=now_us)
        if job.expires_at is not None and job.expires_at <= now_us and not (job.attempts or job.crashes):
            return None, Outcome(job.seq, job.token, job.fence, Kind.EXPIRED, ended_at=now_us)
        policy, timeout_ms = spec.retry, spec.timeout_ms
        if job.meta is not None:
            policy, timeout_ms = overrides_of(job.meta, policy, timeout_ms)
        attempt = Attempt(job, spec, self._queues.get(job.queue_id, ""), policy, now_us, timeout_ms)
        running_attempt.set(attempt)
        return attempt, None

    def _returned(self, attempt: Attempt, value: Any) -> Outcome:
        job, now_us = attempt.job, self._clock.now_us()
        if type(value) is Snooze:
            return self._endings.of_snooze(attempt, value)
        result = None if value is None else self._endings.encode(attempt, value)
        return Outcome(job.seq, job.token, job.fence, Kind.SUCCEEDED, result, None, None, attempt.started_us, now_us)
