"""Where a setting comes from, and what a wrong one says."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from rota import Rota
from rota.app.address import Address, read_address, without_secrets
from rota.app.config import Config, load_config
from rota.errors import ConfigError, LimitError, UnsupportedStoreError


def load(folder: Path, options: dict[str, Any] | None = None, **environ: str) -> Config:
    """Return the settings that hold in a folder under an environment."""
    return load_config(options or {}, environ, folder)


def test_without_any_word_the_defaults_hold(tmp_path: Path) -> None:
    """A newcomer needs no configuration: durable, seven days, ./rota.db."""
    config = load(tmp_path)

    assert config == Config()
    assert (config.store, config.durability, config.retention_days) == ("rota.db", "full", 7.0)


def test_the_nearer_word_wins(tmp_path: Path) -> None:
    """Option, then environment, then rota.toml, then pyproject.toml: setting by setting."""
    (tmp_path / "pyproject.toml").write_text('[tool.rota]\nstore = "pyproject.db"\nretention_days = 9\n')
    assert load(tmp_path) == Config(store="pyproject.db", retention_days=9)

    (tmp_path / "rota.toml").write_text('store = "toml.db"\nbusy_timeout_ms = 500\n')
    assert load(tmp_path) == Config(store="toml.db", busy_timeout_ms=500)

    assert load(tmp_path, ROTA_STORE="environment.db").store == "environment.db"
    assert load(tmp_path, ROTA_STORE="environment.db").busy_timeout_ms == 500
    assert load(tmp_path, {"store": "option.db"}, ROTA_STORE="environment.db").store == "option.db"
    assert load(tmp_path, {"store": None}, ROTA_STORE="environment.db").store == "environment.db"


def test_a_pyproject_of_somebody_else_says_nothing(tmp_path: Path) -> None:
    """Most projects have one without a word about rota."""
    (tmp_path / "pyproject.toml").write_text('[project]\nname = "shop"\n')

    assert load(tmp_path) == Config()


def test_a_secret_is_read_from_a_file(tmp_path: Path) -> None:
    """Container platforms hand passwords over as files."""
    secret = tmp_path / "secret"
    secret.write_text("postgresql://shop:pw@db/shop\n")

    assert load(tmp_path, ROTA_STORE_FILE=str(secret)).store == "postgresql://shop:pw@db/shop"
    assert load(tmp_path, ROTA_STORE="a.db", ROTA_STORE_FILE=str(secret)).store == "a.db"
    with pytest.raises(ConfigError, match=r"ROTA_STORE_FILE names .*nowhere, which cannot be read"):
        load(tmp_path, ROTA_STORE_FILE=str(tmp_path / "nowhere"))


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ('stor = "shop.db"', "sets 'stor', which is no setting (did you mean 'store'?)"),
        ("retention_days = 1", "retention_days in rota.toml is 1; 2 to 3,660 days"),
        ('retention_days = "long"', "a number is needed"),
        ('durability = "none"', "it can be 'full', 'normal' or 'off'"),
        ("payload_bytes_max = 99999999999", "a whole number from 1,024 to 16,777,216"),
        ("payload_bytes_max = 2000.5", "a whole number"),
        ("busy_timeout_ms = true", "a number is needed"),
        ("store = 5", "text is needed"),
        ('store = ""', "text is needed"),
        ("store = shop.db", "cannot be read"),
        ("lease_ms = 2999", "lease_ms in rota.toml is 2.999 s; 3 s to 60 min are needed"),
        ("lease_ms = 3600001", "3 s to 60 min are needed"),
        ('on_store_loss = "wait"', "it can be 'stop' or 'run'"),
        ('lease_dsn = "db.example:5432"', "lease_dsn in rota.toml is no postgresql:// address"),
        (f'schema = "{"é" * 32}"', "at most 63 bytes as a schema's name"),
        ('schema = "pg_jobs"', "keeps those that begin with pg_ for itself"),
    ],
)
def test_a_wrong_setting_says_where_it_stands(tmp_path: Path, text: str, says: str) -> None:
    """The reader should find the line without searching."""
    (tmp_path / "rota.toml").write_text(text)

    with pytest.raises(ConfigError) as caught:
        load(tmp_path)

    assert says in str(caught.value)


def test_a_scheme_is_read_in_any_case(tmp_path: Path) -> None:
    """As that of the store's own address is."""
    assert load(tmp_path, ROTA_LEASE_DSN="POSTGRESQL://db/shop").lease_dsn == "POSTGRESQL://db/shop"


