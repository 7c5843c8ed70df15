"""A PostgreSQL server of one's own, from the installed binaries: for tests, the bench and the demo.

    initdb ──▶ postgres as a direct child, with dropped rights ──▶ killed, started again, stopped, its data removed

Started as a child and not through ``pg_ctl``: who kills the server can then reap it and start it again.
"""

from __future__ import annotations

import asyncio
import ctypes
import os
import pwd
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Coroutine, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, Self

import asyncpg

BINARIES = Path("/usr/lib/postgresql")
_PR_SET_PDEATHSIG = 1
_START_SECONDS_MAX = 90.0
_STILL_IN_USE = "is still in use"


class NoServerError(RuntimeError):
    """There is no server to start."""


class PostgresServer:
    """A running server.

    Args:
        url: Where it is.
        home: The folder with its data and log, removed at the end; ``None`` for a server that is not ours.
        arguments: What starts it.

    Attributes:
        url: Where it is, as its superuser, with a database that may be filled.
    """

    def __init__(self, url: str, home: Path | None = None, arguments: list[str] | None = None) -> None:
        self.url = url
        self._home = home
        self._arguments = arguments or []
        self._process: subprocess.Popen[bytes] | None = None
        self._port: socket.socket | None = None

    @classmethod
    def start_own(
        cls, *, is_durable: bool = True, settings: Mapping[str, str] | None = None, folder: Path | None = None
    ) -> Self:
        """Return a new, running server on a free port of this machine.

        Args:
            is_durable: Whether commits reach the disk. Without it `rota doctor` calls the server unsafe.
            settings: More server settings, by name.
            folder: Where its data is kept; ``None`` for the system's folder for temporary files.

        Raises:
            NoServerError: There are no server binaries, or they failed.
        """
        binaries = find_binaries()
        home = Path(tempfile.mkdtemp(prefix="rota-postgres-", dir=folder))
        user = _user()
        if user is not None:
            shutil.chown(home, user)
        kept = reserved_port()
        port = kept.getsockname()[1]
        chosen = {
            "listen_addresses": "127.0.0.1",
            "port": str(port),
            "unix_socket_directories": "",
            "fsync": "on" if is_durable else "off",
            "max_connections": "200",
            "shared_buffers": "128MB",
            "max_wal_size": "2GB",
            "log_min_messages": "warning",
            **(settings or {}),
        }
        arguments = [str(binaries / "postgres"), "-D", str(home / "data")]
        for name, value in chosen.items():
            arguments += ["-c", f"{name}={value}"]
        server = cls(f"postgresql://postgres@127.0.0.1:{port}/postgres", home, arguments)
        server._port = kept
        try:
            _initdb(binaries, home / "data")
            server.start()
        except BaseException:
            server.stop()
            raise
        return server

    def follow(self, name: str) -> Self:
        """Return a running standby of this server: a copy that takes over every commit.

        Args:
            name: What it calls itself, for ``synchronous_standby_names``.

        Raises:
            NoServerError: The copy failed, or it does not start.
        """
        home = Path(tempfile.mkdtemp(prefix="rota-postgres-", dir=self._home.parent if self._home else None))
        user = _user()
        if user is not None:
            shutil.chown(home, user)
        copy = [str(Path(self._arguments[0]).with_name("pg_basebackup")), "-D", str(home / "data"), "-R", "-c", "fast"]
        _run_as_server([*copy, "--no-sync", "-d", f"{self.url}?application_name={name}"], home)
        kept = reserved_port()
        port = kept.getsockname()[1]
        arguments = list(self._arguments)
        arguments[arguments.index("-D") + 1] = str(home / "data")
        # The last of two settings of one name counts.
        standby = type(self)(_at_port(self.url, port), home, [*arguments, "-c", f"port={port}"])
        standby._port = kept
        try:
            standby.start()
        except BaseException:
            standby.stop()
            raise
        return standby

    def promote(self) -> None:
        """Make this standby the primary; return when it can be written."""
        run_apart(_promoted(self.url))

    @property
    def pid(self) -> int | None:
        """The postmaster's process id; ``None`` for a server that is not ours, or not running."""
        return self._process.pid if self._process else None

    @property
    def is_ours(self) -> bool:
        """Whether it was started here, and its data is removed at the end."""
        return self._home is not None

    def start(self) -> None:
        """Start it, and return when it answers.

        No postmaster starts beside a back end of one that was killed. That ends by itself, on a busy machine after a moment,
        and is waited for.
        """
        if self._home is None:
            return
        log = self._home / "log"
        deadline = time.monotonic() + _START_SECONDS_MAX
        process, begins = self._launch(log)
        while not self._answers():
            has_ended = process.poll() is not None
            says = log.read_bytes()[begins:].decode(errors="replace")
            if time.monotonic() > deadline or (has_ended and _STILL_IN_USE not in says):
                raise NoServerError(says[-2_000:])
            time.sleep(0.02)
            if has_ended:
                process, begins = self._launch(log)

    def _launch(self, log: Path) -> tuple[subprocess.Popen[bytes], int]:
        """Start the postmaster; return it, and where in the log it begins to write."""
        with log.open("ab") as written:
            begins = written.tell()
            process = subprocess.Popen(
                self._arguments,
                cwd=self._home,
                stdin=subprocess.DEVNULL,
                stdout=written,
                stderr=written,
                user=_user(),
                group=_group(),
                extra_groups=[] if os.geteuid() == 0 else None,
                preexec_fn=_die_with_parent,  # noqa: PLW1509  (so that whoever started it and was killed leaves no server)
            )
        self._process = process
        return process, begins

    def _answers(self) -> bool:
        try:
            run_apart(_connected(self.url))
        except (OSError, asyncpg.PostgresError, asyncpg.InterfaceError):
            return False
        return True

    def kill(self) -> None:
        """End the postmaster with SIGKILL and reap it. ``start`` brings it back with its data."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None

    def stop(self) -> None:
        """End it and remove its data; a server that is not ours is left as it is."""
        if self._home is None:
            return
        if self._process is not None:
            self._process.send_signal(signal.SIGINT)
            try:
                self._process.wait(20)
            except subprocess.TimeoutExpired:
                self.kill()
            self._process = None
        if self._port is not None:
            self._port.close()
        shutil.rmtree(self._home, ignore_errors=True)


def find_binaries() -> Path:
    """Return the folder of the newest installed server binaries.

    Raises:
        NoServerError: There are none.
    """
    found = sorted(BINARIES.glob("*/bin/postgres"), key=lambda path: float(path.parts[-3]))
    if found:
        return found[-1].parent
    on_path = shutil.which("postgres")
    if on_path:
        return Path(on_path).parent
    raise NoServerError(
        f"no PostgreSQL server binaries are installed: no postgres under {BINARIES}, nor on the PATH. "
        "On Debian and Ubuntu: apt-get install postgresql"
    )


def run_apart(work: Coroutine[Any, Any, None]) -> None:
    """Run a coroutine to its end in a thread of its own: the caller may have a loop that is running."""
    with ThreadPoolExecutor(1) as pool:
        pool.submit(asyncio.run, work).result()


def _initdb(binaries: Path, data: Path) -> None:
    command = [str(binaries / "initdb"), "-D", str(data), "-U", "postgres", "--auth=trust", "--no-sync", "-E", "UTF8"]
    _run_as_server([*command, "--locale=C"], data.parent)


def _run_as_server(command: list[str], folder: Path) -> None:
    """Run a program with the server's rights.

    Raises:
        NoServerError: It failed.
    """
    made = subprocess.run(
        command,
        cwd=folder,
        check=False,
        capture_output=True,
        text=True,
        user=_user(),
        group=_group(),
        extra_groups=[] if os.geteuid() == 0 else None,
    )
    if made.returncode != 0:
        raise NoServerError(f"{Path(command[0]).name} failed: {made.stderr[-2_000:]}")


def _user() -> str | None:
    """Whose rights the server runs with: it refuses those of root."""
    if os.geteuid() != 0:
        return None
    names = {entry.pw_name for entry in pwd.getpwall()}
    return "postgres" if "postgres" in names else "nobody"


def _group() -> int | None:
    user = _user()
    return pwd.getpwnam(user).pw_gid if user else None


def reserved_port() -> socket.socket:
    """Return a socket that keeps a free port of this machine for a server: while it is open, nobody else is given that port.

    A server listens beside it. A port that was free a moment ago may be another's when the server's data has been made, or
    while the server is dead; whoever connects would take that one for it.
    """
    kept = socket.socket()
    kept.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    kept.bind(("127.0.0.1", 0))
    return kept


def _die_with_parent() -> None:
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGINT)


def _at_port(url: str, port: int) -> str:
    head, _, rest = url.rpartition(":")
    return f"{head}:{port}/{rest.partition('/')[2]}"


async def _promoted(url: str) -> None:
    connection = await asyncpg.connect(url, timeout=5)
    try:
        await connection.fetchval("SELECT pg_promote()")
    finally:
        await connection.close()


async def _connected(url: str) -> None:
    # When a starting server hangs up, the driver leaves a future behind, of which the loop would tell at an odd time.
    asyncio.get_running_loop().set_exception_handler(lambda _loop, _told: None)
    connection = await asyncpg.connect(url, timeout=5)
    await connection.close()
