"""What makes the syncs of another program fail."""

from __future__ import annotations

import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest


class FailingSyncs:
    """A library to be preloaded into a program, and the file that says whether its syncs fail.

    Attributes:
        environment: What the program must be started with.
    """

    def __init__(self, folder: Path) -> None:
        self._flag = folder / "fails"
        self.environment = {"LD_PRELOAD": str(folder / "shim.so"), "ROTA_FSYNC_FAILS": str(self._flag)}

    def begin(self) -> None:
        """Let every sync fail from now on."""
        self._flag.touch()

    def end(self) -> None:
        """Let syncs succeed again."""
        self._flag.unlink()


@pytest.fixture(scope="session")
def shim_folder() -> Iterator[Path]:
    """A folder that a server with dropped rights can read, with the library in it; skipped loudly if it cannot be built."""
    if shutil.which("gcc") is None:
        pytest.skip("SKIPPED, and so unproved here: failing syncs need gcc, to build what makes them fail")
    folder = Path(tempfile.mkdtemp(prefix="rota-fsync-"))
    folder.chmod(0o755)
    source = Path(__file__).with_name("fsync_shim.c")
    command = ["gcc", "-shared", "-fPIC", "-O1", "-o", str(folder / "shim.so"), str(source), "-ldl"]
    built = subprocess.run(command, capture_output=True, text=True, check=False)
    try:
        if built.returncode != 0:
            pytest.skip(f"SKIPPED, and so unproved here: what makes syncs fail cannot be built: {built.stderr}")
        yield folder
    finally:
        shutil.rmtree(folder)


@pytest.fixture
def failing_syncs(shim_folder: Path) -> Iterator[FailingSyncs]:
    """Syncs that fail on command; none does yet."""
    yield FailingSyncs(shim_folder)
    (shim_folder / "fails").unlink(missing_ok=True)
