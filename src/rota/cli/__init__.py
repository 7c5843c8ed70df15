"""The command line: ``rota``.

    main ──▶ run │ submit │ status, wait │ jobs │ job, retry, cancel │ queues, workers, ring, pause │ backup, doctor, health
                     open: which store is meant          output: what is written where        exits: how it ends

Where to look: ``main`` has the list of commands and what becomes of an error; ``open`` finds the store; ``facts`` is what
``--json`` promises; ``look`` knows who was meant. Modules load what a command needs when it is carried out, so that
``rota --help`` answers at once (tests/unit/cli/test_help.py). Commands read through the store's port; only
``run`` starts processes.
"""
