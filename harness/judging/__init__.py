"""From a run's history to its result. Starts nothing and asks no broker."""
