"""Where a supervisor process begins. Started by the keeper through ``rota.node.child``; reads a ``NodeOrder`` from stdin."""

from __future__ import annotations

import asyncio
import sys
from datetime import timedelta

import msgspec

from rota.app.address import read_address
from rota.app.config import load_config
from rota.app.engine import open_store
from rota.app.liveness import liveness_of
from rota.app.process import CONFIG, UNAVAILABLE, begin
from rota.errors import ConfigError, RotaError, SchemaVersionError, StoreError, UnsupportedStoreError
from rota.node.insist import until_answered
from rota.node.order import NodeOrder
from rota.node.process import read_orders
from rota.node.supervisor import Supervisor
from rota.orchestrator.duty import Duty
from rota.orchestrator.pruner import Pruner
from rota.orchestrator.sweeper import Sweeper
from rota.runtime.clock import SystemClock
from rota.runtime.entropy import SystemEntropy
from rota.store.port import Store
from rota.telemetry.telemetry import Telemetry

WORKER = "rota.app.worker_main"
OPEN_S = 30.0
"""A database server that starts together with its nodes is waited for as long as this."""


def main() -> int:
    """Run a node's supervisor; return the exit code."""
    order = msgspec.json.decode(read_orders(), type=NodeOrder)
    telemetry = begin(order.log_format, SystemClock())
    try:
        return asyncio.run(_supervise(order, telemetry))
    except RotaError as error:
        print(error, file=sys.stderr)
        return UNAVAILABLE if isinstance(error, StoreError) and not isinstance(error, _FOR_A_PERSON) else CONFIG


_FOR_A_PERSON = (UnsupportedStoreError, SchemaVersionError, ConfigError)


async def _supervise(order: NodeOrder, telemetry: Telemetry) -> int:
    clock = SystemClock()
    entropy = SystemEntropy(clock)
    liveness = liveness_of(read_address(order.store), clock)
    store = await _open(order, telemetry)
    duties: list[Duty] = [
        Pruner(store, timedelta(days=order.retention_days), clock, telemetry),
        Sweeper(store, telemetry),
    ]
    try:
        supervisor = Supervisor(
            order,
            WORKER,
            store=store,
            liveness=liveness,
            duties=duties,
            clock=clock,
            entropy=entropy,
            telemetry=telemetry,
        )
        return await supervisor.run()
    finally:
        await store.close()


async def _open(order: NodeOrder, telemetry: Telemetry) -> Store:
    """Open the store, waiting for one that cannot be reached yet.

    Raises:
        StoreError: It still cannot be opened, or will never be.
    """
    config = load_config(order.settings | {"store": order.store})
    refusals: list[Exception] = []

    async def ask() -> Store:
        try:
            return await open_store(order.store, config=config)
        except _FOR_A_PERSON as error:
            refusals.append(error)
            raise

    def trouble(error: Exception) -> None:
        telemetry.emit("store.lost", store=read_address(order.store).engine, error=error)
        if refusals:
            raise error

    async with asyncio.timeout(OPEN_S):
        return await until_answered(ask, SystemEntropy(SystemClock()), trouble)
