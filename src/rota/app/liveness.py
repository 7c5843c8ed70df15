"""How the processes of a store prove that they live: the one place that picks the policy, as ``engine`` picks the engine."""

from __future__ import annotations

import os
from pathlib import Path

from rota.app.address import SQLITE, Address
from rota.errors import UnsupportedStoreError
from rota.node.liveness import FileLocks, Liveness
from rota.runtime.clock import Clock


def liveness_of(address: Address, clock: Clock) -> Liveness:
    """Return the policy of a store.

    The files lie beside the database itself, not beside a link to it, so that everyone who uses it finds them.

    Raises:
        UnsupportedStoreError: Nodes cannot prove that they live on this store.
    """
    refuse_unless_provable(address)
    folder = Path(os.path.realpath(address.place) + ".d")
    folder.mkdir(mode=0o700, exist_ok=True)
    return FileLocks(str(folder / "proof"), clock)


def refuse_unless_provable(address: Address) -> None:
    """Refuse a store on which nodes cannot prove that they live.

    Raises:
        UnsupportedStoreError: It lives in memory, or on PostgreSQL, where the leases of nodes are not there yet.
    """
    if address.is_in_memory:
        raise UnsupportedStoreError(
            "no node can run on a store in memory: other processes could not see it. Nothing was started. Give the path of a "
            "SQLite file.",
        )
    if address.engine != SQLITE:
        raise UnsupportedStoreError(
            "no node can run on PostgreSQL in this version: the leases by which its nodes prove that they live come next. "
            "Nothing was started. Programs can submit to it and read from it; for a node give the path of a SQLite file.",
        )
