"""The same plan again: replayed from a run directory or a bundle of it."""
