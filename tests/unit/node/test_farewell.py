"""How a node that ends in good order closes its own row."""

from __future__ import annotations

from typing import Any

from msgspec.structs import replace

from rota.node.liveness import FileLocks
from rota.node.order import NodeOrder
from rota.node.processes import SystemProcesses
from rota.node.supervisor import Supervisor
from rota.runtime.entropy import SystemEntropy
from rota.store.port import Registered
from rota.telemetry.telemetry import Telemetry
from rota.testing.clock import ManualClock
from tests.unit.node.scripted import ScriptedStore, node


class RenewedMeanwhile(ScriptedStore):
    """A store in which the node's last renewal arrives just before the first close."""

    async def close_node(self, node_id: int, counter: int) -> bool:
        if not self.calls("close_node"):
            self.nodes = [replace(row, counter=row.counter + 1) for row in self.nodes]
        self.closes_nodes = any(row.counter == counter for row in self.nodes)
        return await super().close_node(node_id, counter)


async def test_a_renewal_on_its_way_does_not_keep_the_row_open(tmp_path: Any, clock: ManualClock) -> None:
    """An open row keeps the name: the node that is started next would have to go by another for a whole lease."""
    store: Any = RenewedMeanwhile()
    store.nodes = [node(1), node(2)]
    supervisor = Supervisor(
        NodeOrder(store="", app="", name="node1"),
        SystemProcesses("", str(tmp_path)),
        store=store,
        liveness=FileLocks(str(tmp_path), clock),
        duties=[],
        holds_lock=lambda pid: None,
        clock=clock,
        entropy=SystemEntropy(clock),
        telemetry=Telemetry(),
    )

    await supervisor._say_farewell(Registered(1, "node1", 1))

    assert store.calls("close_node") == [("close_node", 1, 5), ("close_node", 1, 6)]
    assert [row.id for row in store.nodes] == [2]
