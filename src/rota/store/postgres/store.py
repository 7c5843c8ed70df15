"""The PostgreSQL engine behind the store's port.

    PostgresStore ──▶ one function of the schema a call (sql/*.sql) ──▶ live, turns, claims, finished, …

Its parts follow the port's subjects, one file each. What must hold when sessions meet is in the functions, and what each was
put through in tests/postgres/test_races.py.

Invariants, each with the test that holds it:
    Every race of the protocol, with its guard and without.      tests/postgres/test_races.py
    The hot statements use their index, whatever was analysed.   tests/plans/test_postgres_plans.py
    The port's contract, as SQLite keeps it.                     tests/contract/

Not here: who is alive (leases belong to the node), when to claim (worker), what an outcome means (settle).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from rota.model.limits import WAITING_JOBS_MAX
from rota.runtime.clock import Clock
from rota.runtime.entropy import Entropy
from rota.store.owners import Own
from rota.store.port import Membership, Wake
from rota.store.postgres.bounds import BOUNDS, Bounds
from rota.store.postgres.claims import PostgresClaims
from rota.store.postgres.foreign import PostgresForeign
from rota.store.postgres.house import PostgresHouse
from rota.store.postgres.members import PostgresMembers
from rota.store.postgres.migrate import check_version
from rota.store.postgres.reading import PostgresReading
from rota.store.postgres.server import CONNECTIONS_MAX, Server
from rota.store.postgres.subject import Names, numbers_of
from rota.store.postgres.wakes import PostgresWakes


class PostgresStore(PostgresForeign, PostgresClaims, PostgresMembers, PostgresReading, PostgresHouse):
    """A store in a schema of a PostgreSQL database. Belongs to the event loop in which it was opened.

    Made by ``PostgresStore.open``.
    """

    def __init__(self, server: Server, clock: Clock | None, waiting_max: int, *, relay: str | None = None) -> None:
        super().__init__(server, Names(server), clock, waiting_max)
        self._wakes = PostgresWakes(server, relay)

    @classmethod
    async def open(
        cls,
        url: str,
        *,
        clock: Clock | None = None,
        schema: str = "rota",
        connections_max: int = CONNECTIONS_MAX,
        waiting_max: int = WAITING_JOBS_MAX,
        relay: str | None = None,
        bounds: Bounds = BOUNDS,
        entropy: Entropy | None = None,
    ) -> PostgresStore:
        """Open a store whose schema ``migrate`` has made.

        Args:
            url: As asyncpg takes it: ``postgresql://user:password@host:port/database``. With ``?pooler=transaction`` behind a
                pooler that is not recognised by itself.
            clock: Gives every statement its time, for tests; ``None`` for the server's own.
            schema: Where everything of ours is.
            connections_max: The most connections of this process, besides one for wake-ups.
            waiting_max: How many jobs may wait in one queue before submit refuses more.
            relay: The folder in which the node's supervisor passes wake-ups on; ``None`` to listen for oneself.
            bounds: How long things may take.
            entropy: Jitter; ``None`` for the machine's.

        Raises:
            ConfigError: The address says something of a pooler that means nothing.
            StoreUnavailableError: The server cannot be reached.
            SchemaVersionError: The schema is missing, or older or newer than this code.
        """
        server = Server(url, schema, connections_max=connections_max, bounds=bounds, entropy=entropy)
        try:
            await check_version(server)
        except BaseException:
            await server.close()
            raise
        return cls(server, clock, waiting_max, relay=relay)

    @property
    def url(self) -> str:
        """Where it is, without secrets."""
        return self._server.where

    async def intern(self, queues: Sequence[str], tasks: Sequence[str]) -> tuple[Mapping[str, int], Mapping[str, int]]:
        """Return the numbers of these queues and tasks, giving new ones where needed."""
        await self._names.learn(queues, tasks)
        return numbers_of(queues, self._names.queues), numbers_of(tasks, self._names.tasks)

    async def membership(self, known: Membership | None = None) -> Membership:
        """Return everyone who is open, at one moment; see the port. Tells the ear how large the cluster is."""
        seen = await super().membership(known)
        self._wakes.note_workers(len(seen.workers))
        return seen

    def listen(self, name: str, heard: Callable[[Wake], None]) -> Callable[[], None]:
        """Call ``heard`` on the running event loop for each wake-up; returns what ends it."""
        return self._wakes.listen(name, heard)

    def relay(self, folder: str) -> Callable[[], None]:
        """Pass on what is heard to the workers that listen in that folder; returns what ends it."""
        return self._wakes.relay(folder)

    def tell_own(self, name: str, own: Own) -> None:
        """Tell the node's relay, if there is one, which slots are a listener's own; see ``rota.store.owners``."""
        self._wakes.tell_own(name, own)

    def tell(self, wake: Wake) -> None:
        """Send a wake-up to every listener that it concerns. Never blocks, never raises; may be lost."""
        self._wakes.tell(wake)

    async def close(self) -> None:
        """Let go of connections. Safe to call twice."""
        await self._wakes.deafen()
        await self._server.close()
