"""Several plans, one after the other: selection, signals, clean-up, one exit code."""
