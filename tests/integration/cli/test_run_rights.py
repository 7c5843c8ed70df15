"""`rota run` as a PostgreSQL role that may not do what a node does."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from rota.store.postgres.migrate import migrate
from rota.store.postgres.rights import grants
from tests.integration.cli.shop import ROTA, Folder, WarmRota
from tests.postgres.test_privileges import Roles, two_roles
from tests.postgres_server import server_or_skip

pytestmark = pytest.mark.postgres

PATIENCE_S = 60


def run(folder: Folder, roles: Roles) -> tuple[int, str]:
    """Type it as the role that works; return its exit code, and what it said. One that goes on is killed."""
    ended = subprocess.run(
        [ROTA, "run", "shop:app", "--store", roles.url(roles.worker)],
        cwd=folder.path,
        env=folder.environment | {"ROTA_SCHEMA": roles.schema, "TMPDIR": str(folder.path)},
        capture_output=True,
        text=True,
        timeout=PATIENCE_S,
        check=False,
    )
    return ended.returncode, ended.stderr


@pytest.mark.parametrize(
    ("gives", "lacks"),
    [
        ("GRANT SELECT ON ALL TABLES IN SCHEMA {schema} TO {worker}", "INSERT, UPDATE, DELETE on table claims; "),
        ("{all}; REVOKE INSERT ON {schema}.nodes FROM {worker}", "it lacks INSERT on table nodes."),
    ],
    ids=["may only look", "lacks one right"],
)
async def test_a_role_that_may_not_work_is_told_what_it_lacks(
    tmp_path: Path, warm: WarmRota, gives: str, lacks: str
) -> None:
    """Once, with the statement to type, and before there are processes: none of them could ever do anything."""
    folder = Folder(tmp_path, warm)
    folder.write_app()
    async with two_roles(server_or_skip()) as roles:
        await migrate(roles.url(roles.owner), schema=roles.schema)
        say = gives.format(schema=roles.schema, worker=roles.worker, all=grants(roles.schema, roles.worker))
        await roles.as_owner(f"GRANT USAGE ON SCHEMA {roles.schema} TO {roles.worker}; {say}")

        code, said = run(folder, roles)

        assert await roles.look.fetchval(f"SELECT count(*) FROM {roles.schema}.nodes") == 0
    assert code == 69
    assert lacks in said
    assert "Nothing was written" in said
    assert grants(roles.schema, roles.worker) in said
    assert len(said.splitlines()) == 2  # The second is of --store, which is not the app's own.
