"""The protocol as a model, and Spin's search of it: every history within bounds, and a counterexample for every mistake."""

from __future__ import annotations

import os
import re
from collections.abc import Sequence

import pytest

from tests.model.cases import LONG, MUTANTS, SHORT, Bounds, Mutant
from tests.model.spin import MODEL, Found, NoSpinError, search


def searched(flags: Sequence[str]) -> Found:
    """Search; without Spin skip loudly, and in CI fail."""
    try:
        return search(flags)
    except NoSpinError as problem:
        says = f"the model was NOT checked: {problem}"
        if os.environ.get("CI"):
            pytest.fail(says)
        pytest.skip(says)


@pytest.mark.parametrize("bounds", SHORT, ids=lambda bounds: bounds.about)
def test_every_history_within_bounds_keeps_the_promises(bounds: Bounds) -> None:
    """A test tries some histories; this tries all that these bounds allow."""
    found = searched(bounds.flags)

    assert not found.violated, found.trail
    assert found.is_exhaustive


@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda mutant: mutant.name)
def test_a_mistake_in_the_protocol_has_a_counterexample(mutant: Mutant) -> None:
    """A model in which nothing can go wrong would prove nothing."""
    found = searched((mutant.name, *mutant.flags))

    assert mutant.violates in found.violated, f"{found.states} states, violated: {found.violated or 'nothing'}"


def test_every_flag_of_the_model_is_used() -> None:
    """A mutant that nobody searches is a claim that nobody checked."""
    asked = {
        name
        for line in MODEL.read_text().splitlines()
        if line.startswith(("#if", "#elif"))
        for name in re.findall(r"\b[A-Z_]+\b", line)
    }
    used = {
        flag.split("=")[0]
        for flags in [*(bounds.flags for bounds in (*SHORT, *LONG)), *((case.name, *case.flags) for case in MUTANTS)]
        for flag in flags
    }

    assert asked == used | {"RENEWALS"}
