"""``Rota``: an app's tasks and its store."""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Iterable, Mapping
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any, ParamSpec, Protocol, TypeVar, overload
from uuid import UUID

import msgspec

from rota.app.address import SQLITE, Address, read_address, without_secrets
from rota.app.config import Config, load_config
from rota.app.connection import Connection, Session
from rota.app.definition import Definition, define
from rota.app.engine import open_store
from rota.app.task import AsyncTask, KeyRule, Task
from rota.app.token import Token
from rota.errors import InvalidTokenError, TaskDefinitionError, UnknownTaskError, UsageError
from rota.model.limits import BATCH_JOBS_MAX
from rota.model.near import closest
from rota.model.retry import Retry
from rota.model.state import State
from rota.model.task import TaskSpec
from rota.model.token import is_token, token_from_text
from rota.runtime.clock import Clock, SystemClock
from rota.runtime.entropy import Entropy, SystemEntropy
from rota.store.port import Store
from rota.submit.check import check_span

P = ParamSpec("P")
R = TypeVar("R")
T = TypeVar("T")


class TaskDecorator(Protocol):
    """What ``app.task(…)`` returns: turns a function into a task and keeps its parameters and result for type checkers."""

    @overload
    def __call__(self, function: Callable[P, Coroutine[Any, Any, R]], /) -> AsyncTask[P, R]: ...
    @overload
    def __call__(self, function: Callable[P, R], /) -> Task[P, R]: ...
    def __call__(self, function: Callable[..., Any], /) -> Any:
        """Define the task."""
        ...


