"""The way out: waiting until a job is settled, reading what became of it, and saying why it still waits.

    token ──watch──▶ settled ──read──▶ result | JobError
    token ──inform──▶ JobInfo, with its attempts, its story, and why it waits

Nothing here writes. Wake-ups make waiting fast; a slow look behind them makes it right.
"""
