"""The handle of a submitted job."""

from __future__ import annotations

import asyncio
from collections.abc import Generator
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Generic, NoReturn, TypeVar

from rota.app.blocking import is_in_loop
from rota.errors import NotAllowedError, ResultTimeoutError, UnknownTokenError, UsageError
from rota.model.state import State
from rota.model.token import token_text
from rota.result.info import JobInfo, job_info
from rota.result.read import not_found, result_of
from rota.result.wait import settled_by_looking
from rota.submit.check import check_span

if TYPE_CHECKING:
    from rota.app.connection import Session
    from rota.app.rota import Rota

R_co = TypeVar("R_co", covariant=True)


class Token(Generic[R_co]):
    """A job that has been submitted: ask how it stands, wait for its result, cancel it, put it back.

    It holds no result itself, and may be thrown away: ``str(token)`` is all that is needed to make it again, in any process,
    with ``app.token(text)``.

    Example::

        token = bake.submit(Order("mitte", "margherita"))
        token.result(timeout=10)
    """

    __slots__ = ("_app", "_bytes")

    def __init__(self, app: Rota, token: bytes) -> None:
        self._app = app
        self._bytes = token

    def __str__(self) -> str:
        return token_text(self._bytes)

    def __repr__(self) -> str:
        return f"Token('{self}')"

    def __bytes__(self) -> bytes:
        return self._bytes

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Token) and self._bytes == other._bytes

    def __hash__(self) -> int:
        return hash(self._bytes)

    def __reduce__(self) -> NoReturn:
        raise UsageError(
            f"a Token belongs to its app and is not pickled. Send str(token), and app.token(text) there: {self}"
        )

    def __await__(self) -> Generator[Any, None, R_co]:
        return self.result_async().__await__()

    def status(self) -> State:
        """Return how the job stands: waiting, scheduled, running, succeeded, failed, cancelled or expired.

        Raises:
            UnknownTokenError: No such job.
            ExpiredError: Its record is past retention.
        """
        return self._app._run(self._status)

    async def status_async(self) -> State:
        """Do the same as ``status`` from async code."""
        return await self._status(await self._app._session())

    def result(self, timeout: timedelta | float | None = None) -> R_co:
        """Wait until the job is settled and return what its function returned.

        Args:
            timeout: The longest to wait; a bare number is seconds, 0 only looks. ``None`` waits as long as it takes.

        Raises:
            JobFailedError: It failed for good; carries the type, message and traceback of its last error.
            JobCancelledError: It was cancelled.
            JobExpiredError: It was not started in time.
            ResultTimeoutError: Not settled within ``timeout``. It goes on.
            UnknownTokenError: No such job.
            ExpiredError: Its record is past retention.
            UsageError: Called in a running event loop, which the wait would stop: await the token there. Or it would wait for
                ever: no limit, and a store in memory in which nobody works.
        """
        if is_in_loop():
            raise UsageError(
                f"token.result() would stop the running event loop until job {self} is settled. Write `await token`, or "
                "`await token.result_async(timeout)`."
            )
        seconds = _seconds(timeout)
        if seconds is None and self._app.address.is_in_memory:
            self._app._run(self._refuse_unless_worked_on)
        found: R_co = self._app._run(lambda session: self._result(session, seconds))
        return found

    async def result_async(self, timeout: timedelta | float | None = None) -> R_co:
        """Do the same as ``result`` from async code; ``await token`` waits without a limit."""
        found: R_co = await self._result(await self._app._session(), _seconds(timeout))
        return found

    def cancel(self) -> bool:
        """Cancel the job: at once if it waits, by asking its worker if it runs. Safe to call again.

        An ``async def`` handler is cancelled; a ``def`` handler sees ``current_job().is_cancel_asked``, and is cancelled if it
        raises then. One that returns has succeeded.

        Returns whether there was something to cancel; ``False`` means that it had been settled.

        Raises:
            UnknownTokenError: No such job.
            ExpiredError: Its record is past retention.
        """
        return self._app._run(self._cancel)

    async def cancel_async(self) -> bool:
        """Do the same as ``cancel`` from async code."""
        return await self._cancel(await self._app._session())

    def retry(self) -> bool:
        """Put the job back if it failed, was cancelled or expired. Safe to call again.

        It takes the last place, its attempts start again, its history stays, and it does not expire any more.

        Returns whether it was put back; ``False`` means that it waits, is scheduled or runs already.

        Raises:
            NotAllowedError: It succeeded. To run it once more, submit it anew.
            UnknownTokenError: No such job.
            ExpiredError: Its record is past retention.
        """
        return self._app._run(self._retry)

    async def retry_async(self) -> bool:
        """Do the same as ``retry`` from async code."""
        return await self._retry(await self._app._session())

    def info(self) -> JobInfo:
        """Return everything that is known of the job: its attempts with workers, times and errors, and why it waits.

        Raises:
            UnknownTokenError: No such job.
            ExpiredError: Its record is past retention.
        """
        return self._app._run(self._info)

    async def info_async(self) -> JobInfo:
        """Do the same as ``info`` from async code."""
        return await self._info(await self._app._session())

    async def _status(self, session: Session) -> State:
        states = await session.store.states([self._bytes])
        if self._bytes not in states:
            raise self._not_found()
        return states[self._bytes]

    async def _refuse_unless_worked_on(self, session: Session) -> None:
        """No other process sees a store in memory: with no worker in this one, a test would hang."""
        state = await self._status(session)
        if not state.is_final and not (await session.store.membership()).workers:
            raise UsageError(
                f"job {self} is {state}, and nobody works in this store, which is in memory: token.result() would wait for "
                "ever. Call run_until_idle(app) of rota.testing before it; what is due later needs clock.advance(…) first."
            )

    async def _cancel(self, session: Session) -> bool:
        was = (await session.store.cancel(self._bytes)).was
        if was is None:
            raise self._not_found()
        return not was.is_final

    async def _retry(self, session: Session) -> bool:
        try:
            await session.store.reopen(self._bytes)
        except UnknownTokenError:
            raise self._not_found() from None
        except NotAllowedError:
            if await self._status(session) is not State.SUCCEEDED:
                return False
            raise NotAllowedError(
                f"job {self} has succeeded: only a failed, cancelled or expired job can be put back. Nothing was changed. To "
                "run it once more, submit it anew.",
                token=str(self),
            ) from None
        return True

    async def _info(self, session: Session) -> JobInfo:
        info = await job_info(session.store, self._bytes, self._app._clock.now_us())
        if info is None:
            raise self._not_found()
        return info

    async def _result(self, session: Session, timeout_s: float | None) -> Any:
        while True:
            await self._settled(session, timeout_s)
            row = await session.store.find(self._bytes)
            if row is None:
                raise self._not_found()
            if row.state.is_final:  # else a person has reopened it in between: wait for the new run
                return self._app._decode_result(row.task, result_of(row))

    async def _settled(self, session: Session, timeout_s: float | None) -> None:
        try:
            if session.watch is None:
                await settled_by_looking(session.store, self._bytes, session.pause, timeout_s)
            else:
                async with asyncio.timeout(timeout_s):
                    await session.watch.settled(self._bytes)
        except TimeoutError:
            state = (await session.store.states([self._bytes])).get(self._bytes)
            if state is not None and state.is_final:
                return
            raise ResultTimeoutError(
                f"job {self} is {state or 'unknown'} and was not settled within {timeout_s:g} s. It goes on; ask again, or "
                "`token.info().why` says what it waits for.",
                token=str(self),
                timeout_s=timeout_s,
            ) from None

    def _not_found(self) -> Exception:
        return not_found(self._bytes, self._app._clock.now_us(), self._app.config.retention_days)


def _seconds(timeout: timedelta | float | None) -> float | None:
    return None if timeout is None else check_span(timeout, "timeout").total_seconds()
