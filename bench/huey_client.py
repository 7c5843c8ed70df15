"""What runs in Huey's processes: `python -m bench.huey_client VERB …`; prints one JSON object.

Huey at its fastest settings: one worker thread a process (more only fight for the interpreter), polled every 10 ms, no
periodic tasks, and its storage's default of ``synchronous=FULL`` made explicit.
"""

from __future__ import annotations

import json
import os
import sys
import time
from pathlib import Path
from typing import Any

from huey import SqliteHuey

from bench import counters, run_log
from bench.counters import Counter

PAYLOAD = "x" * 180
huey = SqliteHuey("bench", filename=os.environ["BENCH_HUEY_DB"], timeout=30, fsync=True)
counter = Counter()


@huey.task()
def noop(payload: str) -> None:
    counter.add_locked()


@huey.task()
def pickup(called_at: float, payload: str) -> None:
    waited = time.monotonic() - called_at
    with Path(os.environ["BENCH_PICKUP_LOG"]).open("a") as log:
        log.write(f"{waited * 1000:.4f}\n")


@huey.task()
def sleeper(number: int) -> None:
    run_log.tell("start", number)
    time.sleep(run_log.SLEEP_S)
    run_log.tell("end", number)


def bulk(jobs: int) -> dict[str, Any]:
    """Submit; Huey has no call for many."""
    began = time.monotonic()
    for _ in range(jobs):
        noop(PAYLOAD)
    return {"rate": jobs / (time.monotonic() - began)}


def single(seconds: float) -> dict[str, Any]:
    """Submit one at a time, from one thread."""
    noop(PAYLOAD)
    began, jobs = time.monotonic(), 0
    while time.monotonic() - began < seconds:
        noop(PAYLOAD)
        jobs += 1
    return {"rate": jobs / (time.monotonic() - began)}


def flow(seconds: float, ahead_max: int) -> dict[str, Any]:
    """Submit while a worker works, at most ``ahead_max`` jobs ahead of it."""
    folder = Path(os.environ[counters.VARIABLE])
    began, submitted = time.monotonic(), 0
    while time.monotonic() - began < seconds:
        if submitted % 100 == 0 and submitted - counters.read(folder).count >= ahead_max:
            time.sleep(0.001)
            continue
        noop(PAYLOAD)
        submitted += 1
    return {"rate": counters.read(folder).count / (time.monotonic() - began)}


def pickups(jobs: int, gap_s: float) -> dict[str, Any]:
    """Submit one job now and then to an idle worker."""
    for _ in range(jobs):
        pickup(time.monotonic(), PAYLOAD)
        time.sleep(gap_s)
    return {}


def worker() -> dict[str, Any]:
    """Wait at the gate, then work until killed."""
    threads = 1 if os.environ["BENCH_MODE"] == "speed" else 4
    consumer = huey.create_consumer(
        workers=threads, worker_type="thread", periodic=False, initial_delay=0.001, backoff=1.0, max_delay=0.01
    )
    gate = Path(os.environ["BENCH_GATE"])
    (gate.parent / f"ready-{os.getpid()}").touch()
    while not gate.exists():
        time.sleep(0.001)
    consumer.run()
    return {}


def main(verb: str, *words: str) -> dict[str, Any]:
    """Do what the command line says. The size of batches and the kind of jobs are for those who have such."""
    match verb:
        case "bulk":
            return bulk(int(words[0]))
        case "single":
            return single(float(words[0]))
        case "flow":
            return flow(float(words[0]), int(words[2]))
        case "pickups":
            return pickups(int(words[0]), float(words[1]))
        case "sleepers":
            for number in range(int(words[0])):
                sleeper(number)
            return {}
        case "worker":
            return worker()
        case "outstanding":
            return {"jobs": huey.storage.queue_size()}
    raise SystemExit(f"unknown verb {verb}")


if __name__ == "__main__":
    print(json.dumps(main(*sys.argv[1:])))
