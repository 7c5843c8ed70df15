"""The PostgreSQL engine: many machines, one URL."""

from rota.store.postgres.migrate import migrate
from rota.store.postgres.store import PostgresStore

__all__ = ["PostgresStore", "migrate"]
