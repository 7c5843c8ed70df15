"""Measures rota on SQLite beside Huey on SQLite, in the same run, on this machine.

    make bench                      the whole table, about ten minutes
    make bench ONLY=drain1,pickup   some of the rows
    RUNS=1 make bench               each figure once instead of the median of three

How it measures, the same for both: every client and worker is a process of its own; a worker waits at a gate after it has
imported and connected; the clock of a drain runs from the first handler's start to the moment at which the store shows
nothing outstanding. Jobs do nothing and carry about 200 bytes. Both are durable: a submit returns after the fsync. The two
take turns within a row, so that a slow minute of the machine hits both.

    rows/          one kind of measurement a file
    table.py       the rows by name, what is to be reached, printing
    rota_side.py, huey_side.py      starting and stopping each
    rota_client.py, huey_client.py  what runs in the client processes
    counters.py    how handlers tell what they did
    machine.py     which machine, when, which commit
"""
