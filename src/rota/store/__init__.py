"""The store: every order, and whether it is done. One port, two engines, one contract suite (tests/contract)."""
