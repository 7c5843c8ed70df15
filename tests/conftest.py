"""What all tests share: a clock that stands still, seeded chance, and coroutines as tests.

A test that is a coroutine runs in the loop of the fixture ``runner``, and so do fixtures that open something in it: a
connection pool belongs to the loop that opened it.
"""

from __future__ import annotations

import asyncio
import gc
import inspect
import itertools
import os
import signal
from collections.abc import Iterator

import pytest
from hypothesis import HealthCheck, settings

from rota.testing.clock import ManualClock

settings.register_profile("default", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.register_profile("thorough", settings.get_profile("default"), max_examples=2_000)
# For a second Python, beside one that draws them all: what differs between the two shows in the first few.
settings.register_profile("brief", settings.get_profile("default"), max_examples=10)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "default"))


def pytest_configure() -> None:
    """Let interrupts through, also when the tests run in the background of a shell, which makes its jobs ignore them."""
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)
    gc.disable()  # Until all is collected: to look for garbage among thousands of new tests takes a third of that time.


def pytest_collection_finish() -> None:
    """Collect garbage again, but do not look through the tests themselves each time: they stay to the end."""
    gc.freeze()
    gc.enable()


@pytest.fixture
def clock() -> ManualClock:
    """Time that passes only when the test says so."""
    return ManualClock()


@pytest.fixture
def runner() -> Iterator[asyncio.Runner]:
    """The event loop of this test and of the fixtures it uses."""
    with asyncio.Runner() as loop:
        yield loop


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Give every coroutine test a ``runner``, asked for or not; let the slowest begin first."""
    for item in items:
        if isinstance(item, pytest.Function) and _is_coroutine(item) and "runner" not in item.fixturenames:
            item.fixturenames.append("runner")
    items[:] = _dealt(items, int(os.environ.get("PYTEST_XDIST_WORKER_COUNT", "1")))


def _dealt(items: list[pytest.Item], processes: int) -> list[pytest.Item]:
    """Return the tests so that each of the processes that share them begins with its part of the slow ones, the slowest first.

    A slow test mostly waits, for real processes, leases and faults: others can compute meanwhile, as long as there are others.
    ``--dist worksteal`` gives each process one stretch of the list, of equal lengths.
    """
    slow = sorted((item for item in items if _seconds_of(item)), key=_seconds_of, reverse=True)
    parts: list[list[pytest.Item]] = [[] for _ in range(processes)]
    for item in slow:
        min(parts, key=lambda part: sum(map(_seconds_of, part))).append(item)
    rest = iter([item for item in items if not _seconds_of(item)])
    ends = [len(items) * number // processes for number in range(1, processes + 1)]
    done: list[pytest.Item] = []
    for part, end in zip(parts, ends, strict=True):
        done += part
        done += itertools.islice(rest, max(0, end - len(done)))
    return done


def _seconds_of(item: pytest.Item) -> float:
    """Return how long a test takes on a quiet machine, about; 0 for one that is not slow."""
    marker = item.get_closest_marker("slow")
    return float(marker.kwargs["seconds"]) if marker else 0.0


@pytest.hookimpl(tryfirst=True)
def pytest_pyfunc_call(pyfuncitem: pytest.Function) -> object | None:
    """Run a coroutine test to its end; leave the others to pytest."""
    if not _is_coroutine(pyfuncitem):
        return None
    wanted = inspect.signature(pyfuncitem.obj).parameters
    given = {name: value for name, value in pyfuncitem.funcargs.items() if name in wanted}
    loop = pyfuncitem.funcargs["runner"]
    assert isinstance(loop, asyncio.Runner)
    loop.run(pyfuncitem.obj(**given))
    return True


def _is_coroutine(item: pytest.Function) -> bool:
    return inspect.iscoroutinefunction(item.obj)
