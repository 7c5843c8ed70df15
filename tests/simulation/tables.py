"""Running tables without files: they outlive their process, and a dead process writes nothing into them."""

from __future__ import annotations

from typing import Any

from rota.model.outcome import Outcome
from rota.worker.running import Counts, RunningTable


class SimTable(RunningTable):
    """A running table of a simulated process.

    Args:
        path: Its name.
        writer: The process that writes into it.
    """

    def __init__(self, path: str, writer: Any) -> None:
        self.path = path
        self.writer = writer
        self._marked: dict[int, bytes] = {}
        self._will: list[Outcome] | None = None
        self.since_ns = 0

    def mark(self, row: int, token: bytes) -> None:
        """Note that the job is being run by this hand."""
        if self.writer.is_alive:
            self._marked[row] = token

    def clear(self, row: int) -> None:
        """Note that this hand is free."""
        if self.writer.is_alive:
            self._marked.pop(row, None)

    def wipe(self) -> None:
        """Forget all marks, and leave an empty will; for the supervisor, once the process is dead."""
        self._marked.clear()
        self._will = self._will or []

    def running(self) -> list[bytes]:
        """Return the tokens that are marked."""
        return list(self._marked.values())

    @property
    def write_since_ns(self) -> int:
        """Since when the process has been in a write; 0 when it is not."""
        return self.since_ns

    def show(self, counts: Counts) -> None:
        """Do nothing: nobody looks at it."""

    def leave_will(self, outcomes: list[Outcome]) -> None:
        """Leave outcomes to be settled once this process has been reaped."""
        if self.writer.is_alive:
            self._will = list(outcomes)

    @property
    def has_will(self) -> bool:
        """Whether the process has left a will."""
        return self._will is not None

    def will(self) -> list[Outcome]:
        """Return what the process left to be settled."""
        return list(self._will or ())

    def remove(self) -> None:
        """Do nothing: who removes it is the folder."""
