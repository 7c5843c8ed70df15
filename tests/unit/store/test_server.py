"""Which of its connections a process uses for a call."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from rota.store.postgres.server import Server


class Backend:
    """A connection that answers when it is told to, and knows what it was asked."""

    def __init__(self) -> None:
        self.asked: list[str] = []
        self.may_answer = asyncio.Event()
        self.is_gone = False

    async def fetch(self, statement: str, *arguments: Any, timeout: float) -> list[Any]:
        if "." in statement:
            self.asked.append(statement.partition("(")[0].rpartition(".")[2])
            await self.may_answer.wait()
        return []

    def is_closed(self) -> bool:
        return self.is_gone

    def terminate(self) -> None:
        self.is_gone = True

    async def close(self, timeout: float) -> None:
        self.is_gone = True


class Town(Server):
    """A server whose back ends are ours."""

    def __init__(self) -> None:
        super().__init__("postgresql://nowhere/x", "rota")
        self.backends: list[Any] = []

    async def connect(self, limit_s: float | None = None) -> Any:
        self.backends.append(Backend())
        return self.backends[-1]


@pytest.fixture
def town() -> Town:
    return Town()


async def both_busy(town: Town) -> None:
    """Claim and settle at the same time, the claim on the first connection; the settle is answered last."""
    claim = asyncio.create_task(town.call("claim_jobs"))
    await asyncio.sleep(0)
    settle = asyncio.create_task(town.call("settle_jobs"))
    while len(town.backends) < 2 or not town.backends[1].asked:
        await asyncio.sleep(0)
    for backend, call in zip(town.backends, (claim, settle), strict=True):
        backend.may_answer.set()
        await call


async def test_a_call_goes_where_its_function_was_called_before(town: Town) -> None:
    """A back end that has never seen it takes milliseconds to read and plan it, and a pick-up waits for them."""
    await both_busy(town)

    await town.call("claim_jobs")
    await town.call("settle_jobs")
    await town.call("claim_jobs")

    assert [backend.asked for backend in town.backends] == [["claim_jobs"] * 3, ["settle_jobs"] * 2]
    await town.close()


async def test_a_function_that_is_new_goes_where_there_was_work_last(town: Town) -> None:
    """What was used just now is warm, and the others may be let go of."""
    await both_busy(town)

    await town.call("held_jobs")

    assert town.backends[1].asked == ["settle_jobs", "held_jobs"]
    await town.close()


async def test_a_connection_that_has_gone_is_not_used_again(town: Town) -> None:
    await both_busy(town)
    town.backends[0].is_gone = True

    await town.call("claim_jobs")

    assert [backend.asked for backend in town.backends] == [["claim_jobs"], ["settle_jobs", "claim_jobs"]]
    await town.close()
