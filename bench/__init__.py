"""Measures rota beside its peers, in the same run, on this machine: Huey on SQLite; PgQueuer and Procrastinate on PostgreSQL.

    make bench                                   every row of both engines, about three quarters of an hour
    make bench ENGINE=postgres                   of one engine; sqlite takes about ten minutes
    make bench ONLY=drain1,pickup                some of the rows
    make bench ONLY=recovery,recovery_best       kill -9 of a worker, for everybody; these two and `hundred` only when named
    RUNS=1 make bench                            each figure once instead of the median of three
    ROTA_BENCH_POSTGRES=postgresql://… make bench    on that server, as a user who may create databases

How it measures, the same for all: every client and worker is a process of its own; a worker waits at a gate after it has
imported and connected; the clock of a drain runs from the first handler's start to the moment at which the store shows
nothing outstanding. Jobs do nothing and carry about 200 bytes. All are durable: a submit returns after the fsync. The sides
take turns within a row, so that a slow minute of the machine hits all. On PostgreSQL all use one server, which the bench
starts from the installed binaries, and each a new database for each figure.

    rows/            one kind of measurement a file
    table.py         what a row is, measuring it, printing it
    engines.py       the server, and the sides of each engine
    sqlite_rows.py, postgres_rows.py    the rows by name, and what is to be reached
    side.py          what a row needs of each side: a store, clients, workers
    rota_side.py, huey_side.py, peer_side.py    starting and stopping them
    rota_client.py, huey_client.py, pgqueuer_client.py, procrastinate_client.py    what runs in the client processes
    counters.py, run_log.py    how handlers tell what they did
    machine.py       which machine, when, which commit
"""
