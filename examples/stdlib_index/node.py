"""The node: `rota run` as a process of its own, the way anybody starts it."""

from __future__ import annotations

import signal
import subprocess
import sysconfig
from pathlib import Path
from types import TracebackType
from typing import Self

ROTA = str(Path(sysconfig.get_path("scripts")) / "rota")
DRAIN_S = 30.0


class Node:
    """``rota run`` for as long as the ``with`` block lasts; ``drain()`` ends it in good order."""

    def __init__(self, app: str, *, processes: int, concurrency: int, log: Path) -> None:
        program = [ROTA, "run", app, "-p", str(processes), "-c", str(concurrency)]
        self._log = log
        self._file = log.open("wb")
        self._process = subprocess.Popen(program, stdin=subprocess.DEVNULL, stdout=self._file, stderr=subprocess.STDOUT)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._process.poll() is None:
            self._process.kill()
            self._process.wait()
        self._file.close()

    @property
    def is_running(self) -> bool:
        """Whether it has not ended."""
        return self._process.poll() is None

    def last_lines(self) -> str:
        """Return the end of what it has printed."""
        return "\n".join(self._log.read_text(errors="replace").splitlines()[-15:])

    def drain(self) -> int:
        """Ask it to finish what it has begun and to end, as a deploy does; return its exit code."""
        self._process.send_signal(signal.SIGTERM)
        return self._process.wait(DRAIN_S)
