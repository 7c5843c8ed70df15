"""From a key to its slot.

    key or token ──blake2b, 16 bits──▶ hash16 ──top 10──▶ slot 0..1023

The 16 bits are stored with the job and never rewritten; so the number of slots can be raised by a new index alone.
Never ``hash()``: it differs from process to process.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from hashlib import blake2b

from rota.model.limits import HASH_BITS, SLOT_COUNT

_SHIFT = HASH_BITS - (SLOT_COUNT.bit_length() - 1)


def hash16(key: str | None, token: bytes) -> int:
    """Return the 16 bits that place a job: of its key if it has one, else of its token. The same on every machine."""
    data = token if key is None else key.encode()
    return int.from_bytes(blake2b(data, digest_size=2).digest(), "big")


def hashes16(keys: Sequence[str | None], tokens: Sequence[bytes]) -> Sequence[int]:
    """Return ``hash16`` of many jobs, in order."""
    placed = [token if key is None else key.encode() for key, token in zip(keys, tokens, strict=True)]
    return struct.unpack(f">{len(placed)}H", b"".join([blake2b(data, digest_size=2).digest() for data in placed]))


def slot_of(hash_bits: int) -> int:
    """Return the slot, 0 to 1023, of a stored 16-bit hash."""
    return hash_bits >> _SHIFT


PRIORITY_SHIFT = 52


def place_of(priority: int, seq: int) -> int:
    """Return a job's place in its slot's line as one number, lower first: higher priority, then lower ``seq``.

    Both engines compute the same in SQL. One number, so that a cursor into a line and the news "something may be claimed
    from here on" are one integer, whatever the priorities.
    """
    return ((100 - priority) << PRIORITY_SHIFT) | seq
