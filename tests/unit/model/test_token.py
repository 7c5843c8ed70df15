"""A job's public id."""

from __future__ import annotations

import uuid

import pytest

from rota.errors import InvalidTokenError
from rota.model.token import first_token_at, is_token, token_from_text, token_ms, token_text
from rota.runtime.entropy import build_token

TEXT = "0198c2f1-7b3a-7cc0-8000-3d2f5e6a7b8c"


def test_a_token_is_read_as_it_is_written() -> None:
    assert token_text(token_from_text(TEXT)) == TEXT
    assert token_text(token_from_text(TEXT)) == str(uuid.UUID(TEXT))


@pytest.mark.parametrize("text", [TEXT.upper(), TEXT.replace("-", ""), f"  {TEXT}\n"])
def test_a_token_is_read_however_it_was_copied(text: str) -> None:
    """People copy tokens out of logs, URLs and spreadsheets."""
    assert token_from_text(text) == token_from_text(TEXT)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "mitte",
        TEXT[:-1],
        TEXT + "0",
        "0198c2f1-7b3a-4cc0-8000-3d2f5e6a7b8c",  # version 4
        "0198c2f1-7b3a-7cc0-c000-3d2f5e6a7b8c",  # another variant
        "g198c2f1-7b3a-7cc0-8000-3d2f5e6a7b8c",
        "é" * 32,
    ],
)
def test_what_is_no_token_is_refused_with_its_text(text: str) -> None:
    with pytest.raises(InvalidTokenError) as caught:
        token_from_text(text)

    assert repr(text) in caught.value.message


def test_a_token_tells_when_it_was_made() -> None:
    assert token_ms(build_token(1_764_064_321_123, 5)) == 1_764_064_321_123


def test_the_first_token_of_a_millisecond_is_below_all_others_and_above_the_one_before() -> None:
    """Ranges by age rely on it: what is pruned, and which partition a token is in."""
    lowest, highest = build_token(1_000, 0), build_token(1_000, (1 << 74) - 1)

    assert is_token(first_token_at(1_000))
    assert build_token(999, (1 << 74) - 1) < first_token_at(1_000) <= lowest < highest < first_token_at(1_001)
    assert token_ms(first_token_at(-5)) == 0


@pytest.mark.parametrize("token", [b"", b"\0" * 16, uuid.UUID(int=0).bytes, b"x" * 17])
def test_other_bytes_are_no_token(token: bytes) -> None:
    assert not is_token(token)
