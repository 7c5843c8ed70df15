"""The server that these tests share."""

from __future__ import annotations

import pytest

from tests.postgres_server import PostgresServer, server_or_skip


@pytest.fixture
def server() -> PostgresServer:
    """A real PostgreSQL server; without one the test is skipped loudly, and in CI it fails."""
    return server_or_skip()
