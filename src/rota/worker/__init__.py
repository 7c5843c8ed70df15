"""Where jobs run: claim, run, settle. ``worker.py`` shows the whole of it on one screen."""
