"""Running one job: mark, decode, run, hand the outcome over, clear the mark.

In that order, and never another; everything else relies on it. An outcome exists only once the handler has returned.

What can be stopped: an ``async def`` handler is cancelled (time limit, cancel, end of the grace). A ``def`` handler cannot
be: it is told by flags. One that overruns its limit by more than the grace has its process replaced; its outcome then goes
into the *will*, which is settled after the process is gone.

Invariants, each with the test that holds it:
    A job is marked before it is decoded.                    tests/unit/worker/test_hands.py
    A cancelled handler's outcome is `cancelled`; one that   tests/unit/worker/test_hands.py
      swallows the cancellation has its own outcome.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from contextlib import suppress
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
        timeout_grace_s: How long a ``def`` handler may overrun.
        overrun: Called on the loop when a ``def`` handler did not come back within the grace.

    Attributes:
        active: The attempts that are being made, by token.
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
        self._cancelled: set[bytes] = set()
        self._loop = asyncio.get_running_loop()

    def cancel(self, token: bytes) -> None:
        """Cancel a job: an ``async def`` handler is cancelled, a ``def`` one sees the flag, a waiting one is not started."""
        attempt = self.active.get(token)
        if attempt is None:
            self._cancelled.add(token)
        elif not attempt.is_cancel_asked:
            attempt.is_cancel_asked = True
            if attempt.task is not None:
                attempt.task.cancel()

    def interrupt(self) -> None:
        """Cancel every ``async def`` handler; their jobs go back uncounted."""
        for attempt in list(self.active.values()):
            if attempt.task is not None:
                attempt.is_given_back = True
                attempt.task.cancel()

    async def run_async(self, row: int, job: ClaimedJob, task: asyncio.Task[None]) -> int:
        """Run one ``async def`` job and hand its outcome over. Returns when it ended, microseconds since 1970."""
        running, spec = self._running, self.specs[job.task_id]
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
                outcome = self._endings.of_cancellation(attempt, error)
            except (Exception, SystemExit) as error:  # Whatever a handler raises is an outcome.
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

    def run_in_thread(self, row: int, job: ClaimedJob) -> None:
        """Run one ``def`` job and hand its outcome over."""
        running, spec = self._running, self.specs[job.task_id]
        if running is not None:
            running.mark(row, job.token)
        attempt, outcome = self._begin(job, spec)
        if attempt is not None:
            self.active[job.token] = attempt
            if attempt.deadline_us is not None:
                with suppress(RuntimeError):  # The loop is closed: the process ends.
                    self._loop.call_soon_threadsafe(self._watch_limit, attempt)
            try:
                args, kwargs = spec.decode(job.payload)
                outcome = self._returned(attempt, spec.function(*args, **kwargs))
            except BaseException as error:  # Whatever a handler raises is an outcome, in a thread SystemExit as well.
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
        self._loop.call_later(max(0.0, limit_s), self._is_overdue, attempt)

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

    def _is_lost(self, attempt: Attempt) -> None:
        if self.active.get(attempt.job.token) is attempt:
            self._overrun(attempt)

    def _begin(self, job: ClaimedJob, spec: TaskSpec) -> tuple[Attempt | None, Outcome | None]:
        """Return the attempt to make, or the outcome of a job that must not be started any more."""
        now_us = self._clock.now_us()
        if job.cancel_asked or (self._cancelled and job.token in self._cancelled):
            self._cancelled.discard(job.token)
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
