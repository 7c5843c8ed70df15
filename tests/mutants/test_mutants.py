"""Mistakes that somebody could make, and that our tests must notice: the quick ones. ``make mutants`` tries them all."""

from __future__ import annotations

import pytest

from tests.mutants.kill import attack, kill
from tests.mutants.mutant import Edit, Mutant, NoSuchTextError, Seeds, check
from tests.mutants.page import PAGE, told
from tests.mutants.table import MUTANTS, QUICK

HARMLESS = Edit("worker/slots.py", "_WINDOW_MIN = 32\n", "_WINDOW_MIN = 16 + 16\n")


@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda mutant: mutant.name)
def test_a_mutant_applies_to_the_source(mutant: Mutant) -> None:
    """When the code is written anew, its mistakes must be as well: one that does not apply any more tests nothing."""
    check(mutant.edits)


@pytest.mark.parametrize("mutant", QUICK, ids=lambda mutant: mutant.name)
def test_a_mutant_is_killed(mutant: Mutant) -> None:
    """A suite that is green with the protocol broken is worth nothing."""
    assert kill(mutant).by, f"survived: {mutant.says}"


def test_what_is_no_mistake_survives() -> None:
    """A killer that kills everything would prove nothing about any of them."""
    assert not attack((HARMLESS,), Seeds(3)).by


def test_a_text_that_is_not_there_is_told() -> None:
    """Otherwise a mutant would quietly be the source itself."""
    with pytest.raises(NoSuchTextError):
        check([Edit("worker/slots.py", "a text that is nowhere", "")])


def test_every_mutant_is_on_the_page() -> None:
    """The page is written by ``make mutants``; a mutant that is not on it has never been tried."""
    page = PAGE.read_text()

    assert not [mutant.name for mutant in MUTANTS if told(mutant.says) not in page], "make mutants"
