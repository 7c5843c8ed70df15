"""Being asked to end, once and twice."""

from __future__ import annotations

from rota.node.asked import TOGETHER_S, Asked


def test_one_signal_that_comes_by_two_ways_is_one() -> None:
    """systemd tells every process of a service: a drain must not become an end at once."""
    asked = Asked()

    assert asked.is_another(100.0)
    assert not asked.is_another(100.003)
    assert not asked.is_another(100.0 + TOGETHER_S / 2)


def test_one_that_comes_later_is_another() -> None:
    """Somebody is in a hurry."""
    asked = Asked()

    assert asked.is_another(0.0)
    assert asked.is_another(TOGETHER_S)
    assert not asked.is_another(TOGETHER_S * 1.5)
