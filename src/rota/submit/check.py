"""The limits of what is submitted, each refused by name, with the value and what to do."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any, Final, NoReturn

from rota.errors import InvalidArgumentsError, LimitError, UsageError
from rota.model.limits import (
    BATCH_JOBS_MAX,
    DELAY_DAYS_MAX,
    KEY_BYTES_MAX,
    NAME_BYTES_MAX,
    PRIORITY_MAX,
    PRIORITY_MIN,
)
from rota.model.retry import Retry

_EPOCH: Final = datetime.fromisoformat("1970-01-01T00:00:00+00:00")
_MICROSECOND: Final = timedelta(microseconds=1)
_MILLISECOND: Final = timedelta(milliseconds=1)
_SURELY_SHORT: Final = KEY_BYTES_MAX // 4
_FARTHEST: Final = timedelta(days=DELAY_DAYS_MAX)


def check_name(name: Any, what: str, limit: int = NAME_BYTES_MAX) -> str:
    """Return the name of a task, queue or node if it can be one.

    Args:
        name: The name.
        what: Of what it is the name, for the message.
        limit: The most bytes that it may have.

    Raises:
        UsageError: Not text, empty, or with a control character.
        LimitError: Longer than ``limit``.
    """
    if not isinstance(name, str) or not name or not name.isprintable() or name != name.strip():
        raise UsageError(f"{what} {name!r}: a name is needed, in printable characters, without blanks at its ends.")
    size = len(name.encode())
    if size > limit:
        raise LimitError(
            f"{what} {name[:40]!r}… has {size} bytes; a name has at most {limit}, since it stands in every log "
            "line. Shorten it.",
            value=size,
            limit=limit,
        )
    return name


def check_key(key: Any, task: str) -> str | None:
    """Return a job's key if it can be one.

    Raises:
        InvalidArgumentsError: Neither text nor ``None``, or text that cannot be stored.
        LimitError: Longer than 512 bytes.
    """
    if key is None or (type(key) is str and 0 < len(key) <= _SURELY_SHORT and key.isprintable()):
        return key
    if not isinstance(key, str):
        _refuse_key(
            task, key, f"it is {type(key).__name__}: a key is text, or None for a job on its own. Wrap it in str()"
        )
    if not key:
        _refuse_key(
            task, key, "it is empty, which is most often a value that is missing: give None for a job on its own"
        )
    try:
        size = len(key.encode())
    except UnicodeEncodeError:
        _refuse_key(task, key, "it holds half a surrogate pair, which is no text. Take it out")
    if "\0" in key:
        _refuse_key(task, key, "it holds a NUL character, which databases do not store in text. Take it out")
    if size > KEY_BYTES_MAX:
        raise LimitError(
            f"task {task}: the key {key[:40]!r}… has {size:,} bytes, more than {KEY_BYTES_MAX}. Nothing was written. Use an "
            "id, or a hash of the long text.",
            task=task,
            value=size,
            limit=KEY_BYTES_MAX,
        )
    return str(key)


def _refuse_key(task: str, key: object, reason: str) -> NoReturn:
    raise InvalidArgumentsError(f"task {task}: {key!r} cannot be a key: {reason}. Nothing was written.", task=task)


def check_priority(priority: Any) -> int:
    """Return the priority if it is one.

    Raises:
        LimitError: Not a whole number from -100 to 100.
    """
    if isinstance(priority, int) and not isinstance(priority, bool) and PRIORITY_MIN <= priority <= PRIORITY_MAX:
        return int(priority)
    raise LimitError(
        f"priority {priority!r}: a whole number from {PRIORITY_MIN} to {PRIORITY_MAX} is needed; higher runs first.",
        value=priority,
        limit=PRIORITY_MAX,
    )


def check_batch(size: int) -> None:
    """Refuse a batch that is too large for one transaction.

    Raises:
        LimitError: More than 10,000 jobs.
    """
    if size > BATCH_JOBS_MAX:
        raise LimitError(
            f"{size:,} jobs in one submit_many, more than {BATCH_JOBS_MAX:,}: they go into one transaction, which everybody "
            "else waits for. Nothing was written. Submit them in several calls.",
            value=size,
            limit=BATCH_JOBS_MAX,
        )


def check_span(value: Any, name: str) -> timedelta:
    """Return a length of time that is not negative and not beyond ten years; a bare number is seconds.

    Raises:
        LimitError: Negative, or more than 3,660 days.
        UsageError: Neither a ``timedelta`` nor a number.
    """
    if isinstance(value, bool) or not isinstance(value, (timedelta, int, float)):
        hint = (
            f" To give an instant, write {'expires' if name == 'expires' else 'at'}=…"
            if isinstance(value, datetime)
            else ""
        )
        raise UsageError(f"{name}={value!r}: a timedelta is needed, or a number of seconds.{hint}")
    try:
        span = value if isinstance(value, timedelta) else timedelta(seconds=value)
    except (OverflowError, ValueError):
        span = timedelta.max
    if not timedelta(0) <= span <= _FARTHEST:
        raise LimitError(
            f"{name}={value!r} is outside of 0 to {DELAY_DAYS_MAX:,} days. A bare number is seconds; is it meant as "
            "another unit?",
            value=str(value),
            limit=DELAY_DAYS_MAX,
        )
    return span


def check_timeout(value: timedelta | float | None) -> int | None:
    """Return a time limit in milliseconds, ``None`` for none.

    Raises:
        LimitError: Zero or negative, or more than 3,660 days.
    """
    if value is None:
        return None
    milliseconds = check_span(value, "timeout") // _MILLISECOND
    if milliseconds < 1:
        raise LimitError(
            f"timeout={value!r}: at least a millisecond is needed; give None for no limit.", value=str(value), limit=1
        )
    return milliseconds


def check_retry(value: Any) -> Retry:
    """Return the retry policy if it is one.

    Raises:
        UsageError: Something else, such as a number.
    """
    if isinstance(value, Retry):
        return value
    hint = f" Write retry=Retry(attempts={value!r})." if isinstance(value, int) else ""
    raise UsageError(f"retry={value!r}: a Retry is needed; Retry(attempts=1) means that nothing is tried again.{hint}")


def microseconds_of(instant: Any, name: str) -> int:
    """Return an instant as microseconds since 1970.

    Raises:
        UsageError: Not a ``datetime``, or one without a time zone.
    """
    if not isinstance(instant, datetime):
        raise UsageError(f"{name}={instant!r}: a datetime with a time zone is needed, such as datetime.now(UTC).")
    if instant.utcoffset() is None:
        raise UsageError(
            f"{name}={instant.isoformat()} has no time zone, and another machine may be in another one. Give it one: "
            "datetime(…, tzinfo=UTC), or ZoneInfo('Europe/Berlin')."
        )
    return (instant - _EPOCH) // _MICROSECOND
