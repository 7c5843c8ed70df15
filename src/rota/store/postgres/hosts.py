"""Several servers of which one is the primary: connect to that one, also when another of them has vanished without a word.

    postgresql://db1,db2/shop     db1 ──▶ ·············· (a machine that is off answers nothing, not even "no")
                                   0.3 s later db2 ──▶ answers, and may be written: it is the one

The driver asks one after the other within one limit: a first host that is off would use it up, at every connection, for ever.
So the next is asked when the one before has said no, or has said nothing for a moment; and the one that was right is the first
next time.

Invariants, each with the test that holds it:
    A host that is silent costs a moment, once.              tests/postgres/test_connections_hosts.py
    Nothing is left open by those who come too late.         tests/postgres/test_connections_hosts.py
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Final
from urllib.parse import urlsplit, urlunsplit

import asyncpg

HEAD_START_S: Final = 0.3
"""How long a server is waited for before the next is asked too. Within a continent one answers in a third of it; the second
question costs one connection that is thrown away."""

_WRITABLE: Final = "target_session_attrs=read-write"


class Hosts:
    """The servers that an address names.

    Args:
        dsn: As the driver takes it. If it names several, and does not say what is wanted of them, they must be writable.
    """

    def __init__(self, dsn: str) -> None:
        self._dsns = each_of(dsn)

    def __len__(self) -> int:
        return len(self._dsns)

    async def first(self, open_one: Callable[[str], Awaitable[asyncpg.Connection]]) -> asyncpg.Connection:
        """Return a connection to the first of them that gives one.

        Args:
            open_one: Opens a connection to one server; must come to an end by itself.

        Raises:
            Exception: What the last of them to fail raised, if none gives one.
        """
        if len(self._dsns) == 1:
            return await open_one(self._dsns[0])
        left = list(self._dsns)
        asked: dict[asyncio.Task[asyncpg.Connection], str] = {}
        problem: BaseException | None = None
        try:
            while left or asked:
                if left:
                    dsn = left.pop(0)
                    asked[asyncio.ensure_future(open_one(dsn))] = dsn
                done, _ = await asyncio.wait(
                    asked, timeout=HEAD_START_S if left else None, return_when=asyncio.FIRST_COMPLETED
                )
                for task in done:
                    dsn = asked.pop(task)
                    problem = task.exception()
                    if problem is None:
                        self._dsns.remove(dsn)
                        self._dsns.insert(0, dsn)
                        return task.result()
        finally:
            await _let_go(list(asked))
        assert problem is not None  # noqa: S101
        raise problem


async def _let_go(tasks: list[asyncio.Task[asyncpg.Connection]]) -> None:
    """Give up those who come too late, and the connections that they have opened all the same."""
    for task in tasks:
        task.cancel()
    for opened in await asyncio.gather(*tasks, return_exceptions=True):
        if not isinstance(opened, BaseException):
            opened.terminate()


def each_of(dsn: str) -> list[str]:
    """Return an address for each server that one names."""
    parts = urlsplit(dsn)
    login, at, hosts = parts.netloc.rpartition("@")
    if "," not in hosts:
        return [dsn]
    query = parts.query
    if "target_session_attrs=" not in query:
        query = f"{query}&{_WRITABLE}" if query else _WRITABLE
    return [urlunsplit(parts._replace(netloc=f"{login}{at}{host}", query=query)) for host in hosts.split(",")]
