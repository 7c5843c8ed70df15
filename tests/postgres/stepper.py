"""The stepper: two or three real sessions, interleaved in the order that a case names.

    claimer  ──claim──▶ (open transaction)            ──commit──▶
    rescuer                   ──close──▶ is blocked by claimer ──▶ ──release──▶

A case reads as a script. Each session is a connection of its own with an engine of its own on it, so that a step is a word of
the store's port: ``claimer.store.claim(…)``. A step can be held at three places:

    at its end        ``await session.begins()``; what follows stays uncommitted until ``commits()``
    inside            at a marker, ``-- step: slots locked``, of one of our functions: ``await stage.closes_gate(session, …)``
    by another        ``await session.is_blocked_by(other)``: the server itself says who waits for whom

Nothing sleeps and hopes: a case goes on when the server shows that a session has arrived where the case wants it.

A guard is taken out by a replacement in the text of a function, in a schema that is this case's alone while it is played; the
replacement must match.
"""

from __future__ import annotations

import asyncio
import functools
from collections.abc import Awaitable, Coroutine, Mapping
from dataclasses import dataclass, field, replace
from importlib.resources import files
from re import compile as pattern
from types import TracebackType
from typing import Any, Self, TypeVar

import asyncpg

from rota.model.limits import WAITING_JOBS_MAX
from rota.model.token import token_text
from rota.store.postgres.bounds import BOUNDS
from rota.store.postgres.errors import DRIVER_ERRORS, translated
from rota.store.postgres.migrate import install_functions, migrate
from rota.store.postgres.server import Server, quoted, statement_of
from rota.store.postgres.store import PostgresStore
from rota.testing.clock import ManualClock
from tests.contract.shop import BAKE, OVENS, CountingEntropy, Shop, Worker
from tests.postgres_schemas import Schemas
from tests.postgres_server import PostgresServer

_MARKER = pattern(r"-- step: ([a-z ]+)")
_GATE_CLASS = 7_002
_PATIENCE_S = 20.0
_HELD_UP = replace(BOUNDS, lock_s=3 * _PATIENCE_S, idle_in_transaction_s=3 * _PATIENCE_S)
"""A session may be held up for as long as the case takes to see it."""
_LOOK_AGAIN_S = 0.002

_GATE = f"""
CREATE FUNCTION gate(p_step text) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    this integer := hashtext(current_schema() || ' ' || current_setting('application_name') || ' ' || p_step);
BEGIN
    PERFORM pg_advisory_lock({_GATE_CLASS}, this);
    PERFORM pg_advisory_unlock({_GATE_CLASS}, this);
END
$$
"""

T = TypeVar("T")


@dataclass(frozen=True)
class Mutant:
    """Our functions with one guard taken out.

    Attributes:
        guard: What is taken out, in words.
        edits: Function, text in it, text instead. Each text must be found exactly once.
        ddl: A statement to run beside it.
    """

    guard: str
    edits: tuple[tuple[str, str, str], ...] = ()
    ddl: str = ""


class SessionServer(Server):
    """The engine's road to the server, narrowed to one connection, so that its calls join an open transaction."""

    def __init__(self, url: str, schema: str, only: Any = None) -> None:
        super().__init__(url, schema)
        self.only = only

    async def call(
        self, function: str, *arguments: Any, writes: bool = True, is_value: bool = False
    ) -> list[asyncpg.Record]:
        """Call one of our functions on this connection; nothing is tried again."""
        statement = statement_of(self.schema, function, len(arguments), is_value=is_value)
        try:
            records: list[asyncpg.Record] = await self.only.fetch(statement, *arguments)
        except DRIVER_ERRORS as problem:
            raise translated(problem, where=self.where, doing=function, writes=writes) from problem
        return records


