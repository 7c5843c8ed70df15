"""Limits that lean on each other."""

from __future__ import annotations

from rota.model import limits


def test_a_number_of_slots_is_a_power_of_two_within_the_stored_bits() -> None:
    """The slot is the top of the stored bits."""
    assert limits.SLOT_COUNT & (limits.SLOT_COUNT - 1) == 0
    assert limits.SLOT_COUNT <= 1 << limits.HASH_BITS


def test_finished_jobs_are_kept_longer_than_a_token_may_be_old() -> None:
    """Else a submission that is sent again could find its job gone, and run it twice."""
    assert limits.RETENTION_DAYS_DEFAULT * 24 * 3_600 * 1_000 > limits.TOKEN_SKEW_MS_MAX


def test_one_settle_can_hold_every_job_of_a_claim() -> None:
    assert limits.SETTLE_JOBS_MAX >= limits.CLAIM_JOBS_MAX


def test_a_key_fits_an_index_row_of_either_engine() -> None:
    assert limits.KEY_BYTES_MAX + limits.NAME_BYTES_MAX < 2_700
