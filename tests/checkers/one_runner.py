"""Truth: no two runs of one job overlap, and each has a higher fence than the one before (P4)."""

from __future__ import annotations

from itertools import pairwise

from tests.checkers.history import Broken, History
from tests.checkers.runs import by_token, runs_of

TRUTH = "a job has one runner at a time"


def one_runner(history: History) -> list[Broken]:
    """Look for runs that began while another of the same job is known to have lived.

    Judged by the handlers' own log alone: what the store believes is not asked.
    """
    broken: list[Broken] = []
    for token, runs in by_token(runs_of(history)).items():
        lived = runs[0]
        for before, after in pairwise(runs):
            if after.began < lived.lived:
                overlap_ms = (lived.lived - after.began) / 1e6
                says = f"{token}: fence {after.fence} on {after.worker} began {overlap_ms:.3f} ms before "
                broken.append(Broken(TRUTH, says + f"fence {lived.fence} on {lived.worker} was last alive"))
            if after.fence <= before.fence:
                broken.append(Broken(TRUTH, f"{token}: fence {after.fence} was run after fence {before.fence}"))
            lived = max(lived, after, key=lambda run: run.lived)
    return broken
