"""Tokens and jitter."""

from __future__ import annotations

import os
import signal
import threading
import uuid
from datetime import timedelta
from itertools import pairwise

import pytest

from rota.model.token import is_token, token_ms
from rota.runtime.entropy import SystemEntropy, build_token
from rota.testing.clock import ManualClock


def test_a_token_is_a_uuid_of_version_7_that_tells_its_time(clock: ManualClock) -> None:
    token = SystemEntropy(clock).token()

    assert is_token(token)
    assert uuid.UUID(bytes=token).version == 7
    assert uuid.UUID(bytes=token).variant == uuid.RFC_4122
    assert token_ms(token) == clock.now_us() // 1_000


def test_tokens_rise_within_a_millisecond(clock: ManualClock) -> None:
    """In one process tokens are in the order in which they were made; so they lie side by side in an index."""
    entropy = SystemEntropy(clock)

    tokens = [entropy.token() for _ in range(5_000)]

    assert all(one < other for one, other in pairwise(tokens))
    assert {token_ms(token) for token in tokens} == {clock.now_us() // 1_000}


def test_tokens_of_a_batch_rise_with_those_before_and_after(clock: ManualClock) -> None:
    entropy = SystemEntropy(clock)

    tokens = [entropy.token(), *entropy.tokens(1_000), entropy.token(), *entropy.tokens(10)]

    assert all(is_token(token) for token in tokens)
    assert all(one < other for one, other in pairwise(tokens))


def test_tokens_rise_also_when_the_clock_goes_back(clock: ManualClock) -> None:
    entropy = SystemEntropy(clock)
    before = [entropy.token() for _ in range(10)]
    clock.jump(timedelta(hours=-1))

    after = [entropy.token() for _ in range(10)]

    assert all(one < other for one, other in pairwise([*before, *after]))


def test_tokens_come_back_with_a_clock_that_was_far_ahead(clock: ManualClock) -> None:
    """Wrong for the moment of one submit, it must not have every later one of the process refused, as a day ahead."""
    entropy = SystemEntropy(clock)
    clock.jump(timedelta(days=400))
    entropy.token()
    clock.jump(timedelta(days=-400))

    after = [entropy.token() for _ in range(10)]

    assert {token_ms(token) for token in after} == {clock.now_us() // 1_000}
    assert all(one < other for one, other in pairwise(after))


def test_tokens_follow_the_clock_forward(clock: ManualClock) -> None:
    entropy = SystemEntropy(clock)
    first = entropy.token()
    clock.advance(timedelta(milliseconds=1))

    second = entropy.token()

    assert token_ms(second) == token_ms(first) + 1


def test_two_sources_at_the_same_moment_do_not_meet(clock: ManualClock) -> None:
    """Two processes that start in the same millisecond must not give two jobs one token."""
    one, other = SystemEntropy(clock), SystemEntropy(clock)

    assert not {one.token() for _ in range(2_000)} & {other.token() for _ in range(2_000)}


def test_threads_never_get_the_same_token(clock: ManualClock) -> None:
    entropy, found, go = SystemEntropy(clock), list[bytes](), threading.Barrier(4)

    def draw() -> None:
        go.wait()
        mine = [entropy.token() for _ in range(2_000)]
        assert mine == sorted(mine)
        found.extend(mine)

    threads = [threading.Thread(target=draw) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert len(set(found)) == 8_000


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork here")
def test_a_forked_child_makes_tokens_of_its_own_also_while_a_thread_was_making_one(clock: ManualClock) -> None:
    """A web server that forks after start must neither repeat its parent's tokens nor wait for a lock that nobody holds."""
    entropy = SystemEntropy(clock)
    entropy.token()
    read_end, write_end = os.pipe()
    with entropy._lock:  # As if another thread were in the middle of a token at the moment of the fork.
        child = os.fork()
        if child == 0:
            signal.alarm(60)
            os.write(write_end, b"".join(entropy.token() for _ in range(50)))
            os._exit(0)
    os.close(write_end)
    with os.fdopen(read_end, "rb") as pipe:
        childs = pipe.read()
    _, status = os.waitpid(child, 0)

    mine = {entropy.token() for _ in range(50)}

    assert os.waitstatus_to_exitcode(status) == 0
    assert len(childs) == 50 * 16
    assert not mine & {childs[at : at + 16] for at in range(0, len(childs), 16)}


def test_jitter_is_drawn_from_the_whole_range(clock: ManualClock) -> None:
    entropy = SystemEntropy(clock)

    drawn = [entropy.uniform(10, 20) for _ in range(1_000)]

    assert 10 <= min(drawn) < 11
    assert 19 < max(drawn) <= 20


def test_names_do_not_collide(clock: ManualClock) -> None:
    entropy = SystemEntropy(clock)

    assert len({entropy.hex(8) for _ in range(1_000)}) == 1_000
    assert len(entropy.hex(8)) == 16


def test_a_built_token_keeps_all_its_bits() -> None:
    tails = [0, 1, (1 << 62) - 1, 1 << 62, (1 << 74) - 1]

    tokens = [build_token(7, tail) for tail in tails]

    assert tokens == sorted(set(tokens))
    assert all(is_token(token) and token_ms(token) == 7 for token in tokens)
