"""Many runs: what to run, side by side within a budget, split into shards, kept in a store, with one result."""
