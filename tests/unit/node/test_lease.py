"""A node's own lease, on virtual time: what counts as an answer, when workers may run, and when the timer falls."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from itertools import pairwise

import pytest

from rota.errors import NodeClosedError, StoreUnavailableError
from rota.node.lease import Lease
from rota.node.lease_terms import Terms
from rota.runtime.entropy import SystemEntropy
from rota.telemetry.telemetry import Telemetry
from tests.unit.node.virtual import LoopClock, VirtualLoop

LEASE_S = 8.0
Weather = Callable[[float], float]
"""For an attempt sent at that second: the second of its answer; below zero for the second of its refusal."""


def fine(sent: float) -> float:
    return sent + 0.001


def outage(begin: float, end: float, *, hangs: bool) -> Weather:
    """The server is away: it refuses at once, or what is sent to it is answered when it goes on."""

    def weather(sent: float) -> float:
        if not begin <= sent < end:
            return fine(sent)
        return end + 0.001 if hangs else -(sent + 0.001)

    return weather


@dataclass
class Line:
    """The way to a store that behaves like the weather."""

    loop: VirtualLoop
    weather: Weather = fine
    sent: list[tuple[float, int]] = field(default_factory=list)
    is_closed: bool = False
    open_calls: int = 0
    most_calls: int = 0

    async def renew(self, node_id: int, counter: int, limit_s: float) -> None:
        assert node_id == 7
        now = self.loop.now
        self.sent.append((round(now, 3), counter))
        if self.is_closed:
            raise NodeClosedError("closed", node=node_id)
        until = self.weather(now)
        self.open_calls += 1
        self.most_calls = max(self.most_calls, self.open_calls)
        try:
            await asyncio.sleep(min(abs(until) - now, limit_s))
        finally:
            self.open_calls -= 1
        if until < 0 or until > now + limit_s:
            raise StoreUnavailableError("no answer")

    def close(self) -> None:
        """Do nothing."""

    @property
    def times(self) -> list[float]:
        return [sent for sent, _ in self.sent]


@dataclass
class Timer:
    """A timer that notes where it stands."""

    clock: LoopClock
    falls_at: float | None = None
    was_armed: int = 0

    def arm(self, at_ns: int) -> None:
        self.falls_at = self.clock.seconds(at_ns)
        self.was_armed += 1

    def disarm(self) -> None:
        self.falls_at = None


@dataclass
class Case:
    """A lease and what is around it."""

    loop: VirtualLoop
    line: Line
    timer: Timer
    lease: Lease
    running: asyncio.Task[None] | None = None

    async def at(self, second: float) -> None:
        """Let time pass up to then."""
        self.running = self.running or asyncio.create_task(self.lease.run(7, "mitte"))
        await asyncio.sleep(second - self.loop.now)

    async def lapses(self) -> float:
        """Let time pass until the lease has lapsed, and return when that was."""
        await self.lease.lapsed()
        return round(self.loop.now, 3)


@pytest.fixture
def runner() -> Iterator[asyncio.Runner]:
    with asyncio.Runner(loop_factory=VirtualLoop) as made:
        yield made


Make = Callable[..., Case]


@pytest.fixture
def make(runner: asyncio.Runner) -> Iterator[Make]:
    made: list[Case] = []

    def case(weather: Weather = fine, lease_s: float = LEASE_S, *, stops: bool = True) -> Case:
        loop = runner.get_loop()
        assert isinstance(loop, VirtualLoop)
        clock = LoopClock(loop)
        line, timer = Line(loop, weather), Timer(clock)
        entropy, ms = SystemEntropy(clock), round(lease_s * 1_000)
        lease = Lease(ms, line, timer, stops=stops, clock=clock, entropy=entropy, telemetry=Telemetry())
        made.append(Case(loop, line, timer, lease))
        return made[-1]

    yield case
    for one in made:
        if one.running is not None:
            one.running.cancel()


async def test_before_the_first_answer_nothing_may_run(make: Make) -> None:
    """A node that has only registered has proved nothing."""
    case = make(outage(0, 3, hangs=False))
    await case.at(2)
    assert not case.lease.is_good
    assert not case.lease.begin()
    assert case.timer.was_armed == 0

    await case.lease.good()

    assert 3 <= case.loop.now < 3 + 2
    assert case.lease.begin()


async def test_it_is_renewed_every_quarter(make: Make) -> None:
    """Four chances in a lease, and 0.5 statements a second for a node."""
    case = make()

    await case.at(9)

    assert case.line.times == [0, 2, 4, 6, 8]
    assert [counter for _, counter in case.line.sent] == [1, 2, 3, 4, 5]


async def test_it_counts_from_before_the_send(make: Make) -> None:
    """An observer can have seen the value at any moment after the send."""
    case = make(lambda sent: sent + 0.4)
    await case.at(1)

    assert case.lease.begin()

    assert case.timer.falls_at == 5.5
    await case.at(2.2)
    assert case.timer.falls_at == 5.5
    await case.at(2.5)
    assert case.timer.falls_at == 7.5


async def test_workers_are_stopped_before_the_kernel_would(make: Make) -> None:
    """In good order at five eighths; the timer is there for those who cannot."""
    case = make(outage(1, 100, hangs=True))
    await case.at(1)
    assert case.lease.begin()

    lapsed_at = await case.lapses()

    assert lapsed_at == 5.0
    assert case.timer.falls_at == 5.5
    assert not case.lease.is_good
    assert not case.lease.begin()


async def test_the_timer_stands_only_while_workers_may_be_there(make: Make) -> None:
    """A supervisor without workers need not die in a long outage."""
    case = make()
    await case.at(1)
    assert case.timer.was_armed == 0
    case.lease.begin()

    case.lease.end()

    assert case.timer.falls_at is None
    await case.at(5)
    assert case.timer.falls_at is None
    assert case.lease.begin()
    assert case.timer.falls_at == 9.5


@pytest.mark.parametrize("begin", [0.002, 0.5, 1.0, 1.5, 1.9, 1.999])
@pytest.mark.parametrize("hangs", [True, False])
async def test_an_outage_of_two_and_a_half_seconds_is_survived(make: Make, begin: float, *, hangs: bool) -> None:
    """Also when it begins just before a renewal, and whether the server refuses or is silent."""
    case = make(outage(begin, begin + 2.5, hangs=hangs))
    lapsing = asyncio.create_task(case.lease.lapsed())

    await case.at(20)

    assert not lapsing.done()
    lapsing.cancel()


async def test_attempts_run_side_by_side_and_each_has_a_value_of_its_own(make: Make) -> None:
    """Nobody knows which will come through, and one that arrives late must not take the counter back."""
    case = make(outage(1, 100, hangs=True))

    await case.at(4.9)

    assert case.line.times[:6] == [0, 2, 2.5, 2.75, 3.0, 3.25]
    counters = [counter for _, counter in case.line.sent]
    assert counters == sorted(set(counters))
    assert 2 < case.line.most_calls <= 5


async def test_a_connection_that_broke_is_followed_by_a_fresh_one_at_once(make: Make) -> None:
    """A server that was restarted is there again before anybody noticed."""
    case = make(lambda sent: -2.001 if sent == 2 else sent + 0.001)

    await case.at(4.1)

    assert case.line.times == [0, 2, 2.001, 4.001]


async def test_a_long_outage_is_asked_about_ever_more_rarely(make: Make) -> None:
    """A hundred nodes must not meet a server that is just starting."""
    case = make(outage(1, 600, hangs=False))

    await case.at(300)

    times = case.line.times[20:]
    pauses = [round(after - before, 3) for before, after in pairwise(times)]  # They were noted to the millisecond.
    assert all(1.0 <= pause <= 2.01 for pause in pauses)
    assert len(set(pauses)) > len(pauses) / 2


async def test_while_nothing_runs_an_attempt_may_take_its_time(make: Make) -> None:
    """A busy host needs seconds to connect: it would never begin if it gave up after one."""
    case = make(lambda sent: sent + 3)
    await case.at(0)

    await case.lease.good()

    assert case.loop.now == 3
    assert case.lease.begin()
    assert case.timer.falls_at == 5.5


async def test_after_a_long_outage_workers_may_run_again(make: Make) -> None:
    """If nobody else was there to close the node, it just goes on."""
    case = make(outage(1, 60, hangs=False))
    await case.at(1)
    case.lease.begin()
    await case.lapses()
    case.lease.end()

    await case.lease.good()

    assert 60 <= case.loop.now < 62.1
    assert case.timer.falls_at is None
    assert case.lease.begin()
    assert case.timer.falls_at == pytest.approx(case.loop.now + 5.5, abs=0.01)


async def test_after_half_a_lease_without_an_answer_it_knows_that_it_is_unheard(make: Make) -> None:
    """Whoever cannot renew must not take others' silence for their death; and has to count anew when all can again."""
    case = make(outage(1, 12, hangs=False))
    seen = []

    for second in (3.9, 4, 11.9, 15):
        await case.at(second)
        seen.append((case.lease.is_unheard, case.lease.outages))

    assert seen == [(False, 0), (True, 0), (True, 0), (False, 1)]