class Rota:
    """An app: a store, and the tasks whose jobs are kept in it.

    Nothing is opened or read before the first use, so a module may define its app without touching the disk. Safe to use
    from several threads and event loops, and after a fork.

    Args:
        store: A path (``"shop.db"``), ``sqlite:///…``, ``postgresql://…``, or ``None``: then the environment's ``ROTA_STORE``,
            ``rota.toml`` or ``[tool.rota]``, else ``rota.db`` in the current folder.
        queue: Where jobs go whose task names no queue.
        retry: The policy of tasks that name none; ``None`` for three attempts.
        busy_timeout: How long a call waits for a locked SQLite file (``None``: 10 s), or for a PostgreSQL server that went
            away (``None``: 2 s); a bare number is seconds.
        durability: ``"full"``; on SQLite also ``"normal"`` (a power cut loses the last jobs) or ``"off"`` (or harms the file).
        schema: Name of the schema on PostgreSQL.
        payload_bytes_max: The largest arguments of one job, up to 16 MiB.
        result_bytes_max: The largest result of one job, up to 16 MiB.
        waiting_max: Jobs that may wait in one queue before submits are refused.
        retention: How long finished jobs are kept; a bare number is seconds, ``None`` means 7 days.
        lease: On PostgreSQL, how long a node is believed alive after its last renewal, from 3 s; ``None`` means 8 s. An outage
            of the database that is shorter than three tenths of it stops no running job.
        lease_dsn: Where nodes renew their leases, if the store's address is that of a pooler.
        on_store_loss: ``"stop"``: a node that cannot renew stops its workers in time. ``"run"``: they go on, and the promise
            that no job is run by two workers at once is given up.
        clock: Time, for tests; ``None`` for the machine's.
        entropy: Chance, for tests; ``None`` for the machine's.

    Example::

        app = Rota("shop.db")

        @app.task(key=lambda order: order.store)
        def bake(order: Order) -> str: ...
    """

    def __init__(
        self,
        store: str | Path | None = None,
        *,
        queue: str = "default",
        retry: Retry | None = None,
        busy_timeout: timedelta | float | None = None,
        durability: str | None = None,
        schema: str | None = None,
        payload_bytes_max: int | None = None,
        result_bytes_max: int | None = None,
        waiting_max: int | None = None,
        retention: timedelta | float | None = None,
        lease: timedelta | float | None = None,
        lease_dsn: str | None = None,
        on_store_loss: str | None = None,
        clock: Clock | None = None,
        entropy: Entropy | None = None,
    ) -> None:
        self._said = {
            "store": store,
            "busy_timeout_ms": None if busy_timeout is None else check_span(busy_timeout, "busy_timeout"),
            "durability": durability,
            "schema": schema,
            "payload_bytes_max": payload_bytes_max,
            "result_bytes_max": result_bytes_max,
            "waiting_max": waiting_max,
            "retention_days": None if retention is None else check_span(retention, "retention"),
            "lease_ms": None if lease is None else check_span(lease, "lease"),
            "lease_dsn": lease_dsn,
            "on_store_loss": on_store_loss,
        }
        self._queue = queue
        self._retry = retry
        self._given_clock = clock
        self._clock: Clock = clock or SystemClock()
        self._entropy: Entropy = entropy or SystemEntropy(self._clock)
        self._tasks: dict[str, Task[..., Any]] = {}
        self._config: Config | None = None
        self._held: Connection | None = None

    def __repr__(self) -> str:
        return f"<Rota with {len(self._tasks)} tasks>"

    @overload
    def task(self, function: Callable[P, Coroutine[Any, Any, R]], /) -> AsyncTask[P, R]: ...
    @overload
    def task(self, function: Callable[P, R], /) -> Task[P, R]: ...
    @overload
    def task(
        self,
        function: None = None,
        /,
        *,
        key: KeyRule = None,
        retry: Retry | None = None,
        timeout: timedelta | float | None = None,
        queue: str | None = None,
        name: str | None = None,
        priority: int = 0,
    ) -> TaskDecorator: ...
    def task(
        self,
        function: Callable[..., Any] | None = None,
        /,
        *,
        key: KeyRule = None,
        retry: Retry | None = None,
        timeout: timedelta | float | None = None,
        queue: str | None = None,
        name: str | None = None,
        priority: int = 0,
    ) -> Any:
        """Make a function a task: ``@app.task``, or ``@app.task(…)`` with options.

        The function stays callable as before. It must stand at the top of a module, since a worker finds it by importing
        that module, and its annotations say how its arguments and result are written down.

        Args:
            key: Called with the task's arguments, returns the job's key: jobs of one key run one at a time and in order. A
                text is one key for all of its jobs.
            retry: What happens after a failed attempt; ``None`` for the app's policy, which is three attempts if it names none.
            timeout: The longest one attempt may take; a bare number is seconds, ``None`` means no limit.
            queue: Where its jobs go; ``None`` for the app's.
            name: The name under which its jobs are stored; ``None`` for the function's own. Changing it orphans the jobs
                that wait under the old one.
            priority: -100 to 100, higher first.

        Raises:
            TaskDefinitionError: The function cannot be a task, with the reason; or the name is taken.
        """

        def decorate(chosen: Callable[..., Any]) -> Task[..., Any]:
            if isinstance(chosen, Task):
                raise TaskDefinitionError(f"{chosen.name} is a task already. Take one of its decorators away.")
            definition = define(
                chosen,
                name=name,
                queue=self._queue if queue is None else queue,
                key=key,
                retry=self._retry if retry is None else retry,
                timeout=timeout,
                priority=priority,
            )
            return self._add(definition)

        return decorate if function is None else decorate(function)

    @property
    def tasks(self) -> Mapping[str, Task[..., Any]]:
        """The app's tasks by name."""
        return self._tasks

    @property
    def specs(self) -> Mapping[str, TaskSpec]:
        """What a worker must know of each task, by name."""
        self.config  # noqa: B018 - the codecs learn their limits from it
        return {name: task.spec for name, task in self._tasks.items()}

    @property
    def queues(self) -> list[str]:
        """The queues that its tasks name, sorted."""
        return sorted({task.spec.queue for task in self._tasks.values()})

    @property
    def config(self) -> Config:
        """The settings that hold; read at first use.

        Raises:
            ConfigError: A setting is unknown, of the wrong kind or out of range.
        """
        if self._config is None:
            self._config = load_config(self._said)
            for task in self._tasks.values():
                self._limit(task)
        return self._config

    @property
    def settings(self) -> Mapping[str, str | int | float]:
        """What the code itself says of how its store is opened, by the names of ``Config``; not where it is."""
        said = [name for name, value in self._said.items() if value is not None and name != "store"]
        return {name: getattr(self.config, name) for name in said}

    @property
    def address(self) -> Address:
        """Where the store is."""
        return read_address(self.config.store)

    @property
    def store_url(self) -> str:
        """Where the store is, for people: without a password."""
        return without_secrets(self.config.store)

    def task_named(self, name: str) -> Task[..., Any]:
        """Return one of the app's tasks.

        Raises:
            UnknownTaskError: No task of that name; suggests a close one.
        """
        if name not in self._tasks:
            known = ", ".join(sorted(self._tasks)) or "none"
            raise UnknownTaskError(
                f"this app has no task {name!r}{closest(name, self._tasks)}. Its tasks: {known}.", task=name
            )
        return self._tasks[name]

    def token(self, text: str | UUID) -> Token[Any]:
        """Return the handle of a job by its token, as ``str(token)`` gave it. The store is not asked.

        Raises:
            InvalidTokenError: Not a UUIDv7.
        """
        return Token(self, self._token_bytes(text))

    def states(self, tokens: Iterable[Token[Any] | UUID | str]) -> list[State | None]:
        """Return how many jobs stand, in the order of their tokens; ``None`` where there is no such job, or no more.

        It is one look for up to 10,000 tokens, and several for more.

        Raises:
            InvalidTokenError: One of them is no UUIDv7.
        """
        wanted = self._tokens_bytes(tokens)
        return self._run(lambda session: _states(session, wanted))

    async def states_async(self, tokens: Iterable[Token[Any] | UUID | str]) -> list[State | None]:
        """Do the same as ``states`` from async code."""
        return await _states(await self._session(), self._tokens_bytes(tokens))

    def use_store(self, store: Store, address: str | None = None) -> None:
        """Use a store that was opened elsewhere and will be closed there; an engine bound to a loop must be of this one.

        Args:
            address: Where it is, if that is not what the settings say: other event loops open it for themselves.
        """
        if address is not None:
            self._config = replace(self.config, store=address)
        self._connection.use(store)

    def close(self) -> None:
        """Let go of the store. Safe to call twice; the next use opens it again."""
        if self._held is not None:
            self._held.close_blocking()

    async def close_async(self) -> None:
        """Do the same as ``close`` from async code."""
        if self._held is not None:
            await self._held.close()

    def _stand_in(self, store: str, clock: Clock) -> Callable[[], None]:
        """Use another store and clock until what is returned is called; for tests."""
        names = ("_config", "_held", "_given_clock", "_clock", "_entropy")
        before = {name: getattr(self, name) for name in names}
        self._config = replace(self.config, store=store)
        self._held, self._given_clock, self._clock = None, clock, clock
        self._entropy = SystemEntropy(clock)

        def restore() -> None:
            self.close()
            for name, value in before.items():
                setattr(self, name, value)

        return restore

    @property
    def _connection(self) -> Connection:
        if self._held is None:
            self._held = Connection(
                self._open, is_shared=self.address.engine == SQLITE, name=lambda: self._entropy.hex(8)
            )
        return self._held

    async def _open(self) -> Store:
        return await open_store(
            self.config.store, clock=self._given_clock, entropy=self._entropy, config=self.config, is_patient=True
        )

    def _run(self, ask: Callable[[Session], Coroutine[Any, Any, T]]) -> T:
        return self._connection.run(ask)

    async def _session(self) -> Session:
        return await self._connection.session()

    def _add(self, definition: Definition) -> Task[..., Any]:
        taken = self._tasks.get(definition.name)
        if taken is not None:
            raise TaskDefinitionError(
                f"two tasks of this app are called {definition.name!r}: one at {taken._definition.place}, one at "
                f"{definition.place}. Jobs are stored under the name; give one of them another, with @app.task(name=…).",
                function=definition.name,
            )
        task: Task[..., Any] = (AsyncTask if definition.spec.is_async else Task)(self, definition)
        self._limit(task)
        self._tasks[definition.name] = task
        return task

    def _limit(self, task: Task[..., Any]) -> None:
        if self._config is not None:
            codec = task._definition.codec
            codec.payload_bytes_max = self._config.payload_bytes_max
            codec.result_bytes_max = self._config.result_bytes_max

    def _decode_result(self, task: str, result: bytes | None) -> Any:
        known = self._tasks.get(task)
        if known is not None:
            return known._definition.codec.decode_result(result)
        return None if result is None else msgspec.json.decode(result)

    def _tokens_bytes(self, tokens: Iterable[Token[Any] | UUID | str]) -> list[bytes]:
        if isinstance(tokens, (Token, UUID, str)):
            raise UsageError(
                f"states({tokens!r}): a list of tokens is needed; of one job, token.status() tells the state."
            )
        return [self._token_bytes(token) for token in tokens]

    def _token_bytes(self, token: Token[Any] | UUID | str) -> bytes:
        if isinstance(token, Token):
            return bytes(token)
        if isinstance(token, UUID):
            if not is_token(token.bytes):
                raise InvalidTokenError(f"{token} is a UUID of version {token.version}; a token is one of version 7.")
            return token.bytes
        if not isinstance(token, str):
            raise InvalidTokenError(f"{token!r} is not a token; give the text of str(token), or a UUID of version 7.")
        return token_from_text(token)


async def _states(session: Session, tokens: list[bytes]) -> list[State | None]:
    found: dict[bytes, State] = {}
    for start in range(0, len(tokens), BATCH_JOBS_MAX):
        found |= await session.store.states(tokens[start : start + BATCH_JOBS_MAX])
    return [found.get(token) for token in tokens]
