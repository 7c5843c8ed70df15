"""The power goes off, the disk fails, the server is killed: what was acknowledged is there afterwards (P1).

    logging_vfs ──▶ disk ──▶ judge          crash images of SQLite, at random cuts        (attack, test_power_loss)
    faulty_vfs                              an error at each write and sync of SQLite     (test_disk_errors)
    fsync_shim.c, postgres                  PostgreSQL killed, and its fsync failing      (test_postgres)
    strangers                               processes of one file, killed at any moment   (test_killed_processes)

``python -m tests.power --images 100000`` (`make power`) prints the table that docs/power.md keeps.
"""
