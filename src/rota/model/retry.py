"""What should happen after a failed attempt: ``Retry``, ``Snooze`` and ``Fail``."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta

from rota.errors import LimitError, UsageError
from rota.model.limits import ATTEMPTS_MAX, DELAY_DAYS_MAX

_LONGEST = timedelta(days=DELAY_DAYS_MAX)


def _seconds(value: timedelta | float, name: str) -> timedelta:
    """Return a length of time as given by a user; a bare number is seconds."""
    if isinstance(value, bool) or not isinstance(value, (timedelta, int, float)):
        raise UsageError(f"{name} is {value!r}: a timedelta is needed, or a number of seconds.", name=name)
    try:
        span = value if isinstance(value, timedelta) else timedelta(seconds=value)
    except (ValueError, OverflowError) as error:
        raise LimitError(f"{name} is {value!r}: that is no length of time.", name=name, value=str(value)) from error
    if not timedelta(0) <= span <= _LONGEST:
        raise LimitError(
            f"{name} is {value!r}: it must be from zero to {DELAY_DAYS_MAX:,} days; a bare number is seconds.",
            name=name,
            value=str(span),
            limit=str(_LONGEST),
        )
    return span


class Retry(Exception):
    """A task's retry policy; raised by a handler, it asks for another attempt.

    As a policy, ``@app.task(retry=Retry(attempts=5))``: an attempt that raises is followed by another, after a wait drawn
    at random from zero to ``min(cap, base * 2 ** (failures - 1))``, until ``attempts`` have been made; then the job is a
    dead letter. Raised, ``raise Retry("server busy", after=timedelta(minutes=1))``: this attempt failed, whatever ``on``
    says; the next comes after ``after``, or after the policy's own backoff when that is ``None``. It counts as an attempt.

    Args:
        reason: Why, when it is raised. Kept in the job's history.
        attempts: How many attempts a job gets in all, 1 to 10,000; 1 means no retry. Ignored when raised.
        base: The most to wait after the first failure. A bare number is seconds.
        cap: The most to wait after any failure.
        on: The exceptions that are worth another attempt. Anything else is a dead letter at once.
        after: When raised: the wait before the next attempt.

    Raises:
        UsageError: If a wait is no length of time, ``on`` names something that is no exception class, or the reason is a
            number: then attempts or a wait was meant.
        LimitError: If ``attempts`` is out of range, not ``0 < base <= cap``, or a wait is negative or above ten years.
    """

    def __init__(
        self,
        reason: str = "",
        *,
        attempts: int = 3,
        base: timedelta | float = timedelta(seconds=1),
        cap: timedelta | float = timedelta(minutes=10),
        on: type[BaseException] | tuple[type[BaseException], ...] = Exception,
        after: timedelta | float | None = None,
    ) -> None:
        super().__init__(reason)
        said: object = reason
        if isinstance(said, (int, float, timedelta)):
            raise UsageError(
                f"Retry({said!r}): the reason comes first, in words. Name what is meant: attempts={said!r} in a policy, "
                f"after={said!r} where it is raised.",
                name="reason",
            )
        if isinstance(attempts, bool) or not isinstance(attempts, int) or not 1 <= attempts <= ATTEMPTS_MAX:
            raise LimitError(
                f"Retry(attempts={attempts!r}): a whole number from 1 to {ATTEMPTS_MAX:,} is needed; "
                "1 means that a failed job is not tried again.",
                value=attempts,
                limit=ATTEMPTS_MAX,
            )
        self.reason = reason
        self.attempts = attempts
        self.base = _seconds(base, "Retry(base=…)")
        self.cap = _seconds(cap, "Retry(cap=…)")
        self.on = on if isinstance(on, tuple) else (on,)
        for kind in self.on:
            if not (isinstance(kind, type) and issubclass(kind, BaseException)):
                raise UsageError(
                    f"Retry(on=…) names {kind!r}: exception classes are needed, such as on=(ConnectionError,)."
                )
        self.after = None if after is None else _seconds(after, "Retry(after=…)")
        if not timedelta(0) < self.base <= self.cap:
            raise LimitError(
                f"Retry(base={self.base}, cap={self.cap}): base must be above zero and not above cap.",
                base=str(self.base),
                cap=str(self.cap),
            )

    def __repr__(self) -> str:
        return f"Retry(attempts={self.attempts}, base={self.base!r}, cap={self.cap!r})"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Retry) and self._facts() == other._facts()

    def __hash__(self) -> int:
        return hash(self._facts())

    def _facts(self) -> tuple[object, ...]:
        return (self.reason, self.attempts, self.base, self.cap, self.on, self.after)


class Fail(Exception):
    """Raised by a handler: this job has failed for good; do not try again.

    Args:
        reason: Why. Kept with the dead letter.
    """

    def __init__(self, reason: str = "") -> None:
        super().__init__(reason)
        self.reason = reason


@dataclass(frozen=True, slots=True)
class Snooze:
    """Returned by a handler: nothing went wrong, but it is too early; run this job again after ``delay``.

    No attempt is counted. A job with a key keeps its turn: the jobs behind it wait.

    Args:
        delay: How long to wait. A bare number is seconds.

    Raises:
        UsageError: If it is no length of time.
        LimitError: If it is negative or above ten years.
    """

    delay: timedelta

    def __init__(self, delay: timedelta | float) -> None:
        object.__setattr__(self, "delay", _seconds(delay, "Snooze(…)"))
