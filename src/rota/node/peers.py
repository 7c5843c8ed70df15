"""Supervisors of one machine watch each other's process, so that a death is seen in milliseconds.

Only a hint to look now: whether a node is dead is told by its proof of life alone.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
from collections.abc import Callable, Sequence

from rota.node.identity import Identity, read_identity, watch_descriptor
from rota.store.port import NodeRow


class Peers:
    """Watches the supervisors that live beside this one.

    Args:
        own: Who this supervisor is.
        ended: Called on the loop when one of them has ended.
    """

    def __init__(self, own: Identity, ended: Callable[[], None]) -> None:
        self._own = own
        self._ended = ended
        self._descriptors: dict[int, int] = {}
        self._seen_ending: set[int] = set()

    def follow(self, nodes: Sequence[NodeRow]) -> None:
        """Watch exactly these nodes, as far as they live under this kernel and in this pid namespace."""
        ids = {node.id for node in nodes}
        self._seen_ending &= ids
        for gone in self._descriptors.keys() - ids:
            self._drop(gone)
        for node in nodes:
            if node.id not in self._descriptors and node.id not in self._seen_ending:
                self._watch(node)

    def close(self) -> None:
        """Watch nobody any more."""
        for node_id in list(self._descriptors):
            self._drop(node_id)

    def _watch(self, node: NodeRow) -> None:
        who = read_identity(node.host)
        if who is None or who.pid == self._own.pid or not who.is_beside(self._own):
            return
        descriptor = watch_descriptor(who)
        if descriptor is not None:
            self._descriptors[node.id] = descriptor
            asyncio.get_running_loop().add_reader(descriptor, self._notice, node.id)

    def _notice(self, node_id: int) -> None:
        self._drop(node_id)
        self._seen_ending.add(node_id)
        self._ended()

    def _drop(self, node_id: int) -> None:
        descriptor = self._descriptors.pop(node_id)
        asyncio.get_running_loop().remove_reader(descriptor)
        with contextlib.suppress(OSError):
            os.close(descriptor)
