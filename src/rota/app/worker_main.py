"""Where a worker process begins. Started by its supervisor through ``rota.node.child``; reads a ``WorkerStart`` from stdin.

    tied to the supervisor ─▶ holds its proof of life ─▶ maps its running table ─▶ imports the app ─▶ opens the store ─▶ works

The proof comes before everything that can be seen by others. The app comes before the store: a module that cannot be
imported ends the process before it has touched anything.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import sys
import threading
from collections.abc import Callable, Sequence

import msgspec

from rota.app.address import without_secrets
from rota.app.blocking import drive
from rota.app.engine import open_store
from rota.app.load import load_app
from rota.app.process import CONFIG, FAILED, begin
from rota.app.rota import Rota
from rota.errors import RotaError, UsageError
from rota.model.outcome import Outcome
from rota.node.insist import until_opened
from rota.node.liveness import FileLocks
from rota.node.order import WorkerStart
from rota.node.process import read_orders
from rota.runtime.clock import SystemClock
from rota.runtime.entropy import SystemEntropy
from rota.store.port import Settled, Store
from rota.store.relay import relay_folder
from rota.telemetry.telemetry import Telemetry
from rota.worker.running import RunningTable
from rota.worker.worker import Worker

REFRESH_S = 0.4
CLOSE_S = 2.0


def main() -> int:
    """Run a worker; return the exit code."""
    start = msgspec.json.decode(read_orders(), type=WorkerStart)
    telemetry = begin(start.log_format, SystemClock())
    locks = FileLocks(start.folder, SystemClock())
    locks.hold(start.order.proof)
    threading.Thread(target=_keep_fresh, args=(locks,), name="rota-proof", daemon=True).start()
    table = RunningTable.open(start.order.table)
    try:
        app = load_app(start.app)
        app.config  # noqa: B018 - a wrong setting is found here, before anything is opened
    except UsageError as error:
        telemetry.emit("worker.crashed", worker=start.order.name, error=error.__cause__ or error)
        return CONFIG
    with asyncio.Runner(loop_factory=_fast_loop()) as runner:
        runner.run(_work(start, app, table, telemetry))
    return FAILED


async def _work(start: WorkerStart, app: Rota, table: RunningTable, telemetry: Telemetry) -> None:
    """Work until asked to end, and end the process.

    By ``os._exit``: handlers may still run in threads that nothing can stop, and a usual end would wait for them. What must
    be on disk is on disk.
    """
    clock = SystemClock()
    entropy = SystemEntropy(clock)
    code = FAILED
    try:
        relay = relay_folder(start.folder, start.order.node_id)
        # For ever: when nobody may work any more, the supervisor ends this process.
        store = await until_opened(
            lambda: open_store(start.store, entropy=entropy, write_mark=table, config=app.config, relay=relay),
            entropy,
            lambda error: telemetry.emit("store.lost", store=without_secrets(start.store), error=error),
        )
        app.use_store(store, start.store)
        worker = Worker(
            store,
            app.specs,
            start.order,
            running=table,
            clock=clock,
            entropy=entropy,
            telemetry=telemetry,
            give_back=_give_back(store),
            pid=os.getpid(),
        )
        _listen(worker)
        code = await worker.run()
        with contextlib.suppress(TimeoutError, RotaError):
            await asyncio.wait_for(store.close(), CLOSE_S)
    except Exception as error:  # Told, and left to the supervisor, who starts another.
        telemetry.emit("worker.crashed", worker=start.order.name, error=error)
    finally:
        for stream in (sys.stdout, sys.stderr):
            with contextlib.suppress(OSError, ValueError):
                stream.flush()
        os._exit(code)


def _listen(worker: Worker) -> None:
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, worker.drain)
    signal.signal(signal.SIGHUP, signal.SIG_IGN)


def _give_back(store: Store) -> Callable[[int, Sequence[Outcome]], Settled] | None:
    """Return what settles from another thread, where the engine can work in any."""
    if not hasattr(store, "inline"):
        return None
    inline: Store = store.inline()

    def give_back(worker: int, outcomes: Sequence[Outcome]) -> Settled:
        return drive(inline.settle(worker, outcomes))

    return give_back


def _keep_fresh(locks: FileLocks) -> None:
    """Keep the proof provable, whatever user code does to the event loop or to descriptors that are not its own."""
    never = threading.Event()
    while not never.wait(REFRESH_S):
        with contextlib.suppress(OSError):
            locks.refresh()


def _fast_loop() -> Callable[[], asyncio.AbstractEventLoop] | None:
    try:
        import uvloop
    except ImportError:
        return None
    factory: Callable[[], asyncio.AbstractEventLoop] = uvloop.new_event_loop
    return factory
