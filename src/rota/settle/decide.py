"""What the end of an attempt means for its job. Pure: the same answer for the same facts and the same chance.

    raised                              a cancel was asked     otherwise
    ─────────────────────────────────   ────────────────────   ─────────────────────────────────────────────────
    asyncio.CancelledError              cancelled              as any other exception
    Retry                               cancelled, with it     another attempt, if there is one left
    Fail, a Snooze (which is returned)  cancelled, with it     failed
    JobTimeoutError, anything else      cancelled, with it     another attempt, if one is left and `on` names it;
                                                               else failed

What needs no decision is not here: a returned value succeeded, a ``Snooze`` comes back later, a job that was cancelled or had
expired before it was started is settled as that (worker/attempts.py, worker/ending.py).

Invariants, each with the test that holds it:
    Every exception has a verdict, whatever it is.             tests/unit/settle/test_decide.py
    No job gets more attempts than its policy says.            tests/property/test_decide.py
    A retry is never due before now nor later than the cap.    tests/property/test_decide.py
"""

from __future__ import annotations

import asyncio
import re
import traceback
from datetime import timedelta
from typing import Final, NamedTuple

from rota.model.outcome import Failure, Kind
from rota.model.retry import Fail, Retry
from rota.runtime.entropy import Entropy
from rota.settle.backoff import full_jitter
from rota.settle.failure import failure_of

_MICROSECOND: Final = timedelta(microseconds=1)

_RAISED_NO_EXCEPTION: Final = "exceptions must derive from BaseException"
_RAISES_SNOOZE: Final = re.compile(r"\braise\s+[\w.]*\bSnooze\b")


class JobTimeoutError(TimeoutError):
    """An attempt took longer than its time limit. A policy that retries ``TimeoutError`` retries it."""


class Verdict(NamedTuple):
    """What becomes of a job.

    Attributes:
        kind: How the attempt ended.
        failure: What went wrong; ``None`` when nothing did.
        due_at: For a retry or a snooze: when to run again, microseconds since 1970.
    """

    kind: Kind
    failure: Failure | None = None
    due_at: int | None = None


def judge(
    error: BaseException,
    *,
    attempts: int,
    policy: Retry,
    now_us: int,
    entropy: Entropy,
    is_cancel_asked: bool = False,
) -> Verdict:
    """Return what an attempt that raised means for its job.

    A ``Fail`` or a ``Retry`` inside of an ``ExceptionGroup`` (raised in a task group) counts as if it stood alone; a group is
    worth another attempt when all that it holds is.

    Args:
        error: What the handler raised.
        attempts: Attempts that had failed before this one.
        policy: The retry policy in force.
        now_us: When the attempt ended, microseconds since 1970.
        entropy: Where the jitter comes from.
        is_cancel_asked: Somebody asked to cancel the job while it ran; then it is not tried again, however it ended.
    """
    if is_cancel_asked:
        return Verdict(Kind.CANCELLED, None if isinstance(error, asyncio.CancelledError) else failure_of(error))
    request = _request_in(error)
    told = error if request is None else request
    if isinstance(request, Fail) or attempts + 1 >= policy.attempts:
        return Verdict(Kind.FAILED, failure_of(told))
    if request is None and not _is_worth_another(error, policy):
        return Verdict(Kind.FAILED, failure_of(error))
    wait = request.after if request is not None else None
    if wait is None:
        wait = full_jitter(attempts + 1, base=policy.base, cap=policy.cap, entropy=entropy)
    return Verdict(Kind.RETRY, failure_of(told), now_us + wait // _MICROSECOND)


def _request_in(error: BaseException) -> Fail | Retry | None:
    """Return what the handler asked for by raising it, alone or in a group; a ``Fail`` goes before a ``Retry``."""
    found = [_told_to_return(leaf) or leaf for leaf in _leaves(error)]
    fails: list[Fail | Retry] = [leaf for leaf in found if isinstance(leaf, Fail)]
    return next(iter(fails or [leaf for leaf in found if isinstance(leaf, Retry)]), None)


def _told_to_return(error: BaseException) -> Fail | None:
    """Return what to say of a ``Snooze`` that was raised, which no attempt will mend; ``None`` of anything else.

    Python has thrown the value away and complains of its type only. The same is said of ``raise None``, which may pass: so the
    line of the source must name it.
    """
    if type(error) is not TypeError or not any(
        type(said) is str and said == _RAISED_NO_EXCEPTION for said in error.args
    ):
        return None
    raising = traceback.extract_tb(error.__traceback__, limit=-1)
    if not raising or not _RAISES_SNOOZE.search(raising[0].line or ""):
        return None
    told = Fail("write `return Snooze(...)`: a Snooze is returned, not raised.")
    told.__cause__ = error
    return told


def _is_worth_another(error: BaseException, policy: Retry) -> bool:
    """Whether the policy's ``on`` names this exception.

    ``Exception`` there means "anything": what is not one (a cancellation that nobody asked for, ``SystemExit``) ends an attempt
    just the same, and its job deserves the same attempts.
    """
    on = policy.on
    return isinstance(error, on) or all(
        isinstance(leaf, on) or (Exception in on and not isinstance(leaf, Exception)) for leaf in _leaves(error)
    )


def _leaves(error: BaseException) -> list[BaseException]:
    """Return the exceptions in a group, however deep; of any other exception itself."""
    if not isinstance(error, BaseExceptionGroup):
        return [error]
    return [leaf for inner in error.exceptions for leaf in _leaves(inner)]
