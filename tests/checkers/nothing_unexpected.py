"""Truth: what is run was submitted, and is not settled yet (Jepsen's total-queue: nothing unexpected)."""

from __future__ import annotations

from tests.checkers.history import FINAL, Broken, History, Reopened, Settled, Started, Submitting

TRUTH = "only what was submitted is run, and not again once it is settled"


def nothing_unexpected(history: History) -> list[Broken]:
    """Look for runs and records of jobs that nobody handed in, and for runs that began after the job had been settled.

    Settles are taken at the instant at which they were recorded; where a history has only the replies, which are later, this
    sees less and never too much.
    """
    broken: list[Broken] = []
    handed_in: set[str] = set()
    settled: dict[str, Settled] = {}
    for event in history:
        if isinstance(event, Submitting):
            handed_in.add(event.token)
        elif isinstance(event, Reopened):
            settled.pop(event.token, None)
        elif isinstance(event, Settled):
            if event.state in FINAL:
                settled[event.token] = event
            if event.token not in handed_in:
                broken.append(Broken(TRUTH, f"{event.token} was settled and never submitted"))
        elif isinstance(event, Started):
            if event.token not in handed_in:
                broken.append(Broken(TRUTH, f"{event.token} was run and never submitted"))
            elif event.token in settled:
                says = f"{event.token} began under fence {event.fence} on {event.worker}, and was {settled[event.token].state}"
                broken.append(Broken(TRUTH, says))
    return broken
