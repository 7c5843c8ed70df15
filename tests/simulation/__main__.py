"""Run many histories on all cores, or replay one: ``make sim``.

python -m tests.simulation                                   a minute of them
python -m tests.simulation --seeds 3000 --first 1
python -m tests.simulation --minutes 10
python -m tests.simulation --seed 4711 --policy lease        one, told line by line
"""

from __future__ import annotations

import argparse
import os
import sys

from tests.simulation.fleet import run_many, table
from tests.simulation.simulate import run
from tests.simulation.sometimes import HISTORIES_MIN, never


def replay(seed: int, policy: str | None) -> int:
    """Tell one history."""
    verdict = run(seed, policy=policy, tells=True)
    print("\n".join(verdict.story))
    print()
    for broken in verdict.violations:
        print(f"BROKEN  {broken.truth}: {broken.says}")
    told = f"{len(verdict.violations)} truths broken in {verdict.seconds:.1f} s of virtual time"
    print(f"seed {seed}, {verdict.plan.policy}: {told}")
    return 1 if verdict.violations else 0


def main() -> int:
    """Read what is wanted from the command line; return 1 if a truth was broken or something never happened."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seed", type=int, help="replay this one")
    parser.add_argument("--seeds", type=int, help="run so many")
    parser.add_argument("--first", type=int, default=1, help="the first of them")
    parser.add_argument("--minutes", type=float, default=1.0, help="run for so long, unless --seeds is given")
    parser.add_argument(
        "--policy", choices=("locks", "lease"), help="how nodes prove that they live; as the seed draws"
    )
    parser.add_argument("--workers", type=int, default=os.cpu_count() or 1)
    given = parser.parse_args()
    if given.seed is not None:
        return replay(given.seed, given.policy)
    total, took_s = run_many(given.first, given.seeds, given.minutes * 60, given.policy, given.workers)
    print(table(total, took_s, given.workers))
    missed = never(total.counts, total.histories) if total.histories >= HISTORIES_MIN and given.policy is None else ()
    for name in missed:
        print(f"NEVER   {name}: it must happen at least once in {HISTORIES_MIN:,} histories")
    return 1 if total.failed or missed else 0


if __name__ == "__main__":
    sys.exit(main())
