"""Workers under a lease: when one may be started, and when the last is gone."""

from __future__ import annotations

import asyncio
import signal
from typing import Any

import pytest

from rota.node.fenced import Fenced, NotNowError
from rota.node.order import WorkerStart
from rota.node.process import Ending
from rota.node.remains import Remains
from rota.worker.order import WorkerOrder

START = WorkerStart(WorkerOrder(1, "mitte/1", "worker-1", "table"), "shop:app", "shop.db", "folder")


class Permit:
    is_good = True


class Process:
    """A process that ends when the test says so."""

    def __init__(self) -> None:
        self.pid, self.name, self.proof = 4711, "mitte/1", "worker-1"
        self.table: Any = object()
        self.heard: list[object] = []
        self.over = asyncio.Event()

    def tell(self, number: signal.Signals) -> None:
        self.heard.append(number)

    def kill(self, why: str) -> bool:
        self.heard.append(why)
        return True

    def wipe_table(self) -> None:
        self.heard.append("wipe")

    async def ended(self) -> Ending:
        await self.over.wait()
        return Ending(0, None, 0, 1.0)


class Inner:
    """Starts such processes, and answers everything else with what it was asked."""

    def __init__(self) -> None:
        self.started: list[Process] = []
        self.removed: list[str] = []

    def table_path(self, proof: str) -> str:
        return f"table of {proof}"

    def start(self, start: WorkerStart, *, keeps_log: bool = False) -> Any:
        del start, keeps_log
        self.started.append(Process())
        return self.started[-1]

    def states(self, pid: int) -> str:
        return f"S{pid}"

    def remains(self, proof: str) -> Remains:
        return Remains(frozenset({proof.encode()}), None)

    def remove(self, proof: str) -> None:
        self.removed.append(proof)


async def test_nothing_is_started_while_the_lease_is_not_good() -> None:
    """Not by anybody, whatever they think."""
    inner, permit = Inner(), Permit()
    permit.is_good = False

    with pytest.raises(NotNowError, match="lease"):
        Fenced(inner, permit).start(START)
    assert inner.started == []


async def test_the_last_reap_is_waited_for() -> None:
    """Killed is not gone: only a reaped process is known to run nothing any more."""
    inner = Inner()
    fenced = Fenced(inner, Permit())
    ends = [asyncio.create_task(fenced.start(START).ended()) for _ in range(2)]
    reaped = asyncio.create_task(fenced.all_reaped())

    inner.started[0].over.set()
    await ends[0]
    await asyncio.sleep(0)
    assert not reaped.done()

    inner.started[1].over.set()
    await reaped


async def test_without_workers_nothing_is_waited_for() -> None:
    """A node whose lease lapsed before it had started any."""
    await Fenced(Inner(), Permit()).all_reaped()


async def test_everything_else_is_passed_through() -> None:
    """It is about starting and ending alone."""
    inner = Inner()
    fenced = Fenced(inner, Permit())
    process = fenced.start(START)

    process.tell(signal.SIGTERM)
    assert process.kill("why")
    process.wipe_table()
    fenced.remove("worker-9")

    assert inner.started[0].heard == [signal.SIGTERM, "why", "wipe"]
    assert (process.pid, process.name, process.proof) == (4711, "mitte/1", "worker-1")
    assert process.table is inner.started[0].table
    assert (fenced.table_path("p"), fenced.states(7)) == ("table of p", "S7")
    assert fenced.remains("p") == Remains(frozenset({b"p"}), None)
    assert inner.removed == ["worker-9"]
