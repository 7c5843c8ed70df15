"""A hundred workers on one server: twenty nodes of five, with light handlers."""

from __future__ import annotations

import time
from collections import Counter
from contextlib import suppress

from bench import counters
from bench.database import Database, statements_a_second
from bench.rota_side import QUEUE, PostgresRota
from bench.rows.idle import SETTLE_S, resident_mib, ticks
from bench.rows.pickup import pickups
from bench.side import until
from bench.table import Figures
from rota.ring.ring import Ring
from rota.store.port import Store
from rota.worker.rings import ring_of_queue

NODES, EACH = 20, 5
IDLE_S = 20.0
PICKUPS = 1_000
"""So many that the 99th percentile is not the one or two calls in which the program connects and the server sees it first."""
BURST = 50_000
LOOK_S = 0.02

_WAITS = """
SELECT coalesce(wait_event_type || ':' || wait_event, 'running') AS doing, count(*) AS sessions
  FROM pg_stat_activity
 WHERE datname = current_database() AND state <> 'idle' AND pid <> pg_backend_pid()
 GROUP BY 1
"""


def hundred(side: PostgresRota) -> Figures:
    """Return pick-up p50 and p99 (ms), statements a second of an idle worker, the ring's fullest share, a burst's rate.

    The fullest share is that of the fullest worker against the mean. The notes tell what the sessions waited for during the
    burst, by samples; and deadlocks, connections, memory.
    """
    side.fresh()
    with side.workers(EACH, mode="default", nodes=NODES) as workers:
        workers.open_gate()
        time.sleep(SETTLE_S)
        pids = workers.pids
        before, began = ticks(pids), time.monotonic()
        idle_statements = statements_a_second(side.database, IDLE_S) / (NODES * EACH)
        idle_cores = (ticks(pids) - before) / 100 / (time.monotonic() - began)
        ring = side.ask(_ring)
        p50, p99 = pickups(side, jobs=PICKUPS)
        rate, waits = _burst(side)
        side.notes = {
            "workers on the ring": len(ring.members),
            "slots, fewest and most": sorted(len(ring.slots_of(member.name)) for member in ring.members)[
                :: NODES * EACH - 1
            ],
            "cores used by idle processes": round(idle_cores, 3),
            "processes": len(pids),
            "MiB resident, all": round(sum(resident_mib(pid) for pid in pids)),
            "connections": side.database.value(
                "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database()"
            ),
            "deadlocks": side.database.value(
                "SELECT deadlocks FROM pg_stat_database WHERE datname = current_database()"
            ),
            "sessions by what they wait for, samples of the burst": dict(waits.most_common()),
        }
    shares = [len(ring.slots_of(member.name)) for member in ring.members]
    return p50, p99, idle_statements, max(shares) * len(shares) / sum(shares), rate


async def _ring(store: Store) -> Ring:
    return ring_of_queue(await store.membership(), QUEUE)


def _burst(side: PostgresRota) -> tuple[float, Counter[str]]:
    """Put in many jobs at once; return jobs a second, and what sessions were seen to wait for meanwhile."""
    waits: Counter[str] = Counter()
    already = counters.read(side.counters).count
    began = time.monotonic()
    side.preload(BURST)

    def is_done() -> bool:
        waits.update(_waits(side.database))
        return counters.read(side.counters).count - already >= BURST

    until("the burst to be done", is_done, seconds=300, every_s=LOOK_S)
    until("the burst to be settled", lambda: side.outstanding() == 0)
    return BURST / (time.monotonic() - began), waits


def _waits(database: Database) -> Counter[str]:
    found: Counter[str] = Counter()
    with suppress(KeyError):
        found.update({row["doing"]: row["sessions"] for row in database.rows(_WAITS)})
    return found
