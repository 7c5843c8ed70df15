"""Nodes: how worker processes are started, watched, ended, and made up for when they die.

    keeper ──starts again──▶ supervisor ──starts again──▶ worker mitte/1, mitte/2, …
    (few lines)               (no user code)                (user code)
                                   │
                                   ├── Place         one ring name, one process at a time, the next after each death
                                   ├── Rescuer       close ─▶ what was left to settle ─▶ release, until nothing is held
                                   ├── Watch         the other nodes: whose proof of life is gone?
                                   ├── Lease         on PostgreSQL: may workers run? else none does, and the kernel sees to it
                                   ├── Isolator      suspects, each alone in a fresh process
                                   └── WriteGuard    a worker that stands still inside a write

A process is dead when it has been reaped (its own supervisor knows) or when its proof of life is gone (everybody else; see
``liveness``). Only then its row is closed, and only after that is what it held released. A read that failed, a closed
connection, a missing process id: none of these is evidence.

Every step may be repeated and may be left off anywhere: the next look, by this supervisor or by another, goes on with it.

Invariants, each with the test that holds it:
    A dead worker's jobs run again; the others keep theirs.         tests/integration/test_crash_worker.py
    Workers end with their supervisor.                              tests/integration/test_crash_supervisor.py
    On SQLite a stopped supervisor is harmless.                     tests/integration/test_crash_supervisor.py
    Under a lease it dies before others start its jobs.             tests/integration/test_lease_nodes.py
    A short outage stops nothing, a long one everything.            tests/integration/test_lease_outage.py
    A drain counts for nobody.                                      tests/integration/test_crash_drain.py
    A killer is found alone; its neighbours are not blamed.         tests/integration/test_crash_suspects.py
    A locked database kills nobody; a frozen writer is killed.      tests/integration/test_crash_writes.py

Not here: who may claim what (worker/), what a release does to a job (store/), which engine there is (app/).
"""
