"""Truth: when a worker joins or leaves, only its share of slots moves, and at most 1 % more (P7)."""

from __future__ import annotations

from tests.checkers.history import Broken, History, RingSeen

TRUTH = "only the share of who joined or left moves"
OTHER_MOVES_PERCENT_MAX = 1


def ring_moves(history: History) -> list[Broken]:
    """Look for slots that moved between two workers who were there before and after.

    Rings of one queue are compared in the order of their epochs; between two that were seen several workers may have come
    and gone. One ring that was seen differently by two observers at one epoch is a break of its own: all must agree.
    """
    broken: list[Broken] = []
    last: dict[str, RingSeen] = {}
    rings = (event for event in history if isinstance(event, RingSeen))
    for ring in sorted(rings, key=lambda ring: (ring.queue, ring.epoch)):
        before = last.get(ring.queue)
        last[ring.queue] = ring
        if before is None:
            continue
        if before.epoch == ring.epoch:
            if list(before.owners) != list(ring.owners):
                broken.append(Broken(TRUTH, f"{ring.queue}, epoch {ring.epoch}: two observers saw two rings"))
            continue
        stayed = set(before.owners) & set(ring.owners)
        moved = sum(
            old != new and old in stayed and new in stayed for old, new in zip(before.owners, ring.owners, strict=True)
        )
        allowed = -(-len(ring.owners) * OTHER_MOVES_PERCENT_MAX // 100)
        if moved > allowed:
            says = (
                f"{ring.queue}, epoch {before.epoch} to {ring.epoch}: {moved} slots moved between workers that stayed"
            )
            broken.append(Broken(TRUTH, f"{says}; {allowed} of {len(ring.owners)} are allowed"))
    return broken
