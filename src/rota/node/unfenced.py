"""Which nodes let their workers run on when their lease has run out, by their own word: ``on_store_loss="run"`` (P9).

A node says so when it registers, beside who it is. The settings of whoever asks may be others than those of the nodes that run.
"""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from rota.node.identity import Identity
from rota.store.port import Check, NodeRow

_NAME = "store loss"
_MEANS = (
    "if they cannot reach the store, a job may be run by two workers at once (P4 is given up); late results are refused"
)
_STOP = 'ROTA_ON_STORE_LOSS=stop, or Rota(on_store_loss="stop")'


class Said(Identity, frozen=True, omit_defaults=True):
    """What a node registers as its host.

    Attributes:
        runs_on: Its workers go on when its lease has run out.
    """

    runs_on: bool = False


def said(who: Identity, *, runs_on: bool) -> str:
    """Return what a node says of itself, for ``NewNode.host``. Reads as an ``Identity``, too."""
    return Said(who.boot, who.space, who.pid, who.started, runs_on).text


def store_loss(nodes: Sequence[NodeRow], configured: str) -> Check:
    """Return what the doctor says.

    Args:
        nodes: The open nodes.
        configured: What is set where the doctor is asked: ``stop`` or ``run``.
    """
    unfenced = sorted(node.name for node in nodes if _runs_on(node))
    if unfenced:
        says = f'{", ".join(unfenced)}: started with on_store_loss="run"; {_MEANS}'
        return Check(_NAME, "warning", says, f"Unless that is wanted, start them again with {_STOP}.")
    if configured == "run":
        says = f'on_store_loss="run" is set here, for nodes that are started with these settings; {_MEANS}'
        return Check(_NAME, "warning", says, f"Unless that is wanted: {_STOP}.")
    return Check(_NAME, "ok", "nodes that cannot reach the store stop their workers before others start their jobs")


def _runs_on(node: NodeRow) -> bool:
    try:
        return msgspec.json.decode(node.host, type=Said).runs_on
    except msgspec.MsgspecError:
        return False
