"""Every event, its fields and units (``events``); to log lines (``lines``, ``json_lines``) and to counters.

    telemetry.emit("job.stale", token=job.token, fence=job.fence)

Not here: what happens to jobs is recorded in the store (their history); events are for whoever watches.
"""
