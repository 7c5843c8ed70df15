"""A PostgreSQL server for tests: the one that ``ROTA_TEST_POSTGRES`` names, else one started from installed binaries.

    initdb (once a process) ──▶ postgres as a direct child, with dropped rights ──▶ one schema a test

Started as a child and not through ``pg_ctl``: a test that kills the server can then reap it and start it again.
"""

from __future__ import annotations

import asyncio
import atexit
import ctypes
import functools
import itertools
import os
import pwd
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Coroutine
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import asyncpg

_BINARIES = Path("/usr/lib/postgresql")
_PR_SET_PDEATHSIG = 1
_START_SECONDS_MAX = 30.0


class NoServerError(RuntimeError):
    """There is neither a server to use nor one to start."""


class PostgresServer:
    """A running server.

    Attributes:
        url: Where it is, as its superuser, with a database that may be filled.
    """

    def __init__(self, url: str, home: Path | None = None, arguments: list[str] | None = None) -> None:
        self.url = url
        self._home = home
        self._arguments = arguments or []
        self._process: subprocess.Popen[bytes] | None = None
        self._numbers = itertools.count(1)
        self._schemas: list[str] = []

    @property
    def pid(self) -> int | None:
        """The postmaster's process id; ``None`` for a server that is not ours, or not running."""
        return self._process.pid if self._process else None

    def start(self) -> None:
        """Start it, and return when it answers."""
        if self._home is None:
            return
        with (self._home / "log").open("ab") as log:
            self._process = subprocess.Popen(
                self._arguments,
                cwd=self._home,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                user=_user(),
                group=_group(),
                extra_groups=[] if os.geteuid() == 0 else None,
                preexec_fn=_die_with_parent,  # noqa: PLW1509  (so that a killed test run leaves no server behind)
            )
        deadline = time.monotonic() + _START_SECONDS_MAX
        while True:
            try:
                _run(_answers(self.url))
            except (OSError, asyncpg.PostgresError, asyncpg.InterfaceError):
                if self._process.poll() is not None or time.monotonic() > deadline:
                    raise NoServerError((self._home / "log").read_text()[-2_000:]) from None
                time.sleep(0.02)
            else:
                return

    def kill(self) -> None:
        """End the postmaster with SIGKILL and reap it. ``start`` brings it back with its data."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None

    def stop(self) -> None:
        """End it and remove its data; of a server that is not ours, only the schemas that were handed out."""
        if self._home is None:
            if self._schemas:
                _run(_drop(self.url, self._schemas))
                self._schemas = []
            return
        if self._process is not None:
            self._process.send_signal(signal.SIGINT)
            try:
                self._process.wait(20)
            except subprocess.TimeoutExpired:
                self.kill()
            self._process = None
        shutil.rmtree(self._home, ignore_errors=True)

    def fresh_schema(self) -> str:
        """Return a schema name that nobody has used; ``migrate(url, schema=…)`` makes it."""
        name = f"rota_{os.getpid()}_{next(self._numbers)}"
        self._schemas.append(name)
        return name


def start_server(*, is_durable: bool = True, settings: dict[str, str] | None = None) -> PostgresServer:
    """Return a running server: the one of ``ROTA_TEST_POSTGRES``, else a new one.

    Args:
        is_durable: Whether commits reach the disk. Without it `rota doctor` calls the server unsafe.
        settings: More server settings, by name. Ignored for a server that is not ours.

    Raises:
        NoServerError: If there is none.
    """
    url = os.environ.get("ROTA_TEST_POSTGRES")
    if url:
        return PostgresServer(url)
    binaries = _find_binaries()
    home = Path(tempfile.mkdtemp(prefix="rota-postgres-"))
    data = home / "data"
    user = _user()
    if user is not None:
        shutil.chown(home, user)
    port = _free_port()
    _initdb(binaries, data)
    chosen = {
        "listen_addresses": "127.0.0.1",
        "port": str(port),
        "unix_socket_directories": str(home),
        "fsync": "on" if is_durable else "off",
        "max_connections": "200",
        "shared_buffers": "128MB",
        "max_wal_size": "2GB",
        "log_min_messages": "warning",
        **(settings or {}),
    }
    arguments = [str(binaries / "postgres"), "-D", str(data)]
    for name, value in chosen.items():
        arguments += ["-c", f"{name}={value}"]
    server = PostgresServer(f"postgresql://postgres@127.0.0.1:{port}/postgres", home, arguments)
    try:
        server.start()
    except BaseException:
        server.stop()
        raise
    return server


@functools.cache
def shared_server() -> PostgresServer:
    """Return the one server of this process, which ends with it.

    Raises:
        NoServerError: If there is none.
    """
    server = start_server()
    atexit.register(server.stop)
    return server


def server_or_skip() -> PostgresServer:
    """Return the shared server for a fixture; without one the test is skipped loudly, and in CI it fails."""
    import pytest

    try:
        return shared_server()
    except NoServerError as problem:
        says = f"PostgreSQL tests were NOT run: {problem}"
        if os.environ.get("CI"):
            pytest.fail(says)
        pytest.skip(says)


def _find_binaries() -> Path:
    found = sorted(_BINARIES.glob("*/bin/postgres"), key=lambda path: float(path.parts[-3]))
    if found:
        return found[-1].parent
    on_path = shutil.which("postgres")
    if on_path:
        return Path(on_path).parent
    raise NoServerError("no server binaries are installed, and ROTA_TEST_POSTGRES is not set.")


def _initdb(binaries: Path, data: Path) -> None:
    command = [str(binaries / "initdb"), "-D", str(data), "-U", "postgres", "--auth=trust", "--no-sync", "-E", "UTF8"]
    made = subprocess.run(
        [*command, "--locale=C"],
        cwd=data.parent,
        check=False,
        capture_output=True,
        text=True,
        user=_user(),
        group=_group(),
        extra_groups=[] if os.geteuid() == 0 else None,
    )
    if made.returncode != 0:
        raise NoServerError(f"initdb failed: {made.stderr[-2_000:]}")


def _user() -> str | None:
    """Whose rights the server runs with: it refuses those of root."""
    if os.geteuid() != 0:
        return None
    names = {entry.pw_name for entry in pwd.getpwall()}
    return "postgres" if "postgres" in names else "nobody"


def _group() -> int | None:
    user = _user()
    return pwd.getpwnam(user).pw_gid if user else None


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _die_with_parent() -> None:
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGINT)


def _run(work: Coroutine[Any, Any, None]) -> None:
    """Run a coroutine to its end in a thread of its own: the caller may have a loop that is running."""
    with ThreadPoolExecutor(1) as pool:
        pool.submit(asyncio.run, work).result()


async def _answers(url: str) -> None:
    connection = await asyncpg.connect(url, timeout=5)
    await connection.close()


async def _drop(url: str, schemas: list[str]) -> None:
    connection = await asyncpg.connect(url)
    try:
        for schema in schemas:
            await connection.execute(f'DROP SCHEMA IF EXISTS "{schema}" CASCADE')
    finally:
        await connection.close()
