"""Making a node known: what is learned while the store does not answer."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from rota.errors import StoreUnavailableError
from rota.node.identity import own_identity
from rota.node.order import NodeOrder
from rota.node.registrar import Registrar
from rota.runtime.entropy import SystemEntropy
from rota.store.port import NewNode, Registered
from rota.telemetry.telemetry import Telemetry
from rota.testing.clock import ManualClock
from tests.unit.node.virtual import VirtualLoop


class AwayUntil:
    """A store that cannot be reached until some time of the loop."""

    url = "shop.db"

    def __init__(self, at_s: float) -> None:
        self._at_s = at_s

    async def register_node(self, new: NewNode) -> Registered:
        if asyncio.get_running_loop().time() < self._at_s:
            raise StoreUnavailableError("the store cannot be reached", store=self.url)
        return Registered(1, new.name, 1)


class Counting:
    """A watch that only notes what it is told."""

    def __init__(self) -> None:
        self.times = 0

    async def clear_the_way(self, seconds: float) -> None:
        """Do nothing."""

    def count_anew(self) -> None:
        self.times += 1


@pytest.mark.parametrize(("away_s", "times"), [(0.0, 0), (0.05, 0), (2.0, 1)])
def test_who_had_to_wait_for_the_store_counts_others_silence_anew(away_s: float, times: int) -> None:
    """It looked before the outage and after it, and not in between: nobody could renew, and nobody is dead for that."""
    watch: Any = Counting()
    store: Any = AwayUntil(away_s)
    registrar = Registrar(
        NodeOrder(store="shop.db", app="shop:app", name="mitte"),
        "node-1",
        own_identity(),
        store=store,
        watch=watch,
        lease_ms=8_000,
        runs_on=False,
        entropy=SystemEntropy(ManualClock()),
        telemetry=Telemetry(),
    )
    loop = VirtualLoop()
    try:
        me = loop.run_until_complete(registrar.register())
    finally:
        loop.close()

    assert me.name == "mitte"
    assert watch.times == times
