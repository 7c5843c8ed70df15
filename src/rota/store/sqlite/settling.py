"""Recording outcomes, each only under the fence of its claim.

final ─────────▶ finished, out of live, the key's next becomes head
retry, snooze ─▶ back into live until due_at, the key's turn kept
given back ────▶ back into its place
none of these ─▶ recorded before? then done; else stale: told in the story, and to the caller
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from operator import attrgetter
from typing import Any

import apsw

from rota.model.limits import FENCES_TOLD, HISTORY_ENTRIES_MAX
from rota.model.outcome import Failure, Kind, Outcome
from rota.model.state import Final
from rota.store.port import Settled, Wake
from rota.store.sqlite.bulk import numbers, run_rows
from rota.store.sqlite.intake import SOON_US
from rota.store.sqlite.leave import leave
from rota.store.sqlite.stage import WokenSlots
from rota.store.sqlite.writer import News
from rota.store.statements import load

SQL = load("sqlite")

_NOTHING = Failure(type="", message="")


class Settlement:
    """One call of ``settle``.

    Args:
        worker: The incarnation that settles.
        outcomes: What its runs came to.
        done_claims: Claims of which nothing is held any more.
        now: This instant.
    """

    def __init__(self, worker: int, outcomes: Sequence[Outcome], done_claims: Sequence[int], now: int) -> None:
        self._worker = worker
        self._done_claims = done_claims
        self._now = now
        ordered = sorted(outcomes, key=attrgetter("seq"))
        unique = ordered
        self._later: list[Outcome] = []
        if len({outcome.token for outcome in ordered}) < len(ordered):
            unique = self._without_repeats(ordered)
        # Compared and not asked: this runs for every job that there is, and a property costs as much as the row.
        last = Kind.EXPIRED
        self._finals = [outcome for outcome in unique if outcome.kind <= last]
        self._kept = [] if len(self._finals) == len(unique) else [each for each in unique if each.kind > last]

    def write(self, db: apsw.Connection, news: News) -> Settled:
        """Record what can be recorded and return what was refused."""
        woken, missed = WokenSlots(), list(self._later)
        if self._finals:
            woken = self._finish(db, news, missed)
        if self._kept:
            self._keep(db, news, woken, missed)
        stale = [(outcome.token, outcome.fence) for outcome in missed if self._refuse(db, outcome)]
        for no in self._done_claims:
            db.execute(SQL["drop_claim"], (self._worker, no))
        told = woken.list()
        if told:
            news.tell(Wake(woken=told), but=f"worker-{self._worker}")
        return Settled(stale=stale, woken=told)

    def _without_repeats(self, outcomes: Sequence[Outcome]) -> list[Outcome]:
        """Keep the first outcome of each token; a later one is treated as a later call would be."""
        seen: set[bytes] = set()
        first: list[Outcome] = []
        for outcome in outcomes:
            (self._later if outcome.token in seen else first).append(outcome)
            seen.add(outcome.token)
        return first

    # ── final outcomes ───────────────────────────────────────────────────────────────────────────────────────────────

    def _finish(self, db: apsw.Connection, news: News, missed: list[Outcome]) -> WokenSlots:
        finals = self._finals
        taken = run_rows(db, SQL["finish_job"], [_final_row(outcome) for outcome in finals], (self._now, self._worker))
        if taken < len(finals):
            finals = self._those_that_stood(db, missed)
            if not finals:
                return WokenSlots()
        kinds = Counter(outcome.kind for outcome in finals)
        states = {Final(kind): count for kind, count in kinds.items()}
        woken = leave(db, [outcome.seq for outcome in finals], states, self._now)
        news.tell(Wake(settled=[outcome.token for outcome in finals]))
        return woken

    def _those_that_stood(self, db: apsw.Connection, missed: list[Outcome]) -> list[Outcome]:
        """Return the final outcomes whose fence stood; the rest is missed. Must come before they leave live."""
        standing = self._standing(db, self._finals)
        stood = []
        for outcome in self._finals:
            row = standing.get(outcome.seq)
            if row is not None and row[1:3] == (outcome.token, outcome.fence) and row[3] < outcome.fence:
                stood.append(outcome)
            else:
                missed.append(outcome)
        return stood

    # ── outcomes that keep the job ───────────────────────────────────────────────────────────────────────────────────

    def _keep(self, db: apsw.Connection, news: News, woken: WokenSlots, missed: list[Outcome]) -> None:
        failed = [outcome for outcome in self._kept if outcome.kind is Kind.RETRY]
        run_rows(db, SQL["note_failure"], [_failure_row(outcome) for outcome in failed], (self._now, self._worker))
        run_rows(db, SQL["keep_job"], [_kept_row(outcome) for outcome in self._kept])
        for outcome in failed:
            if outcome.fence > HISTORY_ENTRIES_MAX:
                db.execute(SQL["trim_history"], (outcome.token, HISTORY_ENTRIES_MAX))
        standing, soon, suspects = self._standing(db, self._kept), WokenSlots(), False
        for outcome in self._kept:
            row = standing.get(outcome.seq)
            if row is None or row[1:4] != (outcome.token, outcome.fence, outcome.fence):
                missed.append(outcome)
                continue
            _, _, _, _, queue_id, slot, priority, alone = row
            if alone:
                suspects = True
            elif outcome.kind is Kind.GIVEN_BACK:
                woken.add(queue_id, slot, priority, outcome.seq)
            elif outcome.due_at is not None and outcome.due_at <= self._now + SOON_US:
                soon.add(queue_id, slot, priority, outcome.seq)
        self._tell_soon(news, soon, suspects)

    def _tell_soon(self, news: News, soon: WokenSlots, suspects: bool) -> None:
        """Tell the owners of the slots: the worker that ran a stolen job is not the one that must set the timer."""
        told = soon.list()
        if told:
            news.tell(Wake(woken=told))
        if suspects:
            news.tell(Wake(is_alone=True))

    # ── refused ──────────────────────────────────────────────────────────────────────────────────────────────────────

    def _refuse(self, db: apsw.Connection, outcome: Outcome) -> bool:
        """Return whether an outcome is stale; then it is told in the job's story."""
        asked = (outcome.token, outcome.fence, int(outcome.kind), FENCES_TOLD)
        is_recorded, is_known = db.execute(SQL["recorded_before"], asked).get
        if is_recorded:
            return False
        if is_known:
            failure = outcome.failure or _NOTHING
            said = (failure.type or None, failure.message, failure.traceback)
            key = (outcome.token, outcome.fence, self._now, self._worker, outcome.started_at)
            db.execute(SQL["note_stale"], (*key, *said))
        return True

    def _standing(self, db: apsw.Connection, outcomes: Iterable[Outcome]) -> dict[int, tuple[Any, ...]]:
        rows = db.execute(SQL["standing"], (numbers(outcome.seq for outcome in outcomes),))
        return {row[0]: row for row in rows}


def _final_row(outcome: Outcome) -> tuple[Any, ...]:
    kind, failure = outcome.kind, outcome.failure
    counts = kind <= Kind.FAILED or (kind is Kind.CANCELLED and outcome.started_at is not None)
    head = (
        outcome.seq,
        outcome.token,
        outcome.fence,
        False,
        int(kind),
        counts,
        None,
        outcome.started_at,
        outcome.result,
    )
    if failure is None:
        return (*head, None, None, None)
    return (*head, failure.type, failure.message, failure.traceback)


def _kept_row(outcome: Outcome) -> tuple[Any, ...]:
    is_ready = outcome.kind is Kind.GIVEN_BACK
    due_at = None if is_ready else outcome.due_at
    return (outcome.seq, outcome.token, outcome.fence, is_ready, due_at, outcome.kind is Kind.RETRY, not is_ready)


def _failure_row(outcome: Outcome) -> tuple[Any, ...]:
    failure = outcome.failure or _NOTHING
    said = (failure.type or None, failure.message, failure.traceback)
    return (outcome.seq, outcome.token, outcome.fence, outcome.started_at, *said)
