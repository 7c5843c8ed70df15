"""Chance that can be drawn again."""

from __future__ import annotations

import random

from rota.model.token import TokenBytes


class Chance:
    """An ``Entropy`` from a seed, for what draws numbers only."""

    def __init__(self, seed: int) -> None:
        self._random = random.Random(seed)

    def uniform(self, low: float, high: float) -> float:
        return self._random.uniform(low, high)

    def token(self) -> TokenBytes:
        raise AssertionError("no token is needed here")

    def hex(self, size: int) -> str:
        raise AssertionError("no name is needed here")
