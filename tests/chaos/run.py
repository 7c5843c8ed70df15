"""One run: a cluster under load, faults from a seed, and a verdict."""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from random import Random

from rota.errors import StoreError
from rota.model.token import token_text
from rota.store.port import JobFilter
from tests.chaos.app import now_ns
from tests.chaos.faults import FAULTS, Fault
from tests.chaos.judge import Report, judge
from tests.chaos.load import Load
from tests.chaos.nodes import Nodes
from tests.chaos.place import place
from tests.checkers.history import Counted, Found

DRAIN_S = 300.0


@dataclass(frozen=True)
class Plan:
    """What happens in one run.

    Attributes:
        engine: ``sqlite`` or ``postgres``.
        faults: How many of each kind; empty for a mix of all kinds that the engine knows, for ``minutes``.
        minutes: How long the mix goes on.
        jobs: How many, spread over ``keys`` keys, each taking ``job_s``; 0 for as many as fit beside the faults.
        rate: Jobs submitted a second, so that there is work as long as there are faults.
        gap_s: From one fault to the next, about.
        at_once: How many faults may be under way.
        slack: What the times of P6 are multiplied by, on a machine that others use as well.
    """

    engine: str = "sqlite"
    faults: Mapping[str, int] = field(default_factory=dict)
    minutes: float = 1.0
    jobs: int = 0
    keys: int = 500
    job_s: float = 0.02
    rate: float = 200.0
    nodes: int = 3
    processes: int = 2
    concurrency: int = 4
    gap_s: float = 0.8
    at_once: int = 2
    slack: float = 1.0
    seed: int = 1


async def run(plan: Plan, folder: Path) -> Report:
    """Carry out a plan and judge it. The folder holds the evidence afterwards."""
    wants_disk = not plan.faults or "full_disks" in plan.faults
    async with place(plan.engine, folder, wants_disk=wants_disk) as here:
        store = await here.open()
        nodes = Nodes(here, store, plan.processes, plan.concurrency)
        load = Load(nodes, keys=plan.keys, job_s=plan.job_s, rate=plan.rate, seed=plan.seed)
        began = time.monotonic()
        try:
            for number in range(plan.nodes):
                await nodes.start(f"node{number + 1}")
            await nodes.until_all_ready()
            made = await _under_load(plan, nodes, load)
            await nodes.until_all_ready()
            await _until_done(nodes)
            codes = [await nodes.drain(node) for node in list(nodes.all)]
        finally:
            nodes.kill_all()
        await _write_findings(nodes)
        seconds = time.monotonic() - began
        await store.close()
        made["batches_sent_again"] = load.refused
        return judge(nodes, made, seconds, codes, slack=plan.slack)


async def _under_load(plan: Plan, nodes: Nodes, load: Load) -> Counter[str]:
    over = asyncio.Event()
    submitting = asyncio.create_task(load.run(plan.jobs, over))
    try:
        made = await _make_faults(plan, nodes)
    finally:
        over.set()
    await submitting
    return made


async def _make_faults(plan: Plan, nodes: Nodes) -> Counter[str]:
    """Make the planned faults, mixed, some side by side; return how many of each could be made."""
    chance = Random(plan.seed)
    made: Counter[str] = Counter()
    under_way: set[asyncio.Task[None]] = set()

    async def make(fault: Fault, seed: int) -> None:
        is_made = await fault.make(nodes, Random(seed))
        made[fault.name] += is_made  # Not in one line: others count while this one waits.

    for fault in _faults_of(plan, chance):
        await asyncio.sleep(chance.uniform(0.5, 1.5) * plan.gap_s)
        while len(under_way) >= (1 if fault.is_for_all else plan.at_once):
            done, under_way = await asyncio.wait(under_way, return_when=asyncio.FIRST_COMPLETED)
            for task in done:
                task.result()
        if fault.is_for_all:
            # What it does to the times of others is not theirs.
            await nodes.until_all_ready()
            await make(fault, chance.getrandbits(32))
            await nodes.until_all_ready()
        else:
            under_way.add(asyncio.create_task(make(fault, chance.getrandbits(32)), name=fault.name))
    await asyncio.gather(*under_way)
    return made


def _faults_of(plan: Plan, chance: Random) -> Iterator[Fault]:
    if plan.faults:
        kinds = [name for name, count in plan.faults.items() for _ in range(count)]
        chance.shuffle(kinds)
        yield from (FAULTS[kind] for kind in kinds)
        return
    known = [fault for fault in FAULTS.values() if plan.engine in fault.engines]
    end = time.monotonic() + plan.minutes * 60
    while time.monotonic() < end:
        chance.shuffle(known)
        yield from (fault for fault in known if time.monotonic() < end)


async def _until_done(nodes: Nodes) -> None:
    """Wait until nothing is live."""
    end = time.monotonic() + DRAIN_S
    while True:
        try:
            queues = await nodes.store.queues()
            if sum(queue.waiting + queue.scheduled + queue.running for queue in queues) == 0:
                return
        except StoreError:
            queues = ()
        if time.monotonic() > end:
            raise TimeoutError(f"there still are jobs after {DRAIN_S} s: {queues}")
        await asyncio.sleep(0.05)


async def _write_findings(nodes: Nodes) -> None:
    """Write down what the store says when all is over."""
    before: bytes | None = None
    while page := await nodes.store.jobs(JobFilter(before=before, limit=1_000)):
        for row in page:
            nodes.seen.saw(Found(at=now_ns(), token=token_text(row.token), state=row.state.value, fence=row.fence))
        before = page[-1].token
    finished = await nodes.store.finished_counts()
    live = sum(queue.waiting + queue.scheduled + queue.running for queue in await nodes.store.queues())
    nodes.seen.saw(Counted(at=now_ns(), live=live, finished=sum(finished.values())))
