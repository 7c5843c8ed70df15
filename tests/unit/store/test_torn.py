"""An address with a password that was not escaped is refused before anybody shows its parts."""

from __future__ import annotations

import pytest

from rota.app import address
from rota.errors import ConfigError
from rota.store.postgres import connect
from rota.store.torn import is_torn

TORN = [
    "postgresql://cook:sec#ret@db/shop",
    "postgresql://cook:sec/ret@db/shop",
    "postgresql://cook:sec?ret@db/shop",
    "postgresql://cook:1234?secret@db/shop",
    "postgresql://cook:1234/secret@db/shop",
    "postgresql://cook:1234#secret@db/shop",
    "postgresql://cook:sec@re/t@db/shop",
    "postgresql://cook:[secret@db/shop",
]


@pytest.mark.parametrize("url", TORN)
def test_a_password_that_is_not_escaped_is_never_shown(url: str) -> None:
    """What follows the password looks like a host, or its own beginning does: and stands in every log line."""
    for told in (address.without_secrets(url), connect.without_secrets(url)):
        assert told == "postgresql://…"

    for read in (address.read_address, connect.read_url):
        with pytest.raises(ConfigError, match="%2F") as refusal:
            read(url)
        assert not any(part in str(refusal.value) for part in ("sec", "ret", "1234", "cook"))


@pytest.mark.parametrize(
    "url",
    [
        "postgresql:///shop",
        "postgresql:///shop?host=/run/postgresql&user=me@example",
        "postgresql://cook:sec%2Fret%40@db:5432/shop?pooler=transaction",
        "postgresql://cook@[::1]:5432/shop",
        "postgresql://[::1]/shop",
        "postgresql://a:1,b:2/shop",
        "postgresql://cook:pw@a:1,b/shop?target_session_attrs=any",
        "postgres://db",
    ],
)
def test_an_address_that_is_well_is_none_of_them(url: str) -> None:
    assert not is_torn(url)
    assert address.read_address(url).place == url
