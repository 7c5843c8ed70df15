"""Truth: at any moment what was accepted is in the store, its counts are right, and each key with a due job has a head."""

from __future__ import annotations

from tests.checkers.history import Broken, History, Sampled, Submitted, Submitting

TRUTH = "accepted is the sum over states, at any moment"


def samples(history: History) -> list[Broken]:
    """Compare each sample of the store with what had been accepted, and handed in, by then.

    A submit without a reply may be counted or not: it lies between the two.
    """
    broken: list[Broken] = []
    handed_in: set[str] = set()
    accepted: set[str] = set()
    for event in history:
        if isinstance(event, Submitting):
            handed_in.add(event.token)
        elif isinstance(event, Submitted):
            accepted.add(event.token)
        elif isinstance(event, Sampled):
            rows, when = event.live + event.finished, f"at {event.at / 1e9:.3f} s"
            if not len(accepted) <= rows <= len(handed_in):
                says = f"{rows} rows {when}; {len(accepted)} jobs had been accepted, {len(handed_in)} handed in"
                broken.append(Broken(TRUTH, says))
            if (event.live, event.finished) != (event.counted_live, event.counted_finished):
                says = f"{event.live} live and {event.finished} finished rows {when}, "
                broken.append(Broken(TRUTH, says + f"counted as {event.counted_live} and {event.counted_finished}"))
            if event.keys_without_head:
                broken.append(Broken(TRUTH, f"{event.keys_without_head} keys have a due job and no head {when}"))
    return broken
