"""A supervisor that takes itself to be on a host of its own: the real one, but for who it says that it is."""

from __future__ import annotations

import os

import pytest

from rota.app import node_main
from rota.node.identity import Identity, own_identity

HOST = "ROTA_TEST_HOST"


def _identity_here() -> Identity:
    me = own_identity()
    return Identity(f"{me.boot}-{os.environ[HOST]}", me.space, me.pid, me.started)


def main() -> int:
    """Run a node's supervisor; return the exit code."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("rota.node.supervisor.own_identity", _identity_here)
        return node_main.main()
