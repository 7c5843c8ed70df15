"""What each job must be after a crash: everything that was acknowledged before it, and nothing that was not begun.

    submit ──▶ claim ──▶ settle ──▶ reopen ─▶ …          one line of versions a job
     begun┊     begun┊     ┊begun
          └acked     └acked┊                             a place in the log each
                           ▲ the power goes off here: claimed, or settled if that commit got through; nothing else

A job's versions follow each other in the order of its line; whoever does something to a job has seen the step before. Steps
of one call are one transaction: all of them are there, or none.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Final, TypeAlias

Look: TypeAlias = int
"""What a row looks like, in one number: see ``live_look`` and ``finished_look``."""

ABSENT: Final[Look] = -1
_FINISHED: Final = 1 << 24


def live_look(fence: int, *, is_held: bool = False, is_asked: bool = False) -> Look:
    """Return the look of an unfinished job: its fence, whether somebody holds it, whether a cancel was asked for."""
    return fence << 2 | is_held << 1 | is_asked


def finished_look(state: int, fence: int) -> Look:
    """Return the look of a finished job: the number of its state, and its fence."""
    return (state + 1) * _FINISHED | fence << 2


@dataclass
class Step:
    """One call: what it makes of each of its jobs.

    Attributes:
        begun: The place in the log at which the call began.
        acked: The place at which it had returned; ``None`` if it never did.
        nth: For each of its jobs, which version it is.
    """

    begun: int
    nth: dict[bytes, int] = field(default_factory=dict)
    acked: int | None = None


@dataclass(frozen=True)
class Wrong:
    """Something that may not be after a crash; ``is_loss`` if it is what was acknowledged and is not there."""

    is_loss: bool
    says: str


class Promises:
    """All that was promised, and when. Steps may be written down by several threads.

    Attributes:
        steps: All calls, in the order in which they were written down.
    """

    def __init__(self) -> None:
        self._lines: dict[bytes, list[tuple[Step, Look]]] = {}
        self.steps: list[Step] = []

    @classmethod
    def of(cls, found: Mapping[bytes, Look]) -> Promises:
        """Return what is promised from the start, to whoever goes on with what a crash has left."""
        promises = cls()
        promises.begin(-1, found).acked = -1
        return promises

    def begin(self, at: int, looks: Mapping[bytes, Look]) -> Step:
        """Write down a call before it is made; its answer is ``acked``, which the caller sets."""
        step = Step(at)
        for token, look in looks.items():
            line = self._lines.setdefault(token, [])
            step.nth[token] = len(line)
            line.append((step, look))
        self.steps.append(step)
        return step

    def withdraw(self, step: Step) -> None:
        """Take back a call that was refused: none of it may be there. Nothing has been done to its jobs since."""
        for token, nth in step.nth.items():
            assert len(self._lines[token]) == nth + 1
            self._lines[token].pop()
            if not self._lines[token]:
                del self._lines[token]
        self.steps.remove(step)

    def look_of(self, token: bytes) -> Look:
        """Return what this job is after all that was begun."""
        line = self._lines.get(token)
        return line[-1][1] if line else ABSENT

    def at(self, cut: int, until: int | None = None) -> Demands:
        """Return what must hold if the power goes off at this place of the log.

        Args:
            until: For a copy that was made between two places: the second. What was begun before it may be in the copy.
        """
        until = cut if until is None else until
        lines = {token: line for token, line in self._lines.items() if line[0][0].begun < until}
        open_steps = [step for step in self.steps if step.begun < until and (step.acked is None or step.acked > cut)]
        return Demands(lines, cut, until, [step for step in open_steps if len(step.nth) > 1])


class Demands:
    """What must hold at one place of the log.

    Args:
        lines: The jobs that had been begun, each with all of its versions.
        cut: What was acknowledged before this place must be there.
        until: What was begun after this place must not be there.
        in_flight: Calls of several jobs of which it is open whether they are there.
    """

    def __init__(
        self, lines: Mapping[bytes, list[tuple[Step, Look]]], cut: int, until: int, in_flight: Iterable[Step]
    ) -> None:
        self._lines = lines
        self._in_flight = list(in_flight)
        self._range = {token: _range(line, cut, until) for token, line in lines.items()}
        self._allowed = {
            token: (lines[token][low][1],)
            if low == high >= 0
            else tuple(lines[token][nth][1] if nth >= 0 else ABSENT for nth in range(low, high + 1))
            for token, (low, high) in self._range.items()
        }

    @property
    def tokens(self) -> Collection[bytes]:
        """All jobs that may be there."""
        return self._lines.keys()

    @property
    def certain(self) -> set[bytes]:
        """Jobs that must be there, in whatever state."""
        return {token for token, allowed in self._allowed.items() if ABSENT not in allowed}

    def judge(self, found: Mapping[bytes, Look]) -> list[Wrong]:
        """Return what is wrong with these jobs, by token."""
        wrong = [
            self._tell(token, found.get(token, ABSENT))
            for token, allowed in self._allowed.items()
            if found.get(token, ABSENT) not in allowed
        ]
        wrong += [
            Wrong(False, f"{token.hex()} is there and was never submitted")
            for token in found.keys() - self._lines.keys()
        ]
        for step in self._in_flight:
            done = {self._nth(token, found.get(token, ABSENT)) >= nth for token, nth in step.nth.items()}
            if len(done) > 1:
                wrong.append(Wrong(False, f"half of the call at {step.begun} is there: {len(step.nth)} jobs"))
        return wrong

    def _nth(self, token: bytes, look: Look) -> int:
        """Return which version this is, the latest that looks like it; -1 for a job that was not submitted by then.

        A version older than what was acknowledged is a loss, told elsewhere; it is no half of the call that is in flight.
        """
        if token not in self._range:
            return -1
        _, high = self._range[token]
        versions = self._lines[token]
        return next((nth for nth in range(high, -1, -1) if versions[nth][1] == look), -1)

    def _tell(self, token: bytes, look: Look) -> Wrong:
        low, _ = self._range[token]
        older = [ABSENT, *(version[1] for version in self._lines[token][: max(low, 0)])]
        says = (
            f"{token.hex()} looks like {look:#x}; allowed: {', '.join(f'{each:#x}' for each in self._allowed[token])}"
        )
        return Wrong(look in older, says)


def _range(line: list[tuple[Step, Look]], cut: int, until: int) -> tuple[int, int]:
    """Return which versions may be there, the first and the last; -1 for none."""
    low = high = -1
    for nth, (step, _) in enumerate(line):
        if step.begun >= until:
            break
        high = nth
        if step.acked is not None and step.acked <= cut:
            low = nth
    return low, high