async def test_a_node_that_was_never_answered_is_unheard_too(make: Make) -> None:
    """The disk became full just after it had registered."""
    case = make(outage(0, 60, hangs=False))

    await case.at(4.1)

    assert case.lease.is_unheard


async def test_an_answer_that_failed_to_come_once_is_no_outage(make: Make) -> None:
    """A packet was lost: nothing is counted anew for that, or a lost node would be found later."""
    case = make(lambda sent: -(sent + 0.5) if 2 <= sent < 2.4 else sent + 0.001)

    await case.at(10)

    assert not case.lease.is_unheard
    assert case.lease.outages == 0


async def test_an_answer_to_what_was_sent_too_long_ago_is_none(make: Make) -> None:
    """The process was stopped between the send and the answer: others may be sure by now that it is dead."""
    case = make()
    await case.at(1)
    case.lease.begin()
    await case.at(2)

    case.loop.now += 5.2
    await asyncio.sleep(0)
    await asyncio.sleep(0)

    assert not case.lease.is_good
    assert case.timer.falls_at == 5.5


async def test_an_older_answer_takes_nothing_back(make: Make) -> None:
    """Answers can overtake each other."""
    case = make(lambda sent: sent + (0.9 if 2 <= sent < 2.4 else 0.001))
    await case.at(1)
    case.lease.begin()

    await case.at(2.6)
    falls_at = case.timer.falls_at
    await case.at(3)

    assert falls_at == 8.0
    assert case.timer.falls_at == 8.0


