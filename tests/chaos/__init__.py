"""Real nodes under load while their processes are killed and stopped, judged by the checkers."""
