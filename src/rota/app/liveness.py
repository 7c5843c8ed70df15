"""How the processes of a store prove that they live: the one place that picks the policy, as ``engine`` picks the engine."""

from __future__ import annotations

import os
from pathlib import Path

from rota.app.address import SQLITE, Address
from rota.app.config import Config
from rota.app.host_folder import found_host_folder, host_folder
from rota.errors import UnsupportedStoreError
from rota.node.kernel_timer import KernelTimer, NoTimer, has_timer
from rota.node.lease import Lease, NoLease, Tenure
from rota.node.lease_terms import Line, Timer
from rota.node.leases import Leases
from rota.node.liveness import FileLocks, Liveness
from rota.runtime.clock import Clock
from rota.runtime.entropy import Entropy
from rota.telemetry.telemetry import Telemetry


def liveness_of(address: Address, clock: Clock, config: Config | None = None) -> Liveness:
    """Return the policy of a store.

    SQLite: locks on files beside the database itself, not beside a link to it, so that everyone who uses it finds them.
    PostgreSQL: counter leases, and locks on files in a folder of this host.

    Raises:
        UnsupportedStoreError: Nodes cannot prove that they live on this store.
        ConfigError: The host's folder for temporary files cannot be used.
    """
    refuse_unless_provable(address)
    config = config or Config()
    if address.has_leases:
        locks = locks_of(address, clock, config)
        return Leases(locks, config.lease_ms, clock)
    return locks_of(address, clock, config)


def locks_of(address: Address, clock: Clock, config: Config) -> FileLocks:
    """Return the file locks of this host's processes.

    Raises:
        ConfigError: The host's folder for temporary files cannot be used.
    """
    if address.engine != SQLITE:
        return FileLocks(host_folder(address.place, config.schema), clock, is_everyone_here=False)
    folder = Path(os.path.realpath(address.place) + ".d")
    folder.mkdir(mode=0o700, exist_ok=True)
    return FileLocks(str(folder / "proof"), clock)


def found_folder(address: Address, config: Config | None = None) -> str | None:
    """Return the folder in which processes of this store keep their files on this host, if it is there; make none."""
    if address.engine != SQLITE:
        return found_host_folder(address.place, (config or Config()).schema)
    folder = os.path.realpath(address.place) + ".d/proof"
    return folder if os.path.isdir(folder) else None


def lease_of(
    address: Address, config: Config, *, clock: Clock, entropy: Entropy, telemetry: Telemetry, node: str
) -> Tenure:
    """Return by what right a node may run workers on this store.

    Raises:
        ConfigError: This process cannot have a timer that ends it.
    """
    if not address.has_leases:
        return NoLease()
    return Lease(
        config.lease_ms,
        _line(address, config),
        _timer(config, telemetry, node),
        stops=config.on_store_loss == "stop",
        clock=clock,
        entropy=entropy,
        telemetry=telemetry,
    )


def refuse_unless_provable(address: Address) -> None:
    """Refuse a store on which nodes cannot prove that they live.

    Raises:
        UnsupportedStoreError: It lives in memory.
    """
    if address.is_in_memory:
        raise UnsupportedStoreError(
            "no node can run on a store in memory: other processes could not see it. Nothing was started. Give the path of a "
            "SQLite file, or a postgresql:// URL.",
        )


async def refuse_other_store(address: Address, config: Config) -> None:
    """Refuse a ``lease_dsn`` that leads to another store.

    Raises:
        ConfigError: It does.
        StoreUnavailableError: One of the two cannot be reached.
    """
    if address.has_leases and config.lease_dsn:
        from rota.store.postgres.identity import refuse_other_store as refuse  # Late, as every engine.

        await refuse(address.place, config.lease_dsn, config.schema)


def _line(address: Address, config: Config) -> Line:
    from rota.store.postgres.lease_line import LeaseLine  # Late, as every engine.

    return LeaseLine(config.lease_dsn or address.place, config.schema)


def _timer(config: Config, telemetry: Telemetry, node: str) -> Timer:
    if config.on_store_loss == "run":
        telemetry.emit("node.unfenced", node=node, why='on_store_loss="run" was chosen')
        return NoTimer()
    if not has_timer():
        telemetry.emit("node.unfenced", node=node, why="this system has no timer for it; Linux has")
        return NoTimer()
    return KernelTimer()
