"""How much a slot would rather be with one worker than with another: the cost of each pair, as a whole number.

A draw of 64 bits is made for each pair of name and slot, the same on every machine. Its cost is ``-log2(draw)``, divided by
the worker's weight; the cheapest worker is the slot's first choice. So a worker of weight 3 is chosen three times as often as
one of weight 1, and one that comes or goes changes nothing between the others (weighted rendezvous hashing).

Only integers: a logarithm of the machine's may differ in its last bit from another machine's, and two workers that disagree
about a slot would both leave it to the other. The logarithm is read from a table of 256 steps that is worked out here, bit by
bit; between two steps it is a straight line, which keeps the order and is off by less than 0.000003.

Sources:
    D. G. Thaler, C. V. Ravishankar, "Using Name-Based Mappings to Increase Hit Rates", 1998 (rendezvous hashing).
    G. L. Steele, D. Lea, C. H. Flood, "Fast Splittable Pseudorandom Number Generators", 2014 (the mixing steps).
"""

from __future__ import annotations

from array import array
from collections.abc import Sequence
from functools import lru_cache
from hashlib import blake2b
from typing import Final

from rota.model.limits import SLOT_COUNT

ALGORITHM: Final = 1
"""Raised whenever any slot of any ring would get another owner: workers of two algorithms must not share a ring."""

_MASK: Final = 0xFFFF_FFFF_FFFF_FFFF
_STEP: Final = 0x9E37_79B9_7F4A_7C15
_FRACTION: Final = 48
_TABLE_BITS: Final = 8
_REST_BITS: Final = 63 - _TABLE_BITS


def column(name: str, weight: int = 1) -> Sequence[int]:
    """Return the cost of every slot for the worker of this name, lowest first choice.

    Args:
        name: In NFC.
        weight: 1 or more.
    """
    costs = _costs(name)
    return costs if weight == 1 else array("q", [cost // weight for cost in costs])


@lru_cache(maxsize=1_024)
def _costs(name: str) -> array[int]:
    """Return the column of weight 1. Kept by name: after a change of one worker all others are known already.

    An array, not a tuple: 8 KiB a name, also for a worker that outlives many others.
    """
    digest = blake2b(name.encode(), digest_size=8, key=b"rota.ring.%d" % ALGORITHM).digest()
    seed = int.from_bytes(digest, "big")
    return array("q", [cost(draw(seed, slot)) for slot in range(SLOT_COUNT)])


def draw(seed: int, slot: int) -> int:
    """Return 64 well mixed bits for this seed and slot, never 0 (splitmix64's finaliser)."""
    bits = (seed + (slot + 1) * _STEP) & _MASK
    bits = ((bits ^ (bits >> 30)) * 0xBF58_476D_1CE4_E5B9) & _MASK
    bits = ((bits ^ (bits >> 27)) * 0x94D0_49BB_1331_11EB) & _MASK
    return (bits ^ (bits >> 31)) or 1


def cost(bits: int) -> int:
    """Return ``-log2(bits / 2**64)`` in units of 2**-48, for 1 to 2**64 - 1."""
    exponent = bits.bit_length() - 1
    mantissa = (bits << (63 - exponent)) & (_MASK >> 1)
    step, rest = mantissa >> _REST_BITS, mantissa & ((1 << _REST_BITS) - 1)
    low, high = _LOGARITHMS[step], _LOGARITHMS[step + 1]
    return ((64 - exponent) << _FRACTION) - low - ((high - low) * rest >> _REST_BITS)


def _logarithm(numerator: int) -> int:
    """Return ``log2(numerator / 256)`` in units of 2**-48, for 256 to 512, by squaring: one bit of the answer each."""
    value, answer = numerator << 56, 0
    for _ in range(_FRACTION):
        value = value * value >> 64
        answer <<= 1
        if value >> 65:
            value >>= 1
            answer |= 1
    return answer


_LOGARITHMS: Final = (*(_logarithm((1 << _TABLE_BITS) + step) for step in range(1 << _TABLE_BITS)), 1 << _FRACTION)
