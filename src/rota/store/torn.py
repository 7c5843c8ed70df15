"""Addresses that fell apart, since something in them is not escaped: most often a password.

    postgresql://cook:a/b#c@db/shop     reads as host `cook`, port `a`, path `/b`, and no password

Whoever shows the parts of such an address shows the password. So it is refused, and not shown.
"""

from __future__ import annotations

from typing import Final
from urllib.parse import urlsplit

WHAT_TO_DO: Final = (
    "the store's address falls apart: a character in its user, password or database is one of those that separate the parts "
    "of an address. Nothing was opened. Write / as %2F, # as %23, ? as %3F, @ as %40, : as %3A, [ as %5B, % as %25."
)


def is_torn(url: str) -> bool:
    """Whether the address of a server falls apart into other parts than were meant."""
    try:
        parts = urlsplit(url)
    except ValueError:
        return True
    if parts.fragment or "@" in parts.path or any("=" not in each for each in filter(None, parts.query.split("&"))):
        return True
    return "@" not in parts.netloc and any(map(_has_no_port, parts.netloc.split(",")))


def _has_no_port(host: str) -> bool:
    """Whether what stands where a host's port should be is none."""
    port = host.rpartition("]")[2].partition(":")[2]
    return bool(port) and not port.isdigit()
