"""What a crash image may look like: opened by SQLite, checked, read, and held against what was promised."""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import apsw

from rota.app.blocking import drive
from rota.model.job import NewJob
from rota.model.slot import hash16
from rota.model.state import Final as FinalState
from rota.runtime.entropy import SystemEntropy
from rota.store.port import JobFilter
from rota.store.sqlite.store import SqliteStore
from rota.store.statements import load
from rota.testing.clock import ManualClock
from tests.checkers.conservation import conservation
from tests.checkers.history import FINAL, AnyEvent, Broken, Counted, Found, Submitting
from tests.checkers.settled_once import settled_once
from tests.power.promises import Demands, Look, Wrong

SQL = load("sqlite")
_LOOKS = """
SELECT token, fence * 4 + (holder IS NOT NULL) * 2 + cancel_asked FROM live
UNION ALL
SELECT token, (state + 1) * 16777216 + fence * 4 FROM finished
"""
_COUNTS = """
SELECT (SELECT count(*) FROM live WHERE seq <= (SELECT n FROM counters WHERE id = 0)),
       (SELECT coalesce(sum(n), 0) FROM counters WHERE id > 0),
       (SELECT count(*) FROM finished), (SELECT coalesce(sum(n), 0) FROM counters WHERE id < 0)
"""


def lay_out(image: Mapping[str, bytes], folder: Path) -> None:
    """Write an image into a folder, in place of the one before."""
    for old in folder.iterdir():
        if old.is_dir():
            shutil.rmtree(old)
        else:
            old.unlink()
    for name, content in image.items():
        (folder / name).write_bytes(content)


def judge_file(path: Path, demands: Demands) -> list[Wrong]:
    """Open a file as SQLite does after a crash, and return what is wrong in it."""
    try:
        with _opened(path) as db:
            return _damage(db) + demands.judge(looks_of(db))
    except apsw.Error as error:
        return [Wrong(False, f"{type(error).__name__}: {error}")]


def damage_in(path: Path) -> list[Wrong]:
    """Return what is wrong in a file whatever was promised."""
    with _opened(path) as db:
        return _damage(db)


def looks_of(db: apsw.Connection) -> dict[bytes, Look]:
    """Return what each job looks like; none when the schema had not been made yet.

    Raises:
        apsw.ConstraintError: A job is there twice, or has no token.
    """
    if not _has_schema(db):
        return {}
    rows = list(db.execute(_LOOKS))
    looks = dict(rows)
    if len(looks) < len(rows) or not all(looks):
        raise apsw.ConstraintError(f"{len(rows) - len(looks)} jobs are there twice, or have no token")
    return looks


def looks_in(path: Path) -> dict[bytes, Look]:
    """Return what each job in this file looks like; the file stays as it is, log and all."""
    with _opened(path) as db:
        return looks_of(db)


@contextmanager
def _opened(path: Path) -> Iterator[apsw.Connection]:
    # Without shared memory, and without moving the log at the end: both cost more than all the looking.
    db = apsw.Connection(str(path), vfs="unix")
    try:
        db.config(apsw.SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1)
        db.pragma("locking_mode", "exclusive")
        db.pragma("synchronous", "off")
        yield db
    finally:
        db.close()


def _has_schema(db: apsw.Connection) -> bool:
    return bool(db.pragma("user_version"))


def _damage(db: apsw.Connection) -> list[Wrong]:
    said = db.pragma("integrity_check")
    wrong = [] if said == "ok" else [Wrong(False, f"integrity_check: {said}")]
    if not _has_schema(db):
        return wrong
    live, counted_live, finished, counted_finished = db.execute(_COUNTS).get
    if (live, finished) != (counted_live, counted_finished):
        wrong.append(Wrong(False, f"{live} and {finished} rows, counted {counted_live} and {counted_finished}"))
    if db.execute(SQL["sweep_keys"], (1,)).get is not None:
        wrong.append(Wrong(False, "a key has a due job and no head"))
    return wrong


# ── by the real store ────────────────────────────────────────────────────────────────────────────────────────────────


def judge_by_store(path: Path, demands: Demands) -> list[Wrong]:
    """Open an image with the real store: the checkers judge it, nothing needs mending, and work goes on."""
    clock = ManualClock()
    store = SqliteStore.open(str(path), clock=clock, entropy=SystemEntropy(clock)).inline()
    try:
        said = [Wrong(False, f"{broken.truth}: {broken.says}") for broken in _by_checkers(store, demands)]
        swept = drive(store.sweep())
        if swept.keys_without_head or swept.jobs_of_closed_workers:
            said.append(Wrong(False, f"the sweep found damage: {swept}"))
        said += [
            Wrong(False, f"{check.name}: {check.says}") for check in drive(store.doctor()) if check.level == "error"
        ]
        return said + _goes_on(store, SystemEntropy(clock).token())
    finally:
        drive(store.close())


def _by_checkers(store: SqliteStore, demands: Demands) -> list[Broken]:
    history: list[AnyEvent] = [Submitting(at=0, token=token.hex(), queue="ovens") for token in demands.tokens]
    found = {row.token: row.state for row in drive(store.jobs(JobFilter(limit=1_000)))}
    states = drive(store.states(sorted({*demands.tokens, *found})))
    history += [Found(at=1, token=token.hex(), state=state) for token, state in states.items()]
    counted = sum(drive(store.finished_counts()).values())
    live = sum(state not in FINAL for state in states.values())
    history.append(Counted(at=2, live=live, finished=counted))
    lost = [Broken("acknowledged jobs are there", token.hex()) for token in demands.certain - states.keys()]
    return [*conservation(history), *settled_once(history), *lost]


def _goes_on(store: SqliteStore, token: bytes) -> list[Wrong]:
    drive(store.intern(["ovens"], ["bake"]))
    drive(store.submit([NewJob(token, "ovens", "bake", b"{}", hash16(None, token))]))
    drive(store.cancel(token))
    state = drive(store.states([token])).get(token)
    return [] if state == FinalState.CANCELLED.state else [Wrong(False, f"a new job is {state}, not cancelled")]
