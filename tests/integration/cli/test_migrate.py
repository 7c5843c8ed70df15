"""`rota migrate` and `rota doctor` on PostgreSQL, as they are typed."""

from __future__ import annotations

import pytest

from tests.integration.cli.shop import Folder
from tests.postgres_server import PostgresServer, server_or_skip

pytestmark = pytest.mark.postgres

STEPS = ["001_first", "functions"]


@pytest.fixture
def server() -> PostgresServer:
    """A real server."""
    return server_or_skip()


def test_a_schema_is_planned_printed_made_and_looked_over(empty: Folder, server: PostgresServer) -> None:
    """What somebody types who has been given an empty database."""
    schema = server.fresh_schema()
    place = {"ROTA_STORE": server.url, "ROTA_SCHEMA": schema}

    planned = empty.rota("migrate", "--dry-run", "--json", **place)
    printed = empty.rota("migrate", "--sql", **place)
    refused = empty.rota("queues", **place)
    done = empty.rota("migrate", "--json", **place)
    again = empty.rota("migrate", **place)
    doctor = empty.rota("doctor", **place)
    warned = empty.rota("doctor", "--json", **place, ROTA_ON_STORE_LOSS="run")

    assert planned.object["pending"] == STEPS
    assert f'CREATE SCHEMA "{schema}"' in printed.out
    assert (refused.code, "Run `rota migrate`" in refused.err) == (78, True)
    assert done.object["applied"] == STEPS
    assert again.out.endswith("is up to date.\n")
    assert (doctor.code, "version 1, functions" in doctor.out) == (0, True)
    (weaker,) = [one for one in warned.objects if one["check"] == "store loss"]
    assert weaker["level"] == "warning"
    assert "stop their workers before others start their jobs" in doctor.out
