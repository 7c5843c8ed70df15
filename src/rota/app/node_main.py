"""Where a supervisor process begins. Started by the keeper through ``rota.node.child``; reads a ``NodeOrder`` from stdin."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import sys
from collections.abc import Coroutine
from datetime import timedelta

import msgspec

from rota.app.address import read_address, without_secrets
from rota.app.config import Config, load_config
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
from rota.node.keeper import PASSED_ON
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
from rota.runtime.entropy import Entropy, SystemEntropy
from rota.store.port import Store
from rota.telemetry.telemetry import Telemetry
from rota.worker.order import DRAINED

WORKER = "rota.app.worker_main"
OPEN_S = 30.0
"""A server that goes away just after ``rota run`` has looked at it is waited for as long as this."""

ASKED_LOOK_S = 0.1

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
    store = await _unless_asked_to_end(_opened(order, config, entropy, telemetry), telemetry)
    if store is None:
        return DRAINED
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


async def _opened(order: NodeOrder, config: Config, entropy: Entropy, telemetry: Telemetry) -> Store:
    async def once() -> Store:
        await refuse_other_store(read_address(order.store), config)
        return await open_store(order.store, config=config)

    return await until_opened(
        once,
        entropy,
        lambda error: telemetry.emit("store.lost", store=without_secrets(order.store), error=error),
        patience_s=None if order.is_again else OPEN_S,
    )


async def _unless_asked_to_end(opening: Coroutine[None, None, Store], telemetry: Telemetry) -> Store | None:
    """Return the opened store; ``None`` if this process was asked to end before that: nothing is held that others wait for.

    Signals stay blocked, as the keeper has blocked them, until the supervisor hears them: so none is lost in between.
    """
    task = asyncio.create_task(opening)
    while not task.done():
        await asyncio.wait([task], timeout=ASKED_LOOK_S)
        if not task.done() and (asked := signal.sigpending() & set(PASSED_ON)):
            telemetry.emit("signal.received", signal=int(min(asked)), pid=os.getpid())
            task.cancel()
            await asyncio.wait([task], timeout=CLOSE_S)
            return None
    return task.result()
