"""Run the load while processes are killed and stopped, and judge what was seen.

python -m tests.chaos.run --jobs 20000 --worker-kills 50
python -m tests.chaos.run --jobs 20000 --supervisor-kills 10 --supervisor-stops 10 --nodes 2
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from random import Random

import msgspec

from rota.model.job import NewJob
from rota.model.slot import hash16
from rota.model.state import State
from rota.model.token import token_text
from rota.runtime.clock import SystemClock
from rota.runtime.entropy import SystemEntropy
from rota.store.port import JobFilter
from tests.chaos.app import now_ns
from tests.chaos.nodes import Nodes
from tests.checkers.conservation import conservation
from tests.checkers.history import Broken, Counted, Found, Killed, Submitted, Submitting, read_history
from tests.checkers.key_order import key_order
from tests.checkers.no_job_lost import no_job_lost
from tests.checkers.one_runner import one_runner
from tests.checkers.recovery import Recovery, recovery
from tests.checkers.runs import runs_of
from tests.checkers.settled_once import settled_once


@dataclass(frozen=True)
class Plan:
    """What happens in one run.

    Attributes:
        jobs: How many, spread over ``keys`` keys, each taking ``job_s``.
        rate: Jobs submitted a second, so that there is work as long as there are faults.
        worker_kills, supervisor_kills, supervisor_stops: How many of each.
        gap_s: From one fault to the next.
        stop_s: How long a stopped supervisor stays stopped.
        recovery_s_max: What P6 promises.
        stopped_s_max: The same for a worker that dies while its supervisor is stopped; other nodes see to it.
    """

    jobs: int = 20_000
    keys: int = 500
    job_s: float = 0.005
    rate: int = 600
    nodes: int = 1
    processes: int = 3
    concurrency: int = 4
    worker_kills: int = 0
    supervisor_kills: int = 0
    supervisor_stops: int = 0
    gap_s: float = 0.6
    stop_s: float = 1.5
    recovery_s_max: float = 1.0
    stopped_s_max: float = 3.0
    seed: int = 1


@dataclass
class Report:
    """What was seen.

    Attributes:
        broken: Truths that did not hold; empty is what we want.
        counts: Jobs, runs, faults.
    """

    broken: list[Broken]
    counts: Counter[str]
    recovery: Recovery
    recovery_while_stopped: Recovery
    seconds: float
    exit_codes: list[int] = field(default_factory=list)

    def lines(self) -> list[str]:
        """Return it for people."""
        again, stopped = self.recovery, self.recovery_while_stopped
        return [f"{name.replace('_', ' '):28}{value:>10,}" for name, value in sorted(self.counts.items())] + [
            f"{'seconds':28}{self.seconds:>10.1f}",
            f"{'jobs in flight at a kill':28}{len(again.seconds):>10,}",
            f"{'recovery p50 / p99 / max, s':28}{again.at(0.5):>10.3f} / {again.at(0.99):.3f} / {again.at(1):.3f}",
            f"{'the same, supervisor stopped':28}{len(stopped.seconds):>10,} jobs, max {stopped.at(1):.3f} s",
            f"{'exit codes of the nodes':28}{self.exit_codes!s:>10}",
            f"{'truths broken':28}{len(self.broken):>10,}",
            *(f"  {one.truth}: {one.says}" for one in self.broken[:20]),
        ]


async def run(plan: Plan, folder: Path) -> Report:
    """Carry out a plan and judge it."""
    nodes = Nodes(folder, plan.processes, plan.concurrency)
    counts: Counter[str] = Counter()
    began = time.monotonic()
    try:
        for number in range(plan.nodes):
            nodes.start(f"node{number + 1}")
        await nodes.until_workers(plan.nodes * plan.processes)
        submitting = asyncio.create_task(_submit(nodes, plan))
        await _faults(nodes, plan, counts)
        await submitting
        await nodes.until_workers(plan.nodes * plan.processes)
        await _until_done(nodes, plan)
        codes = nodes.stop_all()
    finally:
        nodes.kill_all()
    await _write_findings(nodes)
    seconds = time.monotonic() - began
    await nodes.store.close()
    return _judge(nodes, plan, counts, codes, seconds)


async def _submit(nodes: Nodes, plan: Plan) -> None:
    """Submit in batches at the planned rate."""
    entropy = SystemEntropy(SystemClock())
    chance = Random(plan.seed)
    batch_jobs = 50
    start = time.monotonic()
    for first in range(0, plan.jobs, batch_jobs):
        batch = []
        for number in range(first, min(first + batch_jobs, plan.jobs)):
            key, token = f"key {chance.randrange(plan.keys)}", entropy.token()
            payload = msgspec.json.encode({"key": key, "number": number, "seconds": plan.job_s})
            batch.append(NewJob(token, "default", "work", payload, hash16(key, token), key, is_fresh=True))
        for index, job in enumerate(batch):
            nodes.seen.saw(
                Submitting(
                    at=now_ns(),
                    token=token_text(job.token),
                    queue="default",
                    key=job.key,
                    batch=str(first),
                    index=index,
                )
            )
        await nodes.store.submit(batch)
        for job in batch:
            nodes.seen.saw(Submitted(at=now_ns(), token=token_text(job.token)))
        await asyncio.sleep(max(0.0, start + first / plan.rate - time.monotonic()))


async def _faults(nodes: Nodes, plan: Plan, counts: Counter[str]) -> None:
    """Make the planned faults, mixed, one after the other."""
    chance = Random(plan.seed)
    kinds = ["worker_kills"] * plan.worker_kills + ["supervisor_kills"] * plan.supervisor_kills
    kinds += ["supervisor_stops"] * plan.supervisor_stops
    chance.shuffle(kinds)
    for kind in kinds:
        await asyncio.sleep(chance.uniform(0.5, 1.5) * plan.gap_s)
        await nodes.until_workers(plan.nodes * plan.processes)
        if kind == "worker_kills":
            hit: object = await nodes.kill_a_worker(chance)
        elif kind == "supervisor_kills":
            hit = await nodes.kill_a_supervisor(chance)
        else:
            hit = await nodes.stop_a_supervisor(chance, plan.stop_s)
        counts[kind] += hit is not None


async def _until_done(nodes: Nodes, plan: Plan) -> None:
    """Wait until nothing is live."""
    end = time.monotonic() + 120
    while True:
        queues = await nodes.store.queues()
        if sum(queue.waiting + queue.scheduled + queue.running for queue in queues) == 0:
            return
        if time.monotonic() > end:
            raise TimeoutError(f"{plan.jobs} jobs: still {queues}")
        await asyncio.sleep(0.05)


async def _write_findings(nodes: Nodes) -> None:
    """Write down what the store says when all is over."""
    before: bytes | None = None
    found = 0
    while page := await nodes.store.jobs(JobFilter(before=before, limit=1_000)):
        for row in page:
            nodes.seen.saw(Found(at=now_ns(), token=token_text(row.token), state=row.state.value, fence=row.fence))
        before, found = page[-1].token, found + len(page)
    finished = await nodes.store.finished_counts()
    live = sum(queue.waiting + queue.scheduled + queue.running for queue in await nodes.store.queues())
    nodes.seen.saw(Counted(at=now_ns(), live=live, finished=sum(finished.values())))


def _judge(nodes: Nodes, plan: Plan, counts: Counter[str], codes: list[int], seconds: float) -> Report:
    history = read_history(nodes.history)
    stopped = nodes.killed_while_stopped
    alone = [event for event in history if not (isinstance(event, Killed) and event.worker in stopped)]
    others = [event for event in history if not (isinstance(event, Killed) and event.worker not in stopped)]
    again = recovery(alone, seconds_max=plan.recovery_s_max)
    while_stopped = recovery(others, seconds_max=plan.stopped_s_max)
    broken: list[Broken] = [*again.broken, *while_stopped.broken]
    for check in (no_job_lost, settled_once, one_runner, key_order, conservation):
        found: Sequence[Broken] = check(history)
        counts[f"broken_{check.__name__}"] = len(found)
        broken += found
    counts["jobs"] = plan.jobs
    counts["runs"] = len(runs_of(history))
    states = Counter(event.state for event in history if isinstance(event, Found))
    counts["succeeded"] = states[State.SUCCEEDED.value]
    counts["failed"] = states[State.FAILED.value]
    return Report(broken, counts, again, while_stopped, seconds, codes)


def main() -> int:
    """Read the plan from the command line; return 1 if a truth was broken."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for name, default in vars(Plan()).items():
        parser.add_argument(f"--{name.replace('_', '-')}", type=type(default), default=default)
    parser.add_argument("--folder", type=Path, default=None, help="keep the evidence here")
    given = vars(parser.parse_args())
    folder: Path | None = given.pop("folder")
    with contextlib.ExitStack() as stack:
        if folder is None:
            folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="rota-chaos-")))
        folder.mkdir(parents=True, exist_ok=True)
        report = asyncio.run(run(Plan(**given), folder))
    print("\n".join(report.lines()))
    return 1 if report.broken else 0


if __name__ == "__main__":
    sys.exit(main())
