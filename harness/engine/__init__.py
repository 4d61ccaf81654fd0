"""The engine: one run from plan to run directory, and its judgement."""