def test_a_wrong_variable_is_named(tmp_path: Path) -> None:
    """It may have been set far away from here."""
    with pytest.raises(ConfigError, match="ROTA_WAITING_MAX is 'many'; a number is needed"):
        load(tmp_path, ROTA_WAITING_MAX="many")


def test_lengths_of_time_are_taken_as_such(tmp_path: Path) -> None:
    """In code one writes timedelta; a bare number is seconds, as everywhere."""
    options = {"busy_timeout_ms": timedelta(seconds=3), "retention_days": timedelta(days=30)}

    assert load(tmp_path, options) == Config(busy_timeout_ms=3_000, retention_days=30)
    with pytest.raises(ConfigError, match=r"Rota\(retention=…\) is 0\.0003472 days; 2 to .* write timedelta\(days=…\)"):
        Rota(retention=30).config  # noqa: B018 - reading it is what refuses
    assert Rota(lease=timedelta(seconds=30)).config.lease_ms == 30_000
    assert Rota(lease=3).config.lease_ms == 3_000
    with pytest.raises(ConfigError, match=r"Rota\(lease=…\) is 2 s; 3 s to"):
        Rota(lease=2).config  # noqa: B018 - reading it is what refuses
    assert Rota(busy_timeout=3, retention=timedelta(days=30), store="a.db").config.busy_timeout_ms == 3_000
    with pytest.raises(LimitError, match="busy_timeout=-1 is outside"):
        Rota(busy_timeout=-1)


def test_nothing_is_read_before_it_is_needed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A module that defines an app must be importable where its settings are not."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "rota.toml").write_text("nonsense")

    app = Rota()

    with pytest.raises(ConfigError):
        _ = app.config


@pytest.mark.parametrize(
    ("text", "address"),
    [
        ("shop.db", Address("sqlite", "shop.db")),
        (Path("/srv/shop.db"), Address("sqlite", "/srv/shop.db")),
        ("sqlite:///shop.db", Address("sqlite", "shop.db")),
        ("sqlite:////srv/a%20b.db", Address("sqlite", "/srv/a b.db")),
        (":memory:", Address("sqlite", ":memory:")),
        ("sqlite://:memory:", Address("sqlite", ":memory:")),
        ("sqlite:///:memory:", Address("sqlite", ":memory:")),
        ("postgresql://shop@db/shop", Address("postgres", "postgresql://shop@db/shop")),
        ("postgres://shop@db/shop", Address("postgres", "postgres://shop@db/shop")),
    ],
)
def test_an_address_means_an_engine_and_a_place(text: str | Path, address: Address) -> None:
    """A path is SQLite; a URL says which."""
    assert read_address(text) == address


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "the store's address is empty"),
        ("sqlite://shop.db", "write sqlite:///shop.db"),
        ("sqlite:///", "names no file"),
        ("mysql://db/shop", "mysql:// is no store that rota knows"),
        ("postgre://db/shop", "did you mean 'postgres'?"),
        ("redis://db", "Give a path such as shop.db"),
        ("shop\0.db", "holds a NUL character"),
    ],
)
def test_an_address_that_means_nothing_says_what_to_write(text: str, says: str) -> None:
    """Most are typing mistakes."""
    with pytest.raises((ConfigError, UnsupportedStoreError)) as caught:
        read_address(text)

    assert says.lower() in str(caught.value).lower()


def test_an_address_is_told_without_its_password() -> None:
    """It ends up in logs."""
    assert without_secrets("postgresql://shop:pw@db:5432/shop?a=b") == "postgresql://shop:…@db:5432/shop?a=b"
    assert without_secrets("postgresql://shop:pw@a:1,b:2/shop?x=y") == "postgresql://shop:…@a:1,b:2/shop?x=y"
    assert without_secrets("postgresql://db/shop?password=pw&x=y") == "postgresql://db/shop?x=y"
    assert without_secrets("shop.db") == "shop.db"
    assert Rota("postgresql://shop:pw@db/shop").store_url == "postgresql://shop:…@db/shop"
