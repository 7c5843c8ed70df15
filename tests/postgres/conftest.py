"""The server that these tests share, and a bakery on it."""

from __future__ import annotations

import pytest

from tests.postgres.bakery import Opener, made_schema, open_bakery
from tests.postgres_server import PostgresServer, server_or_skip


@pytest.fixture
def server() -> PostgresServer:
    """A real PostgreSQL server; without one the test is skipped loudly, and in CI it fails."""
    return server_or_skip()


@pytest.fixture(scope="module")
def bakery_schema() -> str:
    """A schema for the bakeries of one file: to make it takes longer than a test."""
    return made_schema(server_or_skip())


@pytest.fixture
def bakery(server: PostgresServer, bakery_schema: str) -> Opener:
    """A bakery to be opened in the test's own loop."""
    return lambda **settings: open_bakery(server, bakery_schema, **settings)
