"""Many histories on all cores: a portion of seeds to each process, and what became of them in one table."""

from __future__ import annotations

import gc
import multiprocessing
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from dataclasses import dataclass, field

from tests.simulation.simulate import run

PORTION = 25
PROGRESS_S = 10.0


@dataclass
class Portion:
    """What became of a few seeds."""

    histories: int = 0
    seconds: float = 0.0
    cpu_s: float = 0.0
    healed_s: float = 0.0
    counts: Counter[str] = field(default_factory=Counter)
    failed: list[tuple[int, str, str]] = field(default_factory=list)

    def add(self, other: Portion) -> None:
        """Add another one to this."""
        self.histories += other.histories
        self.seconds += other.seconds
        self.cpu_s += other.cpu_s
        self.healed_s = max(self.healed_s, other.healed_s)
        self.counts.update(other.counts)
        self.failed += other.failed


def live_through(first: int, count: int, policy: str | None) -> Portion:
    """Run the histories of some seeds, in this process, which does nothing else."""
    began, portion = time.process_time(), Portion()
    if gc.isenabled():
        # What has been imported stays, and need not be looked through again and again for the little that a history leaves.
        gc.disable()
        gc.collect()
        gc.freeze()
    for seed in range(first, first + count):
        verdict = run(seed, policy=policy)
        gc.collect()
        portion.histories += 1
        portion.seconds += verdict.seconds
        portion.healed_s = max(portion.healed_s, verdict.healed_s)
        portion.counts.update(verdict.counts)
        portion.counts[f"histories {verdict.plan.policy}"] += 1
        if verdict.violations:
            worst = verdict.violations[0]
            portion.failed.append((seed, verdict.plan.policy, f"{worst.truth}: {worst.says}"))
    portion.cpu_s = time.process_time() - began
    return portion


def portions(first: int, seeds: int | None) -> Iterator[tuple[int, int]]:
    """Yield first seed and number of seeds of each portion."""
    at = first
    while seeds is None or at < first + seeds:
        count = PORTION if seeds is None else min(PORTION, first + seeds - at)
        yield at, count
        at += count


def run_many(first: int, seeds: int | None, seconds: float, policy: str | None, workers: int) -> tuple[Portion, float]:
    """Run histories on all cores, for a number of seeds or for a time; return what became of them, and how long it took."""
    began, told, total = time.monotonic(), time.monotonic(), Portion()
    todo = portions(first, seeds)
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(workers, mp_context=context) as pool:
        going: set[Future[Portion]] = set()
        while True:
            is_time_left = seeds is not None or time.monotonic() - began < seconds
            while is_time_left and len(going) < workers + 1 and (next_ := next(todo, None)) is not None:
                going.add(pool.submit(live_through, *next_, policy))
            if not going:
                break
            done, going = wait(going, return_when=FIRST_COMPLETED)
            for portion in done:
                total.add(portion.result())
                for seed, drawn, says in portion.result().failed:
                    print(f"FAILED  {says[:240]}\n        make sim SEED={seed} POLICY={drawn}", flush=True)
            if time.monotonic() - told > PROGRESS_S:
                told = time.monotonic()
                print(
                    f"  {told - began:5.0f} s  {total.histories:>7,} histories, {len(total.failed)} failed", flush=True
                )
    return total, time.monotonic() - began


def table(total: Portion, took_s: float, workers: int) -> str:
    """Return the figures of a run."""
    lines = [f"  {name:<40}{count:>12,}" for name, count in sorted(total.counts.items())]
    rate = total.histories / max(took_s, 1e-9) * 60
    cpu_rate = total.histories / max(total.cpu_s, 1e-9) * 60 * workers
    lines += [
        "",
        f"  {total.histories:,} histories, {total.seconds / 3600:,.1f} hours of virtual time",
        f"  {took_s:,.1f} s: {rate:,.0f} a minute; by processor time {cpu_rate:,.0f} a minute on {workers} idle cores",
        f"  longest from the heal to everything settled: {total.healed_s:.1f} s",
        f"  {len(total.failed)} failed",
    ]
    return "\n".join(lines)
