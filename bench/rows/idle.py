"""What a node costs that has nothing to do."""

from __future__ import annotations

import os
import time
from pathlib import Path

from bench.side import Side, Workers

SETTLE_S = 3.0
SECONDS = 15.0


def idle(side: Side, processes: int = 2) -> tuple[float, float]:
    """Return percent of one core for all its processes together, and MiB resident of its largest process."""
    side.fresh()
    with side.workers(processes) as workers:
        workers.open_gate()
        time.sleep(SETTLE_S)
        before = ticks(workers)
        time.sleep(SECONDS)
        used = (ticks(workers) - before) / os.sysconf("SC_CLK_TCK")
        return 100 * used / SECONDS, max(resident_mib(pid) for pid in workers.pids)


def ticks(workers: Workers) -> int:
    """Return the processor time that all processes have used so far, in clock ticks."""
    total = 0
    for pid in workers.pids:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        total += int(fields[11]) + int(fields[12])
    return total


def resident_mib(pid: int) -> float:
    """Return how much memory of a process is resident."""
    return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE") / 2**20
