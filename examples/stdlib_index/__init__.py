"""Index the source code of the running Python's own standard library, while a worker is killed in the middle.

tasks.py      the program: an app and one task. Read this first
facts.py      what is read from one file; knows nothing of rota
logbook.py    each start and end of a run, appended by the handlers: what really happened
verdict.py    judges the logbook: lost, done twice, overlapping, out of order, moved, recovery time
place.py      where the jobs are kept: a file, or a PostgreSQL server
watch.py      looks at the store: workers, ring, progress
screen.py     shows that live
__main__.py   the story: start a node, submit, kill, wait, drain, compare, report
"""
