"""PgBouncer in transaction mode, before a server: from the installed binary, as a direct child with dropped rights."""

from __future__ import annotations

import contextlib
import os
import pwd
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from scripts.postgres_server import reserved_port

_PLACES = ("/usr/sbin/pgbouncer", "/usr/local/bin/pgbouncer", "/usr/bin/pgbouncer")
_START_SECONDS_MAX = 60.0


@contextlib.contextmanager
def pgbouncer_before(url: str, *, servers_max: int = 3, ignored: str = "") -> Iterator[str]:
    """Start a pooler before a server; yield the server's URL with the pooler in between.

    Args:
        url: The server.
        servers_max: Back ends that all clients share.
        ignored: Startup parameters that it swallows instead of refusing them.
    """
    parts = urlsplit(url)
    home = Path(tempfile.mkdtemp(prefix="rota-pgbouncer-"))
    kept = reserved_port()
    port = kept.getsockname()[1]
    (home / "users").write_text(f'"{parts.username}" ""\n')
    (home / "settings").write_text(
        "[databases]\n"
        f"* = host={parts.hostname} port={parts.port}\n"
        "[pgbouncer]\n"
        f"listen_addr = 127.0.0.1\nlisten_port = {port}\nunix_socket_dir =\n"
        f"auth_type = trust\nauth_file = {home}/users\n"
        "pool_mode = transaction\nmax_client_conn = 500\n"
        f"default_pool_size = {servers_max}\nignore_startup_parameters = {ignored}\n"
        "log_connections = 0\nlog_disconnections = 0\n"
    )
    if (user := _user()) is not None:
        for path in (home, *home.iterdir()):
            shutil.chown(path, user)
    with (home / "log").open("wb") as log:
        process = subprocess.Popen(
            [_binary(), str(home / "settings")],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            user=user,
            extra_groups=[] if user is not None else None,
        )
    try:
        _wait_until_it_answers(process, port, home / "log")
        yield url.replace(f":{parts.port}", f":{port}", 1)
    finally:
        # It has nothing to save, and newer ones wait for their clients when they are asked to end.
        process.kill()
        process.wait()
        kept.close()
        shutil.rmtree(home, ignore_errors=True)


def pgbouncer_or_skip() -> None:
    """Without the binary the test is skipped loudly, and in CI it fails."""
    with contextlib.suppress(FileNotFoundError):
        _binary()
        return
    says = "tests behind a pooler were NOT run: PgBouncer is not installed."
    if os.environ.get("CI"):
        pytest.fail(says)
    pytest.skip(says)


def _binary() -> str:
    found = shutil.which("pgbouncer") or next((place for place in _PLACES if os.access(place, os.X_OK)), None)
    if found is None:
        raise FileNotFoundError("pgbouncer")
    return found


def _wait_until_it_answers(process: subprocess.Popen[bytes], port: int, log: Path) -> None:
    deadline = time.monotonic() + _START_SECONDS_MAX
    while True:
        try:
            socket.create_connection(("127.0.0.1", port), 1.0).close()
        except OSError:
            if process.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError(f"PgBouncer did not start: {log.read_text()[-2_000:]}") from None
            time.sleep(0.01)
        else:
            return


def _user() -> str | None:
    """Whose rights it runs with: it refuses those of root."""
    if os.geteuid() != 0:
        return None
    names = {entry.pw_name for entry in pwd.getpwall()}
    return "postgres" if "postgres" in names else "nobody"
