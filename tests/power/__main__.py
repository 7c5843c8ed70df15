"""Print the table of crash images: ``python -m tests.power --images 100000`` (``make power IMAGES=100000``)."""

from __future__ import annotations

import argparse
import secrets
import sys
import time
from pathlib import Path

from tests.power.attack import Tally, campaign

_CONTROLS = {
    "durability normal": {"durability": "normal"},
    "durability off": {"durability": "off"},
    "a disk whose syncs do nothing": {"syncs": False},
    "a disk that forgets new names": {"syncs_folders": False},
}


def main() -> int:
    """Run the attack and its controls; returns 1 if anything was lost that may not be, or a control lost nothing."""
    parser = argparse.ArgumentParser(
        description="Crash images of SQLite: cut the power at random places, look what is left."
    )
    parser.add_argument("--images", type=int, default=10_000)
    parser.add_argument("--controls", type=int, default=2_000, help="images of each control, which must lose")
    parser.add_argument("--seed", default=secrets.token_hex(4))
    parser.add_argument("--keep", type=Path, default=Path("build/power"), help="where images that are wrong are kept")
    asked = parser.parse_args()

    print(
        f"seed {asked.seed}\n\n| | images | lost | inconsistent | images a minute |\n|---|---|---|---|---|", flush=True
    )
    began = time.monotonic()
    tally = campaign(asked.images, asked.seed, keep=asked.keep)
    _row("durability full", tally, began)
    is_good = tally.lost == tally.inconsistent == 0
    for name, control in _CONTROLS.items():
        began = time.monotonic()
        found = campaign(asked.controls, f"{asked.seed}-control", **control)  # type: ignore[arg-type]
        _row(name, found, began)
        is_good &= found.lost + found.inconsistent > 0
    print("\n" + ", ".join(f"{what}: {count}" for what, count in sorted(tally.counts.items())))
    for example in tally.examples:
        print(f"WRONG {example} (kept in {asked.keep})")
    return 0 if is_good else 1


def _row(name: str, tally: Tally, began: float) -> None:
    a_minute = round(tally.images * 60 / (time.monotonic() - began), -2)
    print(f"| {name} | {tally.images:,} | {tally.lost:,} | {tally.inconsistent:,} | {a_minute:,.0f} |", flush=True)


if __name__ == "__main__":
    sys.exit(main())
