"""A bounded number of histories, that a seed is one history, and the seeds of every fault that was found."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest

from tests.simulation import Verdict, run
from tests.simulation.plan import POLICIES
from tests.simulation.sometimes import never

ROOT = Path(__file__).parents[2]
REGRESSIONS = [
    (387, "lease"),  # A submit whose first reply was lost was called refused: its second try had been. submit/send.py
    (491, "lease"),  # A job given back twice, and run in between: the second was called stale. store/sqlite/settling.py
    (5211, "lease"),  # A call of a dead process registered a node long after all was healed. tests/simulation/line.py
    (5820, "locks"),  # A deploy of old code that came after the heal. tests/simulation/chaos.py
    (65, "lease"),  # A node that ended left its row open, since a renewal was on its way. node/supervisor.py
    (1448, "lease"),  # A worker killed after it was refused and before it knew. tests/simulation/loop.py
    (1000834, "lease"),  # Two submitters, and a job for one of them. tests/simulation/people.py
    (1002574, "locks"),  # A process stopped in a call that it sent before the heal. tests/simulation/line.py
    (2036, "lease"),  # Condemned with its machine, before the claim was answered. tests/checkers/blame.py
    (323, "lease"),  # A settle repeated after its job had been reopened: recognised, and not recorded again.
    (1021560, "lease"),  # An outage while a supervisor registers: it looked before and after. node/registrar.py
    (200220, "lease"),  # Claimed again while the worker looked what it holds, and taken for settled. settle/settler.py
    (211025, "lease"),  # A disk full for less than half a lease, and then a node cut off. tests/checkers/lease_kept.py
    (10354, "lease"),  # The same.
    (48551, "lease"),  # An outage of an eighth of a second, between two looks. tests/simulation/chaos.py
]
"""Seeds that showed a fault, of rota or of the simulation, and which."""


def print_of(verdict: Verdict) -> str:
    """Return a fingerprint of everything that was seen in a history."""
    seen = "\n".join([*verdict.story, *map(repr, verdict.history), repr(sorted(verdict.counts.items()))])
    return hashlib.sha256(seen.encode()).hexdigest()


@pytest.mark.parametrize("policy", POLICIES)
@pytest.mark.parametrize("seed", range(1, 26))
def test_every_truth_holds_whatever_goes_wrong(seed: int, policy: str) -> None:
    """A different mix of faults for each seed."""
    verdict = run(seed, policy=policy)

    assert verdict.violations == [], f"make sim SEED={seed} POLICY={policy}"


@pytest.mark.parametrize(("seed", "policy"), REGRESSIONS)
def test_what_was_found_once_stays_mended(seed: int, policy: str) -> None:
    """A seed is another history once something is drawn in another order; then it is one more seed."""
    assert run(seed, policy=policy).violations == []


def test_what_never_happened_is_named() -> None:
    """A run in which no fault struck proves nothing, and must not look green."""
    happened = Counter(dict.fromkeys(never(Counter()), 1))
    happened["fault worker_kill"] = 0

    assert never(happened) == ["fault worker_kill"]


def test_the_same_seed_is_the_same_history() -> None:
    """What cannot be repeated cannot be mended."""
    one, other = (print_of(run(7, tells=True)) for _ in range(2))

    assert one == other


def test_a_seed_does_not_depend_on_how_python_hashes() -> None:
    """Two processes, two orders of every set of bytes and of text."""
    code = "from tests.simulation.test_simulation import print_of, run; print(print_of(run(7, tells=True)))"
    prints = {
        subprocess.run(
            [sys.executable, "-c", code],
            cwd=ROOT,
            env=os.environ | {"PYTHONHASHSEED": number},
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for number in ("1", "77")
    }

    assert len(prints) == 1
