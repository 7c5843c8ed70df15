"""The ring: which worker is preferred for which slot. Pure: no clock, no chance, no I/O.

    key ──hash──▶ slot ──the ring of the living workers──▶ worker

Why two steps: the slot is stored with the job and never rewritten, so a change of workers touches no job row.

Where to look: ``ring.Ring`` is what others use, ``moves`` tells people what changed; ``placement`` is the method and its
reasons, ``score`` the numbers that it compares, ``member`` the names.

Not here: who is alive (the store's membership). Safety does not depend on this package: the ring is a preference, the row
decides (store/port.py, ``claim``).
"""
