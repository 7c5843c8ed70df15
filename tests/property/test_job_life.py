"""The life of jobs as a state machine (``life_machine.py``), on each engine."""

from __future__ import annotations

import pytest
from hypothesis import settings
from hypothesis.stateful import run_state_machine_as_test

from rota.store.port import Store
from rota.store.postgres.store import PostgresStore
from tests.postgres_schemas import empty_schema
from tests.postgres_server import server_or_skip, shared_server
from tests.property.life_machine import JobLife


class JobLifeOnPostgres(JobLife):
    """The same, with keys that get their heads from a stage and not from the submit."""

    def open_store(self) -> Store:
        """Return a store that holds no job."""
        server = shared_server()
        schema = empty_schema(server)
        return self.answer(PostgresStore.open(server.url, clock=self.clock, schema=schema))


def share_of_examples(percent: int) -> settings:
    """Return settings with this share of the examples of the profile that is loaded (see tests/conftest.py)."""
    examples = settings().max_examples * percent // 100
    return settings(max_examples=examples, stateful_step_count=50)


# A failure is made small before it is shown, which takes longer than a test may otherwise.
@pytest.mark.slow(seconds=8)
@pytest.mark.timeout(900)
def test_any_order_of_calls_keeps_what_is_promised_on_sqlite() -> None:
    """Nobody can list the orders in which users, workers and crashes call the store; so they are drawn."""
    run_state_machine_as_test(JobLife, settings=share_of_examples(100))


@pytest.mark.postgres
@pytest.mark.sample
@pytest.mark.slow(seconds=8)
@pytest.mark.timeout(900)
def test_any_order_of_calls_keeps_what_is_promised_on_postgres() -> None:
    """The other engine has other statements for the same promises."""
    server_or_skip()
    run_state_machine_as_test(JobLifeOnPostgres, settings=share_of_examples(12))