class Session:
    """One of the players: a connection with a name, and an engine on it."""

    def __init__(self, name: str, connection: asyncpg.Connection, store: PostgresStore, stage: Stage) -> None:
        self.name = name
        self.store = store
        self.pid: int = connection.get_server_pid()
        self._connection = connection
        self._stage = stage
        self._step: asyncio.Task[Any] | None = None

    def as_worker(self, worker: Worker) -> Worker:
        """Return a worker that speaks to the store through this session."""
        return Worker(self.store, worker.registered)

    async def begins(self) -> None:
        """Open a transaction: all that follows stays uncommitted."""
        await self._connection.execute("BEGIN")

    async def commits(self) -> None:
        """Commit what was done since ``begins``."""
        await self._patiently(self._connection.execute("COMMIT"))

    async def rolls_back(self) -> None:
        """Undo what was done since ``begins``."""
        await self._patiently(self._connection.execute("ROLLBACK"))

    async def does(self, step: Awaitable[T]) -> T:
        """Take a step that nobody can hold up; fail if it waits."""
        return await self._patiently(step)

    def starts(self, step: Coroutine[Any, Any, T]) -> asyncio.Task[T]:
        """Take a step that may have to wait, and go on with the case meanwhile."""
        task = asyncio.get_running_loop().create_task(step, name=self.name)
        self._step = task
        return task

    async def is_blocked_by(self, other: Session) -> None:
        """Wait until this session waits for the other; fail if its step ends instead."""
        if not await self.ends_or_waits_for(other):
            raise AssertionError(f"{self.name} did not wait for {other.name}")

    async def is_not_blocked(self) -> None:
        """Wait until the step has ended; fail if it waits for anybody instead."""
        waits_for = await self._end_or_blockers()
        assert not waits_for, f"{self.name} waits for {', '.join(self._stage.names_of(waits_for))}"

    async def ends_or_waits_for(self, other: Session) -> bool:
        """Wait until the step has ended or waits for the other, and return whether it waits."""
        return other.pid in await self._end_or_blockers()

    async def is_at(self, step: str) -> None:
        """Wait until this session stands at a gate that ``Stage.closes_gate`` has closed; fail if it gets past."""
        assert await self.ends_or_is_at(step), f"{self.name} got past {step!r}"

    async def ends_or_is_at(self, step: str) -> bool:
        """Wait until the step has ended or stands at this gate, and return whether it stands there."""
        assert self._step is not None, f"{self.name} has not started anything"
        async with asyncio.timeout(_PATIENCE_S):
            while not self._step.done():
                if await self._stage.stands_at(self, step):
                    return True
                await asyncio.sleep(_LOOK_AGAIN_S)
        return False

    async def dies(self) -> None:
        """End this session's backend in the middle of whatever it does, and wait until the server has undone it."""
        await self._stage.terminate(self.pid)
        if self._step is not None:
            await asyncio.gather(self._step, return_exceptions=True)

    async def _end_or_blockers(self) -> list[int]:
        assert self._step is not None, f"{self.name} has not started anything"
        async with asyncio.timeout(_PATIENCE_S):
            while not self._step.done():
                blockers = await self._stage.blockers_of(self.pid)
                if blockers:
                    return blockers
                await asyncio.sleep(_LOOK_AGAIN_S)
        return []

    async def _patiently(self, step: Awaitable[T]) -> T:
        """Await a step that should not wait; a wait for another session is a failure, told by name."""

        async def run() -> T:
            return await step

        task = self.starts(run())
        await self.is_not_blocked()
        return await task

    async def leave(self) -> None:
        """End the session, whatever it is doing."""
        if self._step is not None and not self._step.done():
            self._step.cancel()
            await asyncio.gather(self._step, return_exceptions=True)
        self._connection.terminate()


