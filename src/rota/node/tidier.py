"""The tidier: a duty that removes files of processes which died before anybody could know them."""

from __future__ import annotations

import os

from rota.node.liveness import FileLocks
from rota.node.remains import remove_remains
from rota.store.port import Members


class Tidier:
    """Removes what lies in the folder of proofs and belongs to nobody.

    A worker that is killed between its first line and its registration leaves a lock file and a running table; its
    supervisor removes them, unless it died as well.

    Args:
        store: Who is known.
        locks: The folder, and who is dead.
    """

    name = "tidy"
    period_s = 3_600.0

    def __init__(self, store: Members, locks: FileLocks) -> None:
        self._store = store
        self._locks = locks

    async def do(self) -> None:
        """Tidy up once.

        Who is dead is looked up before who is known: a process that has ended cannot register any more, so what is dead
        and not known afterwards never will be.

        Raises:
            StoreError: It cannot be known who is known; nothing was removed.
        """
        dead = [proof for proof in self._proofs() if self._locks.is_dead(proof)]
        seen = await self._store.membership()
        left = await self._store.closed_workers_with_jobs()
        known = {node.proof for node in seen.nodes} | {worker.proof for worker in (*seen.workers, *left)}
        for proof in set(dead) - known:
            remove_remains(self._locks.folder, proof)
            self._locks.forget(proof)

    def _proofs(self) -> list[str]:
        return [name.removesuffix(".lock") for name in os.listdir(self._locks.folder) if name.endswith(".lock")]
