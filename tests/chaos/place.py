"""Where the store of a run lies, and what stands between it and each node."""

from __future__ import annotations

import asyncio
import contextlib
import os
import subprocess
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from rota.app.config import load_config
from rota.app.engine import migrate_store, open_store
from rota.store.port import Store
from tests.postgres_server import PostgresServer, start_server
from tests.tcp_proxy import TcpProxy

WALL_CLOCK = Path(__file__).parent / "wall_clock"
DISK_MIB = 96


class Place:
    """A SQLite file that all nodes share, or a PostgreSQL server behind a network of its own for each node.

    Attributes:
        folder: The logs and the history; never on the disk that becomes full.
        url: Where the store is, for the run itself, which no fault of the network meets.
        server: The PostgreSQL server; ``None`` on SQLite.
        disk: The small disk of the SQLite file; ``None`` if none could be made.
        proxies: The network of each node by its name.
    """

    def __init__(self, folder: Path, url: str, server: PostgresServer | None, disk: Path | None) -> None:
        self.folder = folder
        self.url = url
        self.server = server
        self.disk = disk
        self.proxies: dict[str, TcpProxy] = {}

    @property
    def engine(self) -> str:
        """``sqlite`` or ``postgres``."""
        return "sqlite" if self.server is None else "postgres"

    async def open(self) -> Store:
        """Return the store, for the run itself."""
        return await open_store(self.url, config=load_config({"store": self.url}))

    async def environment(self, node: str) -> dict[str, str]:
        """Return what a node is told: its way to the store, its own folder for temporary files, and its wall clock.

        Without each other's temporary files nodes see no locks of each other, as on machines of their own.
        """
        self.set_clock(node, 0)
        told = {
            "ROTA_CHAOS_HISTORY": str(self.folder / "history.jsonl"),
            "ROTA_CHAOS_CLOCK": str(self._clock_of(node)),
            "PYTHONPATH": str(WALL_CLOCK),
            "ROTA_STORE": self.url,
        }
        if self.server is None:
            return told
        if node not in self.proxies:
            self.proxies[node] = await TcpProxy.before(self.url).__aenter__()
        temporary = self.folder / f"tmp-{node}"
        temporary.mkdir(exist_ok=True)
        return told | {"ROTA_STORE": self.proxies[node].url_of(self.url), "TMPDIR": str(temporary)}

    def set_clock(self, node: str, seconds: int) -> None:
        """Set the wall clock of a node so many seconds off; no process ever reads half of that."""
        draft = self.folder / f"{node}.clock.new"
        draft.write_text(str(seconds))
        draft.replace(self._clock_of(node))

    def _clock_of(self, node: str) -> Path:
        return self.folder / f"{node}.clock"

    async def close(self) -> None:
        """Take the networks down."""
        for proxy in self.proxies.values():
            await proxy.__aexit__(None, None, None)


@asynccontextmanager
async def place(engine: str, folder: Path, *, wants_disk: bool) -> AsyncIterator[Place]:
    """Return a place for one run; what it needs is gone when the run is over.

    Args:
        engine: ``sqlite`` or ``postgres``.
        folder: Where the evidence is kept.
        wants_disk: Put the SQLite file on a small disk of its own, if this user may make one.
    """
    if engine == "postgres":
        server = start_server()
        try:
            await migrate_store(server.url)
            here = Place(folder, server.url, server, None)
            yield here
            await here.close()
        finally:
            await asyncio.to_thread(server.stop)
        return
    with contextlib.ExitStack() as stack:
        disk = _small_disk(folder, stack) if wants_disk else None
        yield Place(folder, str((disk or folder) / "chaos.db"), None, disk)


def _small_disk(folder: Path, stack: contextlib.ExitStack) -> Path | None:
    disk = folder / "disk"
    disk.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", f"size={DISK_MIB}m", "rota-chaos", str(disk)]
    if os.geteuid() != 0 or subprocess.run(command, check=False, capture_output=True).returncode != 0:
        return None
    stack.callback(subprocess.run, ["umount", "-l", str(disk)], check=False, capture_output=True)
    return disk