async def test_a_node_that_others_have_closed_may_run_nothing(make: Make) -> None:
    """Its jobs are being given to others; an answer of an attempt that was sent before changes nothing."""
    case = make()
    await case.at(1)
    case.lease.begin()
    case.line.is_closed = True

    await case.lease.closed.wait()

    assert case.loop.now == 2
    assert not case.lease.is_good
    assert not case.lease.begin()
    assert case.running is not None
    await case.running


async def test_who_chose_to_run_without_a_store_never_lapses(make: Make) -> None:
    """P4 is given up by name; the node still begins only with an answer, and still ends when it was closed."""
    case = make(outage(1, 600, hangs=False), stops=False)
    lapsing = asyncio.create_task(case.lease.lapsed())

    await case.at(590)

    assert may_run(case.lease)
    assert not lapsing.done()
    case.line.is_closed = True
    await case.lease.closed.wait()
    assert not may_run(case.lease)
    lapsing.cancel()


@pytest.mark.parametrize("lease_s", [3, 8, 30, 600])
async def test_all_lengths_scale_with_the_lease(make: Make, lease_s: float) -> None:
    """One number to set; the margin between the timer and the judgement is a part of it."""
    case = make(outage(0.1, 10_000, hangs=True), lease_s)
    await case.at(0.1)
    case.lease.begin()

    lapsed_at = await case.lapses()

    assert lapsed_at == pytest.approx(lease_s * 5 / 8, abs=0.001)
    assert case.timer.falls_at == pytest.approx(lease_s * 5.5 / 8, abs=0.001)
    assert case.line.times[1] == pytest.approx(lease_s / 4, abs=0.001)


def test_the_terms_of_eight_seconds() -> None:
    """The figures of the documentation."""
    terms = Terms.of_ms(8_000)
    waits = (terms.renew_ns, terms.patience_ns, terms.pause_ns)
    limits = (terms.limit_ns, terms.long_limit_ns)
    ends = (terms.stop_ns, terms.kill_ns)
    assert [length / 1e9 for length in (*waits, *limits, *ends)] == [2.0, 0.5, 0.25, 1.0, 4.0, 5.0, 5.5]


def may_run(lease: Lease) -> bool:
    """Ask anew: a type checker takes a property for what it was before."""
    return lease.is_good
