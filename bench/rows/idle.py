"""What workers cost that have nothing to do."""

from __future__ import annotations

import os
import time
from collections.abc import Iterable
from pathlib import Path

from bench.side import Side
from bench.table import Figures

SETTLE_S = 3.0
SECONDS = 15.0


def idle(side: Side, processes: int = 2) -> Figures:
    """Return percent of one core for all its processes together, and MiB resident of its largest process.

    On PostgreSQL also how many transactions a second it asks of the server.
    """
    side.fresh()
    with side.workers(processes) as workers:
        workers.open_gate()
        time.sleep(SETTLE_S)
        asked = side.database.transactions() if side.database else 0
        before, began = ticks(workers.pids), time.monotonic()
        time.sleep(SECONDS)
        used, seconds = ticks(workers.pids) - before, time.monotonic() - began
        percent = 100 * used / os.sysconf("SC_CLK_TCK") / seconds
        largest = max(resident_mib(pid) for pid in workers.pids)
        if side.database is None:
            return percent, largest
        return percent, largest, (side.database.transactions() - asked - 1) / seconds


def ticks(pids: Iterable[int]) -> int:
    """Return the processor time that these processes have used so far, in clock ticks."""
    total = 0
    for pid in pids:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        total += int(fields[11]) + int(fields[12])
    return total


def resident_mib(pid: int) -> float:
    """Return how much memory of a process is resident."""
    return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE") / 2**20
