"""What a submission may say beside its arguments, checked once and used for each of its jobs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import Enum
from itertools import repeat
from typing import Any, Final

from msgspec import UNSET

from rota.errors import LimitError, UsageError
from rota.model.job import JSON_CODEC, NewJob
from rota.model.limits import DELAY_DAYS_MAX
from rota.model.meta import Overrides, numbers_of
from rota.model.retry import Retry
from rota.model.slot import hash16, hashes16
from rota.submit.check import (
    check_key,
    check_name,
    check_priority,
    check_retry,
    check_span,
    check_timeout,
    microseconds_of,
)

_MICROSECOND: Final = timedelta(microseconds=1)
_NOTHING: Final = "Nothing was written."
_FARTHEST_US: Final = DELAY_DAYS_MAX * 86_400 * 10**6


class Unset(Enum):
    """The absence of an option where ``None`` means something."""

    UNSET = "unset"

    def __repr__(self) -> str:
        return "unset"


@dataclass(frozen=True, slots=True)
class Terms:
    """How the jobs of one submission are placed.

    Attributes:
        queue: Where they go.
        key: Their key; unset for what the task's own rule says.
        priority: -100 to 100.
        delay_us: Microseconds from the submission until they may run; ``None`` for none.
        at_us: The instant from which they may run, instead of a delay.
        expires_in_us: Microseconds from the submission until they are no longer wanted.
        expires_at_us: The instant from which they are no longer wanted, instead.
        token: Their token, if the caller made it.
        meta: Encoded overrides.
    """

    queue: str
    key: str | Unset | None = Unset.UNSET
    priority: int = 0
    delay_us: int | None = None
    at_us: int | None = None
    expires_in_us: int | None = None
    expires_at_us: int | None = None
    token: bytes | None = None
    meta: bytes | None = None

    @classmethod
    def of(
        cls,
        task: str,
        *,
        queue: str,
        key: str | Unset | None = Unset.UNSET,
        priority: int = 0,
        delay: timedelta | float | None = None,
        at: datetime | None = None,
        expires: datetime | timedelta | float | None = None,
        token: bytes | None = None,
        timeout: timedelta | float | Unset | None = Unset.UNSET,
        retry: Retry | None = None,
    ) -> Terms:
        """Check the public options and return the terms.

        Raises:
            UsageError: Something is of the wrong kind, without a time zone, or contradicts another.
            LimitError: Something is out of range.
        """
        if delay is not None and at is not None:
            raise UsageError(f"task {task}: delay= and at= both say when the job may run. {_NOTHING} Give one of them.")
        try:
            return cls(
                queue=check_name(queue, "queue"),
                key=key if isinstance(key, Unset) else check_key(key, task),
                priority=check_priority(priority),
                delay_us=None if delay is None else check_span(delay, "delay") // _MICROSECOND,
                at_us=None if at is None else microseconds_of(at, "at"),
                token=token,
                meta=_meta_of(task, timeout, retry),
                **_expiry_of(expires),
            )
        except UsageError as error:
            if _NOTHING not in error.message:  # the checks are those of definitions too, where nothing would be written
                error.message += f" {_NOTHING}"
            raise

    def due_at(self, now_us: int) -> int | None:
        """Return when a job submitted now may first run; ``None`` for at once.

        Raises:
            LimitError: More than 3,660 days away.
        """
        due = self.at_us if self.delay_us is None else now_us + self.delay_us
        if due is None or due <= now_us:
            return None
        return _near_enough(due, now_us, "at")

    def expires_at(self, now_us: int) -> int | None:
        """Return when a job submitted now is no longer wanted; ``None`` for never.

        Raises:
            LimitError: More than 3,660 days away.
        """
        end = self.expires_at_us if self.expires_in_us is None else now_us + self.expires_in_us
        return None if end is None else _near_enough(end, now_us, "expires")


def new_job(
    task: str,
    payload: bytes,
    key: str | None,
    token: bytes,
    terms: Terms,
    *,
    due_at: int | None,
    expires_at: int | None,
) -> NewJob:
    """Return a job as the store takes it."""
    return NewJob(
        token,
        terms.queue,
        task,
        payload,
        hash16(key, token),
        key,
        terms.priority,
        due_at,
        expires_at,
        terms.meta,
        JSON_CODEC,
        terms.token is None,
    )


def new_jobs(
    task: str,
    payloads: Sequence[bytes],
    keys: Sequence[str | None],
    tokens: Sequence[bytes],
    terms: Terms,
    *,
    due_at: int | None,
    expires_at: int | None,
) -> list[NewJob]:
    """Return the jobs of a batch, in order."""
    return list(
        map(
            NewJob,
            tokens,
            repeat(terms.queue),
            repeat(task),
            payloads,
            hashes16(keys, tokens),
            keys,
            repeat(terms.priority),
            repeat(due_at),
            repeat(expires_at),
            repeat(terms.meta),
            repeat(JSON_CODEC),
            repeat(terms.token is None),
        )
    )


def _near_enough(instant: int, now_us: int, name: str) -> int:
    if instant - now_us > _FARTHEST_US:
        days = (instant - now_us) // (86_400 * 10**6)
        raise LimitError(
            f"{name}= lies {days:,} days ahead, more than {DELAY_DAYS_MAX:,}. Nothing was written. Is it in another unit?",
            value=days,
            limit=DELAY_DAYS_MAX,
        )
    return instant


def _expiry_of(expires: datetime | timedelta | float | None) -> dict[str, Any]:
    if expires is None:
        return {}
    if isinstance(expires, datetime):
        return {"expires_at_us": microseconds_of(expires, "expires")}
    return {"expires_in_us": check_span(expires, "expires") // _MICROSECOND}


def _meta_of(task: str, timeout: timedelta | float | Unset | None, retry: Retry | None) -> bytes | None:
    if isinstance(timeout, Unset) and retry is None:
        return None
    if retry is not None and check_retry(retry).on != (Exception,):
        raise UsageError(
            f"task {task}: Retry(on=…) cannot travel with one job, since exception classes are not written into the store. "
            "Set it where the task is defined; attempts, base and cap can be set for a job."
        )
    return Overrides(
        timeout_ms=UNSET if isinstance(timeout, Unset) else check_timeout(timeout),
        retry=UNSET if retry is None else numbers_of(retry),
    ).encode()
