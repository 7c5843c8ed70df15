"""A job's public id: a UUIDv7, carried inside rota as its 16 bytes.

Bytes and not ``uuid.UUID``: a worker handles a hundred thousand a second, and building the object costs more than
anything else that is done with it. People see the usual 36 characters.

Source:
    RFC 9562, section 5.7.
"""

from __future__ import annotations

import binascii
from typing import NewType

from rota.errors import InvalidTokenError

TokenBytes = NewType("TokenBytes", bytes)
"""The 16 bytes of a UUIDv7."""


def token_text(token: bytes) -> str:
    """Return the token as people see it: 36 characters, lower case."""
    digits = token.hex()
    return f"{digits[:8]}-{digits[8:12]}-{digits[12:16]}-{digits[16:20]}-{digits[20:]}"


def token_from_text(text: str) -> TokenBytes:
    """Read a token, with or without hyphens, in either case.

    Raises:
        InvalidTokenError: If it is not a UUIDv7.
    """
    digits = text.strip().replace("-", "")
    try:
        token = binascii.unhexlify(digits) if len(digits) == 32 else b""
    except (binascii.Error, ValueError):
        token = b""
    if not is_token(token):
        raise InvalidTokenError(
            f"{text!r} is not a token: a token is a UUID of version 7, such as "
            "0198c2f1-7b3a-7cc0-8000-3d2f5e6a7b8c. Copy it whole, as `submit` returned it.",
            value=text,
        )
    return TokenBytes(token)


def is_token(token: bytes) -> bool:
    """Whether these bytes are a UUIDv7."""
    return len(token) == 16 and token[6] >> 4 == 7 and token[8] >> 6 == 2


def token_ms(token: bytes) -> int:
    """Return when the token was made: milliseconds since 1970, by its maker's clock."""
    return int.from_bytes(token[:6], "big")


def first_token_at(ms: int) -> TokenBytes:
    """Return the lowest token that could have been made at this millisecond, for range scans by age."""
    return TokenBytes(max(ms, 0).to_bytes(6, "big") + b"\x70\x00\x80" + b"\x00" * 7)
