"""Where nodes run: supervised processes, Toxiproxy, control groups, and the ledger that cleans up after us."""
