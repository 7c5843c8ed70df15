"""A whole cluster in one process, on virtual time, replayed bit for bit from a seed.

    from tests.simulation import run
    verdict = run(4711, policy="locks")      # or "lease"; None: as the seed draws
    verdict.violations                       # list of Broken: empty is what we want
    verdict.history                          # what the checkers judged (tests.checkers.history)
    verdict.counts                           # how often each fault and each refusal path was taken
    run(4711, tells=True).story              # lines for people

The *real* code of every role (supervisor, watch, rescuer, places, isolator, orchestrator and duties, worker, settler, submit,
cancel, reopen, waiting for results) over the *real* SQL on SQLite in memory. Simulated is only what lies around it: time
(``loop``, ``clocks``), processes and signals (``world``, ``nodes``), proofs of life (``liveness``), running tables
(``tables``), the way to the store (``line``), handlers (``tasks``) and people (``people``).
"""

from tests.simulation.simulate import Verdict, run

__all__ = ["Verdict", "run"]
