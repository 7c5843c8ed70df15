"""Hosts with a network of their own, on this machine: each in a network namespace, with one wire to where the server listens.

    namespace of "one"  eth0 10.x.y.2 ━━ 10.x.y.1 rota…0 ┐
                                                         ├ this namespace: the server, the test
    namespace of "two"  eth0 10.x.y.6 ━━ 10.x.y.5 rota…1 ┘

A wire that is cut loses packets without a word to either end: no reset, no refusal, as when somebody pulls a plug. The hosts do
not reach each other, nor anything else. All names have a suffix of their own; what was made is removed at the end, and nothing
else.
"""

from __future__ import annotations

import contextlib
import os
import secrets
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

import pytest

End = Literal["server", "host"]


@dataclass(frozen=True)
class Wire:
    """The wire of one host.

    Attributes:
        namespace: Name of the host's network namespace.
        link: Name of the end of the wire that is in this namespace.
        server_ip: Where the host finds the server.
        host_ip: The host's own address.
    """

    namespace: str
    link: str
    server_ip: str
    host_ip: str

    @property
    def inside(self) -> tuple[str, ...]:
        """What to put before a command that is to run on the host. It becomes the command, and not its parent."""
        return ("ip", "netns", "exec", self.namespace)

    def cut(self, end: End) -> None:
        """Pull the plug at this end: from the server's the host sees silence, from its own that it has no network."""
        self._turn(end, "down")

    def mend(self, end: End) -> None:
        """Put it in again."""
        self._turn(end, "up")

    def _turn(self, end: End, state: str) -> None:
        if end == "server":
            ip("link", "set", self.link, state)
        else:
            ip("-n", self.namespace, "link", "set", "eth0", state)


@contextlib.contextmanager
def wires_or_skip(count: int) -> Iterator[list[Wire]]:
    """Make so many hosts, for as long as the block lasts; without the rights the test is skipped loudly."""
    suffix, net = secrets.token_hex(3), _free_net()
    wires = [
        Wire(f"rota-{suffix}-{number}", f"rota{suffix}{number}", f"{net}.{4 * number + 1}", f"{net}.{4 * number + 2}")
        for number in range(count)
    ]
    with contextlib.ExitStack() as stack:
        for wire in wires:
            _make(wire, stack)
        yield wires


def _make(wire: Wire, stack: contextlib.ExitStack) -> None:
    try:
        ip("netns", "add", wire.namespace)
        stack.callback(ip, "netns", "del", wire.namespace)
        ip("link", "add", wire.link, "type", "veth", "peer", "name", "eth0", "netns", wire.namespace)
        stack.callback(ip, "link", "del", wire.link)
    except subprocess.CalledProcessError as error:
        pytest.skip(f"NOT run: no rights to make a network namespace: {error.stderr.strip()}")
    ip("addr", "add", f"{wire.server_ip}/30", "dev", wire.link)
    ip("link", "set", wire.link, "up")
    ip("-n", wire.namespace, "addr", "add", f"{wire.host_ip}/30", "dev", "eth0")
    for link in ("lo", "eth0"):
        ip("-n", wire.namespace, "link", "set", link, "up")


def _free_net() -> str:
    """Return the first three bytes of a private net that this machine has no way to but the default one."""
    if os.geteuid() != 0 or shutil.which("ip") is None:
        pytest.skip("NOT run: network namespaces need root and `ip` (on Debian and Ubuntu: apt-get install iproute2)")
    while True:
        net = f"10.{128 + secrets.randbelow(128)}.{secrets.randbelow(256)}"
        if not ip("-4", "route", "show", "root", f"{net}.0/24"):
            return net


def ip(*arguments: str) -> str:
    """Run `ip` and return what it says.

    Raises:
        subprocess.CalledProcessError: It failed.
    """
    return subprocess.run(["ip", *arguments], check=True, capture_output=True, text=True).stdout
