"""Mistakes in what a worker remembers of its jobs, and where it looks for more."""

from __future__ import annotations

from tests.mutants.mutant import Edit, Mutant, Seeds, Tests

MUTANTS = [
    Mutant(
        "no_adoption",
        "what a claim brought whose reply was lost is not run",
        (Edit("worker/claimer.py", "        if unknown:\n", "        if unknown and False:\n"),),
        Seeds(400),
    ),
    Mutant(
        "adopted_though_settled",
        "a job that is settled while the worker looks what it holds is adopted",
        (
            Edit(
                "settle/settler.py",
                "if (job.token, job.fence) not in lately and not self._knows(job)",
                "if not self._knows(job)",
            ),
        ),
        Tests("tests/unit/settle/test_settler.py"),
    ),
    Mutant(
        "settle_given_up",
        "a settle whose reply was lost is not sent again",
        (
            Edit(
                "settle/settler.py",
                "                wait_s = 0.0 if tries == 0 else store_pause_s(tries, self._entropy)\n",
                "                return Settled(stale=(), woken=())\n",
            ),
        ),
        Seeds(200),
    ),
    Mutant(
        "claims_row_dropped_early",
        "a claims row is dropped with the first of its jobs",
        (Edit("settle/settler.py", "            if left[number] > count:\n", "            if left[number] < 0:\n"),),
        Seeds(100),
    ),
    Mutant(
        "no_sweep",
        "a worker looks into its slots only when somebody says so",
        (Edit("worker/line.py", "\nSWEEP_S = 1.0\n", "\nSWEEP_S = 1e9\n"),),
        Tests("tests/unit/worker/test_line.py"),
    ),
    Mutant(
        "first_slots_first",
        "slots are always probed from the first",
        (
            Edit(
                "worker/slots.py",
                "                    del suspects[slot]\n                    suspects[slot] = None\n",
                "                    suspects[slot] = None\n",
            ),
        ),
        Tests("tests/unit/worker/test_slots.py"),
    ),
    Mutant(
        "cursor_not_lowered",
        "news of a lower place does not lower the slot's cursor",
        (Edit("worker/slots.py", "        if self._cursors.get(slot, 0) > place:\n", "        if False:\n"),),
        Tests("tests/unit/worker/test_slots.py"),
    ),
    Mutant(
        "condemned_in_company",
        "a crash condemns the job that ran, whether it ran alone or not",
        (
            Edit(
                "node/blame.py",
                "        condemns=is_alone,\n        forgives=forgives",
                "        condemns=True,\n        forgives=forgives",
            ),
        ),
        Seeds(100),
    ),
    Mutant(
        "drains_are_crashes",
        "a worker that was asked to end, and was killed when it did not, leaves suspects",
        (
            Edit(
                "node/blame.py",
                "    if ending.is_asked and (ending.killed_why is not None or ending.signal == signal.SIGTERM):\n",
                "    if False:\n",
            ),
        ),
        Tests("tests/unit/node/test_blame.py"),
    ),
    Mutant(
        "will_not_read",
        "what a recycled worker left to be settled is not settled",
        (Edit("node/rescuer.py", "        if will:\n", "        if will and False:\n"),),
        Tests("tests/unit/node/test_rescuer.py"),
    ),
    Mutant(
        "adopted_by_token",
        "what a look finds is compared by its token alone: a job claimed again is taken for settled",
        (
            Edit(
                "settle/settler.py",
                "if (job.token, job.fence) not in lately and not self._knows(job)",
                "if job.token not in {token for token, _ in lately} and not self._knows(job)",
            ),
        ),
        Tests("tests/unit/settle/test_settler.py"),
    ),
    Mutant(
        "interrupted_moves_cursor",
        "a cursor moves past what a crash interrupted, as if it had been the beginning of its line",
        (Edit("worker/slots.py", "            if not job.crashes:\n", "            if True:\n"),),
        Tests("tests/unit/worker/test_slots.py"),
    ),
]
