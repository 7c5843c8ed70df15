"""Run histories until a truth is broken: ``python -m tests.mutants.seeds FIRST LAST POLICY SOURCE``, in a process of its own.

Prints the seed and the truth, or nothing. It is the mutant's source that runs, or this fails.
"""

from __future__ import annotations

import sys
from pathlib import Path

import rota
from tests.simulation import run


def main(first: str, last: str, policy: str, source: str) -> int:
    """Return 0 whatever was found."""
    if not Path(rota.__file__).is_relative_to(source):
        print(f"this is {rota.__file__}, and not the copy in {source}", file=sys.stderr)
        return 2
    for seed in range(int(first), int(last) + 1):
        try:
            verdict = run(seed, policy=policy if policy != "drawn" else None)
        except Exception as error:
            print(f"{seed}\tit fails: {type(error).__name__}: {error}".splitlines()[0])
            return 0
        if verdict.violations:
            print(f"{seed}\t{verdict.violations[0].truth}")
            return 0
    return 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
