"""How long to wait before asking a store again that did not answer."""

from __future__ import annotations

from rota.runtime.entropy import Entropy

_FIRST_S = 0.02
_LONGEST_S = 1.0


def store_pause_s(tries: int, entropy: Entropy) -> float:
    """Return the seconds to wait after ``tries`` failures in a row (from 1): jittered, doubling, 20 ms to at most 1 s.

    At most a second, whatever happened: when the store comes back, everybody's work must go on at once.
    """
    longest = min(_LONGEST_S, _FIRST_S * 2 ** min(tries - 1, 10))
    return entropy.uniform(longest / 2, longest)
