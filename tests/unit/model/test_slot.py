"""From a key to its slot, and a job's place in its slot's line."""

from __future__ import annotations

from collections import Counter

import pytest

from rota.model.limits import HASH_BITS, PRIORITY_MAX, PRIORITY_MIN, SLOT_COUNT
from rota.model.slot import hash16, hashes16, place_of, slot_of

TOKEN = bytes.fromhex("0198c2f17b3a7cc080003d2f5e6a7b8c")


@pytest.mark.parametrize(
    ("key", "bits"), [("mitte", 0x1C7E), ("", 0xB1FE), ("köln", 0xA759), ("東京", 0x8DE8), (None, 0x9AE2)]
)
def test_a_key_has_the_same_bits_on_every_machine(key: str | None, bits: int) -> None:
    """They are stored with the job; another release or language must find the same slot. Taken from ``b2sum -l 16``."""
    assert hash16(key, TOKEN) == bits


def test_a_job_without_a_key_is_placed_by_its_token() -> None:
    assert hash16(None, TOKEN) != hash16(None, TOKEN[:-1] + b"\0")
    assert hash16("mitte", TOKEN) == hash16("mitte", b"\0" * 16)


def test_a_batch_is_placed_as_its_jobs_one_by_one() -> None:
    assert list(hashes16(["mitte", None, "köln"], [TOKEN] * 3)) == [
        hash16(key, TOKEN) for key in ("mitte", None, "köln")
    ]


def test_a_slot_is_the_top_of_the_bits() -> None:
    """So that the number of slots can be doubled without touching a row: one slot becomes two neighbours."""
    assert slot_of(0) == 0
    assert slot_of((1 << HASH_BITS) - 1) == SLOT_COUNT - 1
    assert {slot_of(bits) for bits in range(1 << HASH_BITS)} == set(range(SLOT_COUNT))


def test_keys_spread_evenly_over_the_slots() -> None:
    counts = Counter(slot_of(hash16(f"customer-{number}", b"")) for number in range(64 * SLOT_COUNT))

    assert len(counts) == SLOT_COUNT
    assert max(counts.values()) < 64 + 6 * 8
    assert min(counts.values()) > 64 - 6 * 8


def test_a_higher_priority_comes_first_whatever_the_number() -> None:
    """One integer is a whole place in line, so that a cursor is one integer."""
    assert place_of(1, 1 << 51) < place_of(0, 1)
    assert place_of(0, 1) < place_of(0, 2)


def test_every_place_fits_a_signed_64_bit_column() -> None:
    assert place_of(PRIORITY_MAX, 0) >= 0
    assert place_of(PRIORITY_MIN, (1 << 52) - 1) < 1 << 63
