"""The orchestrator: the node that keeps the house, and its duties.

    take the house if it is vacant ──▶ this node's? ──▶ each duty when its time has come
                                            └─ another's: ask again in two seconds

Duties want one hand, not the right one: each is idempotent or compare-and-set, so nothing breaks if two nodes believe for a
moment to have the house, and nothing but tidiness waits while nobody has it: stage, claims, settles and rescues go on without.

Not here: rescue (node/), since every node does that.
"""
