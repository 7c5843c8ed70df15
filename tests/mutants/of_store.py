"""Mistakes in the store's statements and in who calls them, on SQLite: what the simulation runs."""

from __future__ import annotations

from tests.mutants.mutant import Edit, Mutant, Seeds, Tests

SQL = "store/sqlite/sql"

MUTANTS = [
    Mutant(
        "no_fence",
        "a settle is recorded whatever its fence",
        (
            Edit(
                f"{SQL}/finish_job.sql",
                " AND l.fence = v.column3 AND (v.column4 OR l.yielded < l.fence);",
                " AND (v.column4 OR true);",
            ),
        ),
        Seeds(150, "lease"),
    ),
    Mutant(
        "fence_not_raised",
        "a claim does not raise the fence",
        (Edit(f"{SQL}/claim_jobs.sql", "fence = fence + 1", "fence = max(fence, 1)"),),
        Seeds(100),
    ),
    Mutant(
        "attempts_as_fence",
        "the number of attempts serves as fence",
        (Edit(f"{SQL}/claim_jobs.sql", "fence = fence + 1", "fence = attempts + 1"),),
        Seeds(100),
    ),
    Mutant(
        "worker_not_checked",
        "a claim does not look whether its worker is open",
        (Edit("store/sqlite/claims.py", "    if not is_open:\n", "    if False:\n"),),
        Seeds(400),
    ),
    Mutant(
        "lost_settle_is_stale",
        "a settle whose reply was lost is told stale when it is sent again",
        (Edit("store/sqlite/settling.py", "        if is_recorded:\n            return False\n", ""),),
        Seeds(100),
    ),
    Mutant(
        "second_head",
        "a key may have two heads",
        (
            Edit(
                f"{SQL}/keys_with_head.sql",
                "WHERE h.head AND h.queue_id = ?1 AND h.key = k.value;",
                "WHERE h.head AND h.queue_id = -?1 AND h.key = k.value;",
            ),
            Edit("store/sqlite/migrations/001_first.sql", "CREATE UNIQUE INDEX live_head", "CREATE INDEX live_head"),
        ),
        Seeds(50),
    ),
    Mutant(
        "scheduled_holds_its_key",
        "a job that is scheduled for later holds up those of its key that are due",
        (
            Edit(
                "store/sqlite/intake.py",
                "if key is not None and due_at is None and (queue_id, key) not in with_head:",
                "if key is not None and (queue_id, key) not in with_head:",
            ),
        ),
        Tests("tests/contract/test_keys.py"),
    ),
    Mutant(
        "backing_off_loses_its_turn",
        "a head that backs off stops being the head",
        (Edit(f"{SQL}/keep_job.sql", "   SET holder = NULL,", "   SET head = v.column4 AND head, holder = NULL,"),),
        Seeds(100),
    ),
    Mutant(
        "finished_not_looked_up",
        "a job that is submitted again is not looked for among the finished",
        (
            Edit(
                f"{SQL}/same_job.sql",
                "SELECT NULL, task_id, payload, key, queue_id FROM finished WHERE token = ?1;",
                "SELECT NULL, task_id, payload, key, queue_id FROM finished WHERE false;",
            ),
        ),
        Seeds(100),
    ),
    Mutant(
        "last_of_the_line",
        "the key's last job gets its turn, and not the first",
        (Edit(f"{SQL}/next_in_line.sql", "ORDER BY n.seq\n", "ORDER BY n.seq DESC\n"),),
        Seeds(50),
    ),
    Mutant(
        "nobody_follows",
        "a key whose head was settled gets no new one",
        (Edit("store/sqlite/leave.py", "        stage_keys(db, queue_id, keys, now, woken)\n", "        del keys\n"),),
        Seeds(50),
    ),
    Mutant(
        "suspect_not_alone",
        "a job that was running in two crashes is not run alone",
        (Edit(f"{SQL}/release_job.sql", "alone = alone OR (?2 AND crashes + ?2 >= 2)", "alone = alone AND ?2 < 2"),),
        Seeds(100),
    ),
    Mutant(
        "crash_not_counted",
        "a crash is not counted for the job that ran",
        (
            Edit(
                "store/sqlite/release.py",
                'self._put_back(db, blamed, "crashed", 1, woken)',
                'self._put_back(db, blamed, "crashed", 0, woken)',
            ),
        ),
        Seeds(100),
    ),
    Mutant(
        "reopened_under_its_old_fence",
        "on PostgreSQL a settle that is repeated late ends the new run of a reopened job (SQLite: its number forbids it)",
        (Edit("store/postgres/sql/reopen_job.sql", "f.submitted_at, f.fence, f.fence", "f.submitted_at, f.fence, 0"),),
        Tests("tests/contract/test_reopen.py"),
    ),
    Mutant(
        "yield_forgotten",
        "a snooze or a return whose reply was lost is told stale once the next run has yielded, too",
        (
            Edit(
                "store/sqlite/sql/recorded_before.sql",
                "(SELECT 1 FROM live WHERE token = ?1 AND ?2 < fence AND ?2 > fence - ?4)",
                "(SELECT 1 FROM live WHERE token = ?1 AND ?2 < fence AND ?4 < 0)",
            ),
        ),
        Tests("tests/contract/test_stale.py"),
    ),
    Mutant(
        "yield_of_the_lost",
        "a snooze or a return of a run that was taken away counts as recorded once another run followed",
        (
            Edit(
                "store/sqlite/sql/recorded_before.sql",
                "kind IN ('failed', 'crashed', 'released', 'reopened')",
                "kind IN ('failed')",
            ),
        ),
        Tests("tests/contract/test_stale.py"),
    ),
    Mutant(
        "registered_twice",
        "a node whose registration was answered too late registers again, beside itself",
        (Edit("store/sqlite/members.py", "(node.proof,)).get if node.proof else None", "(node.proof,)).get and None"),),
        Tests("tests/contract/test_members.py"),
    ),
    Mutant(
        "wake_before_commit",
        "a wake-up leaves before the commit of what it tells of",
        (
            Edit(
                "store/sqlite/writer.py",
                "        if results:\n            self._commit(results, news)\n",
                "        if results:\n"
                "            for wake, but in news.wakes:\n"
                "                self._tell(wake, but)\n"
                "            news.wakes.clear()\n"
                "            self._commit(results, news)\n",
            ),
        ),
        Tests("tests/unit/store/sqlite/test_writer.py"),
    ),
    Mutant(
        "release_leaves_the_cursor",
        "a release wakes nobody, so that cursors stay beyond what it put back",
        (
            Edit(
                "store/sqlite/release.py",
                "                woken.add(queue_id, slot, priority, seq)\n",
                "                del queue_id, slot, priority, seq\n",
            ),
        ),
        Tests("tests/contract/test_wakes.py"),
    ),
    Mutant(
        "interrupted_waits",
        "what a crash interrupted waits until it is its slot's turn",
        (Edit("store/sqlite/candidates.py", "    if not first:\n", "    if True:\n"),),
        Tests("tests/contract/test_close.py"),
    ),
]
