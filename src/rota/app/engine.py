"""The one place that picks an engine. Engines are imported here, late, so that nobody needs a driver that is not used."""

from __future__ import annotations

import os
import stat
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from rota.app.address import POSTGRES, read_address
from rota.app.config import Config
from rota.errors import ConfigError, UnsupportedStoreError
from rota.runtime.clock import Clock, SystemClock
from rota.runtime.entropy import Entropy, SystemEntropy
from rota.store.port import Store
from rota.store.statements import Step


async def open_store(
    url: str | Path,
    *,
    clock: Clock | None = None,
    entropy: Entropy | None = None,
    write_mark: Any = None,
    config: Config | None = None,
    relay: str | None = None,
    reads_only: bool = False,
    is_patient: bool = False,
) -> Store:
    """Open the store at a path or URL, making it if it is not there.

    A SQLite store is opened without suspending, and can be used from every thread and event loop of the process. A
    PostgreSQL store belongs to the event loop that opened it.

    Args:
        clock: ``None`` for the machine's; on PostgreSQL for the server's.
        entropy: ``None`` for the machine's.
        write_mark: Told when a write transaction begins and ends (SQLite).
        config: Limits and time-outs; ``None`` for the defaults.
        relay: The folder in which this process's node passes wake-ups on (PostgreSQL); ``None`` to listen for oneself.
        reads_only: To look, and never to write: the store must be there, and no right to write it is needed. On SQLite no
            file is made or changed, not even by a migration; PostgreSQL sees to it by the role's rights.
        is_patient: Calls wait for a PostgreSQL server that went away as long as ``busy_timeout`` says. Not for nodes, which ask
            again by themselves, and must know in time that they are not answered.

    Raises:
        ConfigError: The address is empty, or PostgreSQL's driver is not installed.
        UnsupportedStoreError: No engine for that scheme, a device or a pipe, or a file system that cannot keep the promises.
        StoreError: It could not be opened.
    """
    address, config = read_address(url), config or Config()
    if address.engine == POSTGRES:
        return await _open_postgres(address.place, clock, entropy, config, relay, is_patient=is_patient)
    refuse_special(address.place)
    from rota.store.sqlite.store import BUSY_TIMEOUT_MS, SqliteStore

    clock = clock or SystemClock()
    return SqliteStore.open(
        address.place,
        clock=clock,
        entropy=entropy or SystemEntropy(clock),
        busy_timeout_ms=BUSY_TIMEOUT_MS if config.busy_timeout_ms is None else config.busy_timeout_ms,
        durability=config.durability,
        write_mark=write_mark,
        waiting_max=config.waiting_max,
        reads_only=reads_only,
    )


def refuse_special(path: str) -> None:
    """Refuse what SQLite would take for a file and read as a broken one, such as ``/dev/null``. It is not opened.

    Raises:
        UnsupportedStoreError: It is a device, a pipe or a socket.
    """
    with suppress(OSError, ValueError):
        mode = os.stat(path).st_mode
        if not (stat.S_ISREG(mode) or stat.S_ISDIR(mode)):
            raise UnsupportedStoreError(
                f"{path} is a device, a pipe or a socket, and a store is a file. Nothing was written. Name one, such as "
                "shop.db; for one that lives and dies with its process, :memory:.",
                path=path,
            )


async def migrate_store(url: str | Path, *, config: Config | None = None) -> list[str]:
    """Bring a store's schema up to date, making it if it is not there. Safe to call twice.

    Returns:
        The names of the steps that were done.

    Raises:
        ConfigError: The address is empty, or PostgreSQL's driver is not installed.
        StoreError: It could not be reached, or refused. Each step was carried out whole, or not at all.
    """
    address, config = read_address(url), config or Config()
    if address.engine != POSTGRES:
        steps = await pending_steps(url, config=config)
        await (await open_store(url, config=config)).close()
        return [step.name for step in steps]
    try:
        from rota.store.postgres.migrate import migrate
    except ImportError as error:
        raise _no_driver(error) from error
    return await migrate(address.place, config.schema)


async def pending_steps(url: str | Path, *, config: Config | None = None) -> Sequence[Step]:
    """Return what ``migrate_store`` would do now. Writes nothing.

    Raises:
        ConfigError: The address is empty, or PostgreSQL's driver is not installed.
        StoreError: It could not be reached, or its schema is newer than this code.
    """
    address, config = read_address(url), config or Config()
    if address.engine != POSTGRES:
        from rota.store.sqlite.migrate import pending as pending_in_file

        return [] if address.is_in_memory else pending_in_file(address.place)
    try:
        from rota.store.postgres.migrate import pending
    except ImportError as error:
        raise _no_driver(error) from error
    return await pending(address.place, config.schema)


async def refuse_unless_allowed(url: str | Path, *, config: Config | None = None) -> None:
    """Refuse a PostgreSQL store in which this role may not do all that a node does. A file has said so when it was opened.

    Raises:
        StoreUnavailableError: It lacks a right, or the server cannot be reached.
    """
    address, config = read_address(url), config or Config()
    if address.engine == POSTGRES:
        from rota.store.postgres.rights import require_rights

        await require_rights(address.place, config.schema)


def script_of(url: str | Path, steps: Sequence[Step], *, config: Config | None = None) -> str:
    """Return the steps of ``pending_steps`` as one script for ``psql``, or for the ``sqlite3`` shell.

    Raises:
        ConfigError: The address is empty.
    """
    if read_address(url).engine != POSTGRES:
        from rota.store.sqlite.migrate import script as script_for_file

        return script_for_file(steps)
    from rota.store.postgres.migrate import script

    return script(steps, (config or Config()).schema)


async def _open_postgres(
    url: str, clock: Clock | None, entropy: Entropy | None, config: Config, relay: str | None, *, is_patient: bool
) -> Store:
    try:
        from rota.store.postgres.bounds import BOUNDS
        from rota.store.postgres.store import PostgresStore
    except ImportError as error:
        raise _no_driver(error) from error
    wait_ms = config.busy_timeout_ms if is_patient else None
    opened: Any = await PostgresStore.open(
        url,
        clock=clock,
        schema=config.schema,
        waiting_max=config.waiting_max,
        relay=relay,
        bounds=BOUNDS if wait_ms is None else BOUNDS.waiting(wait_ms / 1_000),
        entropy=entropy,
    )
    store: Store = opened
    return store


def _no_driver(error: ImportError) -> ConfigError:
    return ConfigError(
        f"a postgresql:// store needs a driver that is not installed ({error.name}). Install rota[postgres].",
    )
