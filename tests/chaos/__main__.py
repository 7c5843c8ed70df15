"""Chaos for as long as one likes: real nodes, real signals, a real server.

python -m tests.chaos --engine postgres --minutes 10
python -m tests.chaos --engine sqlite --jobs 20000 --rate 650 --worker-kills 50
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import sys
import tempfile
from pathlib import Path

from tests.chaos.faults import FAULTS
from tests.chaos.run import Plan, run


def main() -> int:
    """Read the plan from the command line; return 1 if a truth was broken."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for name, default in vars(Plan()).items():
        if name != "faults":
            parser.add_argument(f"--{name.replace('_', '-')}", type=type(default), default=default)
    for name in FAULTS:
        parser.add_argument(f"--{name.replace('_', '-')}", type=int, default=0)
    parser.add_argument("--folder", type=Path, default=None, help="keep the evidence here")
    given = vars(parser.parse_args())
    folder: Path | None = given.pop("folder")
    faults = {name: count for name in FAULTS if (count := given.pop(name))}
    unknown = [name for name in faults if given["engine"] not in FAULTS[name].engines]
    if unknown:
        parser.error(f"not on {given['engine']}: {', '.join(unknown)}")
    with contextlib.ExitStack() as stack:
        if folder is None:
            folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="rota-chaos-")))
        folder.mkdir(parents=True, exist_ok=True)
        report = asyncio.run(run(Plan(faults=faults, **given), folder))
    print("\n".join(report.lines()))
    return 1 if report.broken else 0


if __name__ == "__main__":
    sys.exit(main())
