"""Running one job: mark, decode, run, hand the outcome over, clear the mark.

In that order, and never another; everything else relies on it. An outcome exists only once the handler has returned.

Each job sees a clean context: what it sets in context variables ends with it, and so does a cancellation it left pending.

What can be stopped: an ``async def`` handler is cancelled (time limit, cancel, end of the grace). A ``def`` handler cannot
be: it is told by flags. Whichever overruns its limit by more than the grace (a coroutine can ignore its cancellation) is *lost*
and has its process replaced. If it comes back before that is gone, what it came to counts, as always; if not, its outcome goes
into the *will*, which is settled after the process is gone.

Invariants, each with the test that holds it:
    A job is marked before it is decoded.                      tests/unit/worker/test_attempts.py
    A cancelled handler's outcome is `cancelled`; one that     tests/unit/worker/test_attempts.py
      swallows the cancellation has its own outcome.
    Whatever a handler raises is an outcome.                   tests/unit/worker/test_hands.py
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from contextlib import suppress
from contextvars import Context, copy_context
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


class Attempts:
    """Runs jobs one at a time on behalf of the hands, and knows which are running.

    Args:
        specs: The tasks by the store's numbers.
        queues: The names of queues by the store's numbers.
        running: Where running jobs are marked; ``None`` in tests of users.
        settler: Where outcomes go.
        endings: Turns exceptions into outcomes.
        clock: Gives start and end times.
        telemetry: Is told of overruns.
        timeout_grace_s: How long a handler may overrun.
        overrun: Called on the loop when a handler did not come back within the grace.

    Attributes:
        active: The attempts that are being made, by token.
        specs: The tasks by the store's numbers.
        context: The context variables that every job begins with.
    """

    def __init__(
        self,
        specs: Mapping[int, TaskSpec],
        queues: Mapping[int, str],
        *,
        running: RunningTable | None,
        settler: Settler,
        endings: Endings,
        clock: Clock,
        telemetry: Telemetry,
        timeout_grace_s: float,
        overrun: Callable[[Attempt], None],
    ) -> None:
        self.active: dict[bytes, Attempt] = {}
        self.specs = specs
        self._queues = queues
        self._running = running
        self._settler = settler
        self._endings = endings
        self._clock = clock
        self._telemetry = telemetry
        self._timeout_grace_s = timeout_grace_s
        self._overrun = overrun
        self.context = copy_context()
        self._loop = asyncio.get_running_loop()

    def lost(self) -> list[Attempt]:
        """Return the attempts that overran their limits for good and still go on."""
        return [attempt for attempt in list(self.active.values()) if attempt.is_lost]

    def cancel(self, job: ClaimedJob) -> None:
        """Cancel a job: an ``async def`` handler is cancelled, a ``def`` one sees the flag, a waiting one is not started."""
        job.cancel_asked = True  # Before the look at those that run: a thread may be starting it just now.
        attempt = self.active.get(job.token)
        if attempt is not None and not attempt.is_cancel_asked:
            attempt.is_cancel_asked = True
            if attempt.task is not None:
                attempt.task.cancel()

    def interrupt(self) -> None:
        """Cancel every ``async def`` handler; their jobs go back uncounted. Those that are lost were cancelled before."""
        for attempt in list(self.active.values()):
            if attempt.task is not None and not attempt.is_lost:
                attempt.is_given_back = True
                attempt.task.cancel()

    async def run_async(self, row: int, job: ClaimedJob, task: asyncio.Task[None]) -> int:
        """Run one ``async def`` job and hand its outcome over.

        Returns when it ended, microseconds since 1970; 0 when this task must run no other job, since the handler has left a
        changed context or a cancellation behind.
        """
        running, spec = self._running, self.specs[job.task_id]
        if running is not None:
            running.mark(row, job.token)
        attempt, outcome = self._begin(job, spec)
        is_clean = True
        if attempt is not None:
            attempt.task = task
            self.active[job.token] = attempt
            context = copy_context()
            try:
                args, kwargs = spec.decode(job.payload)
                if attempt.timeout_ms is None:
                    value = await spec.function(*args, **kwargs)
                else:
                    value = await self._within_limit(attempt, spec.function, args, kwargs)
                outcome = self._returned(attempt, value)
            except asyncio.CancelledError as error:
                outcome = self._endings.of_cancellation(attempt, error)
            except BaseException as error:  # Whatever a handler raises is an outcome, SystemExit as well.
                outcome = self._endings.of_error(attempt, error)
                is_clean = not isinstance(error, GeneratorExit)
            finally:
                self.active.pop(job.token, None)
            is_clean = is_clean and not task.cancelling() and _is_unchanged(context)
        assert outcome is not None  # noqa: S101
        self._settler.add(outcome, job.claim_no)
        if running is not None:
            running.clear(row)
        return outcome.ended_at or 0 if is_clean else 0

    async def _within_limit(
        self, attempt: Attempt, function: Callable[..., Any], args: tuple[Any, ...], kwargs: Mapping[str, Any]
    ) -> Any:
        """Run a handler, cancelled when its time limit ends."""
        assert attempt.timeout_ms is not None  # noqa: S101
        limit_s = attempt.timeout_ms / 1e3
        over = self._loop.call_later(limit_s, self._is_over, attempt)
        try:
            async with asyncio.timeout(limit_s) as limit:
                return await function(*args, **kwargs)
        except TimeoutError as error:
            if limit.expired():
                attempt.is_overdue = True
                raise self._endings.time_limit(attempt) from error
            raise
        finally:
            over.cancel()

    def run_in_thread(self, row: int, job: ClaimedJob) -> None:
        """Run one ``def`` job and hand its outcome over."""
        running, spec = self._running, self.specs[job.task_id]
        if running is not None:
            running.mark(row, job.token)
        outcome = self.context.copy().run(self._make_in_thread, job, spec)
        self._settler.add_quietly(outcome, job.claim_no)
        if running is not None:
            running.clear(row)

    def _make_in_thread(self, job: ClaimedJob, spec: TaskSpec) -> Outcome:
        attempt, unstarted = self._begin(job, spec)
        if attempt is None:
            assert unstarted is not None  # noqa: S101
            return unstarted
        self.active[job.token] = attempt
        attempt.is_cancel_asked = job.cancel_asked
        if attempt.timeout_ms is not None:
            with suppress(RuntimeError):  # The loop is closed: the process ends.
                self._loop.call_soon_threadsafe(self._watch_limit, attempt, self._clock.boot_ns())
        try:
            args, kwargs = spec.decode(job.payload)
            return self._returned(attempt, spec.function(*args, **kwargs))
        except BaseException as error:  # Whatever a handler raises is an outcome, SystemExit as well.
            return self._endings.of_error(attempt, error)
        finally:
            self.active.pop(job.token, None)

    def _watch_limit(self, attempt: Attempt, started_ns: int) -> None:
        """Arm the two timers of a ``def`` handler with a time limit: report, then recycle."""
        assert attempt.timeout_ms is not None  # noqa: S101
        passed_s = (self._clock.boot_ns() - started_ns) / 1e9
        self._loop.call_later(max(0.0, attempt.timeout_ms / 1e3 - passed_s), self._is_overdue, attempt)

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
            self._loop.call_later(self._timeout_grace_s, self._is_lost, attempt)

    def _is_over(self, attempt: Attempt) -> None:
        # Its grace begins when it is cancelled: after a standstill that happens late, and it must be able to answer.
        self._loop.call_later(self._timeout_grace_s, self._is_lost, attempt)

    def _is_lost(self, attempt: Attempt) -> None:
        if self.active.get(attempt.job.token) is attempt:
            attempt.is_overdue = attempt.is_lost = True
            self._overrun(attempt)

    def _begin(self, job: ClaimedJob, spec: TaskSpec) -> tuple[Attempt | None, Outcome | None]:
        """Return the attempt to make, or the outcome of a job that must not be started any more."""
        now_us = self._clock.now_us()
        if job.cancel_asked:
            return None, self._endings.of_unstarted(job, spec, Kind.CANCELLED, now_us)
        if job.expires_at is not None and job.expires_at <= now_us and not (job.attempts or job.crashes):
            return None, self._endings.of_unstarted(job, spec, Kind.EXPIRED, now_us)
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


def _is_unchanged(before: Context) -> bool:
    """Whether the current context has the same variables with the same values as before."""
    try:
        return copy_context() == before
    except Exception:  # Values of users' own that cannot be compared were changed.
        return False
