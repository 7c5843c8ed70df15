"""The nouns: job, state, outcome, retry, token, slot, limits. No I/O, no clock, no chance."""
