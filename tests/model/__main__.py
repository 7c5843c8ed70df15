"""Search the model in all bounds, and for every mutant: ``python -m tests.model``; a flag or more searches under these.

Prints what was found, and for flags given by hand the counterexample, step by step.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence

from tests.model.cases import LONG, MUTANTS, SHORT
from tests.model.spin import Found, search


def main(flags: Sequence[str]) -> int:
    """Return 0 if all is as it must be."""
    if flags:
        found = search(flags, is_optimised=True)
        _tell(" ".join(flags), found)
        print(found.trail, end="")
        return 1 if found.violated else 0
    is_right = True
    for bounds in (*SHORT, *LONG):
        found = search(bounds.flags, is_optimised=True)
        is_right &= found.is_exhaustive
        _tell(f"{bounds.about}  ({' '.join(bounds.flags) or 'as it is'})", found)
    for mutant in MUTANTS:
        found = search((mutant.name, *mutant.flags))
        is_right &= mutant.violates in found.violated
        _tell(f"{mutant.name}: {mutant.says}", found)
    return 0 if is_right else 1


def _tell(about: str, found: Found) -> None:
    said = f"violated: {found.violated}" if found.violated else "all hold" if found.is_exhaustive else "CUT SHORT"
    print(f"{found.states:>11,} states {found.seconds:>7.2f} s  {about}\n{'':>32}{said}", flush=True)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
