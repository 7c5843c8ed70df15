"""All mutants of this folder, and which of them every run of the tests tries."""

from __future__ import annotations

from tests.mutants import of_leases, of_store, of_worker
from tests.mutants.mutant import Mutant

MUTANTS: list[Mutant] = [*of_store.MUTANTS, *of_worker.MUTANTS, *of_leases.MUTANTS]

_QUICK = {
    "fence_not_raised",
    "second_head",
    "finished_not_looked_up",
    "nobody_follows",
    "judged_by_return",
    "armed_from_the_reply",
    "disarmed_before_the_reap",
    "released_before_the_reap",
}
"""Killed in about a second each, and of every kind."""

QUICK: list[Mutant] = [mutant for mutant in MUTANTS if mutant.name in _QUICK]
