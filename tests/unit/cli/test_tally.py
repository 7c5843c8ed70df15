from __future__ import annotations

from rota.cli.tally import Counts, Tally, line_of


def counts(finished: int, failed: int = 0, waiting: int = 0, workers: int = 2, scheduled: int = 0) -> Counts:
    return Counts(finished, failed, waiting, scheduled, running=3, workers=workers, nodes=1, paused=0)


def test_what_was_done_before_is_not_counted() -> None:
    """The line tells of this run of the node, not of the store's whole past."""
    tally = Tally()
    tally.add(0.0, counts(1_000, failed=10))
    tally.add(1.0, counts(1_100, failed=11))

    assert (tally.done, tally.failed, tally.rate) == (100, 1, 100.0)


def test_pruning_undoes_nothing() -> None:
    """Old records that are removed lower the store's count, and are still done."""
    tally = Tally()
    tally.add(0.0, counts(1_000))
    tally.add(1.0, counts(1_050))
    tally.add(2.0, counts(60))
    tally.add(3.0, counts(70))

    assert tally.done == 60


def test_the_rate_forgets_what_is_long_ago() -> None:
    """Ten seconds after the last job the line must not say that things go fast."""
    tally = Tally()
    for second, finished in enumerate([0, 500, 1_000, 1_000, 1_000, 1_000, 1_000]):
        tally.add(float(second), counts(finished))

    assert tally.rate == 0.0


def test_the_line_names_what_matters_and_leaves_out_zeros() -> None:
    """Calm: nothing is shown that is not so."""
    tally = Tally()
    tally.add(0.0, counts(0))
    tally.add(2.0, counts(8_402, failed=1, waiting=311, scheduled=0))

    assert [words for words, _ in line_of(tally)] == [
        "8,402 done", "311 waiting", "3 running", "4,201/s", "2 workers", "1 failed",
    ]  # fmt: skip
    assert line_of(Tally()) == [("starting", "dim")]
