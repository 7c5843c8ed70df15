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
    if address.engine != SQLITE or address.is_in_memory:
        raise UnsupportedStoreError(
            f"no node can run on {'a store in memory' if address.is_in_memory else 'this engine'}: other processes could "
            "not see whether it lives. Nothing was started; give the path of a SQLite file.",
        )
    folder = Path(os.path.realpath(address.place) + ".d")
    folder.mkdir(mode=0o700, exist_ok=True)
    return FileLocks(str(folder / "proof"), clock)
