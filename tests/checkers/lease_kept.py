"""Truth: a node that lives, and whose lease was renewed in time, is not closed by others."""

from __future__ import annotations

from tests.checkers.history import Broken, History, NodeClosed, Renewed, Restored

TRUTH = "a lease that is kept is not taken"


def lease_kept(history: History, *, seconds_min: float) -> list[Broken]:
    """Look for living nodes that were closed too soon after their last renewal, or after the end of an outage.

    While the store was away nobody could renew. So its return is no reason to take anybody for dead.

    Args:
        seconds_min: A lease, in true time, on the fastest clock of all.
    """
    broken: list[Broken] = []
    renewed: dict[str, int] = {}
    restored = 0
    for event in history:
        if isinstance(event, Renewed):
            renewed[event.node] = event.at
        elif isinstance(event, Restored):
            restored = event.at
        elif isinstance(event, NodeClosed) and event.is_alive:
            seconds = (event.at - max(restored, renewed.get(event.node, 0))) / 1e9
            if seconds < seconds_min:
                says = (
                    f"{event.node} lived and was closed {seconds:.3f} s after its last renewal, or the end of an outage"
                )
                broken.append(Broken(TRUTH, f"{says}; its lease is {seconds_min:.3f} s"))
    return broken
