"""What one submission overrides of its task: the time limit and the retry policy. Stored with the job as JSON."""

from __future__ import annotations

from datetime import timedelta
from typing import Final

import msgspec
from msgspec import UNSET, Struct, UnsetType

from rota.model.retry import Retry


class RetryNumbers(Struct, frozen=True):
    """The part of a ``Retry`` that can be written down. Which exceptions are worth another attempt stays with the task."""

    attempts: int
    base_ms: int
    cap_ms: int


class Overrides(Struct, frozen=True, omit_defaults=True):
    """One submission's own settings; unset means the task's.

    Attributes:
        timeout_ms: The longest one attempt may take; ``None`` for no limit.
        retry: How often and after what wait it is tried again.
    """

    timeout_ms: int | UnsetType | None = UNSET
    retry: RetryNumbers | UnsetType = UNSET

    def encode(self) -> bytes | None:
        """Return it as ``NewJob.meta``; ``None`` when nothing is overridden."""
        return None if self == _NOTHING else _ENCODER.encode(self)


_ENCODER: Final = msgspec.json.Encoder()
_DECODER: Final = msgspec.json.Decoder(Overrides)
_NOTHING: Final = Overrides()
_MILLISECOND: Final = timedelta(milliseconds=1)


def numbers_of(retry: Retry) -> RetryNumbers:
    """Return the part of a policy that travels with a job; no wait is rounded down to nothing."""
    return RetryNumbers(retry.attempts, max(retry.base // _MILLISECOND, 1), max(retry.cap // _MILLISECOND, 1))


def overrides_of(meta: bytes, policy: Retry, timeout_ms: int | None) -> tuple[Retry, int | None]:
    """Return the retry policy and the time limit that hold for a job.

    Args:
        meta: ``NewJob.meta`` of the job.
        policy: The task's own policy; gives whatever the job does not say.
        timeout_ms: The task's own time limit; ``None`` for none.
    """
    said = _DECODER.decode(meta)
    if not isinstance(said.retry, UnsetType):
        policy = Retry(
            attempts=said.retry.attempts,
            base=said.retry.base_ms * _MILLISECOND,
            cap=said.retry.cap_ms * _MILLISECOND,
            on=policy.on,
        )
    return policy, timeout_ms if isinstance(said.timeout_ms, UnsetType) else said.timeout_ms
