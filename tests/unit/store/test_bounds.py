"""How long a call may take, by what it does and what it brings."""

from __future__ import annotations

import pytest

from rota.store.postgres.bounds import BOUNDS, Bounds


@pytest.mark.parametrize(
    ("function", "arguments", "seconds"),
    [
        ("claim_jobs", (), 20.0),
        ("sweep", (None,), 130.0),
        ("submit_jobs", ([b"token"], [b"x" * 999_995]), 21.0),
        ("settle_jobs", (None, 7, [b"t"] * 10, [1] * 10, [], [b"r", None], []), 20.00001),
        ("submit_jobs_again", ([], []), 20.0),
    ],
)
def test_a_call_may_take_as_long_as_what_it_brings(
    function: str, arguments: tuple[object, ...], seconds: float
) -> None:
    """A hundred megabytes on a slow line are no server that hangs; a single job that takes a minute is one."""
    assert BOUNDS.of_call(function, arguments) == pytest.approx(seconds)


def test_the_server_ends_a_long_call_first() -> None:
    """Then it is known that nothing was written."""
    assert BOUNDS.statement_s < BOUNDS.long_call_s


@pytest.mark.parametrize("silence_s", [1.0, 3.0, 10.0, 60.0])
def test_probes_end_by_the_time_that_silence_is_too_long(silence_s: float) -> None:
    """Keep-alives are counted in whole seconds."""
    idle_s, interval_s, probes = Bounds(silence_s=silence_s).keepalive()

    assert min(idle_s, interval_s, probes) >= 1
    assert idle_s + interval_s * probes <= max(silence_s, 2)
