"""Who answers for a worker process, and for how long."""

from __future__ import annotations

import signal
from typing import Any

from rota.node.crew import Crew
from rota.node.order import NodeOrder, WorkerStart
from rota.runtime.entropy import SystemEntropy
from rota.telemetry.telemetry import Telemetry
from rota.testing.clock import ManualClock


class Lingering:
    """A process that has been killed and takes its time: it waits for the disk, and the kernel for it."""

    pid = 7

    def __init__(self, start: WorkerStart) -> None:
        self.name = start.order.name
        self.proof = start.order.proof
        self.sent: list[object] = []

    def tell(self, number: signal.Signals) -> None:
        self.sent.append(number)

    def kill(self, why: str) -> bool:
        self.sent.append(why)
        return len(self.sent) == 2


class Starter:
    """Starts processes that linger."""

    def table_path(self, proof: str) -> str:
        return f"{proof}.table"

    def start(self, start: WorkerStart, *, keeps_log: bool = False) -> Lingering:
        del keeps_log
        return Lingering(start)


class Nobody:
    """Liveness, as far as a crew needs it."""

    folder = ""


def test_a_killed_worker_is_answered_for_until_it_has_been_reaped() -> None:
    """Until then it may run: were it given up now, the watch would release what it holds."""
    told: list[str] = []
    parts: Any = {"processes": Starter(), "liveness": Nobody()}
    order = NodeOrder(store="rota.db", app="shop:app", name="mitte")
    crew = Crew(
        1,
        "mitte",
        order,
        parts["processes"],
        liveness=parts["liveness"],
        entropy=SystemEntropy(ManualClock()),
        telemetry=Telemetry([lambda name, _: told.append(name)]),
    )
    process: Any = crew.start("mitte/1")

    crew.end_now("the node's lease has run out")

    assert process.sent == [signal.SIGTERM, "the node's lease has run out"]
    assert crew.has(process.proof)
    crew.end_now("its node ends")
    assert told == ["worker.started", "worker.killed"], "it is killed once"

    crew.dismiss(process)

    assert not crew.has(process.proof)
