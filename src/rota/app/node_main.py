"""Where a supervisor process begins. Started by the keeper through ``rota.node.child``; reads a ``NodeOrder`` from stdin."""

from __future__ import annotations

import asyncio
import contextlib
import os
import sys
from datetime import timedelta

import msgspec

from rota.app.address import read_address, without_secrets
from rota.app.config import load_config
from rota.app.engine import open_store
from rota.app.liveness import lease_of, liveness_of, locks_of, refuse_other_store
from rota.app.process import CONFIG, UNAVAILABLE, begin
from rota.app.write_lock import lock_test_of
from rota.errors import (
    SchemaVersionError,
    StoreError,
    UnsupportedStoreError,
    UsageError,
)
from rota.node.insist import until_opened
from rota.node.order import NodeOrder
from rota.node.process import read_orders
from rota.node.processes import SystemProcesses
from rota.node.supervisor import Supervisor
from rota.node.tidier import Tidier
from rota.orchestrator.duty import Duty
from rota.orchestrator.expirer import Expirer
from rota.orchestrator.pruner import Pruner
from rota.orchestrator.sweeper import Sweeper
from rota.runtime.clock import SystemClock
from rota.runtime.entropy import SystemEntropy
from rota.store.port import Store
from rota.telemetry.telemetry import Telemetry

WORKER = "rota.app.worker_main"
OPEN_S = 30.0
"""A database server that starts together with its nodes is waited for as long as this."""

CLOSE_S = 1.0
"""For the store to let go of its file or server. One that is locked is left as if the process had been killed: what is
committed stays, and what is not was given up before.
"""


def main() -> int:
    """Run a node's supervisor; return the exit code."""
    order = msgspec.json.decode(read_orders(), type=NodeOrder)
    telemetry = begin(order.log_format, SystemClock())
    try:
        return asyncio.run(_supervise(order, telemetry))
    except (UsageError, UnsupportedStoreError, SchemaVersionError) as error:
        print(error, file=sys.stderr)
        return CONFIG
    except StoreError as error:
        print(error, file=sys.stderr)
        return UNAVAILABLE


async def _supervise(order: NodeOrder, telemetry: Telemetry) -> int:
    clock = SystemClock()
    entropy = SystemEntropy(clock)
    address = read_address(order.store)
    config = load_config(order.settings | {"store": order.store})
    liveness = liveness_of(address, clock, config)
    lease = lease_of(address, config, clock=clock, entropy=entropy, telemetry=telemetry, node=order.name)

    async def opened() -> Store:
        await refuse_other_store(address, config)
        return await open_store(order.store, config=config)

    store = await until_opened(
        opened,
        entropy,
        lambda error: telemetry.emit("store.lost", store=without_secrets(order.store), error=error),
        patience_s=None if order.is_again else OPEN_S,
    )
    duties: list[Duty] = [
        Expirer(store, telemetry),
        Pruner(store, timedelta(days=order.retention_days), clock, telemetry),
        Sweeper(store, telemetry),
    ]
    is_closed = False
    try:
        supervisor = Supervisor(
            order,
            SystemProcesses(WORKER, liveness.folder),
            store=store,
            liveness=liveness,
            lease=lease,
            duties=duties,
            chores=[Tidier(store, locks_of(address, clock, config))],
            holds_lock=lock_test_of(address),
            clock=clock,
            entropy=entropy,
            telemetry=telemetry,
        )
        code = await supervisor.run()
    finally:
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(store.close(), CLOSE_S)
            is_closed = True
    if not is_closed:
        for stream in (sys.stdout, sys.stderr):
            with contextlib.suppress(OSError, ValueError):
                stream.flush()
        os._exit(code)  # Else the end of this process would wait for the thread that still closes.
    return code
