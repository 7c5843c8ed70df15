"""Put back what a dead worker held: to their places, with blame where blame is due.

The few claims rows of the worker name its jobs; a million live ones need not be read. One call takes a portion, so that
a rescue never holds up everybody else's writes for long.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

import apsw

from rota.errors import NotAllowedError
from rota.model.state import Final as FinalState
from rota.store.port import Blame, Released, Wake
from rota.store.sqlite.bulk import blobs, fetch, numbers, run_rows
from rota.store.sqlite.claims import split_tokens
from rota.store.sqlite.leave import leave
from rota.store.sqlite.stage import WokenSlots
from rota.store.sqlite.writer import MUST_WRITE, News
from rota.store.statements import load

SQL = load("sqlite")
PORTION_JOBS: Final = 2_000
_CLAIMS_MAX: Final = 100
_CRASHES_ALONE: Final = 2

_NONE_LEFT: Final = Released(tokens=(), suspects=(), condemned=(), woken=(), is_complete=True)


class Rescue:
    """One call of ``release``.

    Args:
        worker: The closed incarnation.
        blame: Who was running, and what is known of the death.
        now: This instant.
    """

    def __init__(self, worker: int, blame: Blame, now: int) -> None:
        self._worker = worker
        self._blame = blame
        self._now = now

    def look(self, db: apsw.Connection) -> Any:
        """Return the reply when nothing is held, else ``MUST_WRITE``.

        Raises:
            NotAllowedError: The worker is open.
        """
        if db.execute(SQL["worker_is_open"], (self._worker,)).get is not None:
            raise NotAllowedError(
                f"worker {self._worker} is open: what it holds may be running. Nothing was released. Close it first, "
                "when it is certain that its process has ended.",
                worker=self._worker,
            )
        return _NONE_LEFT if db.execute(SQL["worker_claims"], (self._worker, 1)).get is None else MUST_WRITE

    def write(self, db: apsw.Connection, news: News) -> Released:
        """Release a portion."""
        claims, rows, is_complete = self._portion(db)
        suspects = [row for row in rows if self._was_running(row[1])]
        condemned = suspects if self._blame.condemns else []
        blamed = [] if self._blame.condemns else suspects
        guilty = {row[0] for row in suspects}
        others = [row for row in rows if row[0] not in guilty]

        woken = self._condemn(db, news, condemned) if condemned else WokenSlots()
        self._put_back(db, blamed, "crashed", 1, woken)
        self._put_back(db, others, "released", 0, woken)
        for no in claims:
            db.execute(SQL["drop_claim"], (self._worker, no))
        told = woken.list()
        alone = any(row[7] + 1 >= _CRASHES_ALONE for row in blamed) or any(row[7] >= _CRASHES_ALONE for row in others)
        if told or alone:
            news.tell(Wake(woken=told, is_alone=alone))
        return Released(
            tokens=[row[1] for row in (*blamed, *others)],
            suspects=[row[1] for row in blamed],
            condemned=[row[1] for row in condemned],
            woken=told,
            is_complete=is_complete,
        )

    def _portion(self, db: apsw.Connection) -> tuple[list[int], list[tuple[Any, ...]], bool]:
        claims: list[int] = []
        tokens: dict[bytes, None] = {}
        is_complete = True
        for no, joined in fetch(db, SQL["worker_claims"], (self._worker, _CLAIMS_MAX + 1)):
            if len(tokens) >= PORTION_JOBS or len(claims) >= _CLAIMS_MAX:
                is_complete = False
                break
            claims.append(no)
            tokens.update(dict.fromkeys(split_tokens(joined)))
        rows = fetch(db, SQL["held_jobs"], (blobs(tokens), self._worker)) if tokens else []
        return claims, rows, is_complete

    def _was_running(self, token: bytes) -> bool:
        if self._blame.forgives:
            return False
        return self._blame.running is None or token in self._blame.running

    def _condemn(self, db: apsw.Connection, news: News, rows: Sequence[tuple[Any, ...]]) -> WokenSlots:
        failure = self._blame.failure
        said = (failure.type, failure.message, failure.traceback)
        fences = {row[0]: row[2] for row in db.execute(SQL["standing"], (numbers(row[0] for row in rows),))}
        finals = [(row[0], row[1], fences[row[0]], True, FinalState.FAILED, 1, 1, None, None, *said) for row in rows]
        run_rows(db, SQL["finish_job"], finals, (self._now, self._worker))
        woken = leave(db, [row[0] for row in rows], {FinalState.FAILED: len(rows)}, self._now)
        news.tell(Wake(settled=[row[1] for row in rows]))
        return woken

    def _put_back(
        self, db: apsw.Connection, rows: Sequence[tuple[Any, ...]], kind: str, crashes: int, woken: WokenSlots
    ) -> None:
        if not rows:
            return
        seqs = numbers(row[0] for row in rows)
        failure = self._blame.failure
        said = (failure.type, failure.message, failure.traceback)
        db.execute(SQL["note_released"], (seqs, kind, self._now, self._worker, *said))
        db.execute(SQL["release_job"], (seqs, crashes))
        for seq, _, queue_id, slot, priority, _, _, before in rows:
            if before + crashes < _CRASHES_ALONE:
                woken.add(queue_id, slot, priority, seq)
