"""Every limit, in one place, each with its reason.

A limit that is crossed raises ``LimitError`` naming the thing, its value and the limit, before anything is written.
"""

from __future__ import annotations

from typing import Final

KIB: Final = 1024
MIB: Final = 1024 * KIB

PAYLOAD_BYTES_MAX: Final = 256 * KIB
"""Default for one job's arguments. Larger things belong in a file or an object store, with the job carrying the name."""

RESULT_BYTES_MAX: Final = 1 * MIB
"""Default for one job's result."""

PAYLOAD_AND_RESULT_BYTES_CEILING: Final = 16 * MIB
"""As far as the two above can be raised: a claim of many such jobs must still fit in memory."""

KEY_BYTES_MAX: Final = 512
"""A key is an index entry; PostgreSQL refuses index rows over about 2,700 bytes, and long keys slow every look-up."""

NAME_BYTES_MAX: Final = 200
"""Names of tasks, queues, nodes and workers: they are printed in every log line."""

BATCH_JOBS_MAX: Final = 10_000
"""Jobs in one ``submit_many``: one transaction, which nobody else may wait behind for long."""

CLAIM_JOBS_MAX: Final = 1_000
"""Jobs in one claim: what a worker that dies takes with it, and what one transaction locks."""

SETTLE_JOBS_MAX: Final = 2_000
"""Outcomes in one settle."""

SETTLE_BYTES_MAX: Final = 64 * MIB
"""Results in one settle: PostgreSQL takes no message over 1 GiB, and the same batch is sent until it is answered for."""

TRACEBACK_BYTES_MAX: Final = 16 * KIB
"""Text of one traceback kept with a failed attempt; the end is kept, since the cause stands there."""

ERROR_MESSAGE_BYTES_MAX: Final = 4 * KIB
"""Message of one error kept with a failed attempt."""

HISTORY_ENTRIES_MAX: Final = 100
"""History kept of one job; the oldest entries beyond it are dropped at the next attempt."""

FENCES_TOLD: Final = HISTORY_ENTRIES_MAX // 4
"""Of so many of its newest fences a job's history is complete: each has at most three entries, one of them its end."""

PRIORITY_MIN: Final = -100
PRIORITY_MAX: Final = 100
"""Priority is 8 bits of a job's place in line."""

ATTEMPTS_MAX: Final = 10_000
"""Largest ``Retry(attempts=…)``."""

CONCURRENCY_MAX: Final = 1_024
"""Jobs at once in one worker process: the rows of its running table."""

PROCESSES_MAX: Final = 256
"""Worker processes of one node."""

DELAY_DAYS_MAX: Final = 3_660
"""Ten years. A date further away is nearly always a unit mistaken for another."""

TOKEN_SKEW_MS_MAX: Final = 24 * 3_600 * 1_000
"""How far a token's own time may be from the store's: finished jobs are kept longer than this, so that a token which is
submitted again is always recognised."""

RETENTION_DAYS_DEFAULT: Final = 7
"""How long finished jobs are kept."""

SLOT_COUNT: Final = 1_024
"""Shares of the keys. At 16 workers the fullest has 1.2 times the mean; see docs/architecture.md."""

HASH_BITS: Final = 16
"""Bits of a key's hash that are stored with a job; the slot is their top ten. The rest is there to raise the count."""

WAITING_JOBS_MAX: Final = 10_000_000
"""Default ``waiting_max`` of a queue: beyond it submit refuses, since nobody is taking the jobs."""
