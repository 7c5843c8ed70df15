"""A process that submits, claims and settles until it is killed: ``python -m tests.power.submitter FILE HISTORY``.

What it is answered it notes at once, in one write a line, so that what is noted was answered, whenever it dies.
"""

from __future__ import annotations

import os
import sys
import time
from random import Random

from rota.app.blocking import drive
from rota.model.job import NewJob
from rota.model.limits import SLOT_COUNT
from rota.model.outcome import Kind, Outcome
from rota.model.slot import hash16
from rota.model.token import token_text
from rota.runtime.clock import SystemClock
from rota.runtime.entropy import SystemEntropy
from rota.store.port import NewNode, NewWorker
from rota.store.sqlite.store import SqliteStore
from tests.checkers.history import Recorder, Settled, Submitted, Submitting
from tests.power.workload import short_log

QUEUE, TASK = "ovens", "bake"


def main(path: str, history: str) -> None:
    """Go on until killed."""
    clock, chance = SystemClock(), Random(os.getpid())
    entropy, recorder = SystemEntropy(clock), Recorder(history)
    store = SqliteStore.open(path, clock=clock, entropy=entropy).inline()
    queues, tasks = drive(store.intern([QUEUE], [TASK]))
    node = drive(store.register_node(NewNode(f"mitte-{os.getpid()}", entropy.hex(8), "{}"))).id
    me = drive(store.register_worker(NewWorker(node, f"mitte-{os.getpid()}/1", entropy.hex(8), [QUEUE], [TASK]))).id
    while True:
        jobs = [_job(entropy, chance) for _ in range(chance.choice((1, 1, 4)))]
        for job in jobs:
            recorder.saw(Submitting(at=_now(), token=token_text(job.token), queue=QUEUE))
        drive(store.submit(jobs))
        for job in jobs:
            recorder.saw(Submitted(at=_now(), token=token_text(job.token)))
        claim = drive(store.claim(me, queues[QUEUE], range(SLOT_COUNT), 3, tasks=list(tasks.values())))
        done = [Outcome(job.seq, job.token, job.fence, Kind.SUCCEEDED) for job in claim.jobs]
        drive(store.settle(me, done, sorted({job.claim_no for job in claim.jobs})))
        for outcome in done:
            recorder.saw(Settled(at=_now(), token=token_text(outcome.token), fence=outcome.fence, state="succeeded"))


def _job(entropy: SystemEntropy, chance: Random) -> NewJob:
    token, key = entropy.token(), chance.choice((None, None, "anna"))
    return NewJob(token, QUEUE, TASK, b'"%s"' % (b"x" * chance.choice((50, 900, 9_000))), hash16(key, token), key)


def _now() -> int:
    return time.clock_gettime_ns(time.CLOCK_BOOTTIME)


if __name__ == "__main__":
    with short_log():
        main(sys.argv[1], sys.argv[2])
