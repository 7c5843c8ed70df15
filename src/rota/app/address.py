"""Where a store is: from what a user writes to an engine and what it opens.

shop.db · /var/lib/shop.db · sqlite:///shop.db · :memory:      SQLite, a file on this host
postgresql://user@host/database · postgres://…                 PostgreSQL
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from urllib.parse import unquote, urlsplit

from rota.errors import ConfigError, UnsupportedStoreError
from rota.model.near import closest
from rota.store.torn import WHAT_TO_DO, is_torn

SQLITE = "sqlite"
POSTGRES = "postgres"
MEMORY = ":memory:"
_SCHEMES = {"sqlite": SQLITE, "postgresql": POSTGRES, "postgres": POSTGRES}


@dataclass(frozen=True, slots=True)
class Address:
    """Where a store is.

    Attributes:
        engine: ``sqlite`` or ``postgres``.
        place: A path, ``:memory:``, or a PostgreSQL URL.
    """

    engine: str
    place: str

    @property
    def is_in_memory(self) -> bool:
        """Whether it lives and dies with its process."""
        return self.place == MEMORY

    @property
    def has_leases(self) -> bool:
        """Whether nodes prove by leases that they live, since hosts share it; else locks of this host's kernel are enough."""
        return self.engine != SQLITE

    def absolute(self) -> str:
        """Return it so that it means the same in every folder. Holds the password, if there is one."""
        if self.engine == SQLITE and not self.is_in_memory:
            return str(Path(self.place).absolute())
        return self.place


def read_address(text: str | Path) -> Address:
    """Return what a path or URL means.

    Raises:
        ConfigError: Empty, a SQLite URL without a path, or a PostgreSQL URL in which something is not escaped.
        UnsupportedStoreError: A scheme that there is no engine for.
    """
    written = str(text).strip()
    if not written:
        raise ConfigError("the store's address is empty. Give a path such as shop.db, or a postgresql:// URL.")
    if "\0" in written:
        raise ConfigError(f"the store's address {written!r} holds a NUL character. Take it out.")
    scheme, separator, rest = written.partition("://")
    if not separator:
        return Address(SQLITE, MEMORY if written == MEMORY else str(Path(written).expanduser()))
    engine = _SCHEMES.get(scheme.lower())
    if engine is None:
        raise UnsupportedStoreError(
            f"{scheme}:// is no store that rota knows{closest(scheme, _SCHEMES)}. Give a path such as shop.db "
            "(SQLite), or a postgresql:// URL.",
            scheme=scheme,
        )
    if engine == POSTGRES:
        if is_torn(written):
            raise ConfigError(WHAT_TO_DO)
        return Address(POSTGRES, written)
    path = unquote(rest.partition("?")[0])
    if path in (MEMORY, f"/{MEMORY}", "", "/"):
        if path in ("", "/"):
            raise ConfigError(
                f"{written} names no file. Write sqlite:///shop.db, or sqlite:////var/lib/shop.db, or a path."
            )
        return Address(SQLITE, MEMORY)
    if not path.startswith("/"):
        raise ConfigError(
            f"{written} has two slashes, so {path.partition('/')[0]!r} would be a host, and SQLite has none. Write "
            f"sqlite:///{path} for a file in this folder, or just {path}.",
        )
    return Address(SQLITE, path[1:])


def without_secrets(url: str) -> str:
    """Return a URL for people and logs: without its password, wherever that stands. Several hosts are kept as they are."""
    scheme, _, rest = url.partition("://")
    if rest and _SCHEMES.get(scheme.lower()) == POSTGRES and is_torn(url):
        return f"{scheme}://…"
    parts = urlsplit(url)
    hosts = parts.netloc
    if parts.password:
        user = f"{parts.username}:…@" if parts.username else ""
        hosts = user + parts.netloc.rpartition("@")[2]
    asked = "&".join(each for each in parts.query.split("&") if "password=" not in each.lower())
    if hosts == parts.netloc and asked == parts.query:
        return url
    return parts._replace(netloc=hosts, query=asked).geturl()
