"""Truth: a node that lives, and whose lease was renewed in time, is not closed by others."""

from __future__ import annotations

from tests.checkers.history import Broken, History, NodeClosed, Renewed, Restored

TRUTH = "a lease that is kept is not taken"


def lease_kept(history: History, *, seconds_min: float, unheard_s: float) -> list[Broken]:
    """Look for living nodes that were closed too soon after their last renewal, or after the end of an outage.

    While the store was away nobody could renew. So its return is no reason to take anybody for dead. Who can read all the time
    and is soon answered again may have seen nothing of it, and a lease that ran out has run out; who was not answered for half
    a lease must count anew, whatever the others were.

    Args:
        seconds_min: A lease, in true time, on the fastest clock of all.
        unheard_s: Half a lease: whose renewals have not been answered for so long knows it, in true time on any clock.
    """
    broken: list[Broken] = []
    renewed: dict[str, int] = {}
    restored = 0
    doubted: dict[str, int] = {}
    for event in history:
        if isinstance(event, Renewed):
            renewed[event.node] = event.at
        elif isinstance(event, Restored):
            if not event.could_read:
                restored = event.at
            doubted |= {node: event.at for node, at in renewed.items() if event.at - at >= unheard_s * 1e9}
        elif isinstance(event, NodeClosed) and event.is_alive:
            since = max(restored, doubted.get(event.by, 0), renewed.get(event.node, 0))
            seconds = (event.at - since) / 1e9
            if seconds < seconds_min:
                says = (
                    f"{event.node} lived and was closed {seconds:.3f} s after its last renewal, or the end of an outage"
                )
                broken.append(Broken(TRUTH, f"{says}; its lease is {seconds_min:.3f} s"))
    return broken
