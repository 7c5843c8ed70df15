"""The load: short jobs with keys that write down when they begin and when they end."""

from __future__ import annotations

import asyncio
import os
import time

from rota import Retry, Rota, current_job
from tests.checkers.history import Ended, Recorder, Started

app = Rota()
seen = Recorder(os.environ.get("ROTA_CHAOS_HISTORY", "chaos.history"))


def now_ns() -> int:
    return time.clock_gettime_ns(time.CLOCK_BOOTTIME)


@app.task(key=lambda key, number, seconds: key, retry=Retry(attempts=5))
async def work(key: str, number: int, seconds: float) -> int:
    """Take `seconds`; return the number."""
    job = current_job()
    seen.saw(Started(at=now_ns(), token=job.token, fence=job.fence, worker=str(os.getpid())))
    await asyncio.sleep(seconds)
    seen.saw(Ended(at=now_ns(), token=job.token, fence=job.fence))
    return number
