"""Mistakes in who may run, and in who is dead."""

from __future__ import annotations

from tests.mutants.mutant import Edit, Mutant, Seeds, Tests

LEASE = "node/lease.py"
LEASES = "node/leases.py"

MUTANTS = [
    Mutant(
        "wall_clock",
        "observers count by the wall clock",
        (
            Edit(LEASES, "        now = self._clock.boot_ns()\n", "        now = self._clock.now_us() * 1_000\n"),
            Edit(
                "node/watch.py",
                "            self._liveness.refresh()\n        began = self._clock.boot_ns()\n",
                "            self._liveness.refresh()\n        began = self._clock.now_us() * 1_000\n",
            ),
        ),
        Seeds(200, "lease"),
    ),
    Mutant(
        "holder_by_wall_clock",
        "the holder of a lease counts by the wall clock",
        (Edit(LEASE, "        return self._clock.boot_ns()\n", "        return self._clock.now_us() * 1_000\n"),),
        Seeds(200, "lease"),
    ),
    Mutant(
        "lease_one_early",
        "`<` for `<=` at the end of a lease, by the observer: the other way round it would be a lease too long",
        (
            Edit(
                LEASES,
                "read_began_ns - sight.first_ns >= node.lease_ms * 1_000_000",
                "read_began_ns - sight.first_ns > node.lease_ms * 1_000_000",
            ),
        ),
        Tests("tests/unit/node/test_leases.py"),
    ),
    Mutant(
        "good_one_longer",
        "`<=` for `<` at the end of what the holder may use",
        (
            Edit(
                LEASE,
                "self._now() - self._sent_ns < self._terms.stop_ns",
                "self._now() - self._sent_ns <= self._terms.stop_ns",
            ),
        ),
        Tests("tests/unit/node/test_lease.py"),
    ),
    Mutant(
        "observer_counts_from_the_send",
        "an observer counts from the sending of the read that first saw a value",
        (
            Edit(
                LEASES,
                "self._sights[node.id] = _Sight(node.counter, now_ns)",
                "self._sights[node.id] = _Sight(node.counter, read_began_ns)",
            ),
        ),
        # Within 4,000 histories none shows it: it takes a slow read, a holder at the very end of its lease, and drift.
        Tests("tests/unit/node/test_leases.py"),
    ),
    Mutant(
        "count_kept_over_a_failure",
        "an observer whose read failed does not start over",
        (
            Edit(
                LEASES,
                'or written by us, nobody could renew either."""\n        self._sights.clear()\n',
                'or written by us, nobody could renew either."""\n',
            ),
        ),
        Tests("tests/unit/node/test_leases.py"),
    ),
    Mutant(
        "silence_in_a_full_store",
        "an observer whose own renewals are not answered takes others' silence for death",
        (Edit("node/watch.py", "            self._doubt_silence()\n", ""),),
        Tests("tests/unit/node/test_watch.py"),
    ),
    Mutant(
        "outage_not_counted",
        "an observer that was heard again before it looked goes on counting",
        (Edit(LEASE, "        self.outages += self.is_unheard\n", ""),),
        Tests("tests/unit/node/test_lease.py"),
    ),
    Mutant(
        "judged_by_return",
        "an observer judges by when a read returned, not by when it began",
        (Edit(LEASES, "read_began_ns - sight.first_ns >=", "now_ns - sight.first_ns >="),),
        Tests("tests/unit/node/test_leases.py"),
    ),
    Mutant(
        "orphan_at_once",
        "a worker whose node was closed is dead at once",
        (
            Edit(
                LEASES,
                "is_over = worker.id in self._lost or now_ns - since >= lease_ms * 1_000_000",
                "is_over = now_ns >= since + 0 * lease_ms",
            ),
        ),
        Tests("tests/unit/node/test_leases.py"),
    ),
    Mutant(
        "held_lock_ignored",
        "whose lease ran out is dead, though its lock is seen held",
        (Edit(LEASES, "return is_over and not self._locks.is_held(worker.proof)", "return is_over"),),
        Tests("tests/unit/node/test_leases.py"),
    ),
    Mutant(
        "no_compare_and_set",
        "a node is closed whatever its counter is by then",
        (Edit("store/sqlite/sql/close_node.sql", " AND counter = ?2 AND closed_at", " AND ?2 >= 0 AND closed_at"),),
        Tests("tests/contract/test_close.py tests/contract/test_members.py"),
    ),
    Mutant(
        "armed_from_the_reply",
        "the kernel's timer is armed from the reply to a renewal",
        (
            Edit(
                LEASE,
                "self._timer.arm(self._sent_ns + self._terms.kill_ns)",
                "self._timer.arm(self._now() + self._terms.kill_ns)",
            ),
        ),
        Tests("tests/unit/node/test_lease.py"),
    ),
    Mutant(
        "counted_from_the_reply",
        "the holder counts from the reply to a renewal",
        (
            Edit(
                LEASE,
                "before, self._sent_ns = self._sent_ns, sent_ns\n",
                "before, self._sent_ns = self._sent_ns, now\n",
            ),
        ),
        Tests("tests/unit/node/test_lease.py"),
    ),
    Mutant(
        "no_timer",
        "the kernel has no timer: a supervisor that is stopped goes on holding workers",
        (Edit(LEASE, "        self._timer.arm(self._sent_ns + self._terms.kill_ns)\n", ""),),
        Seeds(200, "lease"),
    ),
    Mutant(
        "timer_after_the_lease",
        "the kernel's timer is longer than the lease",
        (Edit("node/lease_terms.py", "return self.lease_ns * 11 // 16", "return self.lease_ns * 24 // 16"),),
        Seeds(500, "lease"),
    ),
    Mutant(
        "disarmed_before_the_reap",
        "the timer is disarmed when the workers are killed, before they have been reaped",
        (
            Edit(
                "node/shift.py",
                '        self._crew.end_now("the node\'s lease has run out")\n',
                '        self._lease.end()\n        self._crew.end_now("the node\'s lease has run out")\n',
            ),
        ),
        Tests("tests/unit/node/test_shift.py"),
    ),
    Mutant(
        "released_before_the_reap",
        "a worker is given up, and what it held released, when it has been sent the SIGKILL",
        (
            Edit(
                "node/crew.py",
                "            if process.kill(why):\n",
                "            self.dismiss(process)\n            if process.kill(why):\n",
            ),
        ),
        Tests("tests/unit/node/test_crew.py"),
    ),
    Mutant(
        "release_left_off",
        "nobody goes on with a release that somebody left off",
        (Edit("node/watch.py", "        for worker in left:\n", "        for worker in ():\n"),),
        Tests("tests/unit/node/test_watch.py"),
    ),
    Mutant(
        "silence_before_registering",
        "who had to wait for its registration takes the silence before it for death",
        (Edit("node/registrar.py", "if loop.time() - began_s > SLOW_S:", "if False:"),),
        Tests("tests/unit/node/test_registrar.py"),
    ),
]
