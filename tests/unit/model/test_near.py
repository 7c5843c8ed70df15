"""Mistyped words: which known one was meant."""

from __future__ import annotations

from rota.model.near import closest, near


def test_a_near_word_is_asked_for_and_a_far_one_is_not() -> None:
    """A wrong guess is worse than none."""
    assert closest("bakee", ["bake", "ship"]) == " (did you mean 'bake'?)"
    assert closest("x", ["bake"]) == ""


def test_near_words_come_most_alike_first_each_once() -> None:
    """Readers take the first; several sources name the same words."""
    assert near("--sate", ["--store", "--state", "--json", "--state"]) == ["--state", "--store"]
    assert near("--sate", ["--store", "--state"], 1) == ["--state"]
