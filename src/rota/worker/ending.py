"""How an attempt's end becomes an outcome, and who is told of it."""

from __future__ import annotations

import asyncio
import inspect
from typing import Any

from rota.errors import InvalidArgumentsError, LimitError
from rota.model.job import ClaimedJob
from rota.model.outcome import Kind, Outcome
from rota.model.retry import Fail, Snooze
from rota.model.task import TaskSpec
from rota.runtime.clock import Clock
from rota.runtime.entropy import Entropy
from rota.settle.decide import JobTimeoutError, Verdict, judge
from rota.telemetry.telemetry import Telemetry
from rota.worker.attempt import Attempt


class Endings:
    """Turns what a handler did into an outcome; safe on any thread.

    Args:
        worker: The worker's ring name, for what is told.
    """

    def __init__(self, worker: str, *, clock: Clock, entropy: Entropy, telemetry: Telemetry) -> None:
        self.worker = worker
        self._clock = clock
        self._entropy = entropy
        self._telemetry = telemetry

    def encode(self, attempt: Attempt, value: Any) -> bytes | None:
        """Return the encoded result.

        Raises:
            Fail: It cannot be kept. Trying again would do the work again for the same answer.
        """
        try:
            return attempt.spec.encode_result(value)
        except (InvalidArgumentsError, LimitError) as error:
            if inspect.isawaitable(value):
                if inspect.iscoroutine(value):
                    value.close()
                raise Fail(
                    f"task {attempt.spec.name} is a plain function that returned an awaitable, which nobody awaited. "
                    "Declare it with `async def`."
                ) from error
            raise Fail(f"the result cannot be kept: {error.message}") from error

    def time_limit(self, attempt: Attempt) -> JobTimeoutError:
        """Return the error of an attempt that overran its limit."""
        limit_s = (attempt.timeout_ms or 0) / 1_000
        return JobTimeoutError(f"the attempt took longer than its time limit of {limit_s:g} s")

    def of_unstarted(self, job: ClaimedJob, spec: TaskSpec, kind: Kind, now_us: int) -> Outcome:
        """Return the outcome of a job that was cancelled, or had expired, before it could be started."""
        event = "job.expired" if kind is Kind.EXPIRED else "job.cancelled"
        self._telemetry.emit(event, token=job.token, task=spec.name, worker=self.worker)
        return Outcome(job.seq, job.token, job.fence, kind, ended_at=now_us)

    def of_snooze(self, attempt: Attempt, snooze: Snooze) -> Outcome:
        """Return the outcome of a handler that asked to come back later."""
        now_us = self._clock.now_us()
        due_at = now_us + round(snooze.delay.total_seconds() * 1e6)
        return self._outcome(attempt, Verdict(Kind.SNOOZE, None, due_at), now_us)

    def of_cancellation(self, attempt: Attempt, error: asyncio.CancelledError) -> Outcome:
        """Return the outcome of an ``async def`` handler that ended with a cancellation."""
        now_us = self._clock.now_us()
        if attempt.is_cancel_asked:
            self._tell_cancelled(attempt)
            return self._outcome(attempt, Verdict(Kind.CANCELLED), now_us)
        if attempt.is_given_back:
            return self._outcome(attempt, Verdict(Kind.GIVEN_BACK), now_us)
        return self.of_error(attempt, error)

    def of_error(self, attempt: Attempt, error: BaseException) -> Outcome:
        """Return the outcome of a handler that raised."""
        now_us = self._clock.now_us()
        verdict = judge(
            error,
            attempts=attempt.job.attempts,
            policy=attempt.policy,
            now_us=now_us,
            entropy=self._entropy,
            is_cancel_asked=attempt.is_cancel_asked,
        )
        self._tell(attempt, verdict, now_us)
        return self._outcome(attempt, verdict, now_us)

    def _outcome(self, attempt: Attempt, verdict: Verdict, now_us: int) -> Outcome:
        job = attempt.job
        return Outcome(
            job.seq,
            job.token,
            job.fence,
            verdict.kind,
            None,
            verdict.failure,
            verdict.due_at,
            attempt.started_us,
            now_us,
        )

    def _tell(self, attempt: Attempt, verdict: Verdict, now_us: int) -> None:
        facts: dict[str, Any] = {
            "token": attempt.job.token,
            "task": attempt.spec.name,
            "attempt": attempt.job.attempts + 1,
            "worker": self.worker,
        }
        said = "" if verdict.failure is None else verdict.failure.says
        if attempt.is_overdue:
            self._telemetry.emit("job.timed_out", timeout_ms=attempt.timeout_ms, **facts)
        if verdict.kind is Kind.RETRY and verdict.due_at is not None:
            self._telemetry.emit("job.retried", error=said, wait_s=round((verdict.due_at - now_us) / 1e6, 3), **facts)
        elif verdict.kind is Kind.FAILED:
            self._telemetry.emit("job.failed", error=said, **facts)
        elif verdict.kind is Kind.CANCELLED:
            self._tell_cancelled(attempt)

    def _tell_cancelled(self, attempt: Attempt) -> None:
        self._telemetry.emit("job.cancelled", token=attempt.job.token, task=attempt.spec.name, worker=self.worker)
