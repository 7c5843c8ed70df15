"""What users hold: ``Rota``, ``Task``, ``Token``; their settings; and the one place that picks an engine.

    @app.task ──define──▶ Definition ──Drafts──▶ NewJob ──┐
    app.token(text), bake.submit(…) ──▶ Token ────────────┴─▶ Connection ──session──▶ the store

A plain call and its ``…_async`` twin are one coroutine: the plain one is driven in the calling thread where the engine can
work in any, and in a thread with an event loop where it cannot. The entry points of processes are here too
(``worker_main``, ``node_main``, ``describe``), since they pick an engine.
"""
