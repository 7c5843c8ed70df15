"""A function that can be submitted: what ``@app.task`` returns.

bake(order)             a plain call, here and now
bake.submit(order)      a job, somewhere, surely
bake.options(delay=60)  the same, with options
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Coroutine, Iterable
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, Generic, ParamSpec, Protocol, TypeVar, overload
from uuid import UUID

from rota.app.call import Call
from rota.app.drafts import Drafts
from rota.app.token import Token
from rota.app.within import Within
from rota.model.job import NewJob
from rota.model.retry import Retry
from rota.model.task import TaskSpec
from rota.submit.send import send
from rota.submit.terms import Unset

if TYPE_CHECKING:
    from rota.app.callers import CallersConnection
    from rota.app.definition import Definition
    from rota.app.rota import Rota

P = ParamSpec("P")
A = TypeVar("A")
A_contra = TypeVar("A_contra", contravariant=True)
R_co = TypeVar("R_co", covariant=True)
R = TypeVar("R")

UNSET = Unset.UNSET


class TakesOne(Protocol[A_contra, R_co]):
    """A task that one positional argument is enough for; what ``submit_many`` asks of a type checker."""

    def submit(self, argument: A_contra, /) -> Token[R_co]:
        """Put a job in."""
        ...


class Submittable(Generic[P, R]):
    """The ways in: what a task and ``task.options(…)`` have in common."""

    def __init__(
        self, app: Rota, definition: Definition, options: dict[str, Any], within: Within | None = None
    ) -> None:
        self._app = app
        self._definition = definition
        self._options = options
        self._within = within
        self._drafts: Drafts | None = None

    def __repr__(self) -> str:
        chosen = ", ".join(
            f"{name}={value!r}" for name, value in self._options.items() if name not in ("token", "queue")
        )
        queue = self._options.get("queue", self._definition.queue)
        return f"<task {self.name} of queue {queue}{' with ' if chosen else ''}{chosen}>"

    @property
    def name(self) -> str:
        """The name under which its jobs are stored."""
        return self._definition.name

    def submit(self, *args: P.args, **kwargs: P.kwargs) -> Token[R]:
        """Put a job in, and return its token when it is on stable storage.

        May be called in a running event loop too: on SQLite it takes about a quarter of a millisecond. If the process dies
        before it returns, the job is stored or it is not; with ``options(token=…)`` it is safe to call again.

        Raises:
            InvalidArgumentsError: The arguments do not fit the function's annotations. Names the path.
            LimitError: The arguments, the key or another thing is too large.
            TokenReusedError: ``options(token=…)`` names a job with other arguments.
            QueueFullError: Too many jobs wait.
            StoreError: It could not be stored; or, for ``OutcomeUnknownError``, it may have been.
        """
        jobs = [self._ready().one(args, kwargs)]
        self._submit(jobs)
        return Token(self._app, jobs[0].token)

    async def submit_async(self, *args: P.args, **kwargs: P.kwargs) -> Token[R]:
        """Do the same as ``submit`` from async code; calls made at the same time share a commit."""
        jobs = [self._ready().one(args, kwargs)]
        await self._submit_async(jobs)
        return Token(self._app, jobs[0].token)

    @overload
    def submit_many(self, calls: Iterable[Call[P]], /) -> list[Token[R]]: ...
    @overload
    def submit_many(self: TakesOne[A, R], calls: Iterable[A], /) -> list[Token[R]]: ...
    def submit_many(self, calls: Iterable[Any], /) -> list[Token[R]]:
        """Put up to 10,000 jobs in with one commit, all or none; return their tokens in order.

        Args:
            calls: For a task that needs one argument, these arguments: ``bake.submit_many([order, order])``. For any task,
                ``task.call(…)``s with the parameters of the function: ``send.submit_many([send.call("a", copies=2)])``.

        Raises:
            InvalidArgumentsError: The arguments of one do not fit; says which. Nothing was written.
            LimitError: More than 10,000, or one of them is too large. Nothing was written.
            StoreError: As for ``submit``.
        """
        jobs = self._ready().many(calls)
        if jobs:
            self._submit(jobs)
        return [Token(self._app, job.token) for job in jobs]

    @overload
    async def submit_many_async(self, calls: Iterable[Call[P]], /) -> list[Token[R]]: ...
    @overload
    async def submit_many_async(self: TakesOne[A, R], calls: Iterable[A], /) -> list[Token[R]]: ...
    async def submit_many_async(self, calls: Iterable[Any], /) -> list[Token[R]]:
        """Do the same as ``submit_many`` from async code."""
        jobs = self._ready().many(calls)
        if jobs:
            await self._submit_async(jobs)
        return [Token(self._app, job.token) for job in jobs]

    def call(self, *args: P.args, **kwargs: P.kwargs) -> Call[P]:
        """Return the arguments of one job, for ``submit_many``."""
        return Call(args, kwargs)

    def options(
        self,
        *,
        delay: timedelta | float | None = None,
        at: datetime | None = None,
        priority: int | None = None,
        key: str | Unset | None = UNSET,
        queue: str | None = None,
        token: Token[Any] | UUID | str | None = None,
        timeout: timedelta | float | Unset | None = UNSET,
        retry: Retry | None = None,
        expires: datetime | timedelta | float | None = None,
        connection: CallersConnection | None = None,
    ) -> Submittable[P, R]:
        """Return the same ways in, with options. What is not given stays as the task says.

        Args:
            delay: Not before this long from the submission; a bare number is seconds.
            at: Not before this instant; needs a time zone. Instead of ``delay``.
            priority: -100 to 100, higher first. Does not reorder the jobs of one key.
            key: Jobs of one key run one at a time and in order; ``None`` for a job on its own.
            queue: Another queue.
            token: The job's token, a UUIDv7 made by you: to submit it a second time is then a no-op.
            timeout: The longest one attempt may take; ``None`` for no limit.
            retry: How often and after what wait it is tried again.
            expires: If it has not been started by then, it is dropped as expired: an instant, or a time from now. The worker
                that would start it drops it; where none comes to it, the node that keeps the house, within ten seconds.
            connection: Your own connection to the PostgreSQL database that the store is in, of asyncpg, psycopg or SQLAlchemy:
                the job exists if and only if its transaction commits. Until then nobody knows of it.

        Raises:
            UsageError: Something is of the wrong kind, without a time zone, or contradicts another; or no job can be submitted
                through this connection, with the reason.
            LimitError: Something is out of range.
        """
        given: dict[str, Any] = {
            "delay": delay,
            "at": at,
            "priority": priority,
            "queue": queue,
            "token": self._app._token_bytes(token) if token is not None else None,
            "retry": retry,
            "expires": expires,
        }
        chosen = {name: value for name, value in given.items() if value is not None}
        if not isinstance(key, Unset):
            chosen["key"] = key
        if not isinstance(timeout, Unset):
            chosen["timeout"] = timeout
        within = self._within if connection is None else Within(self._app, connection)
        placed: Submittable[P, R] = Submittable(self._app, self._definition, self._options | chosen, within)
        placed._drafts = placed._draft()
        return placed

    def job_from_json(self, text: str | bytes) -> NewJob:
        """Return the job that these arguments would make, checked, without storing it. For command lines and bridges.

        Args:
            text: One JSON object with the arguments by name.

        Raises:
            InvalidArgumentsError: Not JSON, or it does not fit the function's annotations.
            LimitError: Something is too large.
        """
        return self._ready().from_json(text)

    def _ready(self) -> Drafts:
        if self._drafts is None:
            self._drafts = self._draft()
        return self._drafts

    def _draft(self) -> Drafts:
        return Drafts.of(self._definition, self._options, self._app)

    def _submit(self, jobs: list[NewJob]) -> None:
        if self._within is None:
            self._app._run(lambda session: send(session.store, jobs, session.pause))
        else:
            self._within.submit(jobs)

    async def _submit_async(self, jobs: list[NewJob]) -> None:
        if self._within is None:
            session = await self._app._session()
            await send(session.store, jobs, session.pause)
        else:
            await self._within.submit_async(jobs)


class Task(Submittable[P, R]):
    """A function that can be called plainly and submitted as a job."""

    __name__: str
    __qualname__: str

    def __init__(self, app: Rota, definition: Definition) -> None:
        super().__init__(app, definition, {})
        functools.update_wrapper(self, definition.function, updated=())

    def __reduce__(self) -> str:
        # As functions are: by where they stand. So a plain call can be handed to a pool of processes.
        return self.__qualname__

    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> R:
        """Call the function itself, here and now; no job is made."""
        result: R = self._definition.function(*args, **kwargs)
        return result

    @property
    def spec(self) -> TaskSpec:
        """What a worker must know of it."""
        return self._definition.spec


class AsyncTask(Task[P, R]):
    """A task whose function is ``async def``: a plain call returns its coroutine, a token its result."""

    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> Coroutine[Any, Any, R]:  # type: ignore[override]
        """Call the function itself; await what it returns. No job is made."""
        work: Coroutine[Any, Any, R] = self._definition.function(*args, **kwargs)
        return work


KeyRule = Callable[..., str | None] | str | None
"""How a task's jobs get their key: from a call of this with the task's arguments, always the same, or none."""
