"""The whole program: an app and one task.

    rota run examples.stdlib_index.tasks:app -p 3

Submitting is one line as well: ``index.submit(SourceFile("json", "json/decoder.py"))`` returns a token as soon as the job
is on disk; ``token.result()`` waits for the ``Facts``.
"""

from __future__ import annotations

from examples.stdlib_index.facts import Facts, SourceFile, facts_of
from examples.stdlib_index.logbook import logged
from rota import Rota

app = Rota()  # no address given: the one in ROTA_STORE, else ./rota.db


@app.task(key=lambda file: file.package)  # files of one package: on one worker, one at a time, in order
def index(file: SourceFile) -> Facts:
    with logged(file.path):  # only so that the demo can prove what it says
        return facts_of(file)
