"""Handing jobs to the store, also when its reply is lost."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import Final

from msgspec.structs import replace

from rota.errors import OutcomeUnknownError, StoreError
from rota.model.job import NewJob
from rota.model.token import token_text
from rota.store.port import Intake, Submitted

_WAITS_S: Final = (0.0, 0.05, 0.2, 0.8)
"""Before each further try. A second in all: longer than a reconnect takes, and not so long that a web request hangs."""


async def send(store: Intake, jobs: Sequence[NewJob], pause: Callable[[float], Awaitable[None]]) -> Submitted:
    """Put jobs in, all or none, and return when they are on stable storage.

    If the reply is lost, the same jobs are sent again: the store knows their tokens if the first time went through. If the
    process dies in between, the jobs are in the store or they are not, all of them.

    Args:
        pause: Waits for that many seconds.

    Raises:
        OutcomeUnknownError: The reply to the first try was lost, and no further try came through.
        StoreError: It was not done.
    """
    try:
        return await store.submit(jobs)
    except OutcomeUnknownError:
        again = [replace(job, is_fresh=False) for job in jobs]
    for wait in _WAITS_S:
        await pause(wait)
        try:
            return await store.submit(again)
        except StoreError as error:
            # That this try was refused says nothing of the first, which may have gone through.
            reason = error.message
    first = token_text(jobs[0].token)
    raise OutcomeUnknownError(
        f"{len(jobs):,} job(s) of task {jobs[0].task}, the first with token {first}: the store's reply was lost, "
        f"and {len(_WAITS_S)} further tries brought no answer ({reason}). They are stored all or none. Submit them again with "
        "options(token=…) and the same tokens: what is there already is left alone.",
        tokens=[token_text(job.token) for job in jobs],
    )
