"""The signed, ordered truth: events, keys, verdicts and the one store that keeps them.

Everything here but `tables`, `database`, `store` and `batcher` is pure: no clock, no network,
no files, no randomness. What the log means is worked out in `projections`.
"""
