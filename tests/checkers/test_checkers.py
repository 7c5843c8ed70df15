"""Every checker passes a clean history and catches what was planted: a checker that cannot fail has checked nothing."""

from __future__ import annotations

import pytest

from tests.checkers.harmless import HARMLESS
from tests.checkers.history import AnyEvent, in_order
from tests.checkers.no_job_lost import no_job_lost
from tests.checkers.planted import CHECKERS, CLEAN, PLANTED, Checker, accepted, found
from tests.checkers.recovery import recovery


@pytest.mark.parametrize("checker", CHECKERS, ids=lambda checker: checker.__name__)
def test_a_clean_history_passes(checker: Checker) -> None:
    """A checker that cries at everything would be switched off."""
    assert checker(in_order(CLEAN)) == []


@pytest.mark.parametrize("checker", CHECKERS, ids=lambda checker: checker.__name__)
def test_an_empty_history_passes(checker: Checker) -> None:
    """Nothing happened, nothing broke."""
    assert checker([]) == []


@pytest.mark.parametrize(("checker", "says", "events"), PLANTED, ids=[f"{c.__name__}: {s}" for c, s, _ in PLANTED])
def test_what_was_planted_is_caught(checker: Checker, says: str, events: list[AnyEvent]) -> None:
    """And named, so that a person can look for it."""
    broken = checker(in_order(events))

    assert any(says in one.says for one in broken), broken


@pytest.mark.parametrize(("checker", "why", "events"), HARMLESS, ids=[f"{c.__name__}: {w}" for c, w, _ in HARMLESS])
def test_what_only_looks_wrong_passes(checker: Checker, why: str, events: list[AnyEvent]) -> None:
    """An unknown reply is neither a success nor a failure."""
    assert checker(in_order(events)) == [], why


def test_every_checker_has_been_seen_to_fail() -> None:
    """Whoever adds one plants something for it."""
    assert {checker for checker, _, _ in PLANTED} == set(CHECKERS)


def test_recovery_is_measured_from_the_kill() -> None:
    """The promise counts from the death, not from its discovery."""
    seen = recovery(in_order(CLEAN), seconds_max=1.0)

    assert (seen.seconds, seen.at(0.99)) == ([0.185], 0.185)


def test_unfinished_jobs_are_fine_when_the_history_is_cut_off() -> None:
    """Not every test runs to the end."""
    assert no_job_lost([*accepted(1, "A"), *found("running")], all_done=False) == []
