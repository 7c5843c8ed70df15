"""The way in: from options to a ``NewJob``, and into the store.

    options ──Terms.of──▶ Terms ──new_job──▶ NewJob ──send──▶ on stable storage

Invariants, each with the test that holds it:
    What is out of range is refused before anything is written.     tests/unit/submit/test_terms.py
    A lost reply is asked again with the same tokens, so that no    tests/unit/submit/test_send.py
      job is lost or put in twice.
"""