@dataclass
class Stage:
    """Where a case is played: a schema with gates in our functions, which it has to itself, and perhaps a guard taken out.

    Attributes:
        schema: See ``gated_schema``. It is left with all its guards; one whose tables the mutant changed is dropped.
        shop: The store as everybody else sees it, with the words of the contract tests.
    """

    url: str
    schema: str
    mutant: Mutant | None = None
    clock: ManualClock = field(default_factory=ManualClock)
    shop: Shop = field(init=False)
    _control: asyncpg.Connection = field(init=False)
    _sessions: list[Session] = field(default_factory=list)

    async def __aenter__(self) -> Self:
        store = await PostgresStore.open(self.url, clock=self.clock, schema=self.schema)
        await store.intern([OVENS], [BAKE])
        self.shop = Shop(store, self.clock, CountingEntropy(self.clock))
        self._control = await _connected(self.url, self.schema, "control")
        if self.mutant is not None:
            await self._install(mutated_texts(self.mutant))
            if self.mutant.ddl:
                await self._control.execute(self.mutant.ddl)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, problem: BaseException | None, trace: TracebackType | None
    ) -> None:
        for session in self._sessions:
            await session.leave()
        await self.shop.store.close()
        # One that waits for another would go on when that is gone, in the schema of the next case.
        for session in self._sessions:
            await self.terminate(session.pid)
        if self.mutant is not None and self.mutant.ddl:
            await self._control.execute(f"DROP SCHEMA {quoted(self.schema)} CASCADE")
        elif self.mutant is not None:
            await self._install(mutated_texts(None))
        await self._control.close()

    async def _install(self, texts: Mapping[str, str]) -> None:
        """Make those functions anew that the mutant edits."""
        edited = {name: texts[name] for name, _, _ in self.mutant.edits} if self.mutant else {}
        if edited:
            await install_functions(self._control, self.schema, _gated(edited))

    async def session(self, name: str) -> Session:
        """Bring another player on."""
        connection = await _connected(self.url, self.schema, name)
        store = PostgresStore(SessionServer(self.url, self.schema, connection), self.clock, WAITING_JOBS_MAX)
        await store.intern([OVENS], [BAKE])
        player = Session(name, connection, store, self)
        self._sessions.append(player)
        return player

    async def closes_gate(self, session: Session, step: str) -> None:
        """Hold a session at a marker, ``"function: step"``, until ``opens_gate``."""
        await self._control.execute("SELECT pg_advisory_lock($1, hashtext($2))", _GATE_CLASS, self._gate(session, step))

    async def opens_gate(self, session: Session, step: str) -> None:
        """Let it go on."""
        await self._control.execute(
            "SELECT pg_advisory_unlock($1, hashtext($2))", _GATE_CLASS, self._gate(session, step)
        )

    async def stands_at(self, session: Session, step: str) -> bool:
        """Whether a session waits at this gate."""
        return bool(
            await self._control.fetchval(
                "SELECT count(*) FROM pg_locks WHERE pid = $1 AND NOT granted AND locktype = 'advisory' "
                "AND classid = $2 AND objid::bigint = hashtext($3)::bigint & 4294967295",
                session.pid,
                _GATE_CLASS,
                self._gate(session, step),
            )
        )

    async def blockers_of(self, pid: int) -> list[int]:
        """Return who holds up this backend now; nobody while it works. A vacuum lets go by itself, and is no player."""
        blockers: list[int] = await self._control.fetchval(
            "SELECT array(SELECT pid FROM pg_stat_activity WHERE pid = ANY (pg_blocking_pids($1)) "
            "AND backend_type = 'client backend')",
            pid,
        )
        return blockers

    async def terminate(self, pid: int) -> None:
        """End a backend, and wait until it is gone with all its locks."""
        await self._control.execute("SELECT pg_terminate_backend($1, 10000)", pid)

    def names_of(self, pids: list[int]) -> list[str]:
        """Return the players behind these backends."""
        names = {session.pid: session.name for session in self._sessions}
        return [names.get(pid, f"backend {pid}") for pid in pids]

    async def count(self, what: str) -> int:
        """Count rows: ``"turns"``, or ``"live WHERE head"``."""
        return int(await self._control.fetchval(f"SELECT count(*) FROM {what}"))

    async def tells(self, jobs: Mapping[str, bytes]) -> dict[str, str]:
        """Return the state of named tokens, for a message."""
        states = await self.shop.store.states(list(jobs.values()))
        return {name: str(states.get(token, f"lost {token_text(token)}")) for name, token in jobs.items()}

    def _gate(self, session: Session, step: str) -> str:
        return f"{self.schema} {session.name} {step}"


@functools.cache
def _schemas_of(server: PostgresServer) -> Schemas:
    return Schemas(server, _make_gated)


def gated_schema(server: PostgresServer) -> str:
    """Return a schema as ``migrate`` leaves one, with gates in our functions; the server is there until this process ends."""
    return _schemas_of(server).lend()


async def _make_gated(url: str, schema: str) -> None:
    await migrate(url, schema)
    connection = await _connected(url, schema, "builder")
    await connection.execute(_GATE)
    await install_functions(connection, schema, _gated(mutated_texts(None)))
    await connection.close()


def _gated(texts: Mapping[str, str]) -> dict[str, str]:
    """Return functions with a gate at each of their markers."""
    return {name: _MARKER.sub(rf"PERFORM gate('{name}: \1');", text) for name, text in texts.items()}


async def _connected(url: str, schema: str, name: str) -> asyncpg.Connection:
    connection = await Server(url, schema, bounds=_HELD_UP).connect()
    await connection.execute(f"SET search_path = {quoted(schema)}, pg_temp")
    await connection.execute(f"SET application_name = {quoted(name)}")
    return connection


def mutated_texts(mutant: Mutant | None) -> dict[str, str]:
    """Return our functions as they are written, comments and all, with the mutant's guard taken out."""
    folder = files("rota.store") / "postgres" / "sql"
    texts = {
        entry.name.removesuffix(".sql"): entry.read_text() for entry in folder.iterdir() if entry.name.endswith(".sql")
    }
    for name, old, new in mutant.edits if mutant else ():
        assert texts[name].count(old) == 1, f"{name}.sql holds {texts[name].count(old)} times: {old}"
        texts[name] = texts[name].replace(old, new)
    return texts
