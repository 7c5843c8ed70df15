"""Real nodes on a real PostgreSQL server, on "hosts" that know nothing of each other.

A host is a folder for temporary files and a boot id: with another one a node finds no lock of the others, and takes no process
id for one of its own. See ``host_main``.
"""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any, TypeVar

from rota.app.blocking import Portal
from rota.app.engine import open_store
from rota.store.port import Store
from rota.store.postgres.migrate import migrate
from tests.integration import host_main
from tests.integration.cluster import APP, Cluster, Node
from tests.integration.host_main import HOST
from tests.postgres_server import PostgresServer
from tests.tcp_proxy import TcpProxy

T = TypeVar("T")


class PostgresCluster(Cluster):
    """Nodes, a store in a schema of its own, and the log of the handlers.

    Args:
        folder: Where all files go.
        server: The server.
        lease_s: How long leases are.
        more: More settings, as the environment has them.
    """

    supervisor_module = host_main.__name__

    def __init__(self, folder: Path, server: PostgresServer, lease_s: float = 3.0, **more: str) -> None:
        self.server = server
        self.schema = server.fresh_schema()
        self._more = {"ROTA_SCHEMA": self.schema, "ROTA_LEASE_MS": str(round(lease_s * 1_000)), **more}
        self._portal = Portal()
        self._portal.hand_over()  # the proxies work all the time
        self._proxies: list[TcpProxy] = []
        self._portal.call(migrate(server.url, self.schema))
        super().__init__(folder, APP)

    def node(self, name: str = "mitte", *, host: str = "here", **more: Any) -> Node:
        """Start a node on this "host" and wait until its workers are registered."""
        temporary = self.folder / f"tmp-{host}"
        temporary.mkdir(exist_ok=True)
        return super().node(name, environment={"TMPDIR": str(temporary), HOST: host}, **more)

    def proxied(self) -> TcpProxy:
        """Return a network of its own before the server; ends with the cluster."""
        proxy = TcpProxy.before(self.server.url)
        self.ask(proxy.__aenter__())
        self._proxies.append(proxy)
        return proxy

    def do(self, change: Callable[[], None]) -> None:
        """Change the weather of a proxy, in its own thread."""

        async def changed() -> None:
            change()

        self.ask(changed())

    def ask(self, work: Coroutine[Any, Any, T]) -> T:
        """Ask the store something, from plain code."""
        return self._portal.call(work)

    def _make_address(self) -> str:
        return self.server.url

    def _settings(self) -> dict[str, str]:
        return self._more

    def _open(self) -> Store:
        async def opened() -> Store:
            return await open_store(self.address, config=self.tasks.app.config)

        return self._portal.call(opened())

    def _let_go(self) -> None:
        for proxy in self._proxies:
            self.ask(proxy.__aexit__(None, None, None))
        self._portal.call(self.store.close())
        self._portal.close()
